"""How the paths of a model are mixed: a gate over probabilities, learned on validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import pydantic
import torch

from graphgen.config import Config

__all__ = ["GATE_FEATURES", "Blend", "gate_features"]

GATE_FEATURES = ("constant", "log own history", "log other history", "cold in domain")
# Logits of the paths where nothing was validated.
DEFAULT_LOGITS = {
    "filter": 0.0,
    "gnn": 0.5,
    "popularity": -2.0,
    "factors": -0.5,
    "semantic": -1.5,
    "ridge": 0.5,
    "sequence": -0.5,
}


class Blend(Config):
    """A mixture of the paths' distributions over the items of a domain.

    Each path is normalised over the unseen items that have interactions, so it is a probability;
    the gate mixes them with weights softmax(features · gate), which differ with what is known of a
    person: P(i | u) = Σ_p g_p(u) P_p(i | u).
    """

    paths: tuple[str, ...]
    """Names of what is mixed."""
    gate: tuple[tuple[float, ...], ...]
    """[gate features, paths]."""
    temperature: float = pydantic.Field(0.15, gt=0)
    """The network's path is softmax(cosine / temperature)."""
    new_item_weight: float = pydantic.Field(1.0, ge=0)
    """Weight of items without interactions, in every path that reaches them."""
    frontier: tuple[tuple[float, float, float], ...] = ()
    """(new_item_weight, share of NDCG@20 on items with interactions that the people keep who lose
    most by it, NDCG@20 on items without), on validation rows."""

    @classmethod
    def default(cls, paths: Sequence[str]) -> Self:
        """Return the mixture of `paths` where there is nothing to choose it by."""
        constant = tuple(DEFAULT_LOGITS[name] for name in paths)
        rest = ((0.0,) * len(paths),) * (len(GATE_FEATURES) - 1)
        return cls(paths=tuple(paths), gate=(constant, *rest))

    def weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, paths], rows summing to 1, for `gate_features` [n, f]."""
        return torch.softmax(features @ torch.tensor(self.gate), dim=1)

    def weight_at_cost(self, cost: float) -> float:
        """Return the largest weight of new items that costs known items at most a share `cost`.

        Between two measured weights the cost is taken to be linear. Where no weight within the cost
        finds new items at all, it is 0: they would only stand in the way.

        Parameters
        ----------
        cost
            Share of NDCG@20 on known items, for instance 0.02.
        """
        if not self.frontier:
            return self.new_item_weight
        weights = np.array([weight for weight, _, _ in self.frontier])
        known = np.array([metric for _, metric, _ in self.frontier])
        floor = (1 - cost) * known.max()
        found = np.array([metric for _, _, metric in self.frontier])
        if not (found[known >= floor] > 0).any():
            return 0.0
        last = int(np.flatnonzero(known >= floor)[-1])
        if last == len(weights) - 1:
            return float(weights[-1])
        share = (known[last] - floor) / (known[last] - known[last + 1])
        return float(weights[last] + share * (weights[last + 1] - weights[last]))


def gate_features(own: np.ndarray, other: np.ndarray) -> torch.Tensor:
    """Return float32 [n, 4] from the numbers of interactions in the target and in other domains.

    Examples
    --------
    >>> gate_features(np.array([0, 2]), np.array([3, 0])).shape
    torch.Size([2, 4])
    """
    own, other = own.astype(np.float32), other.astype(np.float32)
    columns = [np.ones_like(own), np.log1p(own), np.log1p(other), (own == 0).astype(np.float32)]
    return torch.from_numpy(np.stack(columns, axis=1))
