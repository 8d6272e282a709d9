"""Short paths from a user to an item, which explain why the two belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from graphgen.adjacency import Adjacency, Links
from graphgen.arrays import place_in_group
from graphgen.errors import ConfigError
from graphgen.graph import InterestGraph
from graphgen.ids import masked_id
from graphgen.looking.nodes import Node, describe, node_number
from graphgen.schema import INTERACTS, NEXT, RESERVED_NODE_TYPES, USER

__all__ = ["Connection", "connect"]

KEPT_PER_SHAPE: Final = 50  # candidates of each sequence of types and relations
REPEATED: Final = 0.25  # factor on a path for each property that an earlier path has shown


@dataclass(frozen=True)
class Connection:
    """A short path from a user (or an item) to an item, which explains why the two belong together.

    Attributes
    ----------
    nodes
        ``(type, id)`` from source to target.
    labels
        Title or id of each.
    kinds
        Relation of each step: one fewer than nodes.
    score
        Between 0 and 1; see `connect`.
    """

    nodes: tuple[Node, ...]
    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    score: float

    @property
    def crosses(self) -> bool:
        """Whether the path leads from one domain into another."""
        return len({node_type for node_type, _ in self.nodes} - RESERVED_NODE_TYPES) > 1

    def __str__(self) -> str:
        """Write the path out; other users appear masked."""
        parts = [
            f"{label} [{node_type}]" if node_type != USER else masked_id(id_)
            for (node_type, id_), label in zip(self.nodes, self.labels, strict=True)
        ]
        if self.nodes[0][0] == USER:
            parts[0] = f"user {self.nodes[0][1]}"
        text = parts[0]
        for kind, part in zip(self.kinds, parts[1:], strict=True):
            text += (" — " if kind == INTERACTS else f" ~{kind}~ ") + part
        return text


def connect(
    graph: InterestGraph, source: Node, target: Node, *, max_paths: int = 3
) -> list[Connection]:
    """Find the short paths between two nodes that explain why one leads to the other.

    Paths of at most three steps: ``user — item ~similar~ target`` (similar texts),
    ``user — item — other user — target`` (co-consumed items),
    ``user — item ~similar~ item ~similar~ target``,
    ``user — item ~about~ topic ~about~ target``,
    ``user — item ~next~ target`` (the target follows the item in histories; never the other way).

    Parameters
    ----------
    graph
        The graph.
    source, target
        ``("user", id)`` or ``(domain, id)``; usually a user and an item recommended to them.
    max_paths
        Most paths to return.

    Returns
    -------
    list of Connection
        Best first; empty where there is no path. The score is the product of the weights of the
        edges that are no interactions (w / (1 + w) of a ``next`` edge of weight w) times
        ``degree ** -0.5`` of every node between: a path over a rare item is more specific than one
        over a hub. From the second path on, a path that begins with a step already shown counts a
        quarter, and so does one of a shape (types and relations) already shown.

        O(number of edges within two steps of the source), milliseconds on a million edges.

    Raises
    ------
    UnknownIdError
        If the graph has no such node.
    ConfigError
        If `max_paths` is below 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> graph = build_graph(pd.DataFrame({
    ...     "user_id": ["ann", "bob", "bob"], "domain": ["book", "book", "film"],
    ...     "item_id": ["Dune", "Dune", "Alien"]}), encoder="none")
    >>> print(connect(graph, ("user", "ann"), ("film", "Alien"))[0])
    user ann — Dune [book] — user 81b6… — Alien [film]
    """
    if max_paths < 1:
        raise ConfigError(f"`max_paths` must be at least 1; got {max_paths}.")
    adjacency = graph.adjacency
    start, end = node_number(graph, source), node_number(graph, target)
    chosen = _varied(adjacency, _paths(adjacency, start, end), max_paths)
    numbers = np.unique([number for path in chosen for number in path.nodes]).astype(np.int64)
    described = describe(graph, numbers)
    return [
        Connection(
            nodes=tuple(described[number][0] for number in path.nodes),
            labels=tuple(described[number][1] for number in path.nodes),
            kinds=tuple(adjacency.kinds[adjacency.kind[edge]] for edge in path.edges),
            score=path.score,
        )
        for path in chosen
    ]


class _Path(NamedTuple):
    nodes: tuple[int, ...]
    edges: tuple[int, ...]
    score: float


def _paths(adjacency: Adjacency, start: int, end: int) -> list[_Path]:
    """Return the best paths of each shape, of one, two and three steps."""
    if start == end:
        return []
    from_start = adjacency.links(np.array([start]))
    from_start = from_start.where(_forward(adjacency, from_start, adjacency.head))
    direct = from_start.target == end
    one_step = np.empty((direct.sum(), 0), dtype=np.int64), from_start.edge[direct][:, None]

    # The strongest edge from each neighbour of the target to it.
    to_end = adjacency.links(np.array([end]))
    to_end = to_end.where(_forward(adjacency, to_end, adjacency.tail))
    last = np.full(adjacency.n_nodes, -1)
    weakest_first = np.argsort(_strength(adjacency, to_end.edge), kind="stable")
    last[to_end.target[weakest_first]] = to_end.edge[weakest_first]
    last[[start, end]] = -1

    first = from_start.where(~direct)
    two = first.where(last[first.target] >= 0)
    two_steps = two.target[:, None], np.stack([two.edge, last[two.target]], axis=1)
    middle = adjacency.links(first.target)
    first_edge = np.repeat(first.edge, adjacency.degree[first.target])
    ends = (last[middle.target] >= 0) & _forward(adjacency, middle, adjacency.head)
    first_edge, middle = first_edge[ends], middle.where(ends)
    three_steps = (
        np.stack([middle.source, middle.target], axis=1),
        np.stack([first_edge, middle.edge, last[middle.target]], axis=1),
    )
    paths = []
    for between, edges in (one_step, two_steps, three_steps):
        score = _strength(adjacency, edges).prod(axis=1)
        score *= (np.maximum(adjacency.degree[between], 1) ** -0.5).prod(axis=1)
        paths += [
            _Path(
                (start, *between[row].tolist(), end), tuple(edges[row].tolist()), float(score[row])
            )
            for row in _best_of_each_shape(adjacency, between, edges, score)
        ]
    return paths


def _strength(adjacency: Adjacency, edges: np.ndarray) -> np.ndarray:
    """Return the strength of edges in [0, 1]; 1 of an interaction, whatever its weight."""
    weight = adjacency.weight[edges]
    counted = np.where(_are(adjacency, edges, NEXT), weight / (1 + weight), weight.clip(0, 1))
    return np.where(_are(adjacency, edges, INTERACTS), 1.0, counted)


def _are(adjacency: Adjacency, edges: np.ndarray, kind: str) -> np.ndarray:
    """Return a mask of the edges of a kind, which the graph need not have."""
    return adjacency.kind[edges] == (adjacency.kinds.index(kind) if kind in adjacency.kinds else -1)


def _forward(adjacency: Adjacency, links: Links, start: np.ndarray) -> np.ndarray:
    """Return a mask of the links not against the direction of ``next``.

    `start` is the side of an edge, ``head`` or ``tail``, on which the source of a link must be.
    """
    return ~_are(adjacency, links.edge, NEXT) | (start[links.edge] == links.source)


def _best_of_each_shape(
    adjacency: Adjacency, between: np.ndarray, edges: np.ndarray, score: np.ndarray
) -> list[int]:
    if not len(score):
        return []
    shape = np.zeros(len(score), dtype=np.int64)
    for part in (*adjacency.type_code(between).T, *adjacency.kind[edges].T):
        shape = shape * (len(adjacency.types) + len(adjacency.kinds)) + part
    order = np.lexsort((*between.T[::-1], -score, shape))
    return order[place_in_group(shape[order]) < KEPT_PER_SHAPE].tolist()


def _varied(adjacency: Adjacency, paths: list[_Path], n: int) -> list[_Path]:
    """Choose `n` paths, best first, each counting less for what is shown already."""
    shape = {
        path: (*adjacency.type_code(np.array(path.nodes)), *adjacency.kind[list(path.edges)])
        for path in paths
    }
    left = set(paths)
    chosen: list[_Path] = []

    def order(path: _Path) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        step = any(path.nodes[1] == other.nodes[1] for other in chosen)
        same = any(shape[path] == shape[other] for other in chosen)
        return -path.score * REPEATED ** (step + same), path.nodes, path.edges

    while left and len(chosen) < n:
        best = min(left, key=order)
        left.discard(best)
        if all(best.nodes != path.nodes for path in chosen):
            chosen.append(best)
    return chosen
