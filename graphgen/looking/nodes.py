"""Nodes by type and id: their number in the graph, and their labels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from graphgen.errors import ConfigError, UnknownIdError, near_miss
from graphgen.graph import InterestGraph
from graphgen.schema import ATTRIBUTE, CATEGORY, INTEREST, TITLE, USER
from graphgen.titles import Catalogue, find_item, plain

__all__ = ["NameIndex", "Node", "asked_node", "describe", "item_node", "node_number"]

Node = tuple[str, str]


def node_number(graph: InterestGraph, node: Node) -> int:
    """Return the number of ``("user", id)``, ``(domain, item_id)`` or ``("interest", name)``.

    Raises
    ------
    UnknownIdError
        If `node` is no pair, or there is no such type or id; the message names the near miss.
    """
    if isinstance(node, str) or len(node) != 2:
        raise UnknownIdError(
            f'A node is written ("user", user_id) or (domain, item_id); got {node!r}.'
        )
    node_type, id_ = node
    if node_type not in graph.vocabularies:
        known = graph.adjacency.types
        hint = near_miss(str(node_type), known, f"it has {', '.join(known)}.")
        raise UnknownIdError(f"There is no node type {node_type!r} in this graph; {hint}")
    number = int(graph.vocabularies[node_type].encode([id_])[0])
    return graph.adjacency.offset[node_type] + number


def item_node(graph: InterestGraph, text: str) -> Node:
    """Return the node of ``DOMAIN=ID``, of a title, or of ``interest=NAME`` or ``attribute=NAME``.

    See `graphgen.titles.find_item`.
    """
    node_type, equals, name = text.partition("=")
    if equals and node_type in (INTEREST, ATTRIBUTE):
        return node_type, name
    catalogues = {}
    for domain in graph.domains:
        titles = graph.item_frame(domain)[TITLE].to_numpy(object)
        catalogues[domain] = Catalogue(graph.vocabularies[domain], titles)
    return find_item(catalogues, text)


def asked_node(
    graph: InterestGraph,
    *,
    user: str | None = None,
    item: str | None = None,
    interest: str | None = None,
) -> Node:
    """Return the node of the one of `user`, `item` (see `item_node`) and `interest` that is given.

    Raises
    ------
    ConfigError
        If none or several are given.
    """
    given = {USER: user, "item": item, INTEREST: interest}
    named = [(kind, text) for kind, text in given.items() if text is not None]
    if len(named) != 1:
        raise ConfigError("Give one of a user, an item and an interest as the centre.")
    kind, text = named[0]
    return item_node(graph, text) if kind == "item" else (kind, text)


class NameIndex:
    """Names of items and interests, to search in; built in O(items)."""

    def __init__(self, graph: InterestGraph) -> None:
        self._users = graph.vocabularies[USER]
        parts = []
        for kind in [INTEREST] * bool(graph.n_topics) + graph.domains:
            ids = pd.Series(graph.vocabularies[kind].ids.astype(object))
            names = ids if kind == INTEREST else graph.item_frame(kind)[TITLE].replace("", pd.NA)
            parts.append(pd.DataFrame({"kind": kind, "key": ids, "label": names.fillna(ids)}))
        frame = pd.concat(parts, ignore_index=True)
        self._frame = frame.iloc[np.argsort(frame["label"].str.len(), kind="stable")]
        self._plain = pd.Series(plain(self._frame["label"]))

    def search(self, text: str, *, limit: int = 12) -> list[dict[str, str]]:
        """Return items and interests whose names hold a text, shortest first, and its user.

        Each has the id, kind, key and label of `graphgen.looking.elements`. O(items).
        """
        wanted = plain(pd.Series([text]))[0]
        if not wanted:
            return []
        hits = np.flatnonzero(self._plain.str.contains(wanted, regex=False))[:limit]
        found = self._frame.iloc[hits].to_dict("records")
        if text in self._users:
            found.insert(0, {"kind": USER, "key": text, "label": f"user {text}"})
        return [{"id": f"{one['kind']}:{one['key']}", **one} for one in found]


def describe(graph: InterestGraph, nodes: np.ndarray) -> dict[int, tuple[Node, str, str]]:
    """Return ``(type, id)``, label (the title, or the id) and category by node number."""
    adjacency = graph.adjacency
    codes = adjacency.type_code(nodes)
    described: dict[int, tuple[Node, str, str]] = {}
    for code in np.unique(codes).tolist():
        node_type = adjacency.types[code]
        numbers = nodes[codes == code]
        rows = numbers - adjacency.offset[node_type]
        ids = graph.vocabularies[node_type].decode(rows).tolist()
        table = graph.item_tables.get(node_type)
        # Without pandas: it would be most of the cost of so few rows.
        titles, categories = (
            [""] * len(ids) if table is None else table[name].take(rows).to_pylist()
            for name in (TITLE, CATEGORY)
        )
        texts = zip(numbers.tolist(), ids, titles, categories, strict=True)
        for number, id_, title, category in texts:
            described[number] = ((node_type, str(id_)), str(title or id_), str(category or ""))
    return {number: described[number] for number in nodes.tolist()}
