"""What a source of events is, and how one is opened by its address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from graphgen.errors import ConfigError, InterestError, MissingDependencyError, near_miss

__all__ = ["Message", "Source", "Unavailable", "open_source"]

EXTRA = "pip install 'interest-expansion[live]'"


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


def open_source(url: str) -> Source:
    """Return the source at an address, not connected yet.

    - ``sqlite:///events.db`` (four slashes before an absolute path): a queue in a file.
    - ``redis://host:6379/0/events?group=interest``: a stream; ``rediss``, user and password as
      usual.
    - ``kafka://host:9092,other:9092/events?group=interest``: a topic. Further options are those
      of librdkafka: ``&security.protocol=sasl_ssl``.

    Raises
    ------
    ConfigError
        If the address has another form.
    MissingDependencyError
        If the package of its kind is not installed.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    try:
        match parts.scheme:
            case "sqlite":
                from gnn.live.sources.sqlite import SQLiteSource

                if parts.netloc or len(parts.path) < 2 or options:
                    raise ConfigError(f"Write sqlite:///FILE; got {url!r}.")
                return SQLiteSource(parts.path[1:])
            case "redis" | "rediss":
                from gnn.live.sources.redis import RedisSource

                database, _, stream = parts.path.lstrip("/").rpartition("/")
                if not stream or not parts.hostname:
                    raise ConfigError(f"Write redis://HOST:PORT/DATABASE/STREAM; got {url!r}.")
                address = f"{parts.scheme}://{parts.netloc}/{database or 0}"
                return RedisSource(address, stream, **options)
            case "kafka":
                from gnn.live.sources.kafka import KafkaSource

                topic = parts.path.strip("/")
                if not topic or not parts.netloc:
                    raise ConfigError(f"Write kafka://HOST:PORT/TOPIC; got {url!r}.")
                return KafkaSource(parts.netloc, topic, **options)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Events from {parts.scheme} need the package {error.name}; install it with `{EXTRA}`."
        ) from error
    except TypeError as error:
        raise ConfigError(f"{url!r} has an option that is not known: {error}.") from None
    known = ("sqlite", "redis", "rediss", "kafka")
    hint = near_miss(parts.scheme, known, "it begins with sqlite://, redis:// or kafka://.")
    raise ConfigError(f"{url!r} is no address of a stream; {hint}")
