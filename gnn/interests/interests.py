"""Interests: the topics of a graph with their names, and how much each item belongs to each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData
from gnn.joint_matrices import about_matrix
from gnn.numerics.sparse import entry_rows, keep_largest
from graphgen.errors import ConfigError
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    # At run time it would bring torch_geometric: seconds, and a saved model does not need it.
    from graphgen.graph import InterestGraph

__all__ = ["NO_TOPICS", "Interests", "domain_targets"]

NO_TOPICS = (
    "This has no topics, so there are no interests. Build a graph from a log with an item table "
    "that holds title, text or category (`interest build LOG --items ITEMS --out GRAPH`), and "
    "name it with --graph or train on it again."
)


@dataclass(frozen=True)
class Interests:
    """Topics over the items of all domains, in the joint index of `gnn.data.TrainingData`.

    Attributes
    ----------
    names
        Name of each interest, in the order of the columns of `members`.
    members
        By domain, in sorted order, float32 CSR [items of the domain, interests]: the share of an
        item that belongs to an interest; rows sum to 1, or to 0 where the item has no topic.
    """

    names: tuple[str, ...]
    members: Mapping[str, sp.csr_matrix]

    @classmethod
    def of(cls, data: TrainingData, graph: InterestGraph | None = None) -> Self:
        """Return the interests of a model's training data, or those of a graph for its items.

        Items of the model that the graph does not hold have no topic. O(items + memberships).

        Raises
        ------
        ConfigError
            If there are no topics.
        """
        if graph is None:
            return cls._made(data.topics, data.items, data.about)
        about, start, parts = about_matrix(graph), 0, []
        if about is None:
            raise ConfigError(NO_TOPICS)
        spans = {}
        for domain in graph.domains:
            spans[domain], start = start, start + len(graph.vocabularies[domain])
        empty = sp.csr_matrix((1, graph.n_topics), dtype=np.float32)
        # One row more, all zeros, for items that the graph does not hold.
        padded = sp.vstack([about, empty], format="csr")
        for domain, items in data.items.items():
            row = np.full(len(items), padded.shape[0] - 1)
            if domain in spans:
                found = graph.vocabularies[domain].encode(items.ids, missing="mark")
                row = np.where(found >= 0, found + spans[domain], row)
            parts.append(padded[row])
        return cls._made(graph.topic_names, data.items, sp.vstack(parts, format="csr"))

    @classmethod
    def _made(cls, names: tuple[str, ...], items: Mapping[str, Vocabulary], about: Any) -> Self:
        if about is None or not about.nnz:
            raise ConfigError(NO_TOPICS)
        total = np.asarray(about.sum(axis=1), dtype=np.float32).ravel()
        joint = sp.csr_matrix(about, dtype=np.float32, copy=True)
        joint.data /= total[entry_rows(joint)]
        ends = np.cumsum([len(part) for part in items.values()]).tolist()
        starts = [0, *ends[:-1]]
        pieces = zip(items, starts, ends, strict=True)
        return cls(names, {domain: joint[low:high] for domain, low, high in pieces})

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def joint(self) -> sp.csr_matrix:
        """float32 CSR [n_items of all domains, interests], `members` one after the other."""
        return sp.csr_matrix(sp.vstack(list(self.members.values()), format="csr"))

    def amounts(self, history: sp.csr_matrix) -> sp.csr_matrix:
        """Return float32 CSR [n, interests], the interactions of each user with each interest.

        Parameters
        ----------
        history
            CSR [n, n_items of all domains], such as `UserBatch.history`, or a decayed one. An
            interaction counts for each interest by the item's share in it.
        """
        return sp.csr_matrix(history @ self.joint, dtype=np.float32)

    def population(self, liking: np.ndarray) -> np.ndarray:
        """Return float64 [interests], each interest's share of all interactions.

        It is the correction for popularity: a user who is like everybody has these shares.

        Parameters
        ----------
        liking
            float [n_items], interactions of each item, as `TrainingData.liking`.
        """
        amount = np.asarray(self.joint.T @ liking.astype(np.float64)).ravel()
        return np.asarray(amount / max(amount.sum(), 1e-12), dtype=np.float64)

    def typical(self, liking: np.ndarray, k: int) -> sp.csr_matrix:
        """Return float32 CSR [interests, n_items], the `k` most typical items of each interest.

        Typical are items that belong to the interest wholly and that many users like: the value
        is share · log(1 + interactions), so a bestseller of many topics is not at the top of each.
        """
        weight = sp.diags(np.log1p(liking).astype(np.float32))
        return keep_largest(sp.csr_matrix((weight @ self.joint).T), k)


def domain_targets(data: TrainingData) -> sp.csr_matrix:
    """Return float32 CSR [n_items, domains], 1 in the domain of each item."""
    return sp.csr_matrix(
        (np.ones(data.n_items, np.float32), (np.arange(data.n_items), data.item_domain)),
        shape=(data.n_items, len(data.domains)),
    )
