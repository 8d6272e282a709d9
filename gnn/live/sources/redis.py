"""A stream of Redis, read by a consumer group."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from gnn.live.sources.source import Message, Unavailable

__all__ = ["RedisSource"]

# The field of an entry that holds a whole event as JSON; without it its fields are the event.
JSON = b"json"
# Entries that one command sends.
AT_ONCE = 1_000


class RedisSource:
    """Entries of a stream, each to one consumer of the group, and to another if that one ends.

    Parameters
    ----------
    address
        ``redis://host:port/database``.
    stream
        Key of the stream.
    group
        Consumer group; made where it is missing, from the first entry on.
    idle
        Milliseconds after which what another consumer has read and not acknowledged comes here.
    """

    def __init__(
        self, address: str, stream: str, *, group: str = "interest", idle: str | int = 5_000
    ) -> None:
        # Every call has an answer within seconds, or fails and is tried again by the caller.
        self._client = redis.Redis.from_url(address, socket_timeout=10, socket_connect_timeout=3)
        self._stream, self._group, self._idle = stream, group, int(idle)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{id(self):x}"
        self._ready = False

    @contextmanager
    def _connected(self) -> Iterator[redis.Redis]:
        try:
            if not self._ready:
                try:
                    self._client.xgroup_create(self._stream, self._group, "0", mkstream=True)
                except redis.ResponseError as error:
                    if "BUSYGROUP" not in str(error):
                        raise
                self._ready = True
            yield self._client
        except redis.RedisError as error:
            # After a restart without its file Redis has no group any more.
            self._ready = False
            raise Unavailable(f"Redis: {error}") from error

    def read(self, limit: int, wait: float) -> list[Message]:
        """Return entries that others left behind, else new ones."""
        with self._connected() as client:
            _, entries, *_ = client.xautoclaim(
                self._stream, self._group, self._name, self._idle, "0", count=limit
            )
            if not entries:
                found = client.xreadgroup(
                    self._group, self._name, {self._stream: ">"}, count=limit,
                    block=max(1, round(wait * 1000)),
                )  # fmt: skip
                entries = found[0][1] if found else []
        # An entry that was deleted from the stream has no fields any more.
        return [_message(token, fields) for token, fields in entries if fields]

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge entries; they stay in the stream for other groups."""
        if messages:
            with self._connected() as client:
                client.xack(self._stream, self._group, *(message.token for message in messages))

    def send(self, objects: Iterable[Any]) -> None:
        """Add entries with the field ``json``."""
        bodies = [json.dumps(one) for one in objects]
        with self._connected() as client:
            for low in range(0, len(bodies), AT_ONCE):
                pipeline = client.pipeline(transaction=False)
                for body in bodies[low : low + AT_ONCE]:
                    pipeline.xadd(self._stream, {JSON: body})
                pipeline.execute()

    def lag(self) -> int:
        """Return how many entries are unread or not acknowledged."""
        with self._connected() as client:
            groups = client.xinfo_groups(self._stream)
        own = next(group for group in groups if _text(group["name"]) == self._group)
        return int(own["pending"]) + int(own["lag"] or 0)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def _message(token: bytes, fields: dict[bytes, bytes]) -> Message:
    raw: Any = fields.get(JSON)
    if raw is None:
        raw = {_text(name): _text(value) for name, value in fields.items()}
    return Message(raw, token, int(token.split(b"-")[0]))


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="surrogateescape")
