"""The neighbourhood of a user or an item, as a labelled subgraph of limited size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import networkx as nx
import numpy as np
import pandas as pd

from graphgen.adjacency import NO_TIME, Adjacency
from graphgen.arrays import GOLDEN_GAMMA, mix_bits, place_in_group
from graphgen.errors import ConfigError, near_miss
from graphgen.graph import InterestGraph
from graphgen.looking.nodes import Node, describe, node_number

__all__ = ["neighborhood", "subgraph"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# How much each rank counts when neighbours are compared; see `neighborhood`.
SHARED, STRENGTH, RECENCY, SPECIFICITY = 2, 2, 1, 1


def neighborhood(
    graph: InterestGraph,
    node: Node,
    *,
    hops: int = 2,
    limit: int = 60,
    relations: Iterable[str] | None = None,
    seed: int = 0,
) -> nx.MultiDiGraph:
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
    seed
        Seed of the tie breaks.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes are ``(type, id)`` with ``type``, ``label`` (the title, or the id where there is
        none), ``category``, ``distance`` (steps from the centre within the subgraph) and ``degree``
        (in the whole graph). Edges have their ``kind`` as key, and ``kind``, ``weight``, ``time``
        (ISO 8601 in UTC, "" where unknown) and ``count`` (rows of the log). A ``similar`` edge has
        no direction and is there once.
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
    kinds = _chosen_kinds(adjacency, relations)

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
            found = _offers(adjacency, frontier, taken, kinds, seed)[:share]
            taken[found] = True
            room -= len(found)
            if refill:
                chosen[hop + 1] = np.concatenate([chosen[hop + 1], found])
            else:
                chosen.append(found)
            frontier = chosen[hop + 1]
    result = _induced(graph, np.concatenate(chosen), kinds, center)
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


def _offers(
    adjacency: Adjacency,
    frontier: np.ndarray,
    taken: np.ndarray,
    kinds: np.ndarray | None,
    seed: int,
) -> np.ndarray:
    """Return the free neighbours of `frontier`, best first, each once."""
    links = adjacency.links(frontier, kinds)
    links = links.where(~taken[links.target])
    if not len(links.target):
        return links.target
    # Places in the frontier rather than node numbers: whose turn comes first.
    place = np.empty(adjacency.n_nodes, dtype=np.int64)
    place[frontier] = np.arange(len(frontier))
    turn = place[links.source]
    kind = adjacency.kind[links.edge].astype(np.int64)
    sort = kind * len(adjacency.types) + adjacency.type_code(links.target)
    group = turn * (len(adjacency.kinds) * len(adjacency.types)) + sort

    _, inverse, times = np.unique(links.target, return_inverse=True, return_counts=True)
    # A random number by node and seed alone; in numpy the product would warn that it wraps.
    start = np.uint64((seed * int(GOLDEN_GAMMA) + 1) % 2**64)
    chance = mix_bits(links.target.astype(np.uint64) + start)
    score = (
        SHARED * _rank(-times[inverse], group)
        + STRENGTH * _rank(-adjacency.weight[links.edge], group)
        + RECENCY * _rank(-adjacency.time[links.edge].astype(np.float64), group)
        + SPECIFICITY * _rank(adjacency.degree[links.target], group)
    )
    order = np.lexsort((chance, score, group))
    # Within a node: the best of each group, then the second best of each. The first group changes
    # from node to node, or the first domain would always win a short list.
    within = place_in_group(group[order])
    n_sorts = int(sort.max()) + 1
    rotated = (sort[order] + turn[order]) % n_sorts
    nested = order[np.lexsort((rotated, within, turn[order]))]
    across = nested[np.lexsort((turn[nested], place_in_group(turn[nested])))]
    target = links.target[across]
    _, first = np.unique(target, return_index=True)
    return target[np.sort(first)]


def _rank(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Rank `values` within each group, smallest first, equal values sharing a rank (dense)."""
    return pd.Series(values).groupby(group).rank("dense").to_numpy()


def subgraph(graph: InterestGraph, nodes: Sequence[Node], *, center: Node) -> nx.MultiDiGraph:
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
    return _induced(graph, np.array(numbers), None, numbers[0])


def _induced(
    graph: InterestGraph, nodes: np.ndarray, kinds: np.ndarray | None, center: int
) -> nx.MultiDiGraph:
    adjacency = graph.adjacency
    described = describe(graph, nodes)
    keys = {number: key for number, (key, _, _) in described.items()}
    result = nx.MultiDiGraph(domains=json.dumps(graph.domains), center=json.dumps(keys[center]))
    for number, (key, label, category) in described.items():
        facts = {"label": label, "category": category, "distance": -1}
        result.add_node(key, type=key[0], **facts, degree=int(adjacency.degree[number]))

    chosen = np.zeros(adjacency.n_nodes, dtype=bool)
    chosen[nodes] = True
    links = adjacency.links(nodes, kinds)
    edges = np.unique(links.edge[chosen[links.target]])
    for edge in edges.tolist():
        head, tail = keys[int(adjacency.head[edge])], keys[int(adjacency.tail[edge])]
        stamp = int(adjacency.time[edge])
        time = "" if stamp == NO_TIME else (EPOCH + timedelta(milliseconds=stamp)).isoformat()
        weight = float(adjacency.weight[edge])
        kind = adjacency.kinds[adjacency.kind[edge]]
        if result.has_edge(head, tail, kind):  # the log was not de-duplicated
            known = result.edges[head, tail, kind]
            known["weight"] = max(known["weight"], weight)
            known["time"] = max(known["time"], time)
            known["count"] += 1
        else:
            result.add_edge(head, tail, kind, kind=kind, weight=weight, time=time, count=1)
    distances = nx.single_source_shortest_path_length(
        result.to_undirected(as_view=True), keys[center]
    )
    for key, data in result.nodes.items():
        data["distance"] = distances.get(key, -1)
    return result
