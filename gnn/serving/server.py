"""Processes that answer: each its own event loop, all at one listener."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess as Process
from typing import Any, Final

import torch
import uvicorn
from fastapi import FastAPI

from gnn.serving.app import make_app
from gnn.serving.security import Token, is_local
from gnn.serving.service import Service
from graphgen.errors import ConfigError

__all__ = ["DRAIN", "address", "answer", "listen", "serve"]

# Asks a process to take no further connections, and to end when those that it has are closed.
DRAIN: Final = signal.SIGUSR2
# Seconds that an idle connection stays open, and that one may hold up the end of its process.
KEEP_ALIVE: Final = 20
PATIENCE: Final = KEEP_ALIVE + 10


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free.

    Raises
    ------
    ConfigError
        If other machines reach the host and it is not guarded by a token, or the port is taken.
    """
    if not guarded and not is_local(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines; that needs --token-file FILE."
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be served at: {error.strerror}. Choose another --port."
        ) from error
    # asyncio sets it on its own sockets only; without it a short answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL of a listener."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    workers: int = 1,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    service
        What answers.
    host, port
        Where; port 0 is any that is free.
    token
        What requests must bring; another host than this machine needs one.
    workers
        Processes that answer; they share what was loaded. More than one where the system can fork.
    ready
        Called with the address when requests are answered.

    Raises
    ------
    ConfigError
        If the host needs a token, or the port is taken.
    """
    listener = listen(host, port, guarded=token is not None)
    # Parallel are the requests; a pool of threads inside each would only make them wait.
    torch.set_num_threads(1)
    service.warm_up()
    app = make_app(service, token=Token(token) if token else None)
    # Connections that each process has open.
    open_ = multiprocessing.RawArray("i", workers)
    others: list[Process] = []
    for number in range(1, workers):
        fork = multiprocessing.get_context("fork")
        others.append(fork.Process(target=answer, args=(app, listener, open_, number), daemon=True))
        others[-1].start()
    # uvicorn sends itself the signal again when it is done; the others must end before we do.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        answer(
            app, listener, open_, 0, ready=lambda: ready(address(listener)),
            alone=lambda: not all(other.is_alive() for other in others),
        )  # fmt: skip
    finally:
        for other in others:
            other.terminate()
            other.join()


def answer(
    app: FastAPI,
    listener: socket.socket,
    open_: Any,
    number: int,
    *,
    ready: Callable[[], None] = lambda: None,
    alone: Callable[[], bool] = lambda: False,
    second: Callable[[], None] = lambda: None,
) -> None:
    """Answer requests in this process until it is told to end, or is left `alone`.

    Parameters
    ----------
    app, listener
        What answers, and where.
    open_, number
        Array of the connections that each process has open, and the place of this one in it.
    ready, second
        Called when requests are answered, and about once a second from then on.
    alone
        Whether to end because the other processes ended.
    """

    class Server(uvicorn.Server):
        draining_until = 0.0

        def drain(self, *_: object) -> None:
            self.draining_until = time.monotonic() + PATIENCE

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def on_tick(self, counter: int) -> bool:
            connections = self.server_state.connections
            open_[number] = len(connections)
            ended = alone() or await super().on_tick(counter)
            if counter % 10 == 0:
                second()
            if self.draining_until:
                for one in self.servers:
                    one.close()
                # Whoever asks once more is answered, and told to connect anew.
                headers = self.server_state.default_headers
                if CLOSE not in headers:
                    self.server_state.default_headers = [*headers, CLOSE]
                ended = ended or not connections or time.monotonic() > self.draining_until
            return ended

    kind = listener.family, listener.type, listener.proto
    fair = _FairListener(*kind, fileno=os.dup(listener.fileno()))
    fair.open_, fair.number = open_, number
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    server = Server(config)
    signal.signal(DRAIN, server.drain)
    with suppress(KeyboardInterrupt):  # Ctrl-C, after which uvicorn has ended in order
        server.run([fair])


CLOSE: Final = (b"connection", b"close")


class _FairListener(socket.socket):
    """Leaves a connection to a process that has fewer open: each keeps its own for long."""

    open_: Any
    number: int

    def accept(self) -> tuple[socket.socket, Any]:
        if self.open_[self.number] > min(self.open_):
            raise BlockingIOError
        taken = super().accept()
        self.open_[self.number] += 1
        return taken
