"""Nearest neighbours by text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = ["TextKNN", "TextKNNConfig"]

# The least cosine there is: items without text stand below every item with one.
LEAST_COSINE = -1.0


class TextKNNConfig(Config):
    """Settings of `TextKNN`."""

    center: bool = True
    """Subtract the mean vector first. Sentence encoders put all texts into one narrow cone (Mu and
    Viswanath, "All-but-the-top", ICLR 2018)."""


class TextKNN(Model):
    """Rank items by the cosine between their text and the mean text of the user's history.

    Content-based filtering with a mean profile: Pazzani and Billsus, "Content-based recommendation
    systems", 2007. The history of all domains makes one profile, so it recommends in domains new
    to a user, and items without interactions. Items without text stand last; a history
    without text gets popular items. O(items · dim) a user.

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": ["a", "b", "b"], "item_id": ["1", "2", "3"],
    ...                     "domain": ["book", "film", "film"]})
    >>> items = pd.DataFrame({"item_id": ["1", "2", "3"], "domain": ["book", "film", "film"],
    ...                       "text": ["dragons and wizards", "love story", "wizards"]})
    >>> model = TextKNN().fit(graphgen.build_graph(log, items, encoder="hashing"))
    >>> model.recommend(["a"], domain="film", k=1).item_id.tolist()
    ['3']
    """

    name: ClassVar[str] = "text-knn"
    requires: ClassVar[frozenset[str]] = frozenset({"text"})
    Config = TextKNNConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        vectors = np.array(data.features, dtype=np.float32)
        written = np.abs(vectors).sum(axis=1) > 0
        if self.config.center and written.sum() > 1:
            vectors[written] -= vectors[written].mean(axis=0)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self.vectors_ = vectors

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        profile = users.history @ self.vectors_
        length = np.linalg.norm(profile, axis=1, keepdims=True)
        targets = self.vectors_[self.data.span(domain)]
        scores = (profile / np.maximum(length, 1e-12)) @ targets.T
        scores[:, ~targets.any(axis=1)] = LEAST_COSINE
        scores[length[:, 0] == 0] = 0.0
        return np.asarray(scores, dtype=np.float32)

    def _state(self) -> dict[str, torch.Tensor]:
        return {"vectors": torch.from_numpy(self.vectors_)}

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.vectors_ = state["vectors"].numpy()
