"""The path of what follows the latest interactions of a history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData, UserBatch, known_times
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
        As `linked` makes it, to be shared between paths; None makes it.
    """

    def __init__(
        self,
        data: TrainingData,
        half_life: float,
        links: Mapping[str, sp.csr_matrix] | None = None,
    ) -> None:
        self._half_life = half_life
        self.links = self.linked(data) if links is None else links

    @staticmethod
    def linked(data: TrainingData) -> dict[str, sp.csr_matrix]:
        """Return `following` by domain, CSR [n_items, items of the domain]."""
        links = following(
            known_times(data),
            half_life=GAP_HALF_LIFE,
            user_exponent=USER_EXPONENT,
            item_exponent=ITEM_EXPONENT,
        )
        return {domain: links[:, data.span(domain)] for domain in data.domains}

    def score(self, users: UserBatch, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [n, items], without entry where nothing follows."""
        history = recent_history(known_times(users), self._half_life)
        return (history @ self.links[domain]).astype(np.float32, copy=False).tocsr()
