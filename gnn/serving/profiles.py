"""The interests of one user and how they moved, as an answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from gnn.interests.drifting import change_points, drift, evolution
from gnn.interests.estimating import DAY
from gnn.interests.profiling import Asked, Profiler
from gnn.interests.sentences import sentence
from gnn.serving.answers import Evolution, Item, Profile, ProfileRow, Window
from graphgen.errors import ConfigError

__all__ = ["profile_of", "records"]

logger = logging.getLogger(__name__)

# Windows of a history where none are named, and interests that are shown of each.
WINDOWS, SHOWN = 8, 6


def profile_of(
    profiler: Profiler,
    asked: Asked,
    table: pd.DataFrame,
    windows: str | None,
    *,
    user: str,
    item: Callable[[int], Item],
) -> Profile:
    """Return the interests of a user, and with `windows` how they moved.

    `table` is that of the profiler with places in the joint index as item ids; `user` is the name
    that is shown, `item` names an item of the joint index; for `windows` see `_evolution_of`.
    """
    moved = moves = None
    if windows is not None and asked.users.times is not None and table["interactions"].any():
        moved, moves = _evolution_of(profiler, asked, windows)
    rows = [
        ProfileRow(
            **{key: row[key] for key in ProfileRow.model_fields if key in row},
            items=[item(int(c)) for c in row["item_ids"].split("|") if c],
        )
        for row in records(table)
    ]
    return Profile(user=user, sentence=sentence(table, moved), interests=rows, evolution=moves)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as Python values, missing ones as None, domains as lists."""
    records = table.to_dict("records")
    for row in records:
        for key, value in row.items():
            if key != "item_ids" and not isinstance(value, str) and pd.isna(value):
                row[key] = None
        if "domains" in row:
            row["domains"] = [name for name in row["domains"].split("|") if name]
    return records


def _evolution_of(profiler: Profiler, asked: Asked, windows: str) -> tuple[pd.Series, Evolution]:
    """Return the test of drift, and the shares in windows of time.

    `windows` is a length as for `gnn.interests.evolution`, or "auto" for an eighth of the history.
    """
    moved = drift(profiler, asked).iloc[0]
    length: str | float = windows
    times = asked.users.times
    if windows == "auto" and times is not None:
        length = max(1.0, float(np.ptp(times.data) + 1) / DAY / WINDOWS)
    table = evolution(profiler, asked, windows=length)
    top = table.groupby("interest")["share"].sum().nlargest(SHOWN).index
    parts = []
    for (start, end), rows in table.groupby(["start", "end"], sort=True):
        shares = rows.set_index("interest")["share"].reindex(top)
        distance = rows["distance"].iloc[0]
        parts.append(
            Window(
                start=start,
                end=end,
                interactions=int(rows["interactions"].iloc[0]),
                distance=None if pd.isna(distance) else float(distance),
                shares={str(name): float(share) for name, share in shares.items()},
            )
        )
    changes = []
    if moved["drifts"]:
        try:
            changes = change_points(profiler, asked)["since"].tolist()
        except ConfigError as error:
            logger.info("%s", error)
    since = None if pd.isna(moved["since"]) else moved["since"]
    return moved, Evolution(
        drifts=bool(moved["drifts"]), p_value=float(moved["p_value"]), since=since,
        away_from=moved["away_from"], towards=moved["towards"], changes=changes, windows=parts,
    )  # fmt: skip
