"""What a server takes on: so many requests at once, so many bytes; and a record of each."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from fastapi import HTTPException
from starlette.responses import Response

from gnn.serving.metrics import Metrics
from gnn.serving.problems import problem_response

__all__ = ["Pressure"]

MAX_BODY: Final = 1 << 20
TOO_LARGE: Final = f"A body may have {MAX_BODY:,} bytes."
# Seconds after which to ask again.
AGAIN: Final = 1
# What is answered however many wait: whether there is life, and why so much waits.
ALWAYS: Final = ("/api/v1/health", "/metrics")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Pressure:
    """ASGI middleware that refuses large bodies, and requests beyond those that may wait.

    Parameters
    ----------
    app
        What answers.
    most
        Requests in work or waiting in this process; None for any number.
    metrics
        Told of each request.
    log
        Told route, method, status and seconds of each request. The route is the pattern, without
        ids.
    """

    def __init__(
        self,
        app: Any,
        *,
        most: int | None = None,
        metrics: Metrics | None = None,
        log: Callable[[str, str, int, float], None] | None = None,
    ) -> None:
        self.app, self.most, self.metrics, self.log = app, most, metrics, log
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status, size = time.perf_counter(), 500, 0

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            starts = message["type"] == "http.response.start"
            if size > MAX_BODY:
                # In place of what was made of a part of the body.
                if starts:
                    status = 413
                    await _too_large()(scope, receive, send)
                return
            status = message["status"] if starts else status
            await send(message)

        async def receiving() -> MutableMapping[str, Any]:
            # A body that comes in chunks does not say beforehand how long it is.
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413, TOO_LARGE)
            return message

        self._count(1)
        try:
            app = self._refusal(scope) or self.app
            await app(scope, receiving, sending)
        finally:
            self._count(-1)
            route = getattr(scope.get("route"), "path", "other")
            method, seconds = scope["method"], time.perf_counter() - start
            if self.metrics is not None:
                self.metrics.request(route, method, status, seconds)
            if self.log is not None:
                self.log(route, method, status, seconds)

    def _count(self, change: int) -> None:
        self.running += change
        if self.metrics is not None:
            self.metrics.running(change)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not worked on."""
        if self.most is not None and self.running > self.most and scope["path"] not in ALWAYS:
            busy = problem_response(
                429, "Too many requests", f"{self.most} requests are waiting; ask again."
            )
            busy.headers["Retry-After"] = str(AGAIN)
            return busy
        size = dict(scope["headers"]).get(b"content-length", b"0")
        if not size.isdigit() or int(size) > MAX_BODY:
            return _too_large()
        return None


def _too_large() -> Response:
    large = problem_response(413, "Too large", TOO_LARGE)
    # What was sent is not read to its end.
    large.headers["Connection"] = "close"
    return large
