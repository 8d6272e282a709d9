"""A report as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from eval.comparison.analyses import Analyses
from eval.comparison.comparison import Comparison
from eval.comparison.links import LinkEvaluation
from eval.evaluation.cells import (
    MAX_DOMAINS,
    TIED,
    by_domain,
    by_slice,
    by_system,
    cell,
    number,
    plain,
    slice_heading,
)
from eval.evaluation.result import MACRO, EvaluationResult, headline
from eval.reports.plots import Plot, window_plot
from eval.reports.sections import (
    Section,
    comparison_sections,
    frontier_section,
    result_sections,
)
from eval.reports.tables import legend, shared_notes
from eval.reports.verdict import comparison_verdict, data_line, result_verdict

__all__ = [
    "comparison_page",
    "frontier_page",
    "links_page",
    "profile_page",
    "replay_page",
    "result_page",
    "simulation_page",
]


@dataclass(frozen=True)
class Folded:
    """Sections that the page shows on a click."""

    title: str
    sections: Sequence[Section]


def result_page(result: EvaluationResult, analyses: Analyses, plots: Sequence[Plot]) -> str:
    """Return the report of one system."""
    head, meta = headline(result.metrics), result.meta
    parts = [
        Section(
            f"{slice_heading(result.summary, name)}, by domain",
            "",
            *by_domain(result.summary, head, name),
        )
        for name in result.slices
    ]
    parts += result_sections(analyses)
    parts.append(
        Section("Every metric, macro over domains", "", *by_slice(result.summary, result.metrics))
    )
    return _page(
        title=f"Evaluation of {result.name}",
        heading=result.name,
        verdict=result_verdict(result),
        about=data_line(meta, meta.get("provenance")),
        lead="Means over users with 95 % bootstrap intervals over users; macro is the plain mean "
        "over domains.",
        facts={
            "distinct users": f"{meta.get('n_people', 0):,}",
            "domains": len(result.domains),
            "relevant rows": f"{meta.get('n_truth_rows', 0):,}",
            "k": ", ".join(map(str, meta.get("k", []))),
        },
        parts=parts,
        plots=plots,
        notes=[_notes("", meta, analyses.notes)],
        made=meta.get("provenance"),
    )


def comparison_page(comparison: Comparison, plots: Sequence[Plot]) -> str:
    """Return the report of several systems."""
    results, slices = comparison.results, comparison.slices
    head, shared = headline(comparison.metrics), shared_notes(comparison)
    domains = comparison.domains[:MAX_DOMAINS] if len(comparison.domains) > 1 else []
    parts: list[Section | Folded] = []
    for name in slices:
        title = slice_heading(comparison.table, name)
        table = by_system(comparison.table, head, name, MACRO)
        parts.append(Section(f"{title}, macro over domains", "", *table))
        inner = [Section(d, "", *by_system(comparison.table, head, name, d)) for d in domains]
        parts.append(Folded(f"{title}, by domain", inner))
    parts += comparison_sections(comparison)
    for name, analyses in comparison.analyses.items():
        parts.append(Folded(f"More on {name}", result_sections(analyses, compared=True)))
    every = Section("", "", *by_system(comparison.table, comparison.metrics, slices[0], MACRO))
    parts.append(Folded("Every metric, macro over domains", [every]))
    return _page(
        title="Comparison of recommenders",
        heading="Comparison",
        verdict=comparison_verdict(comparison),
        about=data_line(next(iter(results.values())).meta, comparison.meta.get("provenance")),
        lead=legend(comparison),
        facts={
            "systems": len(comparison.systems),
            "distinct users": f"{next(iter(results.values())).meta.get('n_people', 0):,}",
            "domains": len(comparison.domains),
            "tests": f"{comparison.meta['n_tests']:,}",
        },
        parts=[part for part in parts if isinstance(part, Section) or part.sections],
        plots=plots,
        notes=[
            {"title": "", "remarks": shared, "missing": {}},
            *(
                _notes(name, result.meta, comparison.analyses[name].notes, apart=shared)
                for name, result in results.items()
            ),
        ],
        made=comparison.meta.get("provenance"),
    )


def links_page(links: LinkEvaluation, plots: Sequence[Plot]) -> str:
    """Return the report of labelled links."""
    meta = links.meta
    facts = {"links": f"{meta['n_links']:,}", "relevant": f"{meta['n_relevant']:,}"}
    if meta["threshold"] is not None:
        facts["threshold"] = number(meta["threshold"])
    rows = [[*plain(row["metric"]), cell(row)] for row in links.summary.to_dict("records")]
    return _page(
        title="Evaluation of links",
        heading="Links",
        lead="With 95 % bootstrap intervals over users.",
        facts=facts,
        parts=[Section("", "", ["metric", "value"], rows)],
        plots=plots,
        notes=[_notes("", meta)],
    )


def simulation_page(
    title: str, sentence: str, facts: Mapping[str, str], sections: Sequence[Section], plot: Plot
) -> str:
    """Return the report of planted drift; see `eval.reports.drift`."""
    return _page(
        title=title, heading=title, lead=sentence, facts=facts, parts=sections, plots=[plot],
        notes=[],
    )  # fmt: skip


def frontier_page(
    table: pd.DataFrame,
    best: pd.DataFrame,
    plots: Sequence[Plot],
    facts: Mapping[str, str],
    lead: str,
) -> str:
    """Return the report of re-ranked lists, whose tables `eval.benchmarks.reranking` describes."""
    return _page(
        title="Re-ranked lists",
        heading="Accuracy against diversity",
        lead=f"{lead} Macro over domains; kept is the share of the NDCG of the lists by score, "
        "with its 95 % interval over users.",
        facts=facts,
        parts=[
            frontier_section(best, "The most diverse lists of each method that keep 98 % of NDCG"),
            Folded("Every method and strength", [frontier_section(table)]),
        ],
        plots=plots,
        notes=[],
    )


def replay_page(
    verdict: str, facts: Mapping[str, str], sections: Sequence[Section], plot: Plot
) -> str:
    """Return the report of a replay; see `eval.reports.replay`."""
    return _page(
        title="Prequential replay",
        heading="Prequential replay",
        verdict=verdict,
        lead="Each block is predicted, then revealed, then adapted to.",
        facts=facts,
        parts=sections,
        plots=[plot],
        notes=[],
    )


def profile_page(
    heading: str, sentence: str, sections: Sequence[Section], moves: pd.DataFrame | None
) -> str:
    """Return the page on the interests of a user; `moves` as `gnn.interests.evolution`."""
    return _page(
        title=f"Interests of {heading}",
        heading=heading,
        lead=sentence,
        facts={},
        parts=sections,
        plots=[] if moves is None else [window_plot(moves)],
        notes=[],
        made=None,
    )


def _notes(
    title: str, meta: Mapping[str, Any], more: Sequence[str] = (), apart: Sequence[str] = ()
) -> dict[str, Any]:
    remarks = [note for note in [*meta.get("notes", []), *more] if note not in apart]
    return {"title": title, "remarks": remarks, "missing": meta.get("not_computed", {})}


def _page(**content: Any) -> str:
    """Fill the template, which escapes all text and draws the plots after the first part."""
    from jinja2 import Environment, PackageLoader

    pages = Environment(loader=PackageLoader("eval.reports", ""), autoescape=True)
    return pages.get_template("report.html.j2").render(tied=TIED, **content)
