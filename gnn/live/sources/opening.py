"""Opening a source of events by its address."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from gnn.live.sources.source import Source
from graphgen.errors import ConfigError, MissingDependencyError, near_miss

__all__ = ["kafka_address", "open_source"]

EXTRA = "pip install 'interest-expansion[live]'"


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

                brokers, topic, options = kafka_address(url)
                return KafkaSource(brokers, topic, **options)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"Events from {parts.scheme} need the package {error.name}; install it with `{EXTRA}`."
        ) from error
    except TypeError as error:
        raise ConfigError(f"{url!r} has an option that is not known: {error}.") from None
    known = ("sqlite", "redis", "rediss", "kafka")
    hint = near_miss(parts.scheme, known, "it begins with sqlite://, redis:// or kafka://.")
    raise ConfigError(f"{url!r} is no address of a stream; {hint}")


def kafka_address(url: str) -> tuple[str, str, dict[str, str]]:
    """Return the brokers, the topic and the options of an address of Kafka.

    Raises
    ------
    ConfigError
        If the address has another form.

    Examples
    --------
    >>> kafka_address("kafka://here:9092,there:9092/events?group=shop")
    ('here:9092,there:9092', 'events', {'group': 'shop'})
    """
    parts = urlsplit(url)
    topic = parts.path.strip("/")
    if parts.scheme != "kafka" or not topic or not parts.netloc:
        raise ConfigError(f"Write kafka://HOST:PORT/TOPIC; got {url!r}.")
    return parts.netloc, topic, dict(parse_qsl(parts.query))
