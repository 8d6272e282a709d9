"""Results as tables: selection and rounding of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from eval.comparison.comparison import Comparison
from eval.evaluation.result import DOMAIN, MACRO, SLICE, EvaluationResult, headline
from eval.metrics.registry import get_metric

__all__ = ["by_domain", "by_slice", "by_system", "interval", "legend", "number", "overview"]

TIED = "†"
# Above so many domains, tables by domain show the first of them and point to metrics.csv.
MAX_DOMAINS = 40
# An overview fits a screen: so many rows, and these metrics.
MAX_ROWS = 30
PRIMARY = ("ndcg", "recall", "auc")


def column_title(column: str) -> str:
    """Return the title of a metric column in reports.

    Examples
    --------
    >>> column_title("hit-rate@20")
    'Hit rate@20'
    """
    name, at, k = column.partition("@")
    return get_metric(name).title + at + k


def number(value: float | None) -> str:
    """Round for reading: four decimals below 1, three significant digits or more above.

    Examples
    --------
    >>> number(0.04161), number(12.3456), number(float("nan"))
    ('0.0416', '12.35', '–')
    """
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 1.00005 else f"{value:.2f}"


def interval(low: float | None, high: float | None) -> str:
    """Write an interval, or nothing where there is none."""
    bounds = number(low), number(high)
    return "" if "–" in bounds else f"[{bounds[0]}, {bounds[1]}]"


def slice_title(name: str) -> str:
    """Return the title of a slice in reports.

    Examples
    --------
    >>> slice_title("all"), slice_title("setting=cold_user")
    ('all users', 'setting: cold_user')
    """
    return "all users" if name == "all" else name.replace("=", ": ", 1)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay cells out as a Markdown table; columns after the first are set right."""
    lines = [
        "| " + " | ".join(header) + " |",
        "|" + "|".join([":--"] + ["--:"] * (len(header) - 1)) + "|",
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


# Value and interval, and in a table of systems the mark.
Cell = tuple[str, ...]
Row = list[Cell]


def plain(*values: str) -> Row:
    """Make cells without an interval."""
    return [(value, "") for value in values]


def cell(row: Mapping[Any, Any] | None) -> Cell:
    """Make a cell of the value (with its spread over seeds) and the interval of a row."""
    if row is None:
        return "–", ""
    value, spread = number(row["value"]), number(row.get("sd_seeds"))
    return value if spread == "–" else f"{value} ±{spread}", interval(row["low"], row["high"])


def marked(cell: Cell) -> str:
    """Write a cell as Markdown: bold is best, a dagger not significantly worse."""
    value, bounds, mark = (*cell, "")[:3]
    value = f"**{value}**" if mark == "best" else value + TIED if mark == "tied" else value
    return f"{value} {bounds}".strip()


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def rows_by(frame: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Index the rows of a table by some columns."""
    return {tuple(row[key] for key in keys): row for row in rows_of(frame)}


def by_slice(result: EvaluationResult, columns: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Return header and rows (metric by slice, macro over domains) of value and interval."""
    macro = result.summary[result.summary[DOMAIN] == MACRO]
    found = rows_by(macro, "metric", SLICE)
    header = ["metric", *map(slice_title, result.slices)]
    rows = [
        plain(column_title(column)) + [cell(found.get((column, n))) for n in result.slices]
        for column in columns
    ]
    return header, rows


def by_domain(
    result: EvaluationResult, columns: Sequence[str], name: str
) -> tuple[list[str], list[Row]]:
    """Return header and rows (domain by headline metric) of one slice."""
    part = result.summary[result.summary[SLICE] == name]
    users = {str(d): int(n) for d, n in part.groupby(DOMAIN)["n_users"].max().items()}
    found = rows_by(part, "metric", DOMAIN)
    header = ["domain", "users", *map(column_title, columns)]
    domains = [d for d in [MACRO, *result.domains] if d in users][: MAX_DOMAINS + 1]
    rows = [
        plain(d, f"{users[d]:,}") + [cell(found.get((column, d))) for column in columns]
        for d in domains
    ]
    return header, rows


def by_system(
    comparison: Comparison, columns: Sequence[str], name: str, domain: str
) -> tuple[list[str], list[Row]]:
    """Return header and rows (system by metric) of value, interval and mark.

    The mark is ``best``, ``tied`` (not significantly different from the best) or empty.
    """
    table = comparison.table
    found = rows_by(table[(table[SLICE] == name) & (table[DOMAIN] == domain)], "metric", "system")
    # Where all have the same value, none is the best.
    values = {
        column: {found[key]["value"] for key in found if key[0] == column} for column in columns
    }
    alike = {column for column in columns if len(comparison.systems) > 1 == len(values[column])}
    rows = []
    for system in comparison.systems:
        cells: Row = plain(system)
        for column in columns:
            row = found.get((column, system))
            marks = row if row is not None and column not in alike else {}
            mark = "best" if marks.get("best") else "tied" if marks.get("tied") else ""
            cells.append((*cell(row), mark))
        rows.append(cells)
    return ["system", *map(column_title, columns)], rows


def overview(comparison: Comparison) -> tuple[list[str], list[list[str]], int]:
    """Return header and rows (slice and system by primary metric, macro over domains) for a screen.

    ``*`` marks the best, a dagger those that are not significantly different; last is the number of
    slices for which there was no room.
    """
    columns = headline(comparison.metrics, PRIMARY)
    macro = comparison.table[comparison.table[DOMAIN] == MACRO]
    users = macro.groupby(SLICE)["n_users"].max()
    shown = [name for name in comparison.slices if name in users]
    shown = shown[: max(1, MAX_ROWS // len(comparison.systems))]
    rows = []
    for name in shown:
        lead = [slice_title(name), f"{int(users[name]):,}"]
        for system, *cells in by_system(comparison, columns, name, MACRO)[1]:
            marks = {"best": " *", "tied": f" {TIED}", "": "  "}
            rows.append([*lead, system[0], *(cell[0] + marks[cell[2]] for cell in cells)])
            lead = ["", ""]
    header = ["slice", "users", "system", *map(column_title, columns)]
    return header, rows, len(users) - len(shown)


def legend(comparison: Comparison, *, best: str = "Bold", intervals: bool = True) -> str:
    """Explain the marks of a comparison, and its intervals, in a sentence or two."""
    meta = comparison.meta
    pooled = "sd_seeds" in comparison.table.columns
    seeds = " ± is the standard deviation over seeds." if pooled else ""
    return (
        f"{best} is best; {TIED} not significantly different from the best (paired randomisation "
        f"test on the same users, {meta['permutations']:,} sign patterns, Holm correction over "
        f"{meta['n_tests']:,} tests, level {meta['alpha']:g})."
        f"{' Intervals: 95 % bootstrap over users.' if intervals else ''}{seeds}"
    )
