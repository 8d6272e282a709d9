"""Reports in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from eval.comparison.analyses import Analyses, analyse
from eval.comparison.comparison import Comparison
from eval.evaluation.cells import MAX_DOMAINS, by_domain, by_slice, by_system, slice_heading
from eval.evaluation.result import MACRO, EvaluationResult, headline
from eval.reports.sections import (
    Section,
    comparison_sections,
    result_sections,
    section_markdown,
)
from eval.reports.tables import legend, shared_notes
from eval.reports.verdict import comparison_verdict, data_line, result_verdict
from graphgen.errors import ConfigError

__all__ = ["comparison_markdown", "result_markdown"]


def result_markdown(
    result: EvaluationResult,
    metrics: Sequence[str] | None = None,
    analyses: Analyses | None = None,
) -> str:
    """Return the report of one system in Markdown: a table per slice, and its analyses.

    Parameters
    ----------
    result, analyses
        Of `evaluate` and `analyse`; default the analyses that need nothing but the result.
    metrics
        Columns to show; default all.
    """
    analyses = analyses or analyse(result)
    columns = list(metrics) if metrics is not None else result.metrics
    head = headline(columns)
    sections = [
        Section("", "", *by_slice(result.summary, columns)),
        *(
            Section(
                f"{slice_heading(result.summary, name)}, by domain",
                "",
                *by_domain(result.summary, head, name),
            )
            for name in result.slices
        ),
        *result_sections(analyses),
    ]
    lead = "Macro over domains, with 95 % bootstrap intervals over users."
    about = data_line(result.meta, result.meta.get("provenance"))
    tables = map(section_markdown, sections)
    start = [f"# {result.name}", result_verdict(result), about, lead]
    return "\n\n".join([*start, *tables, *_notes(result, analyses)]) + "\n"


def comparison_markdown(
    comparison: Comparison,
    metrics: Sequence[str] | None = None,
    slices: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
) -> str:
    """Return the comparison in Markdown: bold is best, † not significantly different.

    Narrowed to some metrics, slices or domains, it has the tables alone.

    Parameters
    ----------
    comparison
        Of `compare_results`.
    metrics, slices, domains
        Columns, slices and domains to show (``macro`` is the mean over domains); default the
        headline columns of all.

    Raises
    ------
    ConfigError
        If nothing of this name was compared.
    """
    for what, asked, known in (
        ("metric", metrics, comparison.metrics),
        ("slice", slices, comparison.slices),
        ("domain", domains, [MACRO, *comparison.domains]),
    ):
        for name in asked or ():
            if name not in known:
                raise ConfigError(f"No {what} {name!r} was compared; there is {known}.")
    whole = metrics is None and slices is None and domains is None
    columns = list(metrics) if metrics is not None else headline(comparison.metrics)
    if domains is None:
        several = comparison.domains if len(comparison.domains) > 1 else []
        domains = [MACRO, *several][: MAX_DOMAINS + 1]
    parts = ["# Comparison", legend(comparison)]
    if whole:
        about = data_line(
            next(iter(comparison.results.values())).meta, comparison.meta.get("provenance")
        )
        parts[1:1] = [comparison_verdict(comparison), about]
    for name in slices if slices is not None else comparison.slices:
        for domain in domains:
            header, rows = by_system(comparison.table, columns, name, domain)
            if all(cell[0] == "–" for row in rows for cell in row[1:]):
                continue
            where = "macro over domains" if domain == MACRO else domain
            title = f"{slice_heading(comparison.table, name, domain)}, {where}"
            parts.append(section_markdown(Section(title, "", header, rows)))
    if whole:
        parts += map(section_markdown, comparison_sections(comparison))
    shared = shared_notes(comparison)
    notes = ["\n".join(f"- {note}" for note in shared)] if shared else []
    for name, result in comparison.results.items():
        notes += _notes(result, comparison.analyses[name], name, apart=shared)
    return "\n\n".join([*parts, *notes]) + "\n"


def _notes(
    result: EvaluationResult, analyses: Analyses, name: str = "", apart: Sequence[str] = ()
) -> list[str]:
    lead = f"{name}: " if name else ""
    remarks = [*result.meta.get("notes", []), *analyses.notes]
    notes = [f"- {lead}{note}" for note in remarks if note not in apart]
    missing = result.meta.get("not_computed", {})
    notes += [f"- {lead}{metric} was not computed: {why}" for metric, why in missing.items()]
    return ["\n".join(notes)] if notes else []
