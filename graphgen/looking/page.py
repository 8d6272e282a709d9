"""A neighbourhood as one interactive page that needs no network."""

from __future__ import annotations

import html
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import networkx as nx

from graphgen.looking import layout
from graphgen.looking.nodes import Node
from graphgen.schema import NEXT, USER
from graphgen.storage import atomic_file

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["write_page"]

SCRIPT_FILE: Final = Path(__file__).with_name("page.js")
FONT: Final = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", '
    '"PingFang SC", "Microsoft YaHei", sans-serif'
)
SYMBOLS: Final = {"triangle": "triangle-up"}  # named otherwise in plotly
DASHES: Final = "5px,3px"
LABEL_COLUMNS: Final = 28
LATER: Final = 0.7  # where on the line of a transition its dot is
HOVER_COLUMNS: Final = 48


def write_page(subgraph: nx.MultiDiGraph, path: str | Path, *, title: str | None = None) -> Path:
    """Write a neighbourhood as one interactive HTML page.

    The centre is in the middle, with a ring for each step away from it. Each domain has a colour;
    each kind of edge and each domain is an entry of the legend that a click hides or shows.
    Pointing at a dot or at the middle of a line shows title, category, weight and date. Titles are
    written where they fit, and more of them on zooming in. The page contains plotly.js (about 5 MB)
    and loads nothing. Users other than the centre appear under a masked id; their real ids are
    nowhere in the file.

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
    from jinja2 import Environment, PackageLoader

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
            "doubleClick": "reset",
            "showTips": False,
            "displaylogo": False,
            "displayModeBar": True,
            "modeBarButtons": [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
        },
    )
    heading = title or f"Around {layout.node_label(subgraph, layout.center_node(subgraph))}"
    pages = Environment(loader=PackageLoader("graphgen.looking", ""), autoescape=True)
    page = pages.get_template("page.html.j2").render(
        title=heading, caption=_caption(subgraph), font=FONT, figure=body
    )
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _caption(subgraph: nx.MultiDiGraph) -> str:
    text = (
        f"{_count(len(subgraph), 'node')}, {_count(subgraph.number_of_edges(), 'link')}; "
        "each ring is one step further from the centre. Point at a dot or at the middle of a line "
        "for details; click the legend to hide or show; scroll or press + to zoom, drag to move."
    )
    if any(node[0] == USER and node != layout.center_node(subgraph) for node in subgraph):
        text += " Ids of other users are masked."
    if any(kind == NEXT for *_, kind in subgraph.edges(data="kind")):
        text += " The dot on a line of next is nearer to the later item."
    return text


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun if n == 1 else noun + 's'}"


def _json(content: Any) -> str:
    """Write JSON for a script element: no title can close it."""
    return json.dumps(content, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "")


def _figure(subgraph: nx.MultiDiGraph) -> tuple[go.Figure, list[dict[str, Any]]]:
    import plotly.graph_objects as go

    places = layout.ring_layout(subgraph)
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
    x0, x1, y0, y1 = layout.frame(places)
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 12},
        # The script counts on these margins, and widens the lower one to fit the legend.
        margin={"l": 4, "r": 4, "t": 26, "b": 60, "autoexpand": False},
        xaxis={"visible": False, "range": [x0, x1]},
        yaxis={"visible": False, "range": [y0, y1]},
        hovermode="closest",
        hoverlabel={"bgcolor": "white", "align": "left", "font": {"size": 13}},
        dragmode="pan",
        legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0.5, "xanchor": "center"},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    center = layout.center_node(subgraph)
    labels = [
        {
            "x": round(places[node][0], 3),
            "y": round(places[node][1], 3),
            "text": html.escape(
                layout.shorten(layout.node_label(subgraph, node), LABEL_COLUMNS), quote=False
            ),
            "radius": layout.diameter(subgraph, node) / 2,
            "size": 14 if node == center else (12 if subgraph.nodes[node]["distance"] == 1 else 11),
            "trace": trace_of[node],
        }
        for node in layout.by_importance(subgraph)
    ]
    return figure, labels


def _add_edges(
    figure: go.Figure, subgraph: nx.MultiDiGraph, places: dict[Node, tuple[float, float]]
) -> None:
    for group in layout.lines(subgraph):
        ends = [(places[head], places[tail]) for head, tail, _ in group.edges]
        # A dot that shows the direction, and is apart from other edges of the pair.
        at, size, opacity = (LATER, 5, 0.9) if group.name == NEXT else (0.5, 8, 0)
        figure.add_scatter(
            x=[x for (x0, _), (x1, _) in ends for x in (x0, x1, None)],
            y=[y for (_, y0), (_, y1) in ends for y in (y0, y1, None)],
            mode="lines",
            name=group.name,
            legendgroup=group.name,
            showlegend=group.in_legend,
            opacity=group.opacity,
            line={
                "color": group.color,
                "width": group.width,
                "dash": DASHES if group.dashed else "solid",
            },
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[x0 + at * (x1 - x0) for (x0, _), (x1, _) in ends],
            y=[y0 + at * (y1 - y0) for (_, y0), (_, y1) in ends],
            mode="markers",
            marker={"size": size, "opacity": opacity, "color": group.color},
            legendgroup=group.name,
            showlegend=False,
            text=[_edge_text(subgraph, *edge) for edge in group.edges],
            hovertemplate="%{text}<extra></extra>",
        )


def _add_nodes(
    figure: go.Figure, subgraph: nx.MultiDiGraph, places: dict[Node, tuple[float, float]]
) -> dict[Node, int]:
    """Add a trace for each node type; return the trace of each node."""
    center = layout.center_node(subgraph)
    trace_of: dict[Node, int] = {}
    for node_type, look in layout.node_looks(layout.domain_names(subgraph)).items():
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
                "symbol": SYMBOLS.get(look.symbol, look.symbol),
                "size": [layout.diameter(subgraph, node) for node in nodes],
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


def _node_text(subgraph: nx.MultiDiGraph, node: Node) -> str:
    data, center = subgraph.nodes[node], layout.center_node(subgraph)
    kind = " · ".join(part for part in (node[0], data["category"]) if part)
    lines = [
        f"<b>{_wrapped(layout.node_label(subgraph, node))}</b>",
        html.escape(kind, quote=False),
    ]
    if data["distance"] > 0:
        lines.append(f"{_count(data['distance'], 'step')} from the centre")
    lines.append(f"{_count(data['degree'], 'link')} in the graph")
    for head, tail in ((center, node), (node, center)):
        edges = subgraph.get_edge_data(head, tail, default={})
        lines += [_facts(data) for data in edges.values()]
    return "<br>".join(lines)


def _edge_text(subgraph: nx.MultiDiGraph, head: Node, tail: Node, data: dict[str, Any]) -> str:
    ends = [_wrapped(layout.node_label(subgraph, node)) for node in (head, tail)]
    arrow = "→ " if data["kind"] == NEXT else ""
    return f"{ends[0]}<br>{arrow}{ends[1]}<br>{_facts(data)}"


def _facts(data: dict[str, Any]) -> str:
    facts = [data["kind"], f"weight {data['weight']:.3g}"]
    if data["time"]:
        facts.append(data["time"].partition("T")[0])
    if data["count"] > 1:
        facts.append(f"{data['count']} times")
    return html.escape(" · ".join(facts), quote=False)


def _wrapped(text: str) -> str:
    lines = textwrap.wrap(text, HOVER_COLUMNS, max_lines=4, placeholder=" …") or [text]
    return "<br>".join(html.escape(line, quote=False) for line in lines)
