"""Problems that an answer names in place of a traceback, as RFC 9457 has them."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse

from gnn.serving.security import HEADERS
from graphgen.errors import InterestError

__all__ = ["PROBLEM", "Problem", "problem_response"]

PROBLEM: Final = "application/problem+json"


class Problem(InterestError):
    """A request that cannot be answered.

    Attributes
    ----------
    status
        HTTP status, 4xx or 503.
    field
        The parameter at fault.
    """

    def __init__(self, status: int, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.field = status, field


def problem_response(
    status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None
) -> JSONResponse:
    """Return the answer of a problem; `errors` name a field and say what is wrong with it."""
    body: dict[str, Any] = {
        "type": "about:blank", "title": title, "status": status, "detail": detail,
    }  # fmt: skip
    body |= {"errors": errors} if errors else {}
    return JSONResponse(body, status, headers=HEADERS, media_type=PROBLEM)
