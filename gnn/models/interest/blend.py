"""How the paths of a model are mixed: a gate over probabilities, learned on validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
import pydantic
import torch

from gnn.models.interest.frontier import Frontier, weight_at_cost
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
    frontier: Frontier = ()
    """What that weight costs and gains over all domains."""
    own_new_item_weights: dict[str, Annotated[float, pydantic.Field(ge=0)]] = pydantic.Field({})
    """The weight in domains that have one of their own."""
    own_frontiers: dict[str, Frontier] = pydantic.Field({})
    """What those cost and gain there."""

    @classmethod
    def default(cls, paths: Sequence[str]) -> Self:
        """Return the mixture of `paths` where there is nothing to choose it by."""
        constant = tuple(DEFAULT_LOGITS[name] for name in paths)
        rest = ((0.0,) * len(paths),) * (len(GATE_FEATURES) - 1)
        return cls(paths=tuple(paths), gate=(constant, *rest))

    def weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, paths], rows summing to 1, for `gate_features` [n, f]."""
        return torch.softmax(features @ torch.tensor(self.gate), dim=1)

    def within(self, domain: str) -> Self:
        """Return the mixture with the weight of new items that holds in a domain."""
        weight = self.own_new_item_weights.get(domain, self.new_item_weight)
        return self.model_copy(update={"new_item_weight": weight})

    def at_cost(self, cost: float) -> Self:
        """Return the mixture in which new items cost known ones at most a share `cost`.

        In each domain that has a frontier of its own, and in the others together.

        Parameters
        ----------
        cost
            Share of NDCG@20 on known items, for instance 0.02.
        """
        if not self.frontier:
            return self
        return self.replace(
            new_item_weight=weight_at_cost(self.frontier, cost),
            own_new_item_weights={
                domain: weight_at_cost(own, cost) for domain, own in self.own_frontiers.items()
            },
        )


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
