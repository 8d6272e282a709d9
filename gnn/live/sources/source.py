"""What a source of events is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from graphgen.errors import InterestError

__all__ = ["Message", "Source", "Unavailable"]


class Message(NamedTuple):
    """One message of a source.

    Attributes
    ----------
    raw
        JSON, or an object of texts.
    token
        Its place in the source, to acknowledge it.
    time
        When it came into the source, in milliseconds since 1970 UTC; the same at each delivery.
    """

    raw: bytes | str | dict[str, Any]
    token: Any
    time: int


class Unavailable(InterestError):
    """The source cannot be reached now; it may be later."""


class Source(Protocol):
    """Messages until they are acknowledged: what was read and not acknowledged comes again.

    Nothing is connected before the first call. Every method may raise `Unavailable`, and may be
    called again then.
    """

    def read(self, limit: int, wait: float) -> list[Message]:
        """Return up to `limit` messages; none if there are none for `wait` seconds."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that messages are taken in and need not come again."""
        ...

    def send(self, objects: Iterable[Any]) -> None:
        """Add messages; when it returns the source has them."""
        ...

    def lag(self) -> int:
        """Return how many messages are not acknowledged yet."""
        ...

    def close(self) -> None:
        """Disconnect; what is not acknowledged comes again later."""
        ...
