"""Starting the web app."""

from __future__ import annotations

import socket
from collections.abc import Callable

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

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(url)

    Server(config).run([listener])
