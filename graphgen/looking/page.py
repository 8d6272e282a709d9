"""A neighbourhood as one interactive page that needs no network."""

from __future__ import annotations

import html
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import networkx as nx

from graphgen.looking.adjacency import Node
from graphgen.looking.layout import (
    by_importance,
    edge_group,
    frame,
    inner_opacity,
    node_label,
    node_looks,
    ring_layout,
    shorten,
)
from graphgen.schema import SIMILAR, USER
from graphgen.storage import atomic_file

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["write_page"]

SCRIPT_FILE: Final = Path(__file__).with_name("page.js")
FONT: Final = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", '
    '"PingFang SC", "Microsoft YaHei", sans-serif'
)
SYMBOLS: Final = {
    "circle": "circle",
    "square": "square",
    "diamond": "diamond",
    "triangle": "triangle-up",
}
DASHES: Final = "5px,3px"
LABEL_COLUMNS: Final = 28
HOVER_COLUMNS: Final = 48
PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html, body {{ height: 100%; margin: 0; }}
body {{ display: flex; flex-direction: column; background: #fff; color: #222;
  font-family: {font}; }}
h1 {{ font-size: 1.15rem; margin: 0.7rem 1rem 0.1rem; overflow-wrap: anywhere; }}
p {{ font-size: 0.85rem; line-height: 1.35; color: #555; margin: 0.1rem 1rem 0.3rem; }}
main {{ flex: 1; min-height: 380px; }}
@media (max-width: 500px) {{
  h1 {{ font-size: 1rem; margin-top: 0.5rem; }}
  p {{ font-size: 0.75rem; }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{caption}</p>
<main>{figure}</main>
</body>
</html>
"""


def write_page(subgraph: nx.DiGraph, path: str | Path, *, title: str | None = None) -> Path:
    """Write a neighbourhood as one interactive HTML page.

    The centre stands in the middle, with a ring for each step away from it. Domains are told by
    colour; each kind of edge and each domain is an entry of the legend that a click hides or
    shows. Pointing at a dot or at the middle of a line gives title, category, weight and date.
    Titles are written where they fit, and more of them on zooming in. The page carries its own
    copy of plotly.js (about 5 MB) and loads nothing. People other than the centre appear under a
    masked id; their real ids are nowhere in the file.

    Parameters
    ----------
    subgraph
        As `neighborhood` or `subgraph` returns it.
    path
        The file to write, in full or not at all.
    title
        Heading of the page; None for "Around" and the name of the centre.

    Returns
    -------
    pathlib.Path
        `path`.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> from graphgen.looking.neighborhoods import neighborhood
    >>> graph = build_graph(pd.DataFrame({
    ...     "user_id": ["ann", "ann", "bob"], "domain": ["book", "film", "film"],
    ...     "item_id": ["Dune", "Alien", "Alien"]}), encoder="none")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_page(neighborhood(graph, ("user", "ann")), f"{folder}/ann.html")
    ...     "<h1>Around user ann</h1>" in page.read_text(encoding="utf-8")
    True
    """
    path = Path(path)
    figure, labels = _figure(subgraph)
    script = f"const LABELS = {_json(labels)};\n{SCRIPT_FILE.read_text(encoding='utf-8')}"
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="neighborhood",
        default_height="100%",
        post_script=script,
        config={
            "responsive": True,
            "scrollZoom": True,
            "displaylogo": False,
            "displayModeBar": True,
            "modeBarButtons": [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
        },
    )
    heading = title or f"Around {node_label(subgraph, subgraph.graph['center'])}"
    page = PAGE.format(
        title=html.escape(heading),
        caption=html.escape(_caption(subgraph)),
        font=FONT,
        figure=body,
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _caption(subgraph: nx.DiGraph) -> str:
    text = (
        f"{_count(len(subgraph), 'node')}, {_count(subgraph.number_of_edges(), 'link')}; "
        "each ring is one step further from the centre. Point at a dot or at the middle of a line "
        "for details; click the legend to hide or show; scroll or press + to zoom, drag to move."
    )
    if any(node[0] == USER and node != subgraph.graph["center"] for node in subgraph):
        text += " Ids of other people are masked."
    return text


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun if n == 1 else noun + 's'}"


def _json(content: Any) -> str:
    """Write JSON that may stand in a script: no title can close it."""
    return json.dumps(content, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "")


def _figure(subgraph: nx.DiGraph) -> tuple[go.Figure, list[dict[str, Any]]]:
    import plotly.graph_objects as go

    places = ring_layout(subgraph)
    figure = go.Figure()
    _add_edges(figure, subgraph, places)
    trace_of = _add_nodes(figure, subgraph, places)
    # The script fills this trace with titles; its dots are invisible and keep text off the others.
    figure.add_scatter(
        x=[],
        y=[],
        text=[],
        mode="markers+text",
        marker={"opacity": 0, "size": []},
        textfont={"color": "#222", "shadow": "0 0 3px #fff, 0 0 3px #fff, 0 0 3px #fff"},
        hoverinfo="skip",
        showlegend=False,
    )
    x0, x1, y0, y1 = frame(places)
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 12},
        margin={"l": 4, "r": 4, "t": 26, "b": 4},
        xaxis={"visible": False, "range": [x0, x1]},
        yaxis={"visible": False, "range": [y0, y1]},
        hovermode="closest",
        hoverlabel={"bgcolor": "white", "align": "left", "font": {"size": 13}},
        dragmode="pan",
        legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0.5, "xanchor": "center"},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    center = subgraph.graph["center"]
    labels = [
        {
            "x": round(places[node][0], 3),
            "y": round(places[node][1], 3),
            "text": html.escape(shorten(node_label(subgraph, node), LABEL_COLUMNS), quote=False),
            "radius": _diameter(subgraph, node) / 2,
            "size": 14 if node == center else (12 if subgraph.nodes[node]["distance"] == 1 else 11),
            "trace": trace_of[node],
        }
        for node in by_importance(subgraph)
    ]
    return figure, labels


def _add_edges(
    figure: go.Figure, subgraph: nx.DiGraph, places: dict[Node, tuple[float, float]]
) -> None:
    groups: dict[tuple[str, str], dict[bool, list[tuple[Node, Node]]]] = {}
    for head, tail, data in subgraph.edges(data=True):
        outward = subgraph.nodes[head]["distance"] != subgraph.nodes[tail]["distance"]
        within = groups.setdefault(edge_group(head, tail, data), {True: [], False: []})
        within[outward].append((head, tail))
    for (name, color), by_direction in sorted(groups.items()):
        for outward, pairs in by_direction.items():
            x: list[float | None] = []
            y: list[float | None] = []
            for head, tail in pairs:
                x += [places[head][0], places[tail][0], None]
                y += [places[head][1], places[tail][1], None]
            figure.add_scatter(
                x=x,
                y=y,
                mode="lines",
                name=name,
                legendgroup=name,
                showlegend=outward or not by_direction[True],
                opacity=0.85 if outward else inner_opacity(subgraph),
                line={
                    "color": color,
                    "width": 1.1 if outward else 0.8,
                    "dash": DASHES if name.startswith(SIMILAR) else "solid",
                },
                hoverinfo="skip",
            )
        pairs = [pair for some in by_direction.values() for pair in some]
        figure.add_scatter(
            x=[(places[head][0] + places[tail][0]) / 2 for head, tail in pairs],
            y=[(places[head][1] + places[tail][1]) / 2 for head, tail in pairs],
            mode="markers",
            marker={"size": 8, "opacity": 0, "color": color},
            legendgroup=name,
            showlegend=False,
            text=[_edge_text(subgraph, head, tail) for head, tail in pairs],
            hovertemplate="%{text}<extra></extra>",
        )


def _add_nodes(
    figure: go.Figure, subgraph: nx.DiGraph, places: dict[Node, tuple[float, float]]
) -> dict[Node, int]:
    """Add a trace for each node type; return the trace of each node."""
    center = subgraph.graph["center"]
    trace_of: dict[Node, int] = {}
    for node_type, look in node_looks(subgraph.graph["domains"]).items():
        # The legend takes its look from the first node of a trace, so the centre comes last.
        nodes = sorted(
            (node for node in subgraph if node[0] == node_type), key=lambda node: node == center
        )
        if not nodes:
            continue
        trace_of.update(dict.fromkeys(nodes, len(figure.data)))
        figure.add_scatter(
            x=[places[node][0] for node in nodes],
            y=[places[node][1] for node in nodes],
            mode="markers",
            name=html.escape(node_type, quote=False),
            legendgroup=f"node {node_type}",
            legendrank=1,
            marker={
                "color": look.color,
                "symbol": SYMBOLS[look.symbol],
                "size": [_diameter(subgraph, node) for node in nodes],
                "opacity": 1,
                "line": {
                    "color": ["#000" if node == center else "#fff" for node in nodes],
                    "width": [2.5 if node == center else 1 for node in nodes],
                },
            },
            text=[_node_text(subgraph, node) for node in nodes],
            hovertemplate="%{text}<extra></extra>",
        )
    return trace_of


def _diameter(subgraph: nx.DiGraph, node: Node) -> int:
    """Return the size of a dot in pixels."""
    if node == subgraph.graph["center"]:
        return 24
    return 14 if subgraph.nodes[node]["distance"] == 1 else 10


def _node_text(subgraph: nx.DiGraph, node: Node) -> str:
    data, center = subgraph.nodes[node], subgraph.graph["center"]
    kind = " · ".join(part for part in (node[0], data["category"]) if part)
    lines = [f"<b>{_wrapped(node_label(subgraph, node))}</b>", html.escape(kind, quote=False)]
    if data["distance"] > 0:
        lines.append(f"{_count(data['distance'], 'step')} from the centre")
    lines.append(f"{_count(data['degree'], 'link')} in the graph")
    for head, tail in ((center, node), (node, center)):
        if subgraph.has_edge(head, tail):
            lines.append(_facts(subgraph.edges[head, tail]))
    return "<br>".join(lines)


def _edge_text(subgraph: nx.DiGraph, head: Node, tail: Node) -> str:
    ends = [_wrapped(node_label(subgraph, node)) for node in (head, tail)]
    return f"{ends[0]}<br>{ends[1]}<br>{_facts(subgraph.edges[head, tail])}"


def _facts(data: dict[str, Any]) -> str:
    facts = [data["kind"], f"weight {data['weight']:.3g}"]
    if data["time"] is not None:
        facts.append(f"{data['time']:%Y-%m-%d}")
    if data["count"] > 1:
        facts.append(f"{data['count']} times")
    return html.escape(" · ".join(facts), quote=False)


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, HOVER_COLUMNS, max_lines=4, placeholder=" …") or [text]
    return "<br>".join(html.escape(line, quote=False) for line in lines)
