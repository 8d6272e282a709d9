"""What users did since training: durable in one file, seen by every process, asked by user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import pandas as pd

from gnn.base import Model
from gnn.data import UserBatch
from gnn.live.database import Database
from gnn.live.events import Event
from gnn.live.meanings import Meanings
from gnn.live.remembering import Remembered
from gnn.users import Later, later_order, user_batch
from graphgen.meaning import taken_in
from graphgen.reading.filters import combined_rows
from graphgen.schema import DOMAIN, EVENT, ITEM_ID, TIMESTAMP, USER_ID, WEIGHT

__all__ = ["LEARNED", "STATE_FILE", "Applied", "LiveState"]

# In the folder of a state.
STATE_FILE: Final = "state.db"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    row INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    item_id TEXT NOT NULL,
    event TEXT NOT NULL,
    weight REAL NOT NULL,
    time INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, time);
CREATE TABLE IF NOT EXISTS state (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL);
INSERT OR IGNORE INTO state VALUES (1, hex(randomblob(16)));
"""
INSERT: Final = (
    "INSERT OR IGNORE INTO events (event_id, user_id, domain, item_id, event, weight, time) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
LAST_ROW: Final = "SELECT coalesce(max(row), 0) FROM events"
LATEST: Final = "SELECT max(time) FROM events WHERE user_id = ?"
# In a model's provenance: the state, and its last row, whose events the model has learned.
LEARNED: Final = "live"
# Users that one statement asks for.
AT_ONCE = 500
# Items that the model does not know, of which this is remembered.
REMEMBERED = 100_000
# In the place of a column of the joint index.
UNKNOWN_ITEM, UNKNOWN_DOMAIN = -1, -2


@dataclass(frozen=True)
class Applied:
    """What became of events, in numbers.

    Attributes
    ----------
    new
        Those that the state did not hold.
    duplicates
        Those that it held already, by their ids.
    unknown_users, unknown_items, unknown_domains
        New ones of users, of items in known domains, and of domains that the model does not know;
        they are kept for `interest update`.
    late
        New ones that happened before the latest event of their user that is known.
    """

    new: int = 0
    duplicates: int = 0
    unknown_users: int = 0
    unknown_items: int = 0
    unknown_domains: int = 0
    late: int = 0

    def __add__(self, other: Applied) -> Applied:
        return Applied(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class LiveState:
    """The events since training, each once, and the users as they are now.

    Nothing is held in memory: every process that opens the file sees what any of them wrote, from
    the moment `apply` returns. Each process opens it for itself, after a fork and not before.

    Parameters
    ----------
    path
        SQLite file, made where it is missing; None for a state in memory.
    model
        A fitted model: its users, items, and the meaning of events that it was trained with.

    Raises
    ------
    StorageError
        If the file cannot be opened.
    """

    def __init__(self, path: str | Path | None, model: Model) -> None:
        self.path = None if path is None else Path(path)
        self.data = model.data
        taken = taken_in(model.provenance_.get("graph", {}))
        self._meanings = Meanings(taken)
        self._separate = frozenset(taken.get("separate", ()))
        self._column = Remembered(self._find_columns, REMEMBERED + self.data.n_items)
        self._known_user = Remembered(self._find_users)
        self._file = Database(self.path, SCHEMA)
        with self._file.reading() as connection:
            self._id = str(connection.execute("SELECT id FROM state").fetchone()[0])
        learned = model.provenance_.get(LEARNED, {})
        self._after = int(learned["row"]) if learned.get("state") == self._id else 0
        self._lock = Lock()
        self._total = Applied()
        self._seen = self.n_events

    @property
    def domain(self) -> str | None:
        """Domain of events that name none: that of the model, if it has only one."""
        return self.data.domains[0] if len(self.data.domains) == 1 else None

    @property
    def n_events(self) -> int:
        """Number of events in the file; O(1), for none is ever deleted."""
        with self._file.reading() as connection:
            return int(connection.execute(LAST_ROW).fetchone()[0])

    def apply(self, events: Iterable[Event]) -> Applied:
        """Take events in; when it returns they are durable, and each counts once.

        O(n log rows).

        Raises
        ------
        StorageError
            If the disk is full or the file is locked; then none of the events was taken in.
        """
        given = [self._row(event) for event in events]
        if not given:
            return Applied()
        with self._file.writing() as connection:
            before = connection.execute(LAST_ROW).fetchone()[0]
            latest = {user: connection.execute(LATEST, (user,)).fetchone()[0] or 0
                      for user in {row[1] for row in given}}  # fmt: skip
            connection.executemany(INSERT, given)
            select = "SELECT user_id, domain, item_id, time FROM events WHERE row > ? ORDER BY row"
            new = connection.execute(select, (before,)).fetchall()
        applied = self._count(new, latest, len(given) - len(new))
        with self._lock:
            self._total += applied
        return applied

    def _row(self, event: Event) -> tuple[Any, ...]:
        """Return an event as a row, under the user id that the model has."""
        user, own = event.user_id, f"{event.domain}:"
        if event.domain in self._separate and not user.startswith(own):
            user = own + user
        return (event.event_id, user, event.domain, event.item_id, event.event, event.weight,
                event.time)  # fmt: skip

    def _count(self, new: list[Any], latest: dict[str, int], duplicates: int) -> Applied:
        users = [row[0] for row in new]
        late = 0
        for user, _, _, time in new:
            late += time < latest[user]
            latest[user] = max(latest[user], time)
        columns = self._columns([row[1] for row in new], [row[2] for row in new])
        return Applied(
            new=len(new),
            duplicates=duplicates,
            unknown_users=self._known_user(users).count(False),
            unknown_items=int((columns == UNKNOWN_ITEM).sum()),
            unknown_domains=int((columns == UNKNOWN_DOMAIN).sum()),
            late=late,
        )

    def _columns(self, domains: Sequence[str], items: Sequence[str]) -> np.ndarray:
        """Return int64 [n], items in the joint index, or why they are not in it."""
        return np.array(self._column(list(zip(domains, items, strict=True))), np.int64)

    def _find_columns(self, keys: list[tuple[str, str]]) -> list[int]:
        found = dict.fromkeys(keys, UNKNOWN_DOMAIN)
        for domain in {key[0] for key in keys} & self.data.items.keys():
            own = [key for key in keys if key[0] == domain]
            places = self.data.items[domain].encode([key[1] for key in own], missing="mark")
            columns = np.where(places >= 0, self.data.span(domain).start + places, UNKNOWN_ITEM)
            found |= zip(own, columns.tolist(), strict=True)
        return list(found.values())

    def _find_users(self, ids: list[str]) -> list[bool]:
        return (self.data.users.encode(ids, missing="mark") >= 0).tolist()

    def refresh(self) -> int:
        """Return how many events came since the last call, by this process or others; O(1)."""
        with self._lock:
            before, self._seen = self._seen, self.n_events
            return self._seen - before

    def users(self, ids: Sequence[str] | np.ndarray) -> UserBatch:
        """Look users up with their histories in training and since.

        Equals `gnn.users.user_batch` with the log of their events. O(their interactions).
        """
        ids = np.asarray(ids, dtype=object)
        return user_batch(self.data, ids, self.later(ids))

    def later(self, ids: np.ndarray) -> Later | None:
        found = list(self._events_of(ids))
        if not found:
            return None
        users, domains, items, kinds, weights, times = zip(*found, strict=True)
        column = self._columns(domains, items)
        weight, additive = self._meanings(domains, kinds, weights)
        places = {user: place for place, user in enumerate(ids.tolist())}
        place = np.array([places[user] for user in users])
        time = np.array(times, np.int64)
        known = column >= 0
        place, column, weight = place[known], column[known], weight[known]
        additive, time = additive[known], time[known]
        pair = place * self.data.n_items + column
        use = ~np.isnan(weight)
        if len(set(pair.tolist())) < len(pair):
            use, weight = combined_rows(pair, weight, additive, time)
        order = later_order(self.data, time[use], True, int(use.sum()))
        return Later(place[use], column[use], weight[use].astype(np.float32), order)

    def _events_of(self, ids: np.ndarray) -> Iterator[tuple[Any, ...]]:
        distinct = list(dict.fromkeys(ids.tolist()))
        for low in range(0, len(distinct), AT_ONCE):
            some = distinct[low : low + AT_ONCE]
            marks = ", ".join("?" * len(some))
            select = (
                "SELECT user_id, domain, item_id, event, weight, time FROM events "
                f"WHERE user_id IN ({marks}) AND row > ? ORDER BY row"
            )
            with self._file.reading() as connection:
                yield from connection.execute(select, [*some, self._after]).fetchall()

    def frame(self) -> pd.DataFrame:
        """Return the events that the model has not learned, in the order of arrival, as a log.

        Whatever their times, all count as later than training, as `read_log` does with `all_later`.

        ``attrs["live"]`` says which they are: in the provenance of a model that learns from them,
        under the same name, it keeps them from counting twice.
        """
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT user_id, domain, item_id, time, event, weight, event_id, row FROM events "
                "WHERE row > ? ORDER BY row",
                (self._after,),
            ).fetchall()
        names = [USER_ID, DOMAIN, ITEM_ID, TIMESTAMP, EVENT, WEIGHT, "event_id", "row"]
        frame = pd.DataFrame(rows, columns=names)
        row = max([self._after, *frame.pop("row").tolist()])
        frame.attrs[LEARNED] = {"state": self._id, "row": row}
        frame[TIMESTAMP] = pd.to_datetime(frame[TIMESTAMP], unit="ms", utc=True)
        return self._meanings.as_logged(frame)

    def counts(self) -> dict[str, int]:
        """Return the number of events in the file, and what this process did since it opened it."""
        with self._lock:
            return {"events": self.n_events} | vars(self._total)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
