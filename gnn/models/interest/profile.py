"""The expert of users' texts: profiles and search queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gnn.data import TrainingData, UserBatch
from gnn.numerics.least_squares import ridge_solution
from gnn.numerics.propagation import normalized_adjacency
from gnn.numerics.scoring import inner_products
from gnn.numerics.svd import spectral_vectors

__all__ = ["ProfileExpert", "ProfileVectors", "fit_profiles"]

WIDTH = 64
# Ridge of the map from texts of users to their spectral vectors, as that of item texts.
RIDGE = 30.0


@dataclass(frozen=True)
class ProfileVectors:
    """What is learned of users' texts.

    Attributes
    ----------
    users
        float32 [n_users, 64], what the text of each user says; zeros without text.
    items
        float32 [n_items, 64], spectral vectors; zeros without interactions.
    """

    users: torch.Tensor
    items: torch.Tensor


def fit_profiles(
    data: TrainingData, texts: np.ndarray, generator: np.random.Generator
) -> ProfileVectors:
    """Map users' texts to what their histories say, by ridge regression; O(n_users · dim²).

    Parameters
    ----------
    data
        Training data.
    texts
        float32 [n_users, dim], rows of zeros without text.
    generator
        Of the spectral vectors.
    """
    items = spectral_vectors(data.matrix, WIDTH, generator)
    items *= torch.from_numpy(data.warm).unsqueeze(1)
    tastes = torch.from_numpy(normalized_adjacency(data.matrix, 0.5, 0.5) @ items.numpy())
    x = torch.from_numpy(np.array(texts))
    known = (x != 0).any(dim=1) & torch.from_numpy(np.diff(data.matrix.indptr) > 0)
    return ProfileVectors(x @ ridge_solution(x[known], tastes[known], RIDGE), items)


class ProfileExpert:
    """Items that users with similar texts like, also for users without interactions.

    Parameters
    ----------
    data
        Training data.
    vectors
        As `fit_profiles` makes them.
    """

    def __init__(self, data: TrainingData, vectors: ProfileVectors) -> None:
        self._data = data
        self._vectors = vectors

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items]; negative scores are 0, and all of users without a text."""
        items = self._vectors.items[self._data.span(domain)]
        return inner_products(self.users(users), items).clamp_(min=0)

    def users(self, users: UserBatch) -> torch.Tensor:
        """Return float32 [n, 64]; zeros for users without a text, or who came after training."""
        found = self._vectors.users[torch.from_numpy(np.maximum(users.index, 0))]
        return found * torch.from_numpy(users.index >= 0).unsqueeze(1)
