"""Items and users of an interest graph in the form that metrics need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.metrics.base import Array, Catalogue
from graphgen.errors import InputError
from graphgen.schema import CATEGORY, INTERACTS, USER
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["GraphContext", "history_labels"]

COLD, WARM = "cold", "warm"


class GraphContext:
    """Looks a graph's training interactions, features and categories up for given ids.

    Parameters
    ----------
    graph
        The graph the system was trained on, or None.
    item_features
        ``{domain: float [items, dim]}`` that replace the graph's features; rows follow the item
        vocabulary in use (the scorer's, else the graph's).
    """

    def __init__(
        self,
        graph: InterestGraph | None,
        item_features: Mapping[str, Any] | None = None,
    ) -> None:
        self.graph = graph
        self.item_features = item_features or {}

    def knows(self, domain: str) -> bool:
        """Whether there is a graph and it has the domain."""
        return self.graph is not None and domain in self.graph.domains

    def vocabulary(self, domain: str) -> Vocabulary | None:
        """Return the items of a domain in the graph, or None."""
        if self.graph is None or not self.knows(domain):
            return None
        return self.graph.vocabularies[domain]

    def catalogue(self, domain: str, items: Vocabulary) -> Catalogue:
        """Return what is known about `items`, row i describing item i."""
        features, has = self._given_features(domain, items)
        if self.graph is None or not self.knows(domain):
            return Catalogue(len(items), features=features, has_features=has)
        graph = self.graph
        index = graph.vocabularies[domain].encode(items.ids, missing="mark")
        known = index >= 0
        aligned = bool(known.all()) and bool((np.diff(index) == 1).all()) and index[0] == 0

        edges = graph.data[USER, INTERACTS, domain].edge_index.numpy()
        counts = np.bincount(edges[1], minlength=len(graph.vocabularies[domain]))
        popularity = np.where(known, counts[np.where(known, index, 0)], 0).astype(np.float64)
        if features is None and "x" in graph.data[domain]:
            store = graph.data[domain]
            features = store.x.numpy()
            has = graph.described(domain) if "has_text" in store else np.ones(len(features), bool)
            if not (aligned and len(features) == len(items)):
                features, has = features[np.where(known, index, 0)], has[index] & known
        categories, n_categories = _categories(graph, domain, index)
        return Catalogue(
            len(items),
            popularity=popularity,
            n_users=len(np.unique(edges[0])),
            features=features,
            has_features=has,
            categories=categories,
            n_categories=n_categories,
        )

    def _given_features(self, domain: str, items: Vocabulary) -> tuple[Array | None, Array | None]:
        if domain not in self.item_features:
            return None, None
        features = np.asarray(self.item_features[domain], dtype=np.float32)
        if features.ndim != 2 or len(features) != len(items):
            raise InputError(
                f"`item_features` of {domain!r} must have one row per item ({len(items)}); "
                f"got shape {list(features.shape)}."
            )
        length = np.linalg.norm(features, axis=1, keepdims=True)
        return features / np.maximum(length, 1e-12), length[:, 0] > 0

    def seen(self, domain: str, user_ids: Array, items: Vocabulary) -> sp.csr_matrix | None:
        """Return int8 CSR [user_ids, items]: 1 liked, -1 seen or disliked; None without a graph."""
        if self.graph is None or not self.knows(domain):
            return None
        graph = self.graph
        liked, refused = (
            ends[0].numpy() for ends in (graph.interactions(domain), graph.rejections(domain))
        )
        edges = np.concatenate([liked, refused], axis=1)
        value = np.repeat(np.array([1, -1], np.int8), [liked.shape[1], refused.shape[1]])
        rows = np.full(len(graph.vocabularies[USER]) + 1, -1, dtype=np.int64)
        rows[graph.vocabularies[USER].encode(user_ids, missing="mark")] = np.arange(len(user_ids))
        columns = items.encode(graph.vocabularies[domain].ids, missing="mark")
        user, item = rows[:-1][edges[0]], columns[edges[1]]
        used = (user >= 0) & (item >= 0)
        return sp.csr_matrix(
            (value[used], (user[used], item[used])),
            shape=(len(user_ids), len(items)),
        )


def _categories(graph: InterestGraph, domain: str, index: Array) -> tuple[Array | None, int]:
    column = graph.item_frame(domain)[CATEGORY]
    codes, names = pd.factorize(column.replace("", None), sort=True)
    if not len(names):
        return None, 0
    return np.where(index >= 0, codes[index], -1).astype(np.int64), len(names)


def history_labels(seen: sp.csr_matrix) -> Array:
    """Label users ``cold`` without a training interaction in the domain, else ``warm``."""
    return np.where(np.diff(seen.indptr) > 0, WARM, COLD)


def liked_part(seen: sp.csr_matrix) -> sp.csr_matrix:
    """Return the entries above 0 of what a scorer or a graph calls seen: the likes."""
    return sp.csr_matrix(seen > 0)
