"""Items that a few steps of the transition graph reach from a user's latest ones; untrained."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import ORDER, TrainingData, UserBatch, known_histories
from gnn.numerics.order import sequences
from graphgen.builders.transitions import following
from graphgen.config import Config

__all__ = ["TransitionGraph", "TransitionGraphConfig"]


class TransitionGraphConfig(Config):
    """Settings of `TransitionGraph`."""

    latest: int = pydantic.Field(2, ge=1)
    """Latest items of a history to start from."""
    latest_decay: float = pydantic.Field(0.5, ge=0, le=1)
    """Weight of an item beside the one after it."""
    hops: int = pydantic.Field(3, ge=1)
    """Steps of the transition graph."""
    hop_decay: float = pydantic.Field(0.3, ge=0, le=1)
    """Weight of a step beside the one before it."""
    max_gap: int = pydantic.Field(3, ge=1)
    """Largest distance of two items in a history that makes a transition; a gap of one more counts
    half."""
    similarity_power: float = pydantic.Field(1.0, ge=0)
    """Power of the similarity of two items' texts, which weighs a transition."""


class TransitionGraph(Model):
    """Reach from the last items over what followed them, weighed by the similarity of the texts.

    After Han et al., "An embarrassingly simple graph heuristic reveals shortcut-solvable benchmarks
    for sequential recommendation", arXiv 2605.07125: candidates are the items within a few hops of
    the last one or two in the item transition graph, ranked by feature similarity. Here, with P the
    transition probabilities, an item j scores Σ_i decay_i Σ_h hop_decay^(h−1) (P^h)_ij cos(i, j)₊,
    over the latest items i; without texts the cosine is 1. Transitions cross domains. A user costs
    O(latest · (items reached + items · dim)).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book",
    ...                     "position": [1, 2, 1, 2, 1]})
    >>> model = TransitionGraph().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "transition-graph"
    random = False
    Config = TransitionGraphConfig
    requires = frozenset({ORDER})
    learned = ("steps_", "features_")
    features_: np.ndarray | None = None

    def _fit(self, data: TrainingData, **_: Any) -> None:
        counts = following(known_histories(data), max_lag=self.config.max_gap)
        total = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
        share = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
        self.steps_ = sp.csr_matrix(sp.diags(share) @ counts, dtype=np.float32)
        self.features_ = data.features

    def _set_up(self) -> None:
        self._into = {domain: self.steps_[:, self.data.span(domain)] for domain in self.domains}

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        config, span = self.config, self.data.span(domain)
        latest = sequences(self.data.order_in(domain, users), config.latest)
        length = (latest >= 0).sum(axis=1)
        scores = np.zeros((len(users), span.stop - span.start), dtype=np.float32)
        for back in range(config.latest):
            rows = np.flatnonzero(length > back)
            items = latest[rows, length[rows] - 1 - back]
            scores[rows] += np.float32(config.latest_decay**back) * self._from(items, domain)
        return scores

    def _from(self, items: np.ndarray, domain: str) -> np.ndarray:
        """Return float32 [n, items of the domain], the scores from one item each."""
        config, span = self.config, self.data.span(domain)
        shape = (len(items), self.data.n_items)
        ones = np.ones(len(items), dtype=np.float32)
        reached = sp.csr_matrix((ones, (np.arange(len(items)), items)), shape=shape)
        found = sp.csr_matrix((len(items), span.stop - span.start), dtype=np.float32)
        for hop in range(config.hops):
            found = found + config.hop_decay**hop * (reached @ self._into[domain])
            if hop + 1 < config.hops:
                reached = reached @ self.steps_
        scores: np.ndarray = found.toarray().astype(np.float32, copy=False)
        if self.features_ is not None:
            similar = self.features_[items] @ self.features_[span].T
            # Rows of zeros have no text, and nothing to weigh by.
            textless = ~self.features_[items].any(axis=1)
            similar[textless] = 1.0
            scores *= np.maximum(similar, 0.0) ** config.similarity_power
        return scores
