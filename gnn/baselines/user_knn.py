"""User-based nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.numerics.propagation import inverse_power
from gnn.numerics.sparse import keep_largest
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["UserKNN", "UserKNNConfig"]

# Users whose similarities to all users are held at once.
BLOCK_ROWS = 512


class UserKNNConfig(Config):
    """Settings of `UserKNN`; the exponents were chosen on validation rows of two data sets."""

    neighbors: int = pydantic.Field(1000, ge=1)
    """Neighbours of each user, among all users with an item in common."""
    user_exponent: float = pydantic.Field(0.5, ge=0, le=1)
    """Normalisation by the activity of the neighbour; ½ is the cosine."""
    item_exponent: float = pydantic.Field(0.5, ge=0, le=1)
    """How much sharing a popular item counts less: weight = popularity^-item_exponent."""


class UserKNN(Model):
    """Score an item by the similarity of the users who interacted with it.

    User-based collaborative filtering in its top-N form for implicit feedback: Breese, Heckerman
    and Kadie, UAI 1998; Sarwar et al., "Analysis of recommendation algorithms for e-commerce",
    EC 2000; with degree exponents. Similarity of users u and v is Σ_i d_i^-b x_ui x_vi / (d_u
    d_v)^a over the items of all domains, u = v left out; an item's score is the sum over the most
    similar users who interacted with it. There is nothing to fit: neighbours are found when
    a history is scored, O(Σ_i∈history d_i) a user, `BLOCK_ROWS` users at a time.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = UserKNN().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "user-knn"
    Config = UserKNNConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        self._prepare(data)

    def _prepare(self, data: TrainingData) -> None:
        x = data.matrix
        activity = np.diff(x.indptr).astype(np.float64)
        own = sp.diags(inverse_power(activity, self.config.user_exponent))
        shared = sp.diags(inverse_power(data.popularity, self.config.item_exponent))
        self._people = (shared @ x.T @ own).tocsr()

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        votes = self.data.matrix[:, self.data.span(domain)]
        scores = np.empty((len(users), votes.shape[1]), dtype=np.float32)
        for low in range(0, len(users), BLOCK_ROWS):
            history = users.history[low : low + BLOCK_ROWS]
            length = np.diff(history.indptr).astype(np.float64)
            own = sp.diags(inverse_power(length, self.config.user_exponent))
            alike = sp.coo_matrix(own @ (history @ self._people))
            other = alike.col != users.index[low : low + BLOCK_ROWS][alike.row]
            alike = sp.csr_matrix(
                (alike.data[other], (alike.row[other], alike.col[other])), shape=alike.shape
            )
            nearest = keep_largest(alike, self.config.neighbors)
            scores[low : low + BLOCK_ROWS] = (nearest @ votes).toarray()
        return scores

    def _state(self) -> dict[str, torch.Tensor]:
        return {}

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self._prepare(self.data)
