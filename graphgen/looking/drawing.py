"""A static picture of a neighbourhood, for notebooks and papers."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import networkx as nx
import numpy as np

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

__all__ = ["draw_neighborhood"]

logger = logging.getLogger(__name__)

FIGURE_SIZE: Final = (10.0, 8.5)  # inches
LABEL_COLUMNS: Final = 30
LABEL_SIZE: Final = 8.0  # points
MARKERS: Final = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}
FIRST_CJK: Final = "\u2e80"
# The first installed one stands in where DejaVu, which comes with matplotlib, lacks a character.
FALLBACK_FONTS: Final = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
)


def draw_neighborhood(subgraph: nx.DiGraph, ax: Axes | None = None) -> Axes:
    """Draw a neighbourhood: the centre in the middle, a ring for each step away from it.

    Domains have colours, people are grey, topics black; solid grey lines are interactions, dashed
    ones similar texts (orange where they cross domains). Titles are shortened, and written only
    where they do not cover one another, the nearest and best linked first. People other than the
    centre appear under a masked id.

    Parameters
    ----------
    subgraph
        As `neighborhood` or `subgraph` returns it.
    ax
        Where to draw; None for a new figure of 10 by 8.5 inches.

    Returns
    -------
    matplotlib.axes.Axes
        The picture; ``ax.figure.savefig(...)`` writes it.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> from graphgen.looking.neighborhoods import neighborhood
    >>> graph = build_graph(pd.DataFrame({
    ...     "user_id": ["ann", "ann", "bob"], "domain": ["book", "film", "film"],
    ...     "item_id": ["Dune", "Alien", "Alien"]}), encoder="none")
    >>> ax = draw_neighborhood(neighborhood(graph, ("user", "ann")))
    >>> ax.get_title()
    'Around user ann'
    """
    from matplotlib import pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=FIGURE_SIZE, layout="constrained")
    places = ring_layout(subgraph)
    center = subgraph.graph["center"]
    _draw_edges(ax, subgraph, places)
    sizes = _draw_nodes(ax, subgraph, places)
    x0, x1, y0, y1 = frame(places)
    ax.set_xlim(x0, x1)
    ax.set_ylim(y0, y1)
    ax.set_aspect("equal")
    ax.axis("off")
    title = _drawable_label(subgraph, center)
    ax.set_title(f"Around {shorten(title, 60)}", fontproperties=_font(12.0), parse_math=False)
    _legend(ax, subgraph)
    _write_labels(ax, subgraph, places, sizes)
    return ax


def _draw_edges(ax: Axes, subgraph: nx.DiGraph, places: dict[Node, tuple[float, float]]) -> None:
    from matplotlib.collections import LineCollection

    groups: dict[tuple[str, str, bool], list[Any]] = {}
    for head, tail, data in subgraph.edges(data=True):
        outward = subgraph.nodes[head]["distance"] != subgraph.nodes[tail]["distance"]
        line = (places[head], places[tail])
        groups.setdefault((*edge_group(head, tail, data), outward), []).append(line)
    for (name, color, outward), lines in sorted(groups.items()):
        ax.add_collection(
            LineCollection(
                lines,
                colors=color,
                alpha=0.8 if outward else inner_opacity(subgraph),
                linewidths=0.9 if outward else 0.6,
                linestyles=_line_style(name),
                zorder=1,
            )
        )


def _line_style(name: str) -> Any:
    return (0, (4, 2)) if name.startswith(SIMILAR) else "solid"


def _legend(ax: Axes, subgraph: nx.DiGraph) -> None:
    from matplotlib.lines import Line2D

    looks = node_looks(subgraph.graph["domains"])
    present = {node_type for node_type, _ in subgraph}
    handles = [
        Line2D(
            [], [], ls="", marker=MARKERS[look.symbol], color=look.color, markersize=8, label=name
        )
        for name, look in looks.items()
        if name in present
    ]
    groups = {edge_group(head, tail, data) for head, tail, data in subgraph.edges(data=True)}
    handles += [
        Line2D([], [], color=color, ls=_line_style(name), lw=1.2, label=name)
        for name, color in sorted(groups)
    ]
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=4,
        frameon=False,
        fontsize=9,
    )


def _draw_nodes(
    ax: Axes, subgraph: nx.DiGraph, places: dict[Node, tuple[float, float]]
) -> dict[Node, float]:
    """Draw the nodes type by type; return the diameter of each in points."""
    looks = node_looks(subgraph.graph["domains"])
    center = subgraph.graph["center"]
    diameters = {
        node: 17.0 if node == center else (10.0 if data["distance"] == 1 else 7.0)
        for node, data in subgraph.nodes.items()
    }
    for node_type, look in looks.items():
        nodes = [node for node in subgraph if node[0] == node_type]
        if not nodes:
            continue
        ax.scatter(
            [places[node][0] for node in nodes],
            [places[node][1] for node in nodes],
            s=[diameters[node] ** 2 for node in nodes],
            c=look.color,
            marker=MARKERS[look.symbol],
            edgecolors=["black" if node == center else "white" for node in nodes],
            linewidths=[1.8 if node == center else 0.8 for node in nodes],
            zorder=2,
        )
    return diameters


def _write_labels(
    ax: Axes,
    subgraph: nx.DiGraph,
    places: dict[Node, tuple[float, float]],
    diameters: dict[Node, float],
) -> None:
    """Write each label beside its node where there is still room, important ones first."""
    figure = ax.figure.canvas.figure  # the whole, also where `ax` stands in a part of it
    figure.draw_without_rendering()  # so that the transform below is the final one
    pixels_per_point = figure.dpi / 72
    centers = {node: ax.transData.transform(place) for node, place in places.items()}
    radii = {node: diameter / 2 * pixels_per_point for node, diameter in diameters.items()}
    occupied = [
        (x - radii[node], y - radii[node], x + radii[node], y + radii[node])
        for node, (x, y) in centers.items()
    ]
    area = ax.get_window_extent()
    center = subgraph.graph["center"]

    for node in by_importance(subgraph):
        distance = subgraph.nodes[node]["distance"]
        text = shorten(_drawable_label(subgraph, node), LABEL_COLUMNS)
        size = LABEL_SIZE + (2 if node == center else (0.5 if distance == 1 else -0.5))
        artist = ax.annotate(
            text,
            places[node],
            xytext=(0, 0),
            textcoords="offset points",
            fontproperties=_font(size),
            color="#222222" if distance <= 1 else "#555555",
            ha="center",
            va="center",
            parse_math=False,  # two dollar signs in a title are no formula
            zorder=3,
            bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.7},
        )
        artist.set_in_layout(False)  # the layout is settled: it must not shrink to fit the text
        box = artist.get_window_extent()
        place = _free_place(centers[node], radii[node], box.width, box.height, occupied, area)
        if place is None:
            artist.remove()
            continue
        occupied.append(place)
        middle = np.array([place[0] + place[2], place[1] + place[3]]) / 2
        artist.set_position(tuple((middle - centers[node]) / pixels_per_point))


def _free_place(
    center: Any, radius: float, width: float, height: float, occupied: list[Any], area: Any
) -> tuple[float, float, float, float] | None:
    """Return the first box beside a node, in pixels, that covers nothing."""
    x, y = center
    gap = radius + 3
    outward = 1 if x >= (area.x0 + area.x1) / 2 else -1
    taken = np.asarray(occupied)
    for dx, dy in (
        (outward, 0.0),
        (0.0, 1.0),
        (0.0, -1.0),
        (-outward, 0.0),
        (outward, 0.8),
        (outward, -0.8),
        (-outward, 0.8),
        (-outward, -0.8),
    ):
        middle_x = x + dx * (gap * (1.0 if dy == 0 else 0.6) + width / 2)
        middle_y = y + dy * (gap + height / 2)
        x0, x1 = middle_x - width / 2, middle_x + width / 2
        y0, y1 = middle_y - height / 2, middle_y + height / 2
        if x0 < area.x0 or x1 > area.x1 or y0 < area.y0 or y1 > area.y1:
            continue
        apart = (taken[:, 2] < x0) | (taken[:, 0] > x1) | (taken[:, 3] < y0) | (taken[:, 1] > y1)
        if apart.all():
            return x0, y0, x1, y1
    return None


@cache
def _families() -> tuple[str, ...]:
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    return ("DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed))


def _font(size: float) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=list(_families()), size=size)


def _drawable_label(subgraph: nx.DiGraph, node: Node) -> str:
    """Return the label, or the id where no installed font has the characters of the title."""
    label = node_label(subgraph, node)
    if len(_families()) > 1 or all(character < FIRST_CJK for character in label):
        return label
    _warn_of_missing_font()
    return label if node[0] == USER else node[1]


@cache
def _warn_of_missing_font() -> None:
    logger.warning(
        "No installed font has Chinese, Japanese or Korean characters, so the picture shows ids in "
        "place of such titles. Install one, such as Noto Sans CJK (Debian: fonts-noto-cjk), or use "
        "`graphgen.looking.page.write_page`, where the browser brings the fonts."
    )
