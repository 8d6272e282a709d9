"""A neighbourhood as the nodes and edges that `static/view.js` draws."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Final

import networkx as nx

from graphgen.ids import hashed_id, masked_id
from graphgen.looking.nodes import Node
from graphgen.schema import (
    ABOUT,
    CO_CONSUMED,
    DURING,
    FRIEND,
    INTERACTS,
    NEXT,
    SHARED_USERS,
    SIMILAR,
    USER,
)

__all__ = ["center_node", "center_title", "elements", "node_ids"]

LINKS: Final = 3  # of a node, at most: one in the tree, the others shown when it is pointed at
BOUNDED: Final = {SIMILAR, ABOUT, CO_CONSUMED, DURING, FRIEND}


def center_node(neighborhood: nx.MultiDiGraph) -> Node:
    """Return the node that a neighbourhood is of."""
    node_type, id_ = json.loads(neighborhood.graph["center"])
    return node_type, id_


def center_title(neighborhood: nx.MultiDiGraph, *, show_ids: bool | None = None) -> str:
    """Return the name of the centre, as `elements` labels it."""
    return _named(neighborhood, center_node(neighborhood), show_ids)[1]


def elements(neighborhood: nx.MultiDiGraph, *, show_ids: bool | None = None) -> dict[str, Any]:
    """Return a neighbourhood as JSON: nodes, the links that matter, and the domains of the graph.

    Each node keeps the strongest link to the nodes before it, which is its place in the tree that
    is drawn, and its next strongest ones, which show when it is pointed at; links among the outer
    nodes are left out. Several links of one pair are one, of the strongest relation. O(edges).

    Parameters
    ----------
    neighborhood
        As `graphgen.looking.neighborhoods.neighborhood` returns it.
    show_ids
        Whether user ids are shown: None for the centre's only, True for all, False for none. Where
        not, ``key`` is `graphgen.ids.hashed_id` and ``label`` its first digits.

    Returns
    -------
    dict
        ``nodes``: id, kind ("user", "interest" or a domain), key, label, category, center, degree,
        more (neighbours left out, by kind). ``edges``: id, source, target, relation, weight, text,
        tree. ``domains``: all of the graph, whose order gives each its colour.

    Examples
    --------
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> from graphgen.looking.neighborhoods import neighborhood
    >>> graph = build_graph(pd.DataFrame({
    ...     "user_id": ["ann", "ann", "bob"], "domain": ["book", "film", "film"],
    ...     "item_id": ["Dune", "Alien", "Alien"]}), encoder="none")
    >>> drawn = elements(neighborhood(graph, ("user", "ann"), users=False))
    >>> [(node["id"], node["more"]) for node in drawn["nodes"]]
    [('user:ann', {}), ('book:Dune', {}), ('film:Alien', {'user': 1})]
    """
    center = center_node(neighborhood)
    names = {node: _named(neighborhood, node, show_ids) for node in neighborhood}
    nodes = [
        {
            "id": f"{node[0]}:{names[node][0]}",
            "kind": node[0],
            "key": names[node][0],
            "label": names[node][1],
            "category": facts.get("category", ""),
            "center": node == center,
            "degree": facts.get("degree", 0),
            "more": json.loads(facts.get("more", "{}")),
        }
        for node, facts in neighborhood.nodes(data=True)
    ]
    pairs: dict[tuple[Node, Node], list[tuple[Node, Node, dict[str, Any]]]] = defaultdict(list)
    for head, tail, facts in neighborhood.edges(data=True):
        pairs[min(head, tail), max(head, tail)].append((head, tail, facts))
    edges = []
    for links, in_tree in _chosen(neighborhood, pairs):
        links.sort(key=lambda link: -_strength(link[2]))
        head, tail, facts = links[0]
        source, target = (f"{node[0]}:{names[node][0]}" for node in (head, tail))
        edges.append(
            {
                "id": f"{source} {facts['kind']} {target}",
                "source": source,
                "target": target,
                "relation": facts["kind"],
                "weight": round(facts["weight"], 4),
                "text": "; ".join(_text(facts, onward=link == head) for link, _, facts in links),
                "tree": in_tree,
            }
        )
    return {"nodes": nodes, "edges": edges, "domains": json.loads(neighborhood.graph["domains"])}


def node_ids(neighborhood: nx.MultiDiGraph, *, show_ids: bool | None = None) -> dict[str, Node]:
    """Return the node of each ``id`` of `elements`."""
    return {f"{n[0]}:{_named(neighborhood, n, show_ids)[0]}": n for n in neighborhood}


def _named(neighborhood: nx.MultiDiGraph, node: Node, show_ids: bool | None) -> tuple[str, str]:
    node_type, id_ = node
    if node_type != USER:
        return id_, str(neighborhood.nodes[node]["label"])
    shown = show_ids if show_ids is not None else node == center_node(neighborhood)
    return (id_, f"user {id_}") if shown else (hashed_id(id_), masked_id(id_))


def _chosen(
    neighborhood: nx.MultiDiGraph, pairs: dict[tuple[Node, Node], list[Any]]
) -> list[tuple[list[Any], bool]]:
    """Return the links of each node to the nodes before it, and whether they make the tree."""
    distance = dict(neighborhood.nodes(data="distance"))
    inward: dict[Node, list[tuple[int, float, Node, tuple[Node, Node]]]] = defaultdict(list)
    for pair, links in pairs.items():
        near, far = sorted(pair, key=lambda node: distance[node])
        # Siblings of the first ring may be joined: how the items of a user hang together.
        if distance[near] < distance[far] or distance[near] == 1:
            apart = distance[far] - distance[near]
            best = max(_strength(facts) for *_, facts in links)
            inward[far].append((-apart, -best, near, pair))
    chosen = []
    for node in neighborhood:
        for place, (apart, _, _, pair) in enumerate(sorted(inward[node])[:LINKS]):
            chosen.append((pairs[pair], place == 0 and apart < 0))
    return chosen


def _strength(facts: dict[str, Any]) -> float:
    """Return the strength of a link in [0, 1], whatever its relation."""
    weight = float(facts["weight"])
    if facts["kind"] == INTERACTS:
        return 1.0
    return min(weight, 1.0) if facts["kind"] in BOUNDED else weight / (1.0 + weight)


def _text(facts: dict[str, Any], *, onward: bool) -> str:
    arrow = ("→ " if onward else "← ") if facts["kind"] == NEXT else ""
    weight = facts["weight"]
    if facts["kind"] == INTERACTS and weight == 1:
        parts = [facts["kind"]]
    elif facts["kind"] == SHARED_USERS:
        parts = [f"{weight:.0f} shared user{'' if weight == 1 else 's'}"]
    else:
        shown = f"{weight:.2g}" if facts["kind"] in BOUNDED else f"{weight:.3g}"
        parts = [f"{facts['kind']} {arrow}{shown}"]
    if facts["time"]:
        parts.append(facts["time"].partition("T")[0])
    if facts["count"] > 1:
        parts.append(f"{facts['count']} times")
    return ", ".join(parts)
