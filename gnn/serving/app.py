"""The routes: a typed JSON API under ``/api/v1``, and the page on it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import anyio.to_thread
from fastapi import Body, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

import graphgen.looking
from gnn.serving import answers
from gnn.serving.answers import MAX_LIST
from gnn.serving.live import API, METRICS, Live, add_live
from gnn.serving.logs import log_request
from gnn.serving.pressure import Pressure
from gnn.serving.problems import PROBLEM, Problem, problem_response
from gnn.serving.security import COOKIE, HEADERS, Token, is_local
from gnn.serving.service import Service
from graphgen.errors import InterestError, UnknownIdError
from graphgen.schema import INTEREST, USER
from graphgen.storage import package_version

__all__ = ["make_app"]

logger = logging.getLogger(__name__)

STATIC: Final = Path(__file__).with_name("static")
VIEW: Final = Path(graphgen.looking.__file__).with_name("static")
# What may be had without a token: the form that asks for it, its style, and whether there is life.
OPEN: Final = ("/login", "/static/login.js", "/static/app.css", "/static/icon.svg", f"{API}/health")
# Requests that are worked on at once; those for lists are ranked together (`Ranking`).
AT_ONCE: Final = 16

Limit = Annotated[int, Query(ge=1, le=MAX_LIST)]
Domains = Annotated[list[str] | None, Query(description="Repeatable; default: every domain.")]


def make_app(service: Service, *, token: Token | None = None, live: Live | None = None) -> FastAPI:
    """Return the web app of a service.

    Parameters
    ----------
    service
        What answers.
    token
        What requests must bring; None where only this machine can ask.
    live
        With the routes of a server that lives on (`gnn.serving.live`); its admin token admits, too.
    """
    app = FastAPI(
        title="Interest explorer", version=package_version(), docs_url=None, redoc_url=None,
        openapi_url=f"{API}/openapi.json",
        description="Recommendations, profiles, new interests and reasons of one model.",
        lifespan=_few_threads,
        responses={"4XX": {"description": "A problem (RFC 9457)", "content": {PROBLEM: {}}}},
    )  # fmt: skip
    app.add_middleware(GZipMiddleware, minimum_size=2_000, compresslevel=1)
    admin = None if live is None else live.admin
    _guard(app, token, [one for one in (token, admin) if one is not None] if token else [])
    if live is None:
        app.add_middleware(Pressure)
    else:
        add_live(app, service, live)
        app.add_middleware(Pressure, most=live.most, metrics=live.metrics, log=log_request)
    _explain_problems(app)
    _add_users(app, service)
    _add_others(app, service)
    _add_page(app)
    return app


@asynccontextmanager
async def _few_threads(_: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = AT_ONCE
    yield


def _guard(app: FastAPI, token: Token | None, tokens: list[Token]) -> None:
    """Check host and token of requests, and add the headers."""

    @app.middleware("http")
    async def guarded(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response: Response
        open_ = request.url.path in OPEN
        if token is None and not is_local(request.url.hostname or ""):
            # A name that a foreign page made point at this machine (DNS rebinding).
            response = problem_response(
                421, "Misdirected request", "This is for the same machine only."
            )
        elif tokens and not open_ and not _admitted(request, tokens):
            if request.url.path.startswith((API, METRICS)):
                response = problem_response(
                    401, "Unauthorized", "Bring the token: Authorization: Bearer …"
                )
                response.headers["WWW-Authenticate"] = "Bearer"
            else:
                response = RedirectResponse("/login", 303)
        else:
            response = await answer(request)
        response.headers.update(HEADERS)
        if request.url.path.startswith(API):
            response.headers["Cache-Control"] = "no-store"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response

    @app.get("/login", include_in_schema=False)
    def login_page() -> FileResponse:
        return FileResponse(STATIC / "login.html")

    @app.post("/login", include_in_schema=False)
    def login(given: Annotated[str, Body(alias="token", embed=True, max_length=1_000)]) -> Response:
        if token is not None and not token.accepts(given.strip()):
            return problem_response(401, "Unauthorized", "This is not the token.")
        response = Response(status_code=204)
        if token is not None:
            response.set_cookie(COOKIE, token.session, httponly=True, samesite="strict")
        return response


def _admitted(request: Request, tokens: list[Token]) -> bool:
    given = request.headers.get("authorization", ""), request.cookies.get(COOKIE, "")
    return any(one.admits(*given) for one in tokens)


def _explain_problems(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [
            {
                "field": ".".join(map(str, one["loc"][1:])) or str(one["loc"][0]),
                "in": str(one["loc"][0]),
                "message": one["msg"],
            }
            for one in error.errors()
        ]
        detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
        return problem_response(422, "Invalid request", detail, errors)

    @app.exception_handler(Problem)
    async def known(_: Request, error: Problem) -> Response:
        titles = {403: "Forbidden", 404: "Not found", 409: "Not available", 503: "Unavailable"}
        errors = [{"field": error.field, "message": str(error)}] if error.field else []
        return problem_response(
            error.status, titles.get(error.status, "Problem"), str(error), errors
        )

    @app.exception_handler(InterestError)
    async def foreseen(_: Request, error: InterestError) -> Response:
        status = 404 if isinstance(error, UnknownIdError) else 422
        return problem_response(
            status, "Not found" if status == 404 else "Invalid request", str(error)
        )

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return problem_response(error.status_code, str(error.detail), str(error.detail))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        logger.error("A request failed.", exc_info=error)
        return problem_response(500, "Internal error", "The log of the server says more.")


def _add_users(app: FastAPI, service: Service) -> None:
    users = f"{API}/users"

    @app.get(users, tags=["users"])
    def some_users(limit: Annotated[int, Query(ge=1, le=50)] = 8) -> answers.Users:
        """Some users to begin with."""
        return service.examples(limit)

    @app.get(
        users + "/{id:path}/recommendations", tags=["users"], response_model=answers.Recommendations
    )
    def recommendations(
        id: str,
        domain: Domains = None,
        k: Limit = 20,
        reasons: bool = False,
        explore: Annotated[
            str | None,
            Query(
                max_length=40,
                description="greedy, or epsilon, thompson or linucb with =SHARE of random places; "
                "logged with the probability of each item. Default: as the server was started.",
            ),
        ] = None,
    ) -> Response:
        """Lists of a user by domain, with a sentence for each item if `reasons` is true."""
        user_id = service.user_id(id)
        found = service.recommendations(user_id, domain, k, reasons=reasons, explore=explore)
        # Checked when it was made; to check it again would take as long as to rank it.
        return Response(found.model_dump_json(), media_type="application/json")

    @app.post(f"{API}/recommendations", tags=["users"])
    def recommendations_from_history(body: answers.WhatIf) -> answers.Recommendations:
        """Lists from a history: a stranger's, or a known user's with changes."""
        known = None if body.user is None else service.names.user_id(body.user, "user")
        asked = service.asked(known, body.history, body.without)
        return service.recommendations(asked, body.domain, body.k)

    @app.get(users + "/{id:path}/profile", tags=["users"])
    def profile(
        id: str,
        k: Limit = 10,
        windows: Annotated[
            str | None,
            Query(max_length=20, description='Such as "90d", or "auto": adds the evolution.'),
        ] = None,
    ) -> answers.Profile:
        """Interests of a user, with shares, dates and items."""
        return service.profile(id, k, windows)

    @app.get(users + "/{id:path}/expansions", tags=["users"])
    def expansions(
        id: str,
        boldness: Annotated[float, Query(ge=0, le=1)] = 0.0,
        domain: Domains = None,
        k: Annotated[int, Query(ge=1, le=50)] = 5,
    ) -> answers.Expansions:
        """Interests that a user does not have yet, with items to start with."""
        return service.expansions(id, domain, boldness, k)

    @app.get(users + "/{id:path}/history", tags=["users"])
    def history(id: str) -> answers.History:
        """What a user liked, the latest first."""
        return service.history(id)

    @app.get(users + "/{id:path}/neighborhood", tags=["graph"])
    def user_neighborhood(id: str, around: Annotated[_Around, Depends()]) -> answers.Neighborhood:
        """What lies around a user."""
        return service.neighborhood(USER, id, **vars(around))


class _Around:
    """Options of a neighbourhood."""

    def __init__(
        self,
        hops: Annotated[int, Query(ge=0, le=3)] = 2,
        limit: Annotated[int, Query(ge=1, le=300)] = 60,
        others: Annotated[bool, Query(description="Show other users, too.")] = False,
    ) -> None:
        self.hops, self.limit, self.others = hops, limit, others


def _add_others(app: FastAPI, service: Service) -> None:
    @app.get(API + "/items/{domain}/{id:path}/similar", tags=["items"])
    def similar(domain: str, id: str, to: Domains = None, k: Limit = 10) -> answers.Similar:
        """Items similar to an item, by domain."""
        return service.similar(domain, id, to, k)

    @app.get(API + "/items/{domain}/{id:path}/neighborhood", tags=["graph"])
    def item_neighborhood(
        domain: str, id: str, around: Annotated[_Around, Depends()]
    ) -> answers.Neighborhood:
        """What lies around an item."""
        return service.neighborhood(domain, id, **vars(around))

    @app.get(API + "/interests/{name:path}/items", tags=["interests"])
    def interest(name: str) -> answers.Typical:
        """An interest with its typical items by domain."""
        return service.interest(name)

    @app.get(API + "/interests/{name:path}/neighborhood", tags=["graph"])
    def interest_neighborhood(
        name: str, around: Annotated[_Around, Depends()]
    ) -> answers.Neighborhood:
        """What lies around an interest."""
        return service.neighborhood(INTEREST, name, **vars(around))

    @app.get(f"{API}/explanations", tags=["users"])
    def explanation(user: str, domain: str, item: str) -> dict[str, Any]:
        """Why an item is recommended to a user."""
        return service.explain(user, domain, item)

    @app.get(f"{API}/search", tags=["search"])
    def search(
        q: Annotated[str, Query(min_length=1, max_length=200)],
        limit: Annotated[int, Query(ge=1, le=50)] = 12,
    ) -> answers.Search:
        """Users, interests and items by name."""
        hits = [
            answers.Hit(kind=kind, id=key, label=label)
            for kind, key, label in service.names.search(q, limit)
        ]
        return answers.Search(query=q, hits=hits)

    @app.get(f"{API}/map", tags=["whole"])
    def interest_map(user: str | None = None) -> answers.InterestMap:
        """Interests and items in two dimensions, and a user's way over them."""
        return service.map(user)

    @app.get(f"{API}/migration", tags=["whole"])
    def migration() -> answers.Migration:
        """What follows what in the histories of all users."""
        return service.overview.migration

    @app.get(f"{API}/model", tags=["whole"])
    def model() -> answers.ServedModel:
        """What is served."""
        return service.described()

    @app.get(f"{API}/health", tags=["whole"])
    async def health() -> answers.Health:
        """Whether the service answers."""
        return answers.Health()


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    app.mount("/static", StaticFiles(directory=STATIC))
    app.mount("/view", StaticFiles(directory=VIEW))
