"""Time and memory of the systems of a comparison."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pandas as pd
import psutil

from eval.comparison.comparison import Comparison
from eval.evaluation.result import records
from eval.reports.markdown import comparison_markdown
from eval.reports.tables import markdown_table
from eval.reports.writing import write_comparison

__all__ = ["Experiment", "PeakMemory", "SystemRun"]

INTERVAL_SECONDS: Final = 0.05
COSTS: Final = [
    "system", "seed", "fit_seconds", "fit_cpu_seconds", "score_seconds", "peak_megabytes",
]  # fmt: skip


class PeakMemory:
    """Samples the resident memory of this process while a ``with`` block runs.

    Attributes
    ----------
    megabytes
        The most that was resident, in 10^6 bytes.

    Examples
    --------
    >>> with PeakMemory() as peak:
    ...     _ = bytearray(1_000_000)
    >>> peak.megabytes > 1
    True
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while True:
            self.megabytes = max(self.megabytes, self._process.memory_info().rss / 1e6)
            if self._stop.wait(INTERVAL_SECONDS):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(frozen=True)
class SystemRun:
    """Cost and configuration of one run of a system.

    Attributes
    ----------
    fit_seconds, score_seconds
        Wall time of training, and of ranking and scoring the test users.
    fit_cpu_seconds
        CPU seconds of training, over all threads, which other work on the machine hardly changes.
    peak_megabytes
        Most memory resident while it was fitted and evaluated.
    seed
        Seed of its training; None for a file of recommendations.
    config, chosen
        Resolved settings of a model, and its choices on validation rows; else None.
    """

    fit_seconds: float
    fit_cpu_seconds: float
    score_seconds: float
    peak_megabytes: float
    seed: int | None = None
    config: dict[str, Any] | None = None
    chosen: dict[str, Any] | None = None


@dataclass
class Experiment:
    """The comparison of systems, and every run of each (one per seed)."""

    comparison: Comparison
    runs: dict[str, list[SystemRun]] = field(default_factory=dict)

    @property
    def costs(self) -> pd.DataFrame:
        """Seconds and megabytes of each run: system, seed and three columns."""
        rows = [{"system": name, **vars(run)} for name, runs in self.runs.items() for run in runs]
        return pd.DataFrame(rows, columns=COSTS)

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()

    def to_markdown(self) -> str:
        """Return the comparison and the costs (means over seeds, and peak) as Markdown."""
        rows = [
            [
                name,
                f"{runs['fit_seconds'].mean():,.1f}",
                f"{runs['score_seconds'].mean():,.1f}",
                f"{runs['peak_megabytes'].max() / 1000:,.2f}",
            ]
            for name, runs in self.costs.groupby("system", sort=False)
        ]
        costs = markdown_table(["system", "fit s", "rank s", "peak GB"], rows)
        return f"{comparison_markdown(self.comparison)}\n\n{costs}"

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write the report; costs, resolved settings and choices are part of its JSON.

        For the parameters see `graphgen.storage.atomic_directory`.
        """
        models = {
            name: [{"seed": r.seed, "config": r.config, "chosen": r.chosen} for r in runs]
            for name, runs in self.runs.items()
            if runs[0].config is not None
        }
        return write_comparison(
            self.comparison,
            path,
            overwrite=overwrite,
            made_from=made_from,
            costs=records(self.costs),
            models=models,
        )
