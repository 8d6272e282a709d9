"""Clean a log step by step, and keep what left at which step and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from graphgen.cleaning.behaviour import gap_entropy, repetition, trailing_counts
from graphgen.cleaning.config import CleanConfig
from graphgen.cleaning.steps import STEPS
from graphgen.errors import InputError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, ITEM_ID, TIMESTAMP, USER_ID, WEIGHT

__all__ = ["Cleaned", "clean_log", "cleaner", "counts"]

ROW, STEP = "row", "step"
# Percentiles of users in the report.
PERCENTILES: Final = (50, 90, 99, 99.9, 100)


@dataclass(frozen=True, eq=False)
class Cleaned:
    """What `clean_log` returns.

    Attributes
    ----------
    before, log
        The log as it came, and cleaned.
    removed
        The rows that left, as they came, with a column ``step``.
    steps
        One entry for each step that is on: ``step``, ``rows`` that left, rows ``changed``, the
        ``users`` and ``items`` that left with all their rows, and a ``note``.
    settings
        The resolved `CleanConfig`.
    """

    before: InteractionLog
    log: InteractionLog
    removed: pd.DataFrame
    steps: tuple[dict[str, Any], ...]
    settings: dict[str, Any]

    def table(self) -> pd.DataFrame:
        """Return the rows to write: without a weight that says no more than the ratings do."""
        taken = self.log.report.taken
        said = taken.options or any(row["signal"] == WEIGHT for row in taken.rows)
        weighed = {"ratings", "decay", "repeats"} & {s["step"] for s in self.steps if s["changed"]}
        return (
            self.log.frame
            if said or weighed
            else self.log.frame.drop(columns=WEIGHT, errors="ignore")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "rows_in": len(self.before),
            "rows_out": len(self.log),
            "removed": len(self.removed),
            "steps": [*self.steps],
            "before": counts(self.before),
            "after": counts(self.log),
            "users": behaviour(self.before, self.settings),
            "settings": self.settings,
            "read": self.before.report.to_dict(),
        }


def clean_log(
    log: InteractionLog | Any,
    config: CleanConfig | None = None,
    *,
    progress: bool = False,
    **settings: Any,
) -> Cleaned:
    """Clean a log by the steps of `CleanConfig`.

    Parameters
    ----------
    log
        A log read with ``deduplicate=False``, or what `read_log` takes.
    config, **settings
        Fields of `CleanConfig`; those given by name win.
    progress
        Show a progress bar.

    Returns
    -------
    Cleaned
        ``len(before) == len(log) + len(removed)``. O(n log n) for n rows.

    Raises
    ------
    InputError
        If a step needs times or ratings that the log lacks, or leaves no row.

    Examples
    --------
    >>> log = pd.DataFrame({"user_id": ["ann", "ann", "bob", "ann"],
    ...                     "item_id": ["dune", "dune", "dune", "emma"],
    ...                     "timestamp": ["2024-01-01", "2024-01-01", "2024-02-01", "2024-03-01"]})
    >>> cleaned = clean_log(log, min_user=2)
    >>> cleaned.log.frame.item_id.tolist()
    ['dune', 'emma']
    >>> cleaned.removed[["user_id", "step"]].to_numpy().tolist()
    [['ann', 'exact_duplicates'], ['bob', 'activity']]
    """
    config = CleanConfig.make(config.to_dict() if config else None, **settings)
    before = log if isinstance(log, InteractionLog) else read_log(log, deduplicate=False)
    now = before.with_columns()
    now.notes[ROW] = np.arange(len(before))
    left_at = np.full(len(before), -1, dtype=np.int8)
    done: list[dict[str, Any]] = []
    with progress_bar("Cleaning (steps)", len(STEPS), enabled=progress) as advance:
        for name, step in STEPS.items():
            result = step(now, config)
            advance()
            if result is None:
                continue
            gone = np.ones(len(before), dtype=bool)
            gone[result.log.notes[ROW]] = False
            left_at[gone & (left_at < 0)] = len(done)
            if not len(result.log) and len(now):
                raise InputError(f"The step {name} leaves no row: {result.note}.")
            done.append(
                {
                    "step": name,
                    "rows": len(now) - len(result.log),
                    "changed": result.changed,
                    "users": now.n_users - result.log.n_users,
                    "items": now.n_items - result.log.n_items,
                    "note": result.note,
                }
            )
            now = result.log
    del now.notes[ROW]
    now = now.with_report(replace(now.report, cleaning=tuple(done)))
    gone = left_at >= 0
    names = np.array([entry["step"] for entry in done], dtype=object)
    removed = before.frame[gone].assign(**{STEP: names[left_at[gone]]}).reset_index(drop=True)
    return Cleaned(before, now, removed, tuple(done), config.to_dict())


def cleaner(config: CleanConfig) -> Callable[[InteractionLog], InteractionLog]:
    """Return the function that `read_log` takes as `clean`."""
    return lambda log: clean_log(log, config, progress=True).log


def counts(log: InteractionLog) -> dict[str, Any]:
    """Return the numbers of rows, likes, users and items, and those of each domain."""
    frame = log.frame
    by_domain = frame.groupby(DOMAIN, observed=True).agg(
        rows=(ITEM_ID, "size"), users=(USER_ID, "nunique"), items=(ITEM_ID, "nunique")
    )
    total: dict[str, Any] = {"rows": len(log), "likes": int(log.liked.sum())}
    total |= {"users": log.n_users, "items": log.n_items}
    if log.has_time:
        total |= {"from": str(frame[TIMESTAMP].min()), "to": str(frame[TIMESTAMP].max())}
    return {**total, "domains": {str(d): row for d, row in by_domain.to_dict("index").items()}}


def behaviour(log: InteractionLog, settings: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return percentiles of the measures by which users are judged, the suspicious end last."""
    users = log.user_codes
    n = int(users.max(initial=-1)) + 1
    enough = np.bincount(users, minlength=n) >= settings["judged_from"]
    measures = {"max_repetition": repetition(users, log.pair_codes(), n)[enough]}
    order = log.order if log.has_time else None
    if order is not None and not log.frame_of_codes[TIMESTAMP].isna().any():
        rate = np.zeros(n, dtype=np.int64)
        np.maximum.at(rate, users, trailing_counts(users, order, settings["window"] * 60))
        entropy = gap_entropy(users, order, n, settings["judged_from"] - 1)
        measures |= {"max_rate": rate[rate > 0], "min_gap_entropy": entropy[~np.isnan(entropy)]}
    return {
        name: {
            f"{at:g} %": round(float(np.percentile(values, 100 - at if "min" in name else at)), 3)
            for at in PERCENTILES
        }
        for name, values in measures.items()
        if len(values)
    }
