"""A queue in an SQLite file: no server, one machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from gnn.live.database import Database
from gnn.live.events import now
from gnn.live.sources.source import Message, Unavailable
from graphgen.errors import StorageError

__all__ = ["SQLiteSource"]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    row INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, time INTEGER NOT NULL
);
"""
# Seconds between two looks at a file that has nothing new.
PAUSE = 0.02


class SQLiteSource:
    """Messages as rows of a table ``messages (row, body, time)``; acknowledged ones are deleted."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._opened: Database | None = None
        self._last = 0

    @property
    def _file(self) -> Database:
        if self._opened is None:
            self._opened = self._or_unavailable(Database, self._path, SCHEMA)
        return self._opened

    @staticmethod
    def _or_unavailable(call: Any, *given: Any) -> Any:
        try:
            return call(*given)
        except StorageError as error:
            raise Unavailable(str(error)) from error

    def read(self, limit: int, wait: float) -> list[Message]:
        """Return up to `limit` messages; none if there are none for `wait` seconds."""
        until = time.monotonic() + wait
        while not (found := self._or_unavailable(self._next, limit)):
            if (left := until - time.monotonic()) <= 0:
                break
            time.sleep(min(PAUSE, left))
        return list(found)

    def _next(self, limit: int) -> list[Message]:
        select = "SELECT body, row, time FROM messages WHERE row > ? ORDER BY row LIMIT ?"
        with self._file.reading() as connection:
            found = [Message(*row) for row in connection.execute(select, (self._last, limit))]
        self._last = found[-1].token if found else self._last
        return found

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Delete messages."""
        self._or_unavailable(self._delete, [(message.token,) for message in messages])

    def _delete(self, rows: list[tuple[int]]) -> None:
        with self._file.writing() as connection:
            connection.executemany("DELETE FROM messages WHERE row = ?", rows)

    def send(self, objects: Iterable[Any]) -> None:
        """Add messages; when it returns they are durable."""
        time = now()
        self._or_unavailable(self._insert, [(json.dumps(one), time) for one in objects])

    def _insert(self, rows: list[tuple[str, int]]) -> None:
        with self._file.writing() as connection:
            connection.executemany("INSERT INTO messages (body, time) VALUES (?, ?)", rows)

    def lag(self) -> int:
        """Return how many messages are left."""
        return int(self._or_unavailable(self._count))

    def _count(self) -> int:
        with self._file.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
