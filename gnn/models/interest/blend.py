"""How the paths of a model are mixed: a gate over probabilities, learned on validation rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pydantic
import torch

from gnn.data import UserBatch
from graphgen.config import Config

__all__ = ["GATE_FEATURES", "Blend", "PathScores", "ScorePaths", "gate_features"]

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


# Below every cosine, even where a trend lowers it.
SEEN_FLOOR = -100.0
# Scores of a piece of a block: 1 MB, so that what is done to it stays in the cache.
PIECE_SCORES = 1 << 18


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
    """(new_item_weight, validation metric on items with interactions, on items without)."""

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
            Share of the validation metric on known items, for instance 0.02.
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


@dataclass(frozen=True)
class PathScores:
    """Scores of a block of users over the items of one domain.

    Attributes
    ----------
    scores
        By path, float32 [n, items] ≥ 0; that of "gnn" holds cosines.
    seen_row, seen_column
        int64 [s], cells that the user has seen, by rows: they take no part in the normalisation.
    warm
        float32 [items], 1 for items with interactions, else 0.
    trend
        float32 [n, items] > 0 that scales every path before it is normalised; None for none.
    """

    scores: dict[str, torch.Tensor]
    seen_row: torch.Tensor
    seen_column: torch.Tensor
    warm: torch.Tensor
    trend: torch.Tensor | None = None

    def probabilities(self, name: str, temperature: float) -> torch.Tensor:
        """Return a path's [n, items], summing to 1 over unseen warm items.

        Cold items get what the same normalisation gives them, on top. The scores of the path are
        consumed, except those of the network and of popularity.
        """
        scores, total = self._masses(name, temperature)
        return scores.div_(total)

    def _masses(self, name: str, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a path's unnormalised [n, items], and what to divide it by, [n, 1]."""
        scores = self.scores[name]
        if name == "gnn":
            scores = (scores - 1).div_(temperature).exp_()
        elif name == "popularity":
            scores = scores.clone()  # All rows are one, and not this block's.
        if self.trend is not None:
            scores.mul_(self.trend)
        scores[self.seen_row, self.seen_column] = 0
        total = scores @ self.warm
        return scores, total.clamp(min=1e-12).unsqueeze(1)

    def unseen(self, temperature: float) -> torch.Tensor:
        """Return [n, items] that rank as the network's path, and stay finite where it is tiny."""
        scores = self.scores["gnn"].clone()
        if self.trend is not None:
            scores.add_(self.trend.log(), alpha=temperature)
        scores[self.seen_row, self.seen_column] = SEEN_FLOOR
        return scores

    def mix(self, blend: Blend, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, items], the blended scores; seen items get the score 0.

        O(paths · n · items), some rows at a time: what is done to them stays in the cache, which
        halves the time. The scores of the paths are consumed.
        """
        weights = blend.weights(features)
        rows, items = self.scores[blend.paths[0]].shape
        mixed = torch.zeros(rows, items)
        new = torch.where(self.warm > 0, 1.0, blend.new_item_weight)
        step = max(1, PIECE_SCORES // max(1, items))
        for low in range(0, rows, step):
            piece, part = self._rows(low, low + step), mixed[low : low + step]
            for place, name in enumerate(blend.paths):
                mass, total = piece._masses(name, blend.temperature)
                part.addcmul_(mass, weights[low : low + step, place : place + 1] / total)
            part.mul_(new)
        return mixed

    def _rows(self, low: int, high: int) -> PathScores:
        first, last = torch.searchsorted(self.seen_row, torch.tensor([low, high])).tolist()
        return PathScores(
            scores={name: part[low:high] for name, part in self.scores.items()},
            seen_row=self.seen_row[first:last] - low,
            seen_column=self.seen_column[first:last],
            warm=self.warm,
            trend=None if self.trend is None else self.trend[low:high],
        )


# Gives the scores of users in a domain by path, with their gate features.
ScorePaths = Callable[[UserBatch, str], tuple[PathScores, torch.Tensor]]


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
