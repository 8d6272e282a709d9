"""A static picture of a neighbourhood, for notebooks and papers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import networkx as nx

from graphgen.looking import layout
from graphgen.looking.nodes import Node

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_neighborhood"]

FIGURE_SIZE: Final = (10.0, 8.5)  # inches
TITLE_COLUMNS: Final = 30
POINTS: Final = 0.72  # of a pixel of the page
MARKERS: Final = {"circle": "o", "square": "s", "diamond": "D", "triangle": "^"}
FIRST_CJK: Final = "\u2e80"
# Fonts with Chinese, Japanese and Korean characters; those that are installed follow the default.
CJK_FONTS: Final = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB",
    "Microsoft YaHei", "Arial Unicode MS",
)  # fmt: skip
# Positions of a title beside its node: outward (1) or inward (-1), above (1) or below (-1).
SIDES: Final = ((1, 0), (0, 1), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
HORIZONTAL: Final = {-1: "right", 0: "center", 1: "left"}
VERTICAL: Final = {-1: "top", 0: "center", 1: "bottom"}


def draw_neighborhood(subgraph: nx.MultiDiGraph, ax: Axes | None = None) -> Axes:
    """Draw a neighbourhood with matplotlib: the centre, and a ring for each step away from it.

    The static form of `write_page`, with the same places, colours and symbols. Titles are written
    only where they do not overlap, the nearest and best linked first. Users other than the centre
    appear under a masked id. Where no installed font has the Chinese, Japanese or Korean characters
    of a title (Noto Sans CJK does), the id replaces it.

    Parameters
    ----------
    subgraph
        As `neighborhood` or `subgraph` returns it.
    ax
        Axes to draw on; None for a new figure of 10 by 8.5 inches.

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
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=FIGURE_SIZE, layout="constrained")
    places = layout.ring_layout(subgraph)
    center = layout.center_node(subgraph)
    for node_type, look in layout.node_looks(layout.domain_names(subgraph)).items():
        nodes = [node for node in subgraph if node[0] == node_type]
        nx.draw_networkx_nodes(
            subgraph,
            places,
            nodes,
            ax=ax,
            node_size=[(layout.diameter(subgraph, node) * POINTS) ** 2 for node in nodes],
            node_color=look.color,
            node_shape=MARKERS[look.symbol],
            edgecolors=["black" if node == center else "white" for node in nodes],
            linewidths=[1.8 if node == center else 0.8 for node in nodes],
            label=node_type if nodes else "_",
        )
    for group in layout.lines(subgraph):
        drawn = nx.draw_networkx_edges(
            subgraph,
            places,
            [(head, tail) for head, tail, _ in group.edges],
            ax=ax,
            arrows=False,
            edge_color=group.color,
            width=group.width,
            style="dashed" if group.dashed else "solid",
            alpha=group.opacity,
        )
        drawn.set(label=group.name if group.in_legend else "_")  # matplotlib leaves out "_"
    x0, x1, y0, y1 = layout.frame(places)
    ax.set(xlim=(x0, x1), ylim=(y0, y1), aspect="equal")
    ax.axis("off")
    families = [*mpl.rcParams["font.family"], *_cjk_fonts()]
    # Two dollar signs in a title are no formula.
    with mpl.rc_context({"font.family": families, "text.parse_math": False}):
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, frameon=False)
        ax.set_title(f"Around {layout.shorten(_drawable(subgraph, center), 60)}")
        _write_titles(ax, subgraph, places)
    return ax


def _write_titles(
    ax: Axes, subgraph: nx.MultiDiGraph, places: dict[Node, tuple[float, float]]
) -> None:
    """Write titles beside their nodes while there is room, important ones first."""
    from matplotlib.transforms import Bbox

    figure = ax.figure.canvas.figure  # the whole, also where `ax` is in a part of it
    figure.draw_without_rendering()  # settles the layout
    area, pixel = ax.get_window_extent(), POINTS * figure.dpi / 72
    taken = []
    for node, place in places.items():
        (x, y), radius = ax.transData.transform(place), layout.diameter(subgraph, node) / 2 * pixel
        taken.append(Bbox.from_extents(x - radius, y - radius, x + radius, y + radius))
    for node in layout.by_importance(subgraph):
        distance = subgraph.nodes[node]["distance"]
        text = ax.annotate(
            layout.shorten(_drawable(subgraph, node), TITLE_COLUMNS),
            places[node],
            xytext=(0, 0),
            textcoords="offset points",
            fontsize={0: 10.0, 1: 8.5}.get(distance, 7.5),
            color="#222222" if distance <= 1 else "#555555",
            bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.7},
            in_layout=False,  # the picture must not shrink to fit the text
        )
        outward = 1 if places[node][0] >= 0 else -1
        away = layout.diameter(subgraph, node) / 2 * POINTS + 3
        for across, up in SIDES:
            side = across * outward
            text.set(position=(side * away, up * away), ha=HORIZONTAL[side], va=VERTICAL[up])
            box = text.get_window_extent()
            if not box.count_overlaps(taken) and all(area.contains(*c) for c in box.corners()):
                taken.append(box)
                break
        else:
            text.remove()


def _drawable(subgraph: nx.MultiDiGraph, node: Node) -> str:
    label = layout.node_label(subgraph, node)
    return label if max(label) < FIRST_CJK or _cjk_fonts() else node[1]


@cache
def _cjk_fonts() -> list[str]:
    from matplotlib import font_manager

    if not set(CJK_FONTS) & set(font_manager.get_font_names()):
        # The list that matplotlib keeps on disk may be older than the fonts.
        for path in font_manager.findSystemFonts():
            if "CJK" in path:
                font_manager.fontManager.addfont(path)
    return [name for name in CJK_FONTS if name in set(font_manager.get_font_names())]
