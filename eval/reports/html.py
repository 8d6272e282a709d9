"""A report as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from eval.comparison.analyses import Analyses
from eval.comparison.comparison import Comparison
from eval.comparison.links import LinkEvaluation
from eval.evaluation.result import MACRO, EvaluationResult, headline
from eval.reports.drawing import Plot
from eval.reports.sections import Section, comparison_sections, result_sections
from eval.reports.tables import (
    MAX_DOMAINS,
    TIED,
    by_domain,
    by_slice,
    by_system,
    interval,
    legend,
    number,
    slice_title,
)

__all__ = ["comparison_page", "links_page", "result_page"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --ground: #ffffff;
  --line: #d9dce0; --tint: #f3f5f7; --accent: #0b62a8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #a3a9b2; --ground: #15181b;
  --line: #363b41; --tint: #1f2327; --accent: #7cbcf0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 78rem; color: var(--ink);
  background: var(--ground); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0.5rem 0 0.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 0 0 0.15rem; }
p { margin: 0.3rem 0 0.7rem; max-width: 46rem; }
.soft, figcaption { color: var(--soft); font-size: 0.875rem; }
.facts { display: flex; flex-wrap: wrap; gap: 0.4rem 1.75rem; padding: 0; margin: 1rem 0;
  list-style: none; }
.facts b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; margin: 0.5rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 0.9rem; }
th, td { padding: 0.4rem 0.7rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td, tr:last-child th { border-bottom: 0; }
thead th { background: var(--tint); font-weight: 600; white-space: normal; vertical-align: bottom; }
th:first-child { text-align: left; font-weight: 500; }
tbody th { position: sticky; left: 0; background: var(--ground); }
thead th:first-child { position: sticky; left: 0; }
td small { display: block; color: var(--soft); font-size: 0.75rem; }
td.best { color: var(--accent); font-weight: 700; }
td.best small { font-weight: 400; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20.5rem), 1fr));
  gap: 1.25rem; margin: 1rem 0; }
figure { margin: 0; padding: 0.9rem; border: 1px solid var(--line); border-radius: 6px;
  min-width: 0; max-width: 32rem; }
figure svg { display: block; width: 100%; height: auto; margin-top: 0.5rem; }
figure svg text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif !important; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; font-weight: 600; }
code { font-size: 0.9em; overflow-wrap: anywhere; }
@media (max-width: 30rem) { body { padding: 1rem 0.75rem 2rem; } figure { padding: 0.6rem; }
  th, td { padding: 0.35rem 0.5rem; } tbody th { max-width: 9.5rem; white-space: normal; } }
@media print { .scroll { overflow: visible; } figure { break-inside: avoid; } }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Wrap the parts of a report into a whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[tuple[str, ...]]]) -> str:
    """Lay out cells of (value, interval[, mark]); the first of a row is its heading."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in header)
    body = "".join(f"<tr>{_heading(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _heading(cell: tuple[str, ...]) -> str:
    return f'<th scope="row">{escape(cell[0])}</th>'


def _cell(cell: tuple[str, ...]) -> str:
    value, bounds, mark = (*cell, "")[:3]
    small = f"<small>{escape(bounds)}</small>" if bounds else ""
    sign = TIED if mark == "tied" else ""
    kind = ' class="best"' if mark == "best" else ""
    return f"<td{kind}>{escape(value)}{sign}{small}</td>"


def figures(plots: Sequence[Plot]) -> str:
    """Lay plots out side by side where there is room."""
    drawn = "".join(
        f"<figure><h3>{escape(plot.title)}</h3><figcaption>{escape(plot.text)}</figcaption>"
        f"{_labelled(plot)}</figure>"
        for plot in plots
    )
    return f'<div class="plots">{drawn}</div>' if drawn else ""


def _labelled(plot: Plot) -> str:
    label = escape(f"{plot.title}. {plot.text}", quote=True)
    return plot.svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return (
        '<ul class="facts">'
        + "".join(f"<li><b>{escape(value)}</b>{escape(what)}</li>" for what, value in pairs)
        + "</ul>"
    )


def _remarks(result: EvaluationResult, analyses: Analyses) -> str:
    notes = [escape(note) for note in [*result.meta.get("notes", []), *analyses.notes]]
    missing = result.meta.get("not_computed", {})
    notes += [
        f"<code>{escape(m)}</code> was not computed: {escape(why)}." for m, why in missing.items()
    ]
    return f"<ul>{''.join(f'<li>{note}</li>' for note in notes)}</ul>" if notes else ""


def _origin(meta: dict[str, object]) -> str:
    made = meta.get("provenance")
    if not isinstance(made, dict):
        return ""
    return (
        f'<p class="soft">Made by interest-expansion {escape(str(made.get("interest_version")))} '
        f"on {escape(str(made.get('created')))}. Every number is in <code>metrics.json</code> and "
        "<code>metrics.csv</code>, every user in <code>per_user.parquet</code>.</p>"
    )


def _sections(sections: Sequence[Section]) -> list[str]:
    return [
        f'<h2>{escape(section.title)}</h2><p class="soft">{escape(section.text)}</p>'
        f"{table(section.header, section.rows)}"
        for section in sections
    ]


def result_page(result: EvaluationResult, analyses: Analyses, plots: Sequence[Plot]) -> str:
    """Return the report of one system."""
    head = headline(result.metrics)
    meta = result.meta
    facts = [
        ("distinct users", f"{meta.get('n_people', 0):,}"),
        ("domains", str(len(result.domains))),
        ("relevant rows", f"{meta.get('n_truth_rows', 0):,}"),
        ("k", ", ".join(map(str, meta.get("k", [])))),
    ]
    parts = [
        f"<h1>{escape(result.name)}</h1>",
        '<p class="soft">Means over users with 95 % bootstrap intervals over users; macro is the '
        "plain mean over domains.</p>",
        _facts(facts),
    ]
    for name in result.slices:
        header, rows = by_domain(result, head, name)
        parts.append(f"<h2>By domain, {escape(slice_title(name))}</h2>{table(header, rows)}")
        if name == result.slices[0]:
            parts.append(figures(plots))
    parts += _sections(result_sections(analyses))
    header, rows = by_slice(result, result.metrics)
    parts.append(f"<h2>Every metric, macro over domains</h2>{table(header, rows)}")
    remarks = _remarks(result, analyses)
    if remarks:
        parts.append(f"<h2>Notes</h2>{remarks}")
    parts.append(_origin(meta))
    return page(f"Evaluation of {result.name}", parts)


def comparison_page(comparison: Comparison, plots: Sequence[Plot]) -> str:
    """Return the report of several systems."""
    head = headline(comparison.metrics)
    first = next(iter(comparison.results.values()))
    facts = [
        ("systems", str(len(comparison.systems))),
        ("distinct users", f"{first.meta.get('n_people', 0):,}"),
        ("domains", str(len(comparison.domains))),
        ("tests", f"{comparison.meta['n_tests']:,}"),
    ]
    parts = [
        "<h1>Comparison</h1>",
        f'<p class="soft">{escape(legend(comparison))}</p>',
        _facts(facts),
    ]
    for name in comparison.slices:
        domains = comparison.domains if len(comparison.domains) > 1 else []
        header, rows = by_system(comparison, head, name, MACRO)
        title = slice_title(name).capitalize()
        parts.append(f"<h2>{escape(title)}, macro over domains</h2>{table(header, rows)}")
        if name == comparison.slices[0]:
            parts.append(figures(plots))
        inner = "".join(
            f"<h3>{escape(domain)}</h3>{table(*by_system(comparison, head, name, domain))}"
            for domain in domains[:MAX_DOMAINS]
        )
        if inner:
            parts.append(f"<details><summary>{escape(title)}, by domain</summary>{inner}</details>")
    parts += _sections(comparison_sections(comparison))
    for name, analyses in comparison.analyses.items():
        more = "".join(_sections(result_sections(analyses, compared=True)))
        if more:
            parts.append(f"<details><summary>More on {escape(name)}</summary>{more}</details>")
    header, rows = by_system(comparison, comparison.metrics, comparison.slices[0], MACRO)
    parts.append(
        "<details><summary>Every metric, macro over domains</summary>"
        f"{table(header, rows)}</details>"
    )
    remarks = "".join(
        f"<h3>{escape(name)}</h3>{found}"
        for name, result in comparison.results.items()
        if (found := _remarks(result, comparison.analyses[name]))
    )
    if remarks:
        parts.append(f"<h2>Notes</h2>{remarks}")
    parts.append(_origin(comparison.meta))
    return page("Comparison of recommenders", parts)


def links_page(links: LinkEvaluation, plots: Sequence[Plot]) -> str:
    """Return the report of labelled links."""
    meta = links.meta
    facts = [("links", f"{meta['n_links']:,}"), ("relevant", f"{meta['n_relevant']:,}")]
    if meta["threshold"] is not None:
        facts.append(("threshold", number(meta["threshold"])))
    rows = [
        [(row["metric"], ""), (number(row["value"]), interval(row["low"], row["high"]))]
        for row in links.summary.to_dict("records")
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in meta["notes"])
    parts = [
        "<h1>Links</h1>",
        '<p class="soft">With 95 % bootstrap intervals over users.</p>',
        _facts(facts),
        table(["metric", "value"], rows),
        figures(plots),
        f"<h2>Notes</h2><ul>{notes}</ul>" if notes else "",
    ]
    return page("Evaluation of links", parts)
