"""Models of one domain each: the baseline for cross-domain gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from torch_geometric.data import HeteroData

from gnn.base import Model
from gnn.data import DOMAINS
from gnn.registry import model_class
from graphgen.builders.derived import with_interactions
from graphgen.graph import InterestGraph, add_reverse_edges
from graphgen.log import InteractionLog
from graphgen.schema import (
    ABOUT,
    ATTRIBUTE,
    FRIEND,
    INTERACTS,
    INTEREST,
    REJECTS,
    SIMILAR,
    USER,
)
from graphgen.vocabulary import Vocabulary

__all__ = ["SeparateModels", "only_domain", "train_separately"]


def only_domain(graph: InterestGraph, domain: str) -> InterestGraph:
    """Return the part of a graph that belongs to one domain: its items, its edges, all users.

    All topics stay, so that their numbers mean the same; those of other domains, and communities,
    have no edge. Edges that are made of interactions are made anew from those in the domain.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["x", "y", "x"],
    ...                     "domain": ["book", "film", "book"]})
    >>> only_domain(graphgen.build_graph(log, encoder="none"), "book")
    InterestGraph(2 users, 1 item in 1 domain, 2 edges, 0-d features)
    """
    graph.require_domain(domain)
    data = HeteroData()
    for node in [n for n in (USER, domain, INTEREST, ATTRIBUTE) if n in graph.vocabularies]:
        for name, value in graph.data[node].items():
            data[node][name] = value
    for edge in (
        (USER, INTERACTS, domain),
        (USER, REJECTS, domain),
        (domain, SIMILAR, domain),
        (domain, ABOUT, INTEREST),
        (USER, FRIEND, USER),
        *(t for t in graph.data.edge_types if t[0] == domain and t[2] == ATTRIBUTE),
    ):
        if edge in graph.data.edge_types:
            for name, value in graph.data[edge].items():
                data[edge][name] = value
    add_reverse_edges(data)
    return with_interactions(graph, data, only_domain=domain)


class SeparateModels:
    """One model per domain, each trained on that domain alone, behind the interface of one scorer.

    Parameters
    ----------
    models
        Fitted model by domain.
    """

    def __init__(self, models: Mapping[str, Model]) -> None:
        self.models = dict(models)

    @property
    def domains(self) -> list[str]:
        """Names of the domains."""
        return list(self.models)

    def items(self, domain: str) -> Vocabulary:
        """Return the catalogue of a domain."""
        return self.models[domain].items(domain)

    def score(self, user_ids: Any, *, domain: str) -> np.ndarray:
        """Return float32 [users, items]."""
        return self.models[domain].score(user_ids, domain=domain)

    def seen(self, user_ids: Any, *, domain: str) -> sp.csr_matrix:
        """Return training interactions of the same shape."""
        return self.models[domain].seen(user_ids, domain=domain)


def train_separately(
    graph: InterestGraph,
    model: str,
    domains: Sequence[str],
    *,
    settings: Mapping[str, Any] | None = None,
    valid: InteractionLog | None = None,
    seed: int = 0,
    progress: bool = False,
) -> SeparateModels:
    """Fit a model in each of `domains` on that domain alone; the rest is as in `Model.fit`.

    A model that needs several domains is fitted too: with one, it is what it is without transfer.
    """
    made = model_class(model)
    single = type(made.__name__, (made,), {"requires": made.requires - {DOMAINS}})
    return SeparateModels(
        {
            domain: single(**(settings or {})).fit(
                only_domain(graph, domain),
                valid="auto" if valid is None else valid.where(domain=domain),
                seed=seed,
                progress=progress,
            )
            for domain in domains
        }
    )
