"""Logs of recommendations with propensities, and the rewards of their items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from graphgen.errors import InputError, counted
from graphgen.schema import (
    DOMAIN,
    EVENT,
    ITEM_ID,
    PROPENSITY,
    RANK,
    REWARD,
    TIMESTAMP,
    USER_ID,
    WEIGHT,
)

__all__ = ["EXPOSURE", "VARIANT", "as_exposures", "with_rewards"]

# As in the log of an A/B test, which such a log is, too.
EXPOSURE: Final = "exposure"
VARIANT: Final = "variant"
KEY: Final = [USER_ID, DOMAIN, ITEM_ID]


def as_exposures(lists: pd.DataFrame, variant: str, when: pd.Timestamp) -> pd.DataFrame:
    """Return lists with propensities as rows of a log: with event, variant and timestamp.

    Examples
    --------
    >>> lists = pd.DataFrame({"user_id": ["ann"], "domain": "book", "item_id": ["emma"],
    ...                       "rank": [1], "propensity": [0.9]})
    >>> as_exposures(lists, "new", pd.Timestamp("2026-03-01", tz="UTC"))["event"].tolist()
    ['exposure']
    """
    return lists.assign(**{EVENT: EXPOSURE, VARIANT: variant, TIMESTAMP: when})


def with_rewards(
    log: pd.DataFrame, rewards: Mapping[str, float] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the shown items of a log with their rewards, and notes.

    Parameters
    ----------
    log
        user_id, domain, item_id, and the propensity and rank of rows with the event ``exposure``
        (all rows without a column ``event``). Other rows are events, of the last exposure of the
        item to the user that is not later. A column ``reward`` of the exposures wins over events.
    rewards
        Reward of an event, which the row's ``weight`` multiplies; those that are not named count 1.
        A shown item has the largest reward of its events, at most 1, and 0 without any.

    Returns
    -------
    tuple
        user_id, domain, item_id, rank (int64), propensity and reward (float64), variant and
        timestamp where the log has them; notes.

    Raises
    ------
    InputError
        If a column is missing, or a rank or propensity is none.
    """
    missing = [name for name in (*KEY, RANK, PROPENSITY) if name not in log]
    if missing:
        raise InputError(
            f"The log of recommendations has no column {', '.join(map(repr, missing))}; "
            "`interest recommend --explore` writes one."
        )
    log = log.assign(**{name: log[name].astype(str) for name in KEY}).reset_index(drop=True)
    event = (
        log[EVENT].astype(str).str.casefold() if EVENT in log else pd.Series(EXPOSURE, log.index)
    )
    exposed = (event == EXPOSURE).to_numpy()
    shown = log[exposed].reset_index(drop=True)
    if not len(shown):
        raise InputError(f"No row of the log has the event {EXPOSURE!r}.")
    for name, good in ((RANK, "a whole number from 1"), (PROPENSITY, "in (0, 1]")):
        values = pd.to_numeric(shown[name], errors="coerce").to_numpy(float)
        bad = ~(values >= 1) | (values % 1 > 0) if name == RANK else ~((values > 0) & (values <= 1))
        if bad.any():
            raise InputError(
                f"Column {name!r} must be {good}; {counted(int(bad.sum()), 'row')} of shown items "
                f"{'is' if bad.sum() == 1 else 'are'} not (first: {shown[name][bad.argmax()]!r})."
            )
        shown[name] = values.astype(np.int64) if name == RANK else values
    notes: list[str] = []
    if REWARD in shown:
        shown[REWARD] = pd.to_numeric(shown[REWARD], errors="coerce").fillna(0.0)
    else:
        worth = event.map(rewards or {}).fillna(1.0).to_numpy(float)
        if WEIGHT in log:
            worth = worth * pd.to_numeric(log[WEIGHT]).fillna(1.0).to_numpy(float)
        events = log[~exposed].assign(**{REWARD: np.clip(worth[~exposed], 0.0, 1.0)})
        shown[REWARD], without = _credited(shown, events)
        if without:
            notes.append(f"{counted(without, 'event')} of items that were not shown before.")
    kept = [*KEY, RANK, PROPENSITY, REWARD]
    kept += [name for name in (VARIANT, TIMESTAMP) if name in shown]
    return shown[kept], notes


def _credited(shown: pd.DataFrame, events: pd.DataFrame) -> tuple[np.ndarray, int]:
    """Return the reward of each shown item, and the number of events that belong to none."""
    left = shown[KEY].assign(row=np.arange(len(shown)))
    timed = TIMESTAMP in shown and not shown[TIMESTAMP].isna().any()
    if timed:
        left = left.assign(time=shown[TIMESTAMP]).sort_values("time", kind="stable")
        right = events[[*KEY, REWARD]].assign(time=events[TIMESTAMP]).dropna(subset="time")
        right = right.sort_values("time", kind="stable")
        joined = pd.merge_asof(right, left, on="time", by=KEY)
    else:
        joined = events[[*KEY, REWARD]].merge(left.drop_duplicates(KEY, keep="last"), "left", KEY)
    found = joined["row"].notna()
    rewards = np.zeros(len(shown))
    np.maximum.at(rewards, joined["row"][found].to_numpy(np.int64), joined[REWARD][found])
    return rewards, len(events) - int(found.sum())
