"""Results as tables: selection and rounding of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval.comparison.comparison import Comparison
from eval.evaluation.cells import TIED, Cell, by_system, column_title, slice_title
from eval.evaluation.result import DOMAIN, MACRO, SLICE, headline

__all__ = ["legend", "markdown_table", "marked", "overview", "shared_notes"]

# An overview fits a screen: so many rows, and these metrics.
MAX_ROWS = 30
PRIMARY = ("ndcg", "recall", "auc")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay cells out as a Markdown table; columns after the first are set right."""
    lines = [
        "| " + " | ".join(header) + " |",
        "|" + "|".join([":--"] + ["--:"] * (len(header) - 1)) + "|",
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def marked(cell: Cell) -> str:
    """Write a cell as Markdown: bold is best, a dagger not significantly worse."""
    value, bounds, mark = (*cell, "")[:3]
    value = f"**{value}**" if mark == "best" else value + TIED if mark == "tied" else value
    return f"{value} {bounds}".strip()


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
        for system, *cells in by_system(comparison.table, columns, name, MACRO)[1]:
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


def shared_notes(comparison: Comparison) -> list[str]:
    """Return the notes that every system of a comparison has, such as one on the split."""
    first, *others = [
        [*result.meta.get("notes", []), *comparison.analyses[name].notes]
        for name, result in comparison.results.items()
    ]
    return [note for note in first if all(note in other for other in others)]
