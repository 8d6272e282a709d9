"""Where events come from: SQLite, Redis Streams, Kafka."""

from gnn.live.sources.opening import open_source
from gnn.live.sources.source import Message, Source, Unavailable

__all__ = ["Message", "Source", "Unavailable", "open_source"]
