"""The neighbourhood of a user or an item, as a labelled subgraph of limited size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import networkx as nx
import numpy as np
from scipy import sparse

from graphgen.adjacency import NO_TIME, Adjacency, Links
from graphgen.arrays import GOLDEN_GAMMA, mix_bits, place_in_group
from graphgen.errors import ConfigError, near_miss
from graphgen.graph import InterestGraph
from graphgen.looking.nodes import Node, describe, node_number
from graphgen.looking.page import inline_page
from graphgen.schema import INTERACTS, SHARED_USERS, USER

__all__ = ["Neighborhood", "neighborhood", "subgraph"]

# Users of an item that are asked for their other items, and of these, at most as many; such links
# that an item keeps.
ASKED_USERS: Final = 64
KEPT_SHARED: Final = 3

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# How much each rank counts when neighbours are compared; see `neighborhood`.
SHARED, STRENGTH, RECENCY, SPECIFICITY = 2, 2, 1, 1


class Neighborhood(nx.MultiDiGraph):
    """A networkx graph that shows itself in a notebook; see `neighborhood`."""

    def __repr__(self) -> str:
        center = tuple(json.loads(self.graph.get("center", "[]")))
        if center not in self:
            return super().__repr__()
        name = self.nodes[center]["label"]
        return f"Neighborhood of {name!r}: {len(self)} nodes (a notebook shows the picture)"

    def _repr_html_(self) -> str | None:
        # A part of it, without the centre, is a network as any other.
        center = tuple(json.loads(self.graph.get("center", "[]")))
        return inline_page(self) if center in self else None


def neighborhood(
    graph: InterestGraph,
    node: Node,
    *,
    hops: int = 2,
    limit: int = 60,
    relations: Iterable[str] | None = None,
    domains: Iterable[str] | None = None,
    users: bool = True,
    seed: int = 0,
) -> Neighborhood:
    """Return the neighbourhood of a user, an item or a topic, as a labelled subgraph.

    The search is breadth-first. Where `limit` forces a choice, each hop may add an equal part of
    the nodes that are left. The nodes reached last take turns, and each offers its neighbours
    relation by relation and domain by domain, so neither a hub nor a large domain takes all places.
    Among its neighbours of one kind a node offers first those with the best sum of four ranks:
    linked to most of the nodes reached last (counts twice), strongest weight (twice), most recent,
    and fewest neighbours, since a rare item is more specific than a popular one. Ties are broken at
    random, by `seed` and node; the same call gives the same answer.

    All edges between the chosen nodes are kept, so that shared neighbours show.

    Parameters
    ----------
    graph
        The graph.
    node
        ``("user", user_id)``, ``(domain, item_id)`` or ``("interest", name of a topic)``.
    hops
        How many steps to go; 0 gives the node alone.
    limit
        Most nodes, the centre among them.
    relations
        Names of the relations to follow, such as ``["interacts"]``; None for all.
    domains
        Domains whose items may appear, beside the centre; None for all.
    users
        Whether users other than the centre are nodes. False joins items that share users by edges
        of their own, ``shared users``, whose weight is their number; each item keeps its three
        strongest.
    seed
        Seed of the tie breaks.

    Returns
    -------
    Neighborhood
        A `networkx.MultiDiGraph`, drawn in a notebook. Nodes are ``(type, id)`` with ``type``,
        ``label`` (the title, or the id where there is none), ``category``, ``distance`` (steps from
        the centre within the subgraph), ``degree`` (in the whole graph) and ``more`` (JSON: its
        neighbours left out, by node type). Edges have their ``kind`` as key, and ``kind``,
        ``weight``, ``time`` (ISO 8601 in UTC, "" where unknown) and ``count`` (rows of the log). A
        ``similar`` edge has no direction and is there once.
        ``subgraph.graph`` holds ``center`` and ``domains`` (JSON), ``hops`` and ``limit``. All
        attributes are text or numbers, so networkx writes it as GraphML and GEXF.

        Milliseconds on a graph of a million edges, after one second at the first call for its
        table of neighbours (`graphgen.adjacency`).

    Raises
    ------
    UnknownIdError
        If the graph has no such node; the message names the near miss.
    ConfigError
        If `hops` is negative, `limit` below 1 or a relation unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> graph = build_graph(pd.DataFrame({
    ...     "user_id": ["ann", "ann", "bob"], "domain": ["book", "film", "film"],
    ...     "item_id": ["Dune", "Alien", "Alien"]}), encoder="none")
    >>> around = neighborhood(graph, ("user", "ann"))
    >>> sorted((*node, data["distance"]) for node, data in around.nodes.items())
    [('book', 'Dune', 1), ('film', 'Alien', 1), ('user', 'ann', 0), ('user', 'bob', 2)]
    """
    if hops < 0:
        raise ConfigError(f"`hops` must be at least 0; got {hops}.")
    if limit < 1:
        raise ConfigError(f"`limit` must be at least 1; got {limit}.")
    center = node_number(graph, node)
    adjacency = graph.adjacency
    walk = _Walk(
        adjacency,
        _chosen_kinds(adjacency, relations),
        _chosen_types(graph, domains, users=users),
        users,
        # A random number by node and seed alone; in numpy the product would warn that it wraps.
        np.uint64((seed * int(GOLDEN_GAMMA) + 1) % 2**64),
    )

    chosen = [np.array([center])]
    taken = np.zeros(adjacency.n_nodes, dtype=bool)
    taken[center] = True
    room = limit - 1
    # The second round adds the nodes that a later hop left room for, from the inside out.
    for refill in (False, True):
        if refill and not room:
            break
        frontier = chosen[0]
        for hop in range(hops):
            share = room if refill else -(-room // (hops - hop))
            found = walk.offers(frontier, taken)[:share]
            taken[found] = True
            room -= len(found)
            if refill:
                chosen[hop + 1] = np.concatenate([chosen[hop + 1], found])
            else:
                chosen.append(found)
            frontier = chosen[hop + 1]
    result = _induced(graph, np.concatenate(chosen), walk.kinds, center)
    if not users:
        _join_by_users(adjacency, result, chosen, walk.kinds)
    _count_steps(result)
    result.graph.update(hops=hops, limit=limit)
    return result


def _chosen_kinds(adjacency: Adjacency, relations: Iterable[str] | None) -> np.ndarray | None:
    if relations is None:
        return None
    names = [relations] if isinstance(relations, str) else list(relations)
    for name in names:
        if name not in adjacency.kinds:
            hint = near_miss(name, adjacency.kinds, f"it has {', '.join(adjacency.kinds)}.")
            raise ConfigError(f"The graph has no relation {name!r}; {hint}")
    return np.isin(adjacency.kinds, names)


def _chosen_types(
    graph: InterestGraph, domains: Iterable[str] | None, *, users: bool
) -> np.ndarray:
    """Return bool [types of nodes], those that may appear."""
    names = graph.domains if domains is None else [domains] if isinstance(domains, str) else domains
    names = list(names)
    for name in names:
        graph.require_domain(name)
    hidden = {d for d in graph.domains if d not in names} | (set() if users else {USER})
    return ~np.isin(graph.adjacency.types, list(hidden))


class _Found(NamedTuple):
    """Links to nodes that may be added: numbers of the ends, and what ranks them."""

    source: np.ndarray
    target: np.ndarray
    kind: np.ndarray
    weight: np.ndarray
    time: np.ndarray


class _Walk(NamedTuple):
    adjacency: Adjacency
    kinds: np.ndarray | None
    types: np.ndarray
    users: bool
    start: np.uint64

    def offers(self, frontier: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """Return the free neighbours of `frontier`, best first, each once."""
        adjacency = self.adjacency
        links = adjacency.links(frontier, self.kinds)
        found = _Found(
            links.source,
            links.target,
            adjacency.kind[links.edge].astype(np.int64),
            adjacency.weight[links.edge],
            adjacency.time[links.edge].astype(np.float64),
        )
        if not self.users and _follows(adjacency, self.kinds):
            parts = zip(found, self._through_users(links), strict=True)
            found = _Found(*(np.concatenate(pair) for pair in parts))
        free = ~taken[found.target] & self.types[adjacency.type_code(found.target)]
        found = _Found(*(values[free] for values in found))
        if not len(found.target):
            return found.target
        # Places in the frontier rather than node numbers: whose turn comes first.
        place = np.empty(adjacency.n_nodes, dtype=np.int64)
        place[frontier] = np.arange(len(frontier))
        turn = place[found.source]
        sort = found.kind * len(adjacency.types) + adjacency.type_code(found.target)
        group = turn * ((len(adjacency.kinds) + 1) * len(adjacency.types)) + sort

        _, inverse, times = np.unique(found.target, return_inverse=True, return_counts=True)
        score = (
            SHARED * _rank(-times[inverse], group)
            + STRENGTH * _rank(-found.weight, group)
            + RECENCY * _rank(-found.time, group)
            + SPECIFICITY * _rank(adjacency.degree[found.target], group)
        )
        order = np.lexsort((self._chance(found.target), score, group))
        # Within a node: the best of each group, then the second best of each. The first group
        # changes from node to node, or the first domain would always win a short list.
        within = place_in_group(group[order])
        n_sorts = int(sort.max()) + 1
        rotated = (sort[order] + turn[order]) % n_sorts
        nested = order[np.lexsort((rotated, within, turn[order]))]
        across = nested[np.lexsort((turn[nested], place_in_group(turn[nested])))]
        target = found.target[across]
        _, first = np.unique(target, return_index=True)
        return target[np.sort(first)]

    def _chance(self, nodes: np.ndarray) -> np.ndarray:
        return mix_bits(nodes.astype(np.uint64) + self.start)

    def _through_users(self, links: Links) -> _Found:
        """Return the items of a sample of the users that links lead to, and how many share them."""
        adjacency = self.adjacency
        links = links.where(adjacency.type_code(links.target) == adjacency.types.index(USER))
        order = np.lexsort((self._chance(links.target), links.source))
        links = links.where(order[place_in_group(links.source[order]) < ASKED_USERS])
        items = adjacency.links(links.target).target
        source = np.repeat(links.source, adjacency.degree[links.target])
        pairs, count = np.unique(source * adjacency.n_nodes + items, return_counts=True)
        source, target = np.divmod(pairs, adjacency.n_nodes)
        order = np.lexsort((self._chance(target), adjacency.degree[target], -count, source))
        order = order[place_in_group(source[order]) < ASKED_USERS]
        source, target, count = source[order], target[order], count[order]
        pairs = pairs[order]
        kind = np.full(len(pairs), len(adjacency.kinds))
        return _Found(source, target, kind, count, np.full(len(pairs), float(NO_TIME)))


def _follows(adjacency: Adjacency, kinds: np.ndarray | None) -> bool:
    """Return whether interactions are among the relations that are followed."""
    return kinds is None or bool(kinds[[kind == INTERACTS for kind in adjacency.kinds]].any())


def _join_by_users(
    adjacency: Adjacency, result: nx.MultiDiGraph, hops: list[np.ndarray], kinds: np.ndarray | None
) -> None:
    """Add an edge between items that share users, to each item its strongest. O(their users)."""
    if not _follows(adjacency, kinds):
        return
    nodes = np.concatenate(hops)
    links = adjacency.links(nodes)
    links = links.where(adjacency.type_code(links.target) == adjacency.types.index(USER))
    source, target = _distinct(adjacency, links)
    items, row = np.unique(source, return_inverse=True)
    people, column = np.unique(target, return_inverse=True)
    takes = sparse.csr_matrix(
        (np.ones(len(row), dtype=np.int64), (row, column)), shape=(len(items), len(people))
    )
    count = (takes @ takes.T).toarray()
    size = np.sqrt(np.maximum(count.diagonal(), 1))
    np.fill_diagonal(count, 0)
    likeness = count / np.outer(size, size)
    order = np.argsort(nodes)
    hop = np.repeat(np.arange(len(hops)), [len(part) for part in hops])
    hop = hop[order[np.searchsorted(nodes[order], items)]]
    earlier = np.where(hop[None, :] < hop[:, None], likeness, 0.0)
    best = np.argsort(-likeness, axis=1, kind="stable")[:, :KEPT_SHARED]
    # The strongest link to a node of an earlier hop shows by what way an item was reached.
    best = np.concatenate([best, earlier.argmax(axis=1)[:, None]], axis=1)
    pairs = {
        (min(i, j), max(i, j)) for i, row in enumerate(best.tolist()) for j in row if count[i, j]
    }
    keys = dict(zip(nodes.tolist(), result, strict=True))
    for i, j in sorted(pairs):
        facts = {"kind": SHARED_USERS, "weight": float(count[i, j]), "time": "", "count": 1}
        result.add_edge(keys[items[i]], keys[items[j]], SHARED_USERS, **facts)


def _rank(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Rank `values` within each group, smallest first, equal values sharing a rank (dense)."""
    order = np.lexsort((values, group))
    values, group = values[order], group[order]
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    steps = np.append(0, np.cumsum((values[1:] != values[:-1]) | (group[1:] != group[:-1])))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = steps - np.repeat(steps[starts], np.diff(starts, append=len(order)))
    return rank


def subgraph(graph: InterestGraph, nodes: Sequence[Node], *, center: Node) -> Neighborhood:
    """Return the given nodes with all edges between them, labelled as by `neighborhood`.

    Parameters
    ----------
    graph
        The graph.
    nodes
        ``(type, id)`` pairs, repeats allowed; `center` is added.
    center
        The node that distances are counted from (-1 where there is no path).

    Raises
    ------
    UnknownIdError
        If the graph lacks one of the nodes.
    """
    numbers = [node_number(graph, node) for node in dict.fromkeys([center, *nodes])]
    result = _induced(graph, np.array(numbers), None, numbers[0])
    _count_steps(result)
    return result


def _induced(
    graph: InterestGraph, nodes: np.ndarray, kinds: np.ndarray | None, center: int
) -> Neighborhood:
    adjacency = graph.adjacency
    described = describe(graph, nodes)
    keys = {number: key for number, (key, _, _) in described.items()}
    links = adjacency.links(nodes)
    chosen = np.zeros(adjacency.n_nodes, dtype=bool)
    chosen[nodes] = True
    inside = chosen[links.target]
    more = _left_out(adjacency, links.where(~inside))
    result = Neighborhood(domains=json.dumps(graph.domains), center=json.dumps(keys[center]))
    degrees = adjacency.degree[nodes].tolist()
    for (number, (key, label, category)), degree in zip(described.items(), degrees, strict=True):
        facts = {"label": label, "category": category, "distance": -1, "degree": degree}
        result.add_node(key, type=key[0], **facts, more=json.dumps(more.get(number, {})))

    edges = np.unique(links.edge[inside])
    if kinds is not None:
        edges = edges[kinds[adjacency.kind[edges]]]
    columns = (adjacency.head, adjacency.tail, adjacency.kind, adjacency.weight, adjacency.time)
    for head, tail, code, weight, stamp in zip(*(c[edges].tolist() for c in columns), strict=True):
        time = "" if stamp == NO_TIME else (EPOCH + timedelta(milliseconds=stamp)).isoformat()
        ends, kind = (keys[head], keys[tail]), adjacency.kinds[code]
        if result.has_edge(*ends, kind):  # the log was not de-duplicated
            known = result.edges[*ends, kind]
            known["weight"] = max(known["weight"], weight)
            known["time"] = max(known["time"], time)
            known["count"] += 1
        else:
            result.add_edge(*ends, kind, kind=kind, weight=weight, time=time, count=1)
    return result


def _left_out(adjacency: Adjacency, links: Links) -> dict[int, dict[str, int]]:
    """Count the distinct targets of `links` by source and type."""
    source, target = _distinct(adjacency, links)
    # Sorted by source and target, and so by source and type.
    kinds = source * len(adjacency.types) + adjacency.type_code(target)
    starts = np.flatnonzero(np.diff(kinds, prepend=-1))
    counts = np.diff(starts, append=len(kinds)).tolist()
    more: dict[int, dict[str, int]] = {}
    for kind, count in zip(kinds[starts].tolist(), counts, strict=True):
        node, code = divmod(kind, len(adjacency.types))
        more.setdefault(node, {})[adjacency.types[code]] = count
    return more


def _distinct(adjacency: Adjacency, links: Links) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and targets of `links`, sorted, each pair once."""
    pairs = np.sort(links.source * adjacency.n_nodes + links.target)
    source, target = np.divmod(pairs[np.diff(pairs, prepend=-1) != 0], adjacency.n_nodes)
    return source, target


def _count_steps(result: nx.MultiDiGraph) -> None:
    """Set the distance of each node from the centre, -1 where there is no path."""
    center: Node = tuple(json.loads(result.graph["center"]))
    undirected = result.to_undirected(as_view=True)
    distances = nx.single_source_shortest_path_length(undirected, center)
    for key, data in result.nodes.items():
        data["distance"] = distances.get(key, -1)
