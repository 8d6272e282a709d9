"""Tables as HTML for notebooks: no style sheet, so an untrusted notebook shows them too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

__all__ = ["html_table"]

# With signs, units, spreads, and nothing.
NUMBER: Final = re.compile(r"[-+±–\d.,%\s]*")

# Colours of the notebook, light or dark, are inherited.
CELL: Final = "padding:.25em .7em;vertical-align:top;text-align:"


def html_table(
    header: Sequence[str],
    rows: Iterable[Sequence[Sequence[str] | str]],
    *,
    title: str = "",
    note: str = "",
) -> str:
    """Return a table with a line above and one below it.

    Parameters
    ----------
    header, rows
        Texts, which are escaped. A cell may be a sequence of value, interval (shown small) and
        mark: "best" (bold), "tied" (†) or "".
    title, note
        Lines above and below.

    Columns of numbers are set right.

    Examples
    --------
    >>> print(html_table(["a"], [[("<1>", "", "best")]]))
    <div><table><thead><tr><th ...>a</th></tr></thead><tbody><tr><td ...><b>&lt;1&gt;</b></td>...
    """
    rows = list(rows)
    right = {
        place
        for place in range(len(header))
        if all(NUMBER.fullmatch(_value(row[place])) for row in rows)
    }

    def style(place: int) -> str:
        return f' style="{CELL}{"right;white-space:nowrap" if place in right else "left"}"'

    head = "".join(f"<th{style(i)}>{escape(name)}</th>" for i, name in enumerate(header))
    body = "".join(
        "<tr>"
        + "".join(f"<td{style(i)}>{_cell(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    above = f"<p><b>{escape(title)}</b></p>" if title else ""
    below = f'<p style="opacity:.7">{escape(note)}</p>' if note else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div>{above}{table}{below}</div>"


def _value(cell: Sequence[str] | str) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _cell(cell: Sequence[str] | str) -> str:
    value, bounds, mark = (cell, "", "") if isinstance(cell, str) else (*cell, "", "")[:3]
    text = escape(value)
    text = f"<b>{text}</b>" if mark == "best" else f"{text}†" if mark == "tied" else text
    return f'{text}<br><small style="opacity:.7">{escape(bounds)}</small>' if bounds else text
