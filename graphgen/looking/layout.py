"""Places, colours and labels of the nodes of a picture."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final, NamedTuple

import networkx as nx
import numpy as np
from scipy.optimize import isotonic_regression

from graphgen.looking.connections import masked_id
from graphgen.looking.nodes import Node
from graphgen.schema import ABOUT, INTERACTS, INTEREST, NEXT, SIMILAR, USER

__all__ = [
    "Lines",
    "Look",
    "by_importance",
    "diameter",
    "frame",
    "lines",
    "node_label",
    "node_looks",
    "ring_layout",
    "shorten",
]

# Okabe and Ito's colours, which colour-blind readers can distinguish; the yellow darkened to be
# legible on white. Grey is left for users.
COLORS: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8930A", "#56B4E9", "#7A4FBF", "#8C564B",
)  # fmt: skip
USER_COLOR: Final = "#7F7F7F"
TOPIC_COLOR: Final = "#222222"
SYMBOLS: Final = ("circle", "square", "diamond", "triangle")
SAME, ACROSS = f"{SIMILAR}, same domain", f"{SIMILAR}, across domains"
EDGE_COLORS: Final = {
    INTERACTS: "#B5B5B5", SAME: "#5B8DB8", ACROSS: "#C2410C", NEXT: "#9C5FB5", ABOUT: "#7D8F69",
}  # fmt: skip
EVEN: Final = 0.97  # how near an inner ring comes to its even share of the radius
CROWDED: Final = 60  # links beyond which those within a ring are drawn pale
MIN_GAP: Final = 0.5  # length on a ring that one node needs, the distance of two rings being 1


class Look(NamedTuple):
    """Colour (hexadecimal) and symbol of a node type."""

    color: str
    symbol: str


class Lines(NamedTuple):
    """Edges of one kind and one look; the first of a name represents all in the legend."""

    name: str
    color: str
    dashed: bool
    width: float
    opacity: float
    in_legend: bool
    edges: list[tuple[Node, Node, dict[str, Any]]]


def center_node(subgraph: nx.MultiDiGraph) -> Node:
    """Return the node that a neighbourhood is of."""
    node_type, id_ = json.loads(subgraph.graph["center"])
    return node_type, id_


def domain_names(subgraph: nx.MultiDiGraph) -> list[str]:
    """Return the domains of the graph that a neighbourhood was cut from."""
    names: list[str] = json.loads(subgraph.graph["domains"])
    return names


def node_looks(domains: list[str]) -> dict[str, Look]:
    """Give each domain a colour, past the eighth another symbol; users are grey, topics black.

    Examples
    --------
    >>> node_looks(["book", "film"])["film"]
    Look(color='#D55E00', symbol='circle')
    """
    looks = {
        domain: Look(COLORS[place % len(COLORS)], SYMBOLS[place // len(COLORS) % len(SYMBOLS)])
        for place, domain in enumerate(domains)
    }
    looks[USER] = Look(USER_COLOR, "circle")
    looks[INTEREST] = Look(TOPIC_COLOR, "diamond")
    return looks


def shorten(text: str, width: int) -> str:
    """Cut a text to a width in columns; a Chinese character takes two.

    Examples
    --------
    >>> shorten("The Antarctic Northwest Passage", 16)
    'The Antarctic N…'
    >>> shorten("三体：地球往事", 10)
    '三体：地…'
    """
    widths = [2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text]
    if sum(widths) <= width:
        return text
    kept = int(np.searchsorted(np.cumsum(widths), width - 1, side="right"))
    return text[:kept].rstrip() + "…"


def node_label(subgraph: nx.MultiDiGraph, node: Node) -> str:
    """Return a node's title, or its id; of users other than the centre a masked id."""
    node_type, id_ = node
    if node_type == USER:
        return f"user {id_}" if node == center_node(subgraph) else masked_id(id_)
    return str(subgraph.nodes[node]["label"])


def by_importance(subgraph: nx.MultiDiGraph) -> list[Node]:
    """Order nodes by priority of their titles: the nearest, then items, then the best linked."""
    center = center_node(subgraph)

    def importance(node: Node) -> tuple[int, bool, int, Node]:
        is_other_user = node[0] == USER and node != center
        return subgraph.nodes[node]["distance"], is_other_user, -subgraph.degree(node), node

    return sorted(subgraph, key=importance)


def diameter(subgraph: nx.MultiDiGraph, node: Node) -> int:
    """Return the size of a node in pixels."""
    if node == center_node(subgraph):
        return 24
    return 14 if subgraph.nodes[node]["distance"] == 1 else 10


def lines(subgraph: nx.MultiDiGraph) -> list[Lines]:
    """Group the edges that look the same, in the order of the legend."""
    groups: dict[tuple[str, bool], list[tuple[Node, Node, dict[str, Any]]]] = {}
    for head, tail, data in subgraph.edges(data=True):
        within = subgraph.nodes[head]["distance"] == subgraph.nodes[tail]["distance"]
        name = data["kind"]
        if name == SIMILAR:
            name = SAME if head[0] == tail[0] else ACROSS
        groups.setdefault((name, within), []).append((head, tail, data))
    # Edges within a ring matter less, and may be many.
    pale = 0.3 if subgraph.number_of_edges() > CROWDED else 0.65
    return [
        Lines(
            name=name,
            color=EDGE_COLORS[name],
            dashed=name in (SAME, ACROSS),
            width=0.7 if within else 1.0,
            opacity=pale if within else 0.8,
            in_legend=not within or (name, False) not in groups,
            edges=edges,
        )
        for (name, within), edges in sorted(groups.items())
    ]


def ring_layout(subgraph: nx.MultiDiGraph) -> dict[Node, tuple[float, float]]:
    """Place the centre at the origin and each further step on a ring around it.

    On the first ring the domains take sectors. On the rings beyond, a node is as near as possible
    to those of the ring before that it is linked to. Neighbouring rings are at least 1 apart.
    O(n log n + edges), deterministic.

    Examples
    --------
    >>> around = nx.MultiDiGraph(center=("user", "ann"))
    >>> around.add_node(("user", "ann"), distance=0)
    >>> around.add_node(("book", "dune"), distance=1)
    >>> _ = around.add_edge(("user", "ann"), ("book", "dune"))
    >>> x, y = ring_layout(around)["book", "dune"]
    >>> round(x, 3), round(y, 3)
    (0.0, 1.0)
    """
    rings: dict[int, list[Node]] = {}
    last = max((data["distance"] for _, data in subgraph.nodes.items()), default=0)
    for node, data in subgraph.nodes.items():
        rings.setdefault(data["distance"] if data["distance"] >= 0 else last + 1, []).append(node)
    undirected = subgraph.to_undirected(as_view=True)
    angle: dict[Node, float] = dict.fromkeys(rings.pop(0, []), np.pi / 2)
    places = dict.fromkeys(angle, (0.0, 0.0))
    for distance, radius in _radii({d: len(nodes) for d, nodes in rings.items()}).items():
        nodes = rings[distance]
        if distance == 1:
            nodes = _side_by_side(undirected, nodes)
            turns = np.pi / 2 - 2 * np.pi * np.arange(len(nodes)) / len(nodes)
        else:
            wished = np.array([_mean_angle(undirected, node, angle) for node in nodes])
            turns = _spread(wished, MIN_GAP / radius)
        ring = dict(zip(nodes, turns.tolist(), strict=True))
        angle.update(ring)
        for node, turn in ring.items():
            places[node] = (radius * float(np.cos(turn)), radius * float(np.sin(turn)))
    return places


def frame(places: dict[Node, tuple[float, float]]) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of a picture of `places`, with room for titles."""
    points = np.array(list(places.values()))
    low, high = points.min(axis=0), points.max(axis=0)
    # One node, or several in a line, still need a frame with an area.
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1.0)
    half = half + 0.08 * half.max() * np.array([2.5, 1.0]) + 0.1  # titles stick out sideways
    (x0, y0), (x1, y1) = middle - half, middle + half
    return float(x0), float(x1), float(y0), float(y1)


def _radii(counts: dict[int, int]) -> dict[int, float]:
    """Give each ring room for its nodes, and keep the rings evenly apart."""
    radii = [0.0]
    for distance in sorted(counts):
        radii.append(max(radii[-1] + 1.0, counts[distance] * MIN_GAP / (2 * np.pi)))
    even = EVEN * np.linspace(0, radii[-1], len(radii))
    return dict(zip(sorted(counts), np.maximum(radii, even)[1:].tolist(), strict=True))


def _side_by_side(undirected: nx.Graph, nodes: list[Node]) -> list[Node]:
    """Order nodes by type and, within a type, those that are linked one after the other."""
    order: list[Node] = []
    for node_type in sorted({node[0] for node in nodes}):
        left = dict.fromkeys(sorted(node for node in nodes if node[0] == node_type))
        while left:
            linked = [n for n in undirected.neighbors(order[-1]) if n in left] if order else []
            order.append(min(linked) if linked else next(iter(left)))
            del left[order[-1]]
    return order


def _mean_angle(undirected: nx.Graph, node: Node, angle: dict[Node, float]) -> float:
    around = np.array([angle[other] for other in undirected.neighbors(node) if other in angle])
    if not len(around):
        return 0.0
    return float(np.arctan2(np.sin(around).mean(), np.cos(around).mean()))


def _spread(wished: np.ndarray, gap: float) -> np.ndarray:
    """Move angles as little as possible (least squares) until each is `gap` from the next."""
    n = len(wished)
    order = np.argsort(wished, kind="stable")
    ordered = wished[order]
    # Cut the circle at the widest gap.
    between = np.diff(ordered, append=ordered[0] + 2 * np.pi)
    cut = (int(between.argmax()) + 1) % n
    order = np.roll(order, -cut)
    ordered = np.unwrap(wished[order])
    gap = min(gap, 2 * np.pi / n)
    steps = gap * np.arange(n)
    spread = isotonic_regression(ordered - steps).x + steps
    if spread[-1] - spread[0] > 2 * np.pi - gap:  # more than a turn: spread them evenly
        even = 2 * np.pi * np.arange(n) / n
        spread = even + (ordered - even).mean()
    return spread[np.argsort(order)]
