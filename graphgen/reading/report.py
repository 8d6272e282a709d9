"""Counts of the rows of a file by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from graphgen.meaning import Taken

__all__ = ["ReadReport"]


@dataclass(frozen=True)
class ReadReport:
    """What became of the rows, from the files to the log.

    Attributes
    ----------
    sources
        Files read, as the user gave them.
    rows_read
        Rows found in them, bad ones included.
    filtered
        Rows left out by a ``#column=value`` filter, by `where` or by `before`.
    bad
        Rows that could not be used.
    quarantine
        Where they were written; None when there were none.
    columns
        For each file, the columns that are used and those that are only kept.
    duplicates
        Rows left out because the same user, domain and item occurred later.
    dropped
        Rows left out because of an event that is to be dropped.
    k_core_dropped
        Rows left out by the k-core filter.
    cleaned
        Rows left out by the steps of `graphgen.cleaning`.
    cleaning
        One entry for each such step: ``step``, ``rows``, ``changed`` and ``note``.
    interactions, users, items
        What is left; items are pairs of domain and id.
    taken
        What became of ratings, weights and events.
    """

    sources: tuple[str, ...] = ()
    rows_read: int = 0
    filtered: int = 0
    bad: int = 0
    quarantine: str | None = None
    columns: tuple[str, ...] = ()
    duplicates: int = 0
    dropped: int = 0
    k_core_dropped: int = 0
    cleaned: int = 0
    cleaning: tuple[dict[str, Any], ...] = ()
    interactions: int = 0
    users: int = 0
    items: int = 0
    taken: Taken = field(default_factory=Taken)

    @property
    def n_sound(self) -> int:
        """Rows that were used, before any were combined."""
        return self.rows_read - self.filtered - self.bad

    @classmethod
    def merged(cls, reports: Sequence[Self]) -> Self:
        """Add up the reports of logs that are put together."""
        counted = (
            *("rows_read", "filtered", "bad", "duplicates", "dropped", "k_core_dropped"),
            "cleaned",
        )
        return cls(
            sources=tuple(source for report in reports for source in report.sources),
            columns=tuple(line for report in reports for line in report.columns),
            cleaning=tuple(step for report in reports for step in report.cleaning),
            taken=Taken.merged([report.taken for report in reports]),
            quarantine=next((r.quarantine for r in reports if r.quarantine), None),
            **{name: sum(getattr(report, name) for report in reports) for name in counted},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "sources": list(self.sources), "columns": list(self.columns)}
