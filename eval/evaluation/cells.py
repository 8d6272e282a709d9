"""Numbers of a result as cells of a table: selection, titles and rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.metrics.registry import get_metric
from graphgen.errors import counted
from graphgen.schema import DOMAIN

__all__ = [
    "MACRO",
    "MAX_DOMAINS",
    "MIN_USERS",
    "SLICE",
    "TIED",
    "Cell",
    "Row",
    "by_domain",
    "by_slice",
    "by_system",
    "cell",
    "column_title",
    "interval",
    "number",
    "plain",
    "rows_by",
    "rows_of",
    "slice_heading",
    "slice_title",
    "slice_users",
]

MACRO: Final = "macro"
SLICE: Final = "slice"
TIED: Final = "†"
# Above so many domains, tables by domain show the first of them and point to metrics.csv.
MAX_DOMAINS: Final = 40
# Groups of fewer users are not spoken of, and not drawn: their figures say little.
MIN_USERS: Final = 30


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


def slice_users(table: pd.DataFrame, domain: str = MACRO) -> dict[str, int]:
    """Return the distinct users of each slice of a summary or a comparison, over all domains."""
    users = table[table[DOMAIN] == domain].groupby(SLICE)["n_users"].max()
    return {name: int(users.get(name, 0)) for name in dict.fromkeys(table[SLICE])}


def slice_heading(table: pd.DataFrame, name: str, domain: str = MACRO) -> str:
    """Return the title of a slice and its number of distinct users, by a summary or a comparison.

    Examples
    --------
    >>> row = {"slice": "setting=cold_user", "domain": "macro", "n_users": 1200}
    >>> slice_heading(pd.DataFrame([row]), "setting=cold_user")
    'Setting: cold_user (1,200 users)'
    """
    users = counted(slice_users(table, domain)[name], "user")
    return f"{slice_title(name).capitalize()} ({users})"


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


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def rows_by(frame: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Index the rows of a table by some columns."""
    return {tuple(row[key] for key in keys): row for row in rows_of(frame)}


def by_slice(summary: pd.DataFrame, columns: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Return header and rows (metric by slice, macro over domains) of value and interval."""
    macro = summary[summary[DOMAIN] == MACRO]
    found = rows_by(macro, "metric", SLICE)
    slices = list(dict.fromkeys(summary[SLICE]))
    header = ["metric", *map(slice_title, slices)]
    users = slice_users(summary)
    rows = [plain("users", *(f"{users[name]:,}" for name in slices))]
    rows += [
        plain(column_title(column)) + [cell(found.get((column, n))) for n in slices]
        for column in columns
    ]
    return header, rows


def by_domain(
    summary: pd.DataFrame, columns: Sequence[str], name: str
) -> tuple[list[str], list[Row]]:
    """Return header and rows (domain by headline metric) of one slice."""
    part = summary[summary[SLICE] == name]
    users = {str(d): int(n) for d, n in part.groupby(DOMAIN)["n_users"].max().items()}
    found = rows_by(part, "metric", DOMAIN)
    header = ["domain", "users", *map(column_title, columns)]
    domains = [MACRO, *sorted(set(users) - {MACRO})][: MAX_DOMAINS + 1]
    rows = [
        plain(d, f"{users[d]:,}") + [cell(found.get((column, d))) for column in columns]
        for d in domains
    ]
    return header, rows


def by_system(
    table: pd.DataFrame, columns: Sequence[str], name: str, domain: str
) -> tuple[list[str], list[Row]]:
    """Return header and rows (system by metric) of value, interval and mark.

    The mark is ``best``, ``tied`` (not significantly different from the best) or empty.
    """
    systems = list(dict.fromkeys(table["system"]))
    found = rows_by(table[(table[SLICE] == name) & (table[DOMAIN] == domain)], "metric", "system")
    # Where all have the same value, none is the best.
    values = {
        column: {found[key]["value"] for key in found if key[0] == column} for column in columns
    }
    alike = {column for column in columns if len(systems) > 1 == len(values[column])}
    rows = []
    for system in systems:
        cells: Row = plain(system)
        for column in columns:
            row = found.get((column, system))
            marks = row if row is not None and column not in alike else {}
            mark = "best" if marks.get("best") else "tied" if marks.get("tied") else ""
            cells.append((*cell(row), mark))
        rows.append(cells)
    return ["system", *map(column_title, columns)], rows
