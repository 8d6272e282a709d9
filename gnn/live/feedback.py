"""Feedback on recommendations: its meaning, and dislikes that lower an item and its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Final

import numpy as np
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.interests.reranking import item_vectors
from graphgen.errors import ConfigError
from graphgen.topk import top_k

__all__ = ["REWARDS", "Dislikes", "dwell_weight", "follow_dislikes"]

# Rewards of feedback; any other event of a shown item counts 1.
REWARDS: Final = {"dislike": 0.0, "skip": 0.0}
# Seconds from which a user is satisfied (Kim et al., "Modeling dwell time to predict click-level
# satisfaction", WSDM 2014), and below which the item was only opened.
SATISFIED, OPENED = 30.0, 5.0
# Neighbours of an item that a dislike of it lowers.
NEIGHBOURS = 20


def dwell_weight(seconds: float) -> float:
    """Return the weight of a stay: 0 (seen) if the item was only opened, up to 1 (a full like).

    Examples
    --------
    >>> dwell_weight(2), dwell_weight(15), dwell_weight(300)
    (0.0, 0.5, 1.0)
    """
    return 0.0 if seconds < OPENED else min(seconds / SATISFIED, 1.0)


class Dislikes:
    """Lowers the scores of disliked items and of their near neighbours, and no other score.

    An item loses the part ``strength · nearness`` of its lead over the mean score of the user in
    the domain. Nearness is 1 for the disliked item and falls linearly in the cosine to 0 at the
    first item that is no neighbour; several dislikes add up to at most 1. Items below the mean
    stay, and so do all other items and domains, to the bit.

    Parameters
    ----------
    data
        Training data of the model.
    vectors
        Gives float32 [n_items, dim], rows of length 1 or 0, by which items are near; asked for at
        the first dislike.
    neighbours
        Items of the domain that a dislike lowers besides its own.
    strength
        In [0, 1].

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    def __init__(
        self,
        data: TrainingData,
        vectors: Callable[[], np.ndarray],
        *,
        neighbours: int = NEIGHBOURS,
        strength: float = 1.0,
    ) -> None:
        if neighbours < 0:
            raise ConfigError(f"`neighbours` must be at least 0; got {neighbours}.")
        if not 0 <= strength <= 1:
            raise ConfigError(f"`strength` must lie in [0, 1]; got {strength}.")
        self.data, self._vectors = data, vectors
        self.neighbours, self.strength = neighbours, strength

    @cached_property
    def vectors(self) -> np.ndarray:
        """The vectors of all items."""
        return self._vectors()

    def __call__(self, scores: np.ndarray, users: UserBatch, domain: str) -> None:
        """Lower scores [n, items of the domain] in place; O(disliked items · items · dim)."""
        if users.rejected is None:
            return
        disliked = users.rejected[:, self.data.span(domain)].minimum(0)
        disliked.eliminate_zeros()
        rows = np.flatnonzero(np.diff(disliked.indptr))
        if not len(rows):
            return
        disliked = sp.csr_matrix(disliked[rows])
        items, places = np.unique(disliked.indices, return_inverse=True)
        amount = np.minimum(-disliked.data, 1).astype(np.float32)
        shape = len(rows), len(items)
        near = sp.csr_matrix((amount, places, disliked.indptr), shape=shape) @ self._near(
            items, domain
        )
        lead = scores[rows] - scores[rows].mean(axis=1, keepdims=True)
        lost = near.minimum(1).multiply(np.maximum(lead, 0)).tocoo()
        scores[rows[lost.row], lost.col] -= self.strength * lost.data

    def _near(self, items: np.ndarray, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [items, items of the domain], how near these are."""
        vectors = self.vectors[self.data.span(domain)]
        cosines = vectors[items] @ vectors.T
        cosines[np.arange(len(items)), items] = np.inf
        k = min(self.neighbours + 2, len(vectors))
        columns, values = top_k(cosines.astype(np.float32), k)
        least = np.maximum(values[:, -1:], 0) if k > self.neighbours + 1 else 0.0
        nearness = np.clip((values - least) / np.maximum(1 - least, 1e-6), 0, 1)
        nearness[:, 0] = 1
        rows = np.repeat(np.arange(len(items)), k)
        cells = (nearness.ravel().astype(np.float32), (rows, columns.ravel()))
        return sp.csr_matrix(cells, shape=cosines.shape)


def follow_dislikes(model: Model, *, neighbours: int = NEIGHBOURS, strength: float = 1.0) -> Model:
    """Make a fitted model lower disliked items and their neighbours; returns the model.

    Neighbours are found by the vectors of texts where the model was just fitted, else by its item
    vectors, else by spectral vectors of its interactions. For the parameters see `Dislikes`.

    Examples
    --------
    >>> import pandas as pd
    >>> from gnn import make_model
    >>> from graphgen import build_graph
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyyzx"), "domain": "book"})
    >>> model = make_model("popularity").fit(build_graph(log, encoder="none"))
    >>> dislike = pd.DataFrame({"user_id": ["c"], "domain": "book", "item_id": "y", "weight": -1.0})
    >>> before = model.score(["c"], domain="book", history=dislike)
    >>> follower = follow_dislikes(model, neighbours=0)
    >>> after = follower.score(["c"], domain="book", history=dislike)
    >>> (before > after).tolist()
    [[False, True, False]]
    """
    vectors = partial(item_vectors, model)
    model.rescore = Dislikes(model.data, vectors, neighbours=neighbours, strength=strength)
    return model
