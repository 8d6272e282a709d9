"""Starting the web app."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable
from typing import Final

import torch
import uvicorn

from gnn.serving.app import make_app
from gnn.serving.security import Token, is_local
from gnn.serving.service import Service
from graphgen.errors import ConfigError

__all__ = ["serve"]

# Connections that may wait.
BACKLOG: Final = 512


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
    # Taking one connection at a time, the processes share them out.
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, backlog=1
    )

    def run(first: bool) -> None:
        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                listener.listen(BACKLOG)
                if first:
                    ready(url)

        Server(config).run([listener])

    others = [
        multiprocessing.get_context("fork").Process(target=run, args=(False,), daemon=True)
        for _ in range(workers - 1)
    ]
    for other in others:
        other.start()
    try:
        run(True)
    finally:
        for other in others:
            other.terminate()
            other.join()
