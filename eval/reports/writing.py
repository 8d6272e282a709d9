"""Writing results: a page to read, and files to load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from eval.comparison.analyses import Analyses, analyse
from eval.comparison.comparison import Comparison
from eval.comparison.links import LinkEvaluation
from eval.evaluation.result import EvaluationResult
from eval.reports.html import comparison_page, frontier_page, links_page, result_page
from eval.reports.markdown import comparison_markdown, result_markdown
from eval.reports.plots import comparison_plots, frontier_plots, link_plots, result_plots
from graphgen.storage import atomic_directory, write_json

__all__ = ["write_comparison", "write_frontier", "write_links", "write_report"]

LINKS_VERSION = 1


def write_report(
    result: EvaluationResult,
    path: str | Path,
    analyses: Analyses | None = None,
    *,
    overwrite: bool = False,
    made_from: str = "",
) -> Path:
    """Write the report of one system to a folder.

    It holds ``report.html``, ``report.md``, ``metrics.json``, ``metrics.csv`` and
    ``per_user.parquet``. Without `analyses` it has those that need nothing but the result. For
    `overwrite` and `made_from` see `graphgen.storage.atomic_directory`, which raises
    `StorageError`.
    """
    analyses = analyses or analyse(result)
    page = result_page(result, analyses, result_plots(result, analyses))
    with atomic_directory(path, kind="report", overwrite=overwrite, made_from=made_from) as folder:
        _write_pages(folder, page, result_markdown(result, analyses=analyses))
        result.write(folder, analyses=analyses.to_dict())
    return Path(path)


def write_comparison(
    comparison: Comparison,
    path: str | Path,
    *,
    overwrite: bool = False,
    made_from: str = "",
    **meta: Any,
) -> Path:
    """Write the comparison of several systems to a folder; files and errors as in `write_report`.

    `meta` is kept in ``metrics.json`` beside the settings.
    """
    page = comparison_page(comparison, comparison_plots(comparison))
    with atomic_directory(path, kind="report", overwrite=overwrite, made_from=made_from) as folder:
        _write_pages(folder, page, comparison_markdown(comparison))
        comparison.write(folder, **meta)
    return Path(path)


def write_links(
    links: LinkEvaluation, path: str | Path, *, overwrite: bool = False, made_from: str = ""
) -> Path:
    """Write ``links.json``, ``links.csv`` and ``report.html``; parameters as in `write_report`."""
    page = links_page(links, link_plots(links))
    with atomic_directory(
        path, kind="link report", overwrite=overwrite, made_from=made_from
    ) as folder:
        (folder / "report.html").write_text(page, encoding="utf-8")
        links.summary.to_csv(folder / "links.csv", index=False)
        write_json(folder / "links.json", links.to_dict(), schema_version=LINKS_VERSION)
    return Path(path)


def write_frontier(
    table: pd.DataFrame,
    best: pd.DataFrame,
    path: str | Path,
    *,
    lead: str,
    titles: Mapping[str, str],
    facts: Mapping[str, str],
    overwrite: bool = False,
    made_from: str = "",
) -> Path:
    """Write ``frontier.csv`` and ``report.html``, with a plot of each column of `titles`.

    `table` and `best` are those of `eval.benchmarks.reranking.Frontier`, `lead` its sentence; other
    parameters as in `write_report`.
    """
    page = frontier_page(table, best, frontier_plots(table, titles), facts, lead)
    with atomic_directory(path, kind="report", overwrite=overwrite, made_from=made_from) as folder:
        (folder / "report.html").write_text(page, encoding="utf-8")
        table.to_csv(folder / "frontier.csv", index=False)
    return Path(path)


def _write_pages(folder: Path, page: str, markdown: str) -> None:
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "report.md").write_text(markdown, encoding="utf-8")
