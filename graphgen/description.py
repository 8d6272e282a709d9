"""What is in a graph, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from graphgen.graph import InterestGraph
from graphgen.schema import INTERACTS, REV_INTERACTS, USER

__all__ = ["DomainSummary", "GraphDescription", "describe"]


@dataclass(frozen=True)
class DomainSummary:
    """One domain.

    Attributes
    ----------
    users
        People with at least one interaction in it.
    items, cold_items, items_with_text
        Items; those without any interaction; those with text.
    interactions
        Edges to people.
    density
        Interactions divided by users · items.
    median_history
        Median number of interactions of the people active in it.
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
    """What `describe` found.

    Attributes
    ----------
    domains
        Summary by domain.
    overlap
        ``overlap[a][b]``: people active in both a and b; on the diagonal, in a.
    edges
        Number of edges by type, reverse edges left out.
    users, feature_dim, cutoff, provenance
        As in the graph.
    """

    domains: dict[str, DomainSummary]
    overlap: dict[str, dict[str, int]]
    edges: dict[str, int]
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
    return GraphDescription(
        domains=domains,
        overlap={
            a: {b: int(shared[i, j]) for j, b in enumerate(names)} for i, a in enumerate(names)
        },
        edges={
            f"{source} -{relation}-> {target}": int(
                graph.data[source, relation, target].edge_index.shape[1]
            )
            for source, relation, target in graph.data.edge_types
            if relation != REV_INTERACTS
        },
        users=graph.n_users,
        feature_dim=graph.feature_dim,
        cutoff=graph.cutoff.isoformat() if graph.cutoff else None,
        provenance=graph.provenance,
    )
