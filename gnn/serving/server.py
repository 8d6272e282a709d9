"""Starting the web app."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess as Process
from typing import Any

import torch
import uvicorn

from gnn.serving.app import make_app
from gnn.serving.security import Token, is_local
from gnn.serving.service import Service
from graphgen.errors import ConfigError

__all__ = ["serve"]


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
    if token is None and not is_local(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines; that needs --token-file FILE."
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be served at: {error.strerror}. Choose another --port."
        ) from error
    # asyncio sets it on its own sockets only; without it a short answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Parallel are the requests; a pool of threads inside each would only make them wait.
    torch.set_num_threads(1)
    service.warm_up()
    app = make_app(service, token=Token(token) if token else None)
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listener.getsockname()[1]}/"
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    # Connections that each process has open.
    open_ = multiprocessing.RawArray("i", workers)
    others: list[Process] = []

    def run(number: int) -> None:
        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if number == 0:
                    ready(url)

            async def on_tick(self, counter: int) -> bool:
                open_[number] = len(self.server_state.connections)
                gone = number == 0 and not all(other.is_alive() for other in others)
                return gone or await super().on_tick(counter)

        kind = listener.family, listener.type, listener.proto
        fair = _FairListener(*kind, fileno=listener.fileno())
        fair.open_, fair.number = open_, number
        with suppress(KeyboardInterrupt):  # Ctrl-C, after which uvicorn has ended in order
            Server(config).run([fair])

    for number in range(1, workers):
        fork = multiprocessing.get_context("fork")
        others.append(fork.Process(target=run, args=(number,), daemon=True))
        others[-1].start()
    # uvicorn sends itself the signal again when it is done; the others must end before we do.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        run(0)
    finally:
        for other in others:
            other.terminate()
            other.join()


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
