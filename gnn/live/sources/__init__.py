"""Where events come from: SQLite, Redis Streams, Kafka."""

from gnn.live.sources.source import Message, Source, Unavailable, open_source

__all__ = ["Message", "Source", "Unavailable", "open_source"]
