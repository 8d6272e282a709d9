"""Problems that an answer names in place of a traceback, as RFC 9457 has them."""

from __future__ import annotations

from typing import Any

from graphgen.errors import InterestError

__all__ = ["Problem"]


class Problem(InterestError):
    """A request that cannot be answered.

    Attributes
    ----------
    status
        HTTP status, 4xx.
    field
        The parameter at fault.
    """

    def __init__(self, status: int, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.field = status, field


def problem_json(
    status: int, title: str, detail: str, errors: list[dict[str, str]]
) -> dict[str, Any]:
    """Return the body of a problem; `errors` name a field and say what is wrong with it."""
    body: dict[str, Any] = {
        "type": "about:blank", "title": title, "status": status, "detail": detail,
    }  # fmt: skip
    return body | ({"errors": errors} if errors else {})
