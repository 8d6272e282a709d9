"""Numbers that describe a graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from graphgen.graph import InterestGraph
from graphgen.schema import ABOUT, INTERACTS, INTEREST, REV_INTERACTS, USER

__all__ = ["DomainSummary", "GraphDescription", "describe"]

LARGEST_TOPICS = 8
# Least share of the items of a spanning topic that are outside its main domain.
SPANNING_SHARE = 0.1


@dataclass(frozen=True)
class DomainSummary:
    """One domain.

    `users` have at least one interaction in it, `cold_items` have none. `density` is interactions
    divided by users · items, `median_history` the median number of interactions of its users.
    """

    users: int
    items: int
    cold_items: int
    items_with_text: int
    interactions: int
    density: float
    median_history: float


@dataclass(frozen=True)
class GraphDescription:
    """The result of `describe`.

    Attributes
    ----------
    domains
        Summary by domain.
    overlap
        ``overlap[a][b]``: users active in both a and b; on the diagonal, in a.
    edges
        Number of edges by type, without reverse edges.
    topics, spanning_topics
        Topics with an item, and those of which at least a tenth of the items lie outside the domain
        that has most of them.
    largest_topics
        The largest topics and their numbers of items, largest first.
    users, feature_dim, cutoff, provenance
        As in the graph.
    """

    domains: dict[str, DomainSummary]
    overlap: dict[str, dict[str, int]]
    edges: dict[str, int]
    topics: int
    spanning_topics: int
    largest_topics: dict[str, int]
    users: int
    feature_dim: int
    cutoff: str | None
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def describe(graph: InterestGraph) -> GraphDescription:
    """Count nodes, edges and the overlap between domains; O(edges + users · domains²).

    Examples
    --------
    >>> import pandas as pd
    >>> from graphgen.build import build_graph
    >>> log = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "item_id": ["dune", "alien", "dune"],
    ...                     "domain": ["book", "film", "book"]})
    >>> describe(build_graph(log, encoder="none")).overlap["book"]
    {'book': 2, 'film': 1}
    """
    domains, columns = {}, []
    for domain in graph.domains:
        index = graph.data[USER, INTERACTS, domain].edge_index.numpy()
        history = np.bincount(index[0], minlength=graph.n_users)
        n_items = len(graph.vocabularies[domain])
        popularity = np.bincount(index[1], minlength=n_items)
        active = history > 0
        columns.append(sp.csr_matrix(active.astype(np.int64)[:, None]))
        store = graph.data[domain]
        n_users = int(active.sum())
        domains[domain] = DomainSummary(
            users=n_users,
            items=n_items,
            cold_items=int((popularity == 0).sum()),
            items_with_text=int(store.has_text.sum()) if "has_text" in store else 0,
            interactions=index.shape[1],
            density=index.shape[1] / max(1, n_users * n_items),
            median_history=float(np.median(history[active])) if n_users else 0.0,
        )
    active = sp.hstack(columns, format="csc")
    shared = (active.T @ active).toarray()
    names = graph.domains
    items_about = _items_about(graph)
    size = items_about.sum(axis=0)
    outside = size - items_about.max(axis=0)
    n_topics = int((size > 0).sum())
    largest = np.argsort(-size, kind="stable")[: min(LARGEST_TOPICS, n_topics)]
    names_of_topics = graph.vocabularies[INTEREST].decode(largest).tolist() if n_topics else []
    return GraphDescription(
        domains=domains,
        overlap={
            a: {b: int(shared[i, j]) for j, b in enumerate(names)} for i, a in enumerate(names)
        },
        edges={
            f"{source} -{relation}-> {target}": int(store.edge_index.shape[1])
            for (source, relation, target), store in graph.data.edge_items()
            if relation != REV_INTERACTS
        },
        topics=n_topics,
        spanning_topics=int(((outside >= SPANNING_SHARE * size) & (size > 0)).sum()),
        largest_topics=dict(zip(names_of_topics, size[largest].tolist(), strict=True)),
        users=graph.n_users,
        feature_dim=graph.feature_dim,
        cutoff=graph.cutoff.isoformat() if graph.cutoff else None,
        provenance=graph.provenance,
    )


def _items_about(graph: InterestGraph) -> np.ndarray:
    """Return int64 [domains, topics], the number of items of each domain about each topic."""
    counts = np.zeros((len(graph.domains), graph.n_topics), dtype=np.int64)
    for place, domain in enumerate(graph.domains):
        if (domain, ABOUT, INTEREST) in graph.data.edge_types:
            topic = graph.data[domain, ABOUT, INTEREST].edge_index[1].numpy()
            counts[place] = np.bincount(topic, minlength=graph.n_topics)
    return counts
