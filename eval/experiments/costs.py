"""Time and memory of the systems of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from eval.comparison.comparison import Comparison
from eval.evaluation.result import records
from eval.reports.markdown import comparison_markdown
from eval.reports.writing import write_comparison

__all__ = ["Experiment", "SystemRun"]


@dataclass(frozen=True)
class SystemRun:
    """Cost and configuration of one run of a system.

    Attributes
    ----------
    fit_seconds, score_seconds
        Wall time of training, and of ranking and scoring the test users.
    peak_megabytes
        Most memory resident while it was fitted and evaluated.
    seed
        Seed of its training; None for a file of recommendations.
    config, chosen
        Resolved settings of a model, and its choices on validation rows; else None.
    """

    fit_seconds: float
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
        return pd.DataFrame(
            {
                "system": name,
                "seed": run.seed,
                "fit_seconds": run.fit_seconds,
                "score_seconds": run.score_seconds,
                "peak_megabytes": run.peak_megabytes,
            }
            for name, runs in self.runs.items()
            for run in runs
        )

    def to_markdown(self) -> str:
        """Return the comparison and the costs (means over seeds, and peak) as Markdown."""
        lines = ["| system | fit s | rank s | peak GB |", "|---|--:|--:|--:|"]
        for name, runs in self.costs.groupby("system", sort=False):
            lines.append(
                f"| {name} | {runs['fit_seconds'].mean():,.1f} | "
                f"{runs['score_seconds'].mean():,.1f} | "
                f"{runs['peak_megabytes'].max() / 1000:,.2f} |"
            )
        return f"{comparison_markdown(self.comparison)}\n\n" + "\n".join(lines)

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
