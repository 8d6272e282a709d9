"""SQLite files that several processes share: opened once, written in whole transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from graphgen.errors import StorageError

__all__ = ["Database"]

# Seconds that a writer waits for another one.
PATIENCE = 30.0


class Database:
    """One SQLite file in WAL mode: many readers, one writer at a time, none waits for the other.

    Parameters
    ----------
    path
        The file; None for a database in memory.
    schema
        Statements that make the tables where they are missing.

    Raises
    ------
    StorageError
        If the file is none of SQLite, or its folder cannot be written.
    """

    def __init__(self, path: Path | None, schema: str) -> None:
        self.path = path
        self._schema = schema
        self._lock, self._reading = RLock(), RLock()
        with self._errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._reader = self._writer if path is None else self._connect()
        if path is None:
            self._reading = self._lock

    def _connect(self) -> sqlite3.Connection:
        name = ":memory:" if self.path is None else str(self.path)
        made = sqlite3.connect(name, PATIENCE, isolation_level=None, check_same_thread=False)
        made.execute("PRAGMA journal_mode=WAL")
        # What is committed outlives a power failure, too.
        made.execute("PRAGMA synchronous=FULL")
        made.executescript(self._schema)
        return made

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{self.path or 'The database'}: {error}.") from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one transaction: all of it is durable at the end, or none.

        Raises
        ------
        StorageError
            If the disk is full, or another process writes for longer than `PATIENCE`.
        """
        with self._lock, self._errors():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # After some errors SQLite has ended the transaction itself.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection that sees all that was committed, by any process."""
        with self._reading, self._errors():
            yield self._reader

    def close(self) -> None:
        """Close the file; what is committed stays."""
        with self._lock, self._reading:
            self._writer.close()
            self._reader.close()
