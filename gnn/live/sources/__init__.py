"""Where events come from: SQLite, Redis Streams, Kafka."""
