"""How the paths of a model are mixed: a gate over probabilities, learned on validation rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pydantic
import torch

from graphgen.config import Config

__all__ = ["GATE_FEATURES", "PATHS", "Blend", "PathScores", "gate_features"]

PATHS = ("filter", "gnn", "popularity")
GATE_FEATURES = ("constant", "log own history", "log other history", "cold in domain")


class Blend(Config):
    """A mixture of the paths' distributions over the items of a domain.

    Each path is normalised over the unseen items that have interactions, so it is a probability;
    the gate mixes the three with weights softmax(features · gate), which differ with what is known
    of a person: P(i | u) = Σ_p g_p(u) P_p(i | u).
    """

    gate: tuple[tuple[float, ...], ...] = ((0.0, 0.5, -2.0), *((0.0, 0.0, 0.0),) * 3)
    """[gate features, paths]."""
    temperature: float = pydantic.Field(0.15, gt=0)
    """The network's path is softmax(cosine / temperature)."""
    new_item_weight: float = pydantic.Field(1.0, ge=0)
    """Weight of items without interactions, in every path that reaches them."""
    frontier: tuple[tuple[float, float, float], ...] = ()
    """(new_item_weight, validation metric on items with interactions, on items without)."""

    def weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, paths], rows summing to 1, for `gate_features` [n, f]."""
        return torch.softmax(features @ torch.tensor(self.gate), dim=1)

    def weight_at_cost(self, cost: float) -> float:
        """Return the largest weight of new items that costs known items at most a share `cost`.

        Parameters
        ----------
        cost
            Share of the validation metric on known items, for instance 0.02.
        """
        if not self.frontier:
            return self.new_item_weight
        best = max(known for _, known, _ in self.frontier)
        allowed = [w for w, known, _ in self.frontier if known >= (1 - cost) * best]
        return max(allowed)


@dataclass(frozen=True)
class PathScores:
    """Raw scores of a block of users over the items of one domain.

    Attributes
    ----------
    link
        float32 [n, items] of the filter, text-bridged to cold items, 0 where nothing links.
    cosine
        float32 [n, items] of the network.
    popularity
        float32 [items].
    seen_row, seen_column
        int64 [s], cells that the user has seen: they take no part in the normalisation.
    warm
        bool [items].
    """

    link: torch.Tensor
    cosine: torch.Tensor
    popularity: torch.Tensor
    seen_row: torch.Tensor
    seen_column: torch.Tensor
    warm: torch.Tensor

    def normalize(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the filter's and popularity's [n, items], summing to 1 over unseen warm items.

        Cold items get what the same normalisation gives them, on top. `link` is consumed.
        """
        popular = self.popularity.expand(len(self.link), -1).clone()
        return self._normalize(self.link), self._normalize(popular)

    def network(self, temperature: float) -> torch.Tensor:
        """Return the network's [n, items], normalised likewise; `cosine` is left alone."""
        return self._normalize(torch.exp_((self.cosine - 1).div_(temperature)))

    def _normalize(self, scores: torch.Tensor) -> torch.Tensor:
        scores[self.seen_row, self.seen_column] = 0
        total = scores @ self.warm.to(scores.dtype)
        return scores.div_(total.clamp(min=1e-12).unsqueeze(1))

    def mix(self, blend: Blend, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, items], the blended scores; seen items get the score 0."""
        weights = blend.weights(features)
        link, popular = self.normalize()
        mixed = link.mul_(weights[:, :1])
        mixed.addcmul_(self.network(blend.temperature), weights[:, 1:2])
        mixed.addcmul_(popular, weights[:, 2:3])
        if blend.new_item_weight != 1:
            mixed[:, ~self.warm] *= blend.new_item_weight
        return mixed


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
