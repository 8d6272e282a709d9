"""Charts and tables of logs and graphs, as HTML and SVG without scripts."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from graphgen.looking.palette import kind_color
from graphgen.storage import atomic_file

__all__ = [
    "STYLE",
    "Line",
    "at_least",
    "chart",
    "over_time",
    "overlap_table",
    "save_page",
    "swatch",
    "table",
]

BINS: Final = 48  # of the time axis
FEW_DOMAINS: Final = 8  # up to which the heat map writes numbers of users
WIDTH, HEIGHT, LEFT, BOTTOM = 420, 190, 46, 34  # pixels of a chart
STYLE: Final = """<style>
.ig-overview { font: 0.9rem/1.45 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
.ig-overview h3 { margin: 1.1rem 0 0.3rem; font-size: 1rem; }
.ig-overview table { border-collapse: collapse; display: block; overflow-x: auto; }
.ig-overview :is(th, td) { padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #8884; }
.ig-overview :is(th:first-child, caption) { text-align: left; }
.ig-overview i { display: inline-block; width: 0.65rem; height: 0.65rem; border-radius: 3px;
  margin-right: 0.35rem; }
.ig-overview .dense { font-size: 0.7rem; }
.ig-overview .dense :is(th, td) { padding: 0.1rem 0.25rem; }
.ig-overview .charts { display: flex; flex-wrap: wrap; gap: 1rem; }
.ig-overview figure { margin: 0; }
.ig-overview svg { max-width: 100%; height: auto; }
.ig-overview svg text { fill: currentColor; font-size: 11px; }
.ig-overview details { margin-left: 1rem; }
.ig-overview details > p { margin: 0.1rem 0 0.1rem 1.2rem; }
.ig-overview small { opacity: 0.75; }
</style>"""


class Line(NamedTuple):
    """Points of a line, x ascending."""

    x: np.ndarray
    y: np.ndarray


def at_least(counts: np.ndarray) -> Line:
    """Return the share of users (or items) with at least so many interactions, from one on."""
    values, n = np.unique(counts[counts > 0], return_counts=True)
    return Line(values, n[::-1].cumsum()[::-1] / max(1, n.sum()))


def over_time(times: Mapping[str, np.ndarray]) -> dict[str, Line]:
    """Return, by domain, starts of equal spans of time and the interactions in each.

    `times` are milliseconds since 1970 by domain; empty where they are all one.
    """
    every = [span for time in times.values() if len(time) for span in (time.min(), time.max())]
    if not every or max(every) <= min(every):
        return {}
    edges = np.linspace(min(every), max(every), BINS + 1)
    return {name: Line(edges[:-1], np.histogram(time, edges)[0]) for name, time in times.items()}


def swatch(domain: str, domains: list[str]) -> str:
    """Return the coloured mark of a domain."""
    return f'<i style="background:{kind_color(domain, domains)}"></i>'


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of cells that are HTML, `td` or with attributes of their own."""
    body = "".join(
        "<tr>" + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row) + "</tr>"
        for row in rows
    ).replace("<tr><td>", "<tr><th scope='row'>")
    return (
        f"<table><thead><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def overlap_table(overlap: Mapping[str, Mapping[str, int]]) -> str:
    """Return a table of users active in each two domains, coloured by the share of the row's."""
    names = list(overlap)
    if len(names) < 2:
        return ""
    shares = [overlap[a][b] / max(1, overlap[a][a]) for a in names for b in names if a != b]
    most = max(*shares, 1e-9)
    rows = []
    for a in names:
        row = [swatch(a, names) + html.escape(a)]
        for b in names:
            share = overlap[a][b] / max(1, overlap[a][a])
            n = f"{overlap[a][b]:,} " if len(names) <= FEW_DOMAINS else ""
            tint = "" if a == b else f' style="background:rgba(0,114,178,{0.6 * share / most:.3f})"'
            title = f"{overlap[a][b]:,} of {overlap[a][a]:,} users of {a} also in {b}"
            row.append(f'<td title="{html.escape(title)}"{tint}>{n}<small>{share:.0%}</small></td>')
        rows.append(row)
    head = ["active in", *(html.escape(name) for name in names)]
    dense = " class='dense'" if len(names) > FEW_DOMAINS else ""
    title = "Users of a row that are also in a column"
    return f"<h3>{title}</h3><div{dense}>{table(head, rows)}</div>"


def chart(
    title: str,
    lines: dict[str, Line],
    domains: list[str],
    *,
    dates: bool = False,
) -> str:
    """Return lines by domain as SVG, in colours of the surrounding text.

    The y of `dates` are counts, else shares with at least so many (x) interactions.
    """
    lines = {name: line for name, line in lines.items() if len(line.x)}
    if not lines:
        return ""
    scale = np.asarray if dates else np.log10
    low = min(float(scale(line.x[0])) for line in lines.values())
    high = max(float(scale(line.x[-1])) for line in lines.values())
    top = max(float(line.y.max()) for line in lines.values())

    def across(x: np.ndarray) -> np.ndarray:
        return LEFT + (scale(x) - low) / max(high - low, 1e-9) * (WIDTH - LEFT - 10)

    def up(y: np.ndarray) -> np.ndarray:
        return HEIGHT - BOTTOM - y / max(top, 1e-9) * (HEIGHT - BOTTOM - 12)

    parts = []
    for share in (0.0, 0.5, 1.0):
        y, value = float(up(np.array(share * top))), share * top
        text = f"{value:.0%}" if top <= 1 else f"{value:,.0f}"
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
            f'opacity=".2"/><text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    for value, text in _ticks(low, high, dates=dates):
        x = float(across(np.array(value)))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 16}" text-anchor="middle">{text}</text>')
    for name, line in lines.items():
        dots = list(zip(across(line.x), up(line.y), strict=True))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in dots)
        color = kind_color(name, domains)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2">'
            f"<title>{html.escape(name)}</title></polyline>"
        )
        if len(dots) == 1:
            (a, b) = dots[0]
            parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{color}"/>')
    foot = "" if dates else "share with at least so many interactions, of those with any"
    return (
        f'<figure><h3>{title}</h3><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg><figcaption><small>{foot}</small>'
        "</figcaption></figure>"
    )


def _ticks(low: float, high: float, *, dates: bool) -> list[tuple[float, str]]:
    if dates:
        ticks = np.linspace(low, high, 5)[1:-1].tolist()
        return [(x, f"{datetime.fromtimestamp(x / 1000, UTC):%Y-%m}") for x in ticks]
    powers = range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)
    return [(10.0**power, f"{10**power:,}") for power in powers]


def save_page(path: str | Path, title: str, body: str) -> Path:
    """Write HTML as one page that loads nothing."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{title}</title><style>'
        ":root { color-scheme: light dark; background: Canvas; color: CanvasText } "
        "body { max-width: 60rem; margin: 1rem auto; font-family: system-ui, sans-serif; "
        f"padding: 0 1rem }}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Path(path)
