"""Graph filters in closed form: low frequencies of the item graph, without training."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.memory import require_memory
from gnn.numerics.linear_filter import FilterConfig, LinearFilter
from gnn.numerics.propagation import inverse_power, normalized_adjacency
from gnn.numerics.svd import truncated_svd
from graphgen.config import Config

__all__ = ["GraphFilter", "GraphFilterConfig"]

# Bytes of an entry of a sparse product while it is made: value, column, and as much again.
ENTRY_BYTES = 16
# Third-order polynomial of Turbo-CF that approximates the ideal low-pass filter (its table 1).
IDEAL_POLYNOMIAL = (1 - 0.29, 0.1, -0.01)


class GraphFilterConfig(Config):
    """Settings of `GraphFilter`."""

    form: Literal["gf-cf", "turbo-cf"] = "gf-cf"
    """Which of the two published filters."""
    alpha: float = pydantic.Field(0.3, ge=0)
    """GF-CF: weight of the ideal low-pass filter; its authors' 0.3."""
    rank: int = pydantic.Field(256, ge=1)
    """GF-CF: singular vectors that pass the ideal filter; its authors' 256."""
    user_exponent: float = pydantic.Field(0.6, ge=0, le=1)
    """Turbo-CF: users are normalised by degree^-user_exponent, items by the rest to 1."""
    power: float = pydantic.Field(0.7, gt=0)
    """Turbo-CF: power of each entry of the item-item graph; its authors' 0.7 on Gowalla."""
    order: int = pydantic.Field(1, ge=1, le=3)
    """Turbo-CF: 1 is the linear filter, 2 and 3 its polynomials of that order."""


class GraphFilter(Model):
    """Smooth a history over the graph of items that share users, all domains in one graph.

    ``gf-cf`` is Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021:
    with R̃ = D_u^-½ R D_i^-½ and V its top right singular vectors, the score of a history r is
    r R̃ᵀR̃ + alpha · r D_i^-½ V Vᵀ D_i^½. The first part stays sparse and the second stays in
    factors: memory O(Σ_u d_u² + items · rank), and no dense items × items matrix.

    ``turbo-cf`` is Park, Shin and Shin, "Turbo-CF: matrix decomposition-free graph filtering for
    fast recommendation", SIGIR 2024: P = (R̃ᵀR̃)^∘power, entry by entry, with R̃ = D_u^-a R
    D_i^(a-1), and a polynomial of P of order 1 to 3. P is kept sparse, at most Σ_u d_u² entries of
    `ENTRY_BYTES` bytes, which is checked against the memory available.

    Gowalla in LightGCN's split (two cores): see `tests/gnn/baselines/test_spectral.py`.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> graph = graphgen.build_graph(log, encoder="none")
    >>> [GraphFilter(form=form).fit(graph).recommend(["c"], k=1).item_id.item()
    ...  for form in ("gf-cf", "turbo-cf")]
    ['y', 'y']
    """

    name: ClassVar[str] = "graph-filter"
    Config = GraphFilterConfig
    learned = ("graph_", "vectors_")

    def _fit(self, data: TrainingData, *, seed: int, **_: Any) -> None:
        if self.config.form == "turbo-cf":
            self.graph_ = self._turbo_graph(data)
        else:
            # float32 [n_items, rank], the right singular vectors of the largest values.
            adjacency, generator = normalized_adjacency(data.matrix), np.random.default_rng(seed)
            self.vectors_ = truncated_svd(adjacency, self.config.rank, generator)[2].numpy()

    def _set_up(self) -> None:
        if self.config.form == "turbo-cf":
            return
        popularity = self.data.popularity.astype(np.float64)
        exponents = FilterConfig(user_exponent=1.0, item_exponent=0.5, target_exponent=0.0)
        self._linear = LinearFilter(self.data.matrix, exponents)
        self._source = inverse_power(popularity, 0.5)[:, None] * self.vectors_
        target = np.sqrt(popularity).astype(np.float32) * self.config.alpha
        self._target = target[:, None] * self.vectors_

    def _turbo_graph(self, data: TrainingData) -> sp.csr_matrix:
        a = self.config.user_exponent
        activity = np.diff(data.matrix.indptr).astype(np.float64)
        entries = min(float(np.square(activity).sum()), float(data.n_items) ** 2)
        require_memory(
            int(ENTRY_BYTES * entries),
            "The item graph of Turbo-CF",
            "Use form='gf-cf', which can do without it, or drop the most active users.",
        )
        adjacency = normalized_adjacency(data.matrix, a, 1.0 - a)
        graph = sp.csr_matrix(adjacency.T @ adjacency)
        graph.data **= self.config.power
        return graph

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        if self.config.form == "turbo-cf":
            return self._turbo_score(users.history, span)
        scores = self._linear.score(users.history, span).toarray()
        scores += (users.history @ self._source) @ self._target[span].T
        return np.asarray(scores, dtype=np.float32)

    def _turbo_score(self, history: sp.csr_matrix, span: slice) -> np.ndarray:
        if self.config.order == 1:
            return np.asarray((history @ self.graph_[:, span]).toarray(), dtype=np.float32)
        weights = (2.0, -1.0) if self.config.order == 2 else IDEAL_POLYNOMIAL
        # The graph is symmetric, so a power of it is applied by one more product from the left.
        signal = (history @ self.graph_).toarray().T
        scores = weights[0] * signal[span]
        for weight in weights[1:]:
            signal = self.graph_ @ signal
            scores += weight * signal[span]
        return np.ascontiguousarray(scores.T, dtype=np.float32)
