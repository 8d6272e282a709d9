"""Writing results: a page to read, and files to load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from eval.comparison.analyses import Analyses, analyse
from eval.comparison.comparison import Comparison
from eval.comparison.links import LinkEvaluation
from eval.evaluation.result import EvaluationResult, records
from eval.reports.html import comparison_page, frontier_page, links_page, replay_page, result_page
from eval.reports.markdown import comparison_markdown, result_markdown
from eval.reports.plots import (
    comparison_plots,
    frontier_plots,
    link_plots,
    replay_plot,
    result_plots,
)
from eval.reports.replay import replay_sections, replay_verdict
from eval.reports.sections import section_markdown
from graphgen.storage import atomic_directory, write_json

__all__ = [
    "write_blocks",
    "write_comparison",
    "write_frontier",
    "write_links",
    "write_replay",
    "write_report",
]

LINKS_VERSION = 1
REPLAY_VERSION = 1


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


def write_replay(
    blocks: pd.DataFrame,
    summary: pd.DataFrame,
    meta: Mapping[str, Any],
    path: str | Path,
    *,
    overwrite: bool = False,
    made_from: str = "",
) -> Path:
    """Write ``report.html``, ``report.md``, ``replay.json`` and ``blocks.csv`` of a replay.

    The tables are those of `eval.experiments.replaying.Replay`; other parameters as in
    `write_report`.
    """
    sections, verdict = replay_sections(blocks, summary, meta), replay_verdict(summary)
    facts = {"model": meta["model"], "events": f"{meta['rows']:,}", "lists": f"{meta['lists']:,}"}
    page = replay_page(verdict, facts, sections, replay_plot(blocks))
    dated = blocks.assign(start=blocks["start"].map(pd.Timestamp.isoformat))
    content = {"summary": records(summary), "blocks": records(dated), "meta": dict(meta)}
    markdown = "\n\n".join(["# Prequential replay", verdict, *map(section_markdown, sections)])
    return write_blocks(
        blocks, content, page, markdown, path, name="replay.json", version=REPLAY_VERSION,
        overwrite=overwrite, made_from=made_from,
    )  # fmt: skip


def write_blocks(
    blocks: pd.DataFrame,
    content: Mapping[str, Any],
    page: str,
    markdown: str,
    path: str | Path,
    *,
    name: str,
    version: int,
    overwrite: bool,
    made_from: str,
) -> Path:
    """Write a report over time: a page, Markdown, ``blocks.csv`` and the JSON file `name`."""
    with atomic_directory(path, kind="report", overwrite=overwrite, made_from=made_from) as folder:
        _write_pages(folder, page, markdown)
        blocks.to_csv(folder / "blocks.csv", index=False)
        write_json(folder / name, dict(content), schema_version=version)
    return Path(path)


def _write_pages(folder: Path, page: str, markdown: str) -> None:
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "report.md").write_text(markdown, encoding="utf-8")
