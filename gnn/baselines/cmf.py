"""Collective matrix factorisation: user factors shared by all domains."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pydantic
import torch
from torch.nn import functional

from gnn.baselines.bpr_mf import BPRMF, BPRMFConfig
from gnn.data import TrainingData

__all__ = ["CMF", "CMFConfig"]


class CMFConfig(BPRMFConfig):
    """Settings of `CMF`."""

    balance: float = pydantic.Field(0.5, ge=0, le=1)
    """The interactions of a domain count (their number)^-balance: 0, all alike; 1, the same total
    for each domain."""


class CMF(BPRMF):
    """Factorise the matrices of all domains together, with one vector for each user.

    Singh and Gordon, "Relational learning via collective matrix factorization", KDD 2008, with the
    logistic loss on implicit feedback and one sampled item for each interaction: domains share
    the factors of their users, each has those of its items, and the losses are weighted by domain.
    Users who arrive after training have no factors: they get popular items. An epoch costs
    O(interactions · dim).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = CMF(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "cmf"
    Config = CMFConfig

    def _fit(self, data: TrainingData, **fit: Any) -> None:
        counts = np.bincount(data.item_domain[data.matrix.indices], minlength=len(data.domains))
        weight = np.maximum(counts, 1.0) ** -self.config.balance
        weight /= (weight * counts).sum() / max(1, counts.sum())
        self._weight = torch.from_numpy(weight[data.item_domain].astype(np.float32))
        super()._fit(data, **fit)

    def _pair_loss(
        self, positive: torch.Tensor, negative: torch.Tensor, items: np.ndarray
    ) -> torch.Tensor:
        weight = self._weight[torch.from_numpy(items.astype(np.int64))]
        loss = functional.softplus(-positive) + functional.softplus(negative)
        return (weight * loss).mean()
