"""Writing results: a page to read, and files to load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from eval.evaluation.records import records
from eval.evaluation.result import METRICS_FILE, PER_USER_FILE, SCHEMA_VERSION
from eval.reports.html import comparison_page, result_page
from eval.reports.markdown import comparison_markdown, result_markdown
from eval.reports.plots import comparison_plots, result_plots
from graphgen.storage import atomic_directory, write_json

if TYPE_CHECKING:
    from eval.comparison.comparison import Comparison
    from eval.evaluation.result import EvaluationResult

__all__ = ["write_comparison", "write_result"]


def write_result(result: EvaluationResult, path: str | Path) -> Path:
    """Write the report of one system to a folder.

    Parameters
    ----------
    result
        What to write.
    path
        The folder; an older report in it is replaced, anything else is left alone.

    Returns
    -------
    pathlib.Path
        The folder, with ``report.html``, ``report.md``, ``metrics.json``, ``metrics.csv`` and
        ``per_user.parquet``.

    Raises
    ------
    StorageError
        If the folder holds something that `interest` did not write.
    """
    with atomic_directory(path) as folder:
        (folder / "report.html").write_text(
            result_page(result, result_plots(result)), encoding="utf-8"
        )
        (folder / "report.md").write_text(result_markdown(result), encoding="utf-8")
        result.summary.to_csv(folder / "metrics.csv", index=False)
        result.per_user.to_parquet(folder / PER_USER_FILE, index=False)
        content = {"name": result.name, "summary": records(result.summary), "meta": result.meta}
        write_json(folder / METRICS_FILE, content, schema_version=SCHEMA_VERSION)
    return Path(path)


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write the comparison of several systems to a folder; files as in `write_result`."""
    with atomic_directory(path) as folder:
        (folder / "report.html").write_text(
            comparison_page(comparison, comparison_plots(comparison)), encoding="utf-8"
        )
        (folder / "report.md").write_text(comparison_markdown(comparison), encoding="utf-8")
        comparison.table.to_csv(folder / "metrics.csv", index=False)
        frames = [r.per_user.assign(system=n) for n, r in comparison.results.items()]
        pd.concat(frames, ignore_index=True).to_parquet(folder / PER_USER_FILE, index=False)
        content = {
            "table": records(comparison.table),
            "systems": {
                name: {"summary": records(result.summary), "meta": result.meta}
                for name, result in comparison.results.items()
            },
            "meta": comparison.meta,
        }
        write_json(folder / METRICS_FILE, content, schema_version=SCHEMA_VERSION)
    return Path(path)
