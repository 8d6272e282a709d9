"""Items that a server showed, with their propensities: durable, beside the events that followed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from gnn.live.database import Database
from graphgen.rewards import EXPOSURE, VARIANT
from graphgen.schema import (
    DOMAIN,
    EVENT,
    ITEM_ID,
    PROPENSITY,
    RANK,
    SCORE,
    TIMESTAMP,
    USER_ID,
    WEIGHT,
)

__all__ = ["SHOWN_FILE", "Exposures", "ShownList", "read_exposures", "with_states"]

SHOWN_FILE: Final = "shown.db"
# A row is a list; of its items there are the ids, scores and propensities, as JSON.
SHOWN: Final = """
CREATE TABLE IF NOT EXISTS lists (
    row INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    variant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    domain TEXT NOT NULL,
    items TEXT NOT NULL,
    scores TEXT NOT NULL,
    propensities TEXT NOT NULL
);
"""
ALL: Final = -1


class ShownList(NamedTuple):
    """A list that was shown; `time` in milliseconds since 1970, items in their order."""

    time: int
    variant: str
    user_id: str
    domain: str
    items: list[str]
    scores: list[float]
    propensities: list[float]


class Exposures:
    """The lists that were shown, in one file that several processes write.

    Parameters
    ----------
    path
        SQLite file, made where it is missing.

    Raises
    ------
    StorageError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> log = Exposures(Path(tempfile.mkdtemp()) / "shown.db")
    >>> log.add([ShownList(0, "epsilon=0.1", "ann", "book", ["dune", "emma"], [2.0, 1.0],
    ...                    [0.9, 0.8])])
    >>> log.frame()[["item_id", "rank", "propensity", "event"]].to_numpy().tolist()
    [['dune', 1, 0.9, 'exposure'], ['emma', 2, 0.8, 'exposure']]
    """

    def __init__(self, path: Path) -> None:
        self._file = Database(path, SHOWN)

    def add(self, lists: Iterable[ShownList]) -> None:
        """Keep lists; when it returns they are durable.

        Raises
        ------
        StorageError
            If the disk is full or the file is locked; then none of them is kept.
        """
        rows = [(*one[:4], *map(json.dumps, one[4:])) for one in lists]
        with self._file.writing() as connection:
            connection.executemany(
                "INSERT INTO lists (time, variant, user_id, domain, items, scores, propensities) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def frame(self, latest: int = ALL) -> pd.DataFrame:
        """Return the items of the `latest` lists, oldest first, as `interest recommend --explore`
        writes them.
        """
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT time, variant, user_id, domain, items, scores, propensities "
                "FROM lists ORDER BY row DESC LIMIT ?",
                (latest,),
            ).fetchall()
        names = [TIMESTAMP, VARIANT, USER_ID, DOMAIN, ITEM_ID, SCORE, PROPENSITY]
        frame = pd.DataFrame(rows[::-1], columns=names)
        several = [ITEM_ID, SCORE, PROPENSITY]
        frame = frame.assign(**{name: frame[name].map(json.loads) for name in several})
        frame = frame.explode(several).dropna(subset=ITEM_ID)
        frame = frame.astype({SCORE: float, PROPENSITY: float})
        frame[RANK] = frame.groupby(level=0).cumcount() + 1
        when = pd.to_datetime(frame[TIMESTAMP].astype("int64"), unit="ms", utc=True)
        return frame.assign(**{EVENT: EXPOSURE, TIMESTAMP: when}).reset_index(drop=True)

    def close(self) -> None:
        """Close the file; what it holds stays."""
        self._file.close()


def read_exposures(folder: Path, latest: int = ALL) -> pd.DataFrame:
    """Return the items of the `latest` lists that a server showed, and the events since the first.

    `folder` is that of `interest serve --state`. The rows are as of `graphgen.rewards.with_rewards`
    and of `interest abtest`: those with the event ``exposure`` were shown, the others followed.
    """
    # They bring PyTorch: seconds, which other logs do not need.
    from gnn.live.meanings import Meanings
    from gnn.live.state import SCHEMA, STATE_FILE

    log = Exposures(folder / SHOWN_FILE)
    shown = log.frame(latest)
    log.close()
    first = 0 if shown.empty else int(shown[TIMESTAMP].min().timestamp() * 1000)
    state = Database(folder / STATE_FILE, SCHEMA)
    with state.reading() as connection:
        rows: list[Any] = connection.execute(
            "SELECT user_id, domain, item_id, event, weight, time FROM events WHERE time >= ? "
            "ORDER BY row",
            (first,),
        ).fetchall()
    state.close()
    events = pd.DataFrame(rows, columns=[USER_ID, DOMAIN, ITEM_ID, EVENT, WEIGHT, TIMESTAMP])
    events = Meanings({}).as_logged(events.astype({WEIGHT: float}))
    events[EVENT] = events[EVENT].where(events[EVENT] != "", "like")
    events[TIMESTAMP] = pd.to_datetime(events[TIMESTAMP].astype("int64"), unit="ms", utc=True)
    return pd.concat([shown.assign(**{WEIGHT: 1.0}), events], ignore_index=True)


def with_states(sources: Iterable[Any]) -> list[Any]:
    """Return sources of logs, with `read_exposures` in the place of a server's folder."""
    return [
        read_exposures(Path(one))
        if isinstance(one, str | Path) and os.path.isfile(os.path.join(one, SHOWN_FILE))
        else one
        for one in sources
    ]
