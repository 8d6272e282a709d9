"""The path of what follows the latest interactions of a history."""

from __future__ import annotations

import scipy.sparse as sp
import torch

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.recency import following, recent_history

__all__ = ["SequencePath"]

# What an item is to follow halves its weight over so many visits; chosen on validation rows of two
# Amazon pairs, as the exponents, where directed pairs found half as much again as undirected ones.
GAP_HALF_LIFE, USER_EXPONENT, ITEM_EXPONENT = 2.0, 0.3, 0.3


class SequencePath:
    """What other people did next after the latest items of a history.

    Parameters
    ----------
    data
        Training data with times.
    half_life
        Visits after which an interaction of the history counts half.
    links
        As `following` makes it, to be shared between paths; None makes it.
    """

    def __init__(
        self, data: TrainingData, half_life: float, links: sp.csr_matrix | None = None
    ) -> None:
        self._data = data
        self._half_life = half_life
        self.links = self.linked(data) if links is None else links
        self._columns: dict[str, sp.csr_matrix] = {}

    @staticmethod
    def linked(data: TrainingData) -> sp.csr_matrix:
        """Return CSR [n_items, n_items] of `following`."""
        assert data.times is not None
        return following(
            data.times,
            half_life=GAP_HALF_LIFE,
            user_exponent=USER_EXPONENT,
            item_exponent=ITEM_EXPONENT,
        )

    def score(self, users: UserBatch, domain: str) -> torch.Tensor:
        """Return float32 [n, items], 0 where nothing follows."""
        if domain not in self._columns:
            self._columns[domain] = self.links[:, self._data.span(domain)]
        assert users.times is not None
        history = recent_history(users.times, self._half_life)
        return torch.from_numpy((history @ self._columns[domain]).toarray())
