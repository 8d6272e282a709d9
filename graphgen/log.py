"""The interaction log: users, items, domains, with time, weight and event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import numpy as np
import pandas as pd

from graphgen.coded import CodedRows
from graphgen.errors import ConfigError, InputError, counted
from graphgen.meaning import Meaning
from graphgen.reading.columns import LOG, near_column
from graphgen.reading.digest import frame_digest
from graphgen.reading.filters import combined_rows, core_rows, latest_rows
from graphgen.reading.frames import clean_frame
from graphgen.reading.normalise import (
    concat_frames,
    interaction_frame,
    strings,
)
from graphgen.reading.report import ReadReport
from graphgen.schema import DOMAIN, EVENT, ITEM_ID, POSITION, TIMESTAMP, USER_ID, WEIGHT

__all__ = ["InteractionLog", "ReadReport"]

DAY = 86_400_000  # milliseconds


class InteractionLog(CodedRows):
    """An immutable table of interactions.

    An item is the pair (domain, item_id); a user is the same in every domain. Rows keep their
    order. Two logs are equal when they hold the same rows, in whatever order.

    Parameters
    ----------
    frame
        Columns ``user_id`` and ``item_id``; optional ``domain`` (else ``"items"``),
        ``timestamp``, ``weight``, ``rating``, ``event``; all others are kept as text. The values
        follow the rules of `read_log`; ``weight`` is made of ratings as its defaults say.

    Raises
    ------
    InputError
        If a column is missing or a domain has a reserved name.
    BadRowsError
        If a row cannot be used; the line is its position, from 1.

    Examples
    --------
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["ann", "ann", "bob"],
    ...     "domain": ["books", "films", "films"],
    ...     "item_id": ["007", "7", "7"],
    ...     "timestamp": ["2014-03-27", "2014-03-28", "2014-03-29T10:00:00+02:00"],
    ... }))
    >>> log
    InteractionLog(3 interactions, 2 users, 2 items in 2 domains, with time)
    >>> log.frame.item_id.tolist(), log.domains
    (['007', '7', '7'], ['books', 'films'])
    >>> len(log.where(domain="films")), len(log.before("2014-03-28"))
    (2, 1)
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        cleaned, report = clean_frame(frame, LOG, interaction_frame)
        meant, _, taken = Meaning().apply(cleaned)
        self._set(meant, replace(report, taken=taken))

    @classmethod
    def of_clean(cls, frame: pd.DataFrame, report: ReadReport) -> Self:
        """Wrap a frame that is known to be clean."""
        log = cls.__new__(cls)
        log._set(frame, report)
        return log

    def _set(self, frame: pd.DataFrame, report: ReadReport) -> None:
        self._set_frame(frame)
        # Arrays [n] that go with the rows and are no columns: "events" are the codes of those whose
        # weights add up, -1 for the other rows; "order" is the order in which rows of a pair count,
        # where it is not that of their times.
        self.notes: dict[str, np.ndarray] = {}
        self._report = report
        self._digest: str | None = None

    @property
    def report(self) -> ReadReport:
        """Counts of the rows read, by outcome."""
        return replace(self._report, interactions=len(self), users=self.n_users, items=self.n_items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InteractionLog):
            return NotImplemented
        return len(self) == len(other) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        order = "in order" if POSITION in self._frame else "without time"
        order = "with time" if self.has_time else order
        return (
            f"InteractionLog({len(self)} interactions, {self.n_users} users, {self.n_items} items "
            f"in {counted(len(self.domains), 'domain')}, {order})"
        )

    def where(self, **columns: Any) -> Self:
        """Keep the rows in which each named column has the given value, or one of a list or array.

        Raises
        ------
        InputError
            If the log has no such column.
        """
        keep = np.ones(len(self), dtype=bool)
        for name, wanted in columns.items():
            if name not in self._frame:
                hint = near_column(name, list(self._frame.columns))
                raise InputError(f"The log has no column {name!r}; {hint}")
            if isinstance(wanted, str) or not isinstance(wanted, Iterable):
                wanted = [wanted]
            if name in (USER_ID, ITEM_ID):
                coded = self.codes(name)
                keep &= strings(coded.values).isin(list(wanted)).to_numpy()[coded.codes]
            else:
                keep &= self._frame[name].isin(list(wanted)).to_numpy()
        return self.keep(keep, "filtered")

    def before(self, cutoff: str | datetime | pd.Timestamp) -> Self:
        """Keep the rows with a timestamp strictly before `cutoff` (UTC where it has no zone).

        Raises
        ------
        InputError
            If the log has no timestamps.
        """
        if not self.has_time:
            raise InputError("The log has no timestamps, so it cannot be cut by time.")
        try:
            moment = pd.Timestamp(cutoff)
        except ValueError:
            raise ConfigError(f"`cutoff` must be an ISO 8601 date; got {cutoff!r}.") from None
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        return self.keep((self._frame[TIMESTAMP] < moment).to_numpy(), "filtered")

    def deduplicate(self, *, every_row: bool = False) -> Self:
        """Keep the latest row of each user, domain and item; of equal or no times, the first.

        Events that `read_log` was given a meaning of add up, and with `every_row` all rows do: see
        `graphgen.reading.filters.combined_rows`.
        """
        if every_row:
            log = self if WEIGHT in self._frame else self.with_columns(**{WEIGHT: np.float32(1)})
            additive = np.ones(len(log), dtype=bool)
        else:
            log, additive = self, self.notes.get("events", np.full(1, -1)) >= 0
        order = log.notes.get("order", log.order)
        if not additive.any():
            return log.keep(latest_rows(log.pair_codes(), order), "duplicates")
        weight = log._frame[WEIGHT].to_numpy(float)
        keep, total = combined_rows(log.pair_codes(), weight, additive, order)
        gone = int((~keep & np.isnan(weight)).sum())
        log = log.with_columns(**{WEIGHT: total.astype(np.float32)}).keep(keep, "duplicates")
        report = log._report
        log._report = replace(
            report, duplicates=report.duplicates - gone, dropped=report.dropped + gone
        )
        return log

    def copies(self) -> np.ndarray:
        """Mark the rows that equal an earlier one in every column: bool [n].

        Rows of events may be repeats where nothing tells them apart, and then are none: without
        times, and where all times are whole days.
        """
        rows = np.flatnonzero(pd.Series(self.pair_codes()).duplicated(keep=False).to_numpy())
        event = self.notes.get("events")
        if event is None and EVENT in self._frame:
            named = (self._frame[EVENT] != "").to_numpy()
            event = np.where(named, self._frame[EVENT].cat.codes, -1)
        if event is not None and (self.order is None or not (self.order % DAY).any()):
            rows = rows[event[rows] < 0]
        part = self._frame.iloc[rows]
        part = part if event is None else part.assign(**{EVENT: event[rows]})
        copies = np.zeros(len(self), dtype=bool)
        copies[rows] = part.duplicated().to_numpy()
        return copies

    def with_columns(self, **columns: Any) -> Self:
        """Return the same rows with other values in columns that are not ids."""
        log = self.of_clean(self._frame.assign(**columns), self._report)
        log._codes, log._pairs, log.notes = self._codes, self._pairs, dict(self.notes)
        return log

    def with_whole_order(self) -> Self:
        """Leave out timestamps or positions that only some rows have."""
        missing = _partly_missing(self._frame)
        if not missing:
            return self
        log = self.of_clean(self._frame.drop(columns=missing), self._report)
        log.notes = dict(self.notes)
        return log

    def with_report(self, report: ReadReport) -> Self:
        """Return the same log with another report."""
        log = self.with_columns()
        log._report = report
        return log

    def k_core(self, k: int, k_items: int | None = None) -> Self:
        """Keep the largest part in which every user has `k` likes or more, and every item.

        `k_items` is another number for items.
        Rows that are no likes stay where their user and item do. See `core_rows`.

        Raises
        ------
        ConfigError
            If `k` is negative.
        InputError
            If nothing is left.
        """
        if k < 0:
            raise ConfigError(f"`k_core` must be at least 0; got {k}.")
        if max(k, k_items or 0) <= 1 or not len(self):
            return self
        users, items = self.codes(USER_ID).codes, self.item_codes()[0]
        liked = self.liked
        keep = np.zeros(len(self), dtype=bool)
        keep[liked] = core_rows(users[liked], items[liked], k, k_items)
        keep |= ~liked & np.isin(users, users[keep]) & np.isin(items, items[keep])
        if not keep.any():
            raise InputError(
                f"The {k}-core is empty: no users and items with {k} interactions each. "
                "Use a smaller --k-core."
            )
        return self.keep(keep, "k_core_dropped")

    @classmethod
    def concat(cls, *logs: Self) -> Self:
        """Put logs one after the other.

        Text that some of them lack is ``""``, a weight 1, a rating NaN. Where some lack timestamps
        or positions, those of the others are left out, with a warning.
        """
        if len(logs) == 1:
            return logs[0]
        names = [(*log._report.sources, f"log {i}")[0] for i, log in enumerate(logs)]
        frame = concat_frames([log._frame for log in logs], names)
        if WEIGHT in frame and any(WEIGHT not in log._frame for log in logs):
            frame[WEIGHT] = frame[WEIGHT].fillna(1.0)
        frame = frame.drop(columns=_partly_missing(frame))
        return cls.of_clean(frame, ReadReport.merged([log._report for log in logs]))

    def digest(self) -> str:
        """Return a hash of the rows, whatever their order; see `frame_digest`."""
        if self._digest is None:
            coded = {name: self.codes(name) for name in (USER_ID, ITEM_ID)}
            self._digest = frame_digest(self._frame, coded)
        return self._digest

    def keep(self, keep: np.ndarray, counter: str = "filtered") -> Self:
        """Keep the rows of a mask, bool [n]; the report counts the others as `counter`."""
        dropped = len(keep) - int(keep.sum())
        if not dropped:
            return self
        frame = self._frame.loc[keep].reset_index(drop=True)
        for name in {DOMAIN, EVENT}.intersection(frame):
            frame[name] = frame[name].cat.remove_unused_categories()
        counts: Any = {counter: getattr(self._report, counter) + dropped}
        log = self.of_clean(frame, replace(self._report, **counts))
        log.notes = {name: values[keep] for name, values in self.notes.items()}
        return log


def _partly_missing(frame: pd.DataFrame) -> list[str]:
    """Return which of timestamp and position only some rows have."""
    return [name for name in (TIMESTAMP, POSITION) if name in frame and frame[name].isna().any()]
