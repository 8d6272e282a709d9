"""The routes of a server that lives on: events, feedback, another model, its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import anyio
from anyio.to_thread import run_sync
from fastapi import Body, FastAPI, Request, Response
from starlette.responses import JSONResponse

from gnn.live.events import read_events
from gnn.serving import answers
from gnn.serving.metrics import Metrics
from gnn.serving.problems import Problem
from gnn.serving.security import Token, bearer
from gnn.serving.service import Service
from graphgen.errors import StorageError
from graphgen.ids import HASH_LENGTH

__all__ = ["API", "METRICS", "Live", "add_live"]

API: Final = "/api/v1"
METRICS: Final = "/metrics"
OWN_THREADS: Final = 2
# Events of a body, and events of it whose reasons are named.
MAX_EVENTS, NAMED = 5_000, 100


@dataclass
class Live:
    """What a server has beside the answers of a model.

    Attributes
    ----------
    metrics
        Counts what is done.
    most
        Requests in work or waiting in one process.
    admin
        Token of those who may change the model; None: nobody over HTTP.
    swap
        Loads the model of a folder (None: the same folder again) in place of this one; returns why
        that failed, or "".
    """

    metrics: Metrics
    most: int
    admin: Token | None
    swap: Callable[[str | None], str]


def add_live(app: FastAPI, service: Service, live: Live) -> None:
    """Add the routes."""
    # Threads of their own: events do not wait behind the lists that are asked for.
    own = anyio.CapacityLimiter(OWN_THREADS)

    @app.post(f"{API}/events", tags=["live"], status_code=202)
    async def events(body: Annotated[list[Any], Body(max_length=MAX_EVENTS)]) -> answers.Taken:
        """Take in what users did: durable, and in their lists, when this answers.

        Keys of an event: `user_id`, `item_id`; optional `domain`, `event`, `weight`, `time`,
        `event_id`. Events that cannot be used are named with the reason, the others count.
        """
        return await run_sync(_take, service, live.metrics, body, limiter=own)

    @app.post(f"{API}/feedback", tags=["live"], status_code=202)
    async def feedback(
        body: Annotated[list[answers.Feedback], Body(max_length=MAX_EVENTS)],
    ) -> answers.Taken:
        """Take in what users think of recommendations, as events of these kinds."""
        objects = [one.as_event() for one in body]
        return await run_sync(_take, service, live.metrics, objects, limiter=own)

    @app.post(f"{API}/model", tags=["live"])
    def swap(request: Request, body: answers.Swap | None = None) -> Response:
        """Serve another model, or the same folder anew, without a pause; needs the admin token."""
        given = bearer(request.headers.get("authorization", ""))
        if live.admin is None:
            raise Problem(403, "Start with --admin-token-file FILE to change the model over HTTP.")
        if not live.admin.accepts(given):
            raise Problem(403, "This needs the admin token: Authorization: Bearer …")
        if reason := live.swap(None if body is None else body.model):
            raise Problem(409, reason, field="model")
        return JSONResponse({"status": "served"})

    @app.get(METRICS, include_in_schema=False)
    async def metrics() -> Response:
        return await run_sync(shown, limiter=own)

    def shown() -> Response:
        counts = {} if service.state is None else service.state.counts()
        digest = str(service.model.provenance_.get("graph_digest", ""))[:16]
        known = {
            "name": service.model.name, "digest": digest,
            "created": str(service.model.provenance_.get("created", "")),
        }  # fmt: skip
        return Response(live.metrics.text(counts, known), media_type="text/plain; version=0.0.4")


def _take(service: Service, metrics: Metrics, objects: Sequence[Any]) -> answers.Taken:
    """Check events, and apply those that can be used."""
    state = service.state
    if state is None:
        raise Problem(503, "The state of this server is not open yet.")
    events, rejected = read_events(objects, domain=state.domain)
    # Users may be named by the hash that stands for the id.
    hashed = {event.user_id for event in events if len(event.user_id) == HASH_LENGTH}
    ids = {name: known for name in hashed if (known := service.names.known_id(name))}
    events = [replace(e, user_id=ids[e.user_id]) if e.user_id in ids else e for e in events]
    try:
        applied = vars(state.apply(events))
    except StorageError as error:
        # Not durable, so not taken: whoever sent them sends them again.
        raise Problem(503, f"No event was taken in: {error}") from error
    metrics.events(applied | {"rejected": len(rejected)})
    places = {id(one): place for place, one in enumerate(objects)}
    return answers.Taken(
        **applied,
        rejected=len(rejected),
        reasons=[
            answers.Refused(place=places.get(id(one.raw)), reason=one.reason)
            for one in rejected[:NAMED]
        ],
    )
