"""What the paths of a model say of a block of users, and its mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

from gnn.data import UserBatch
from gnn.models.interest.blend import Blend
from gnn.sparse import entry_rows

__all__ = ["SEEN_FLOOR", "PathScores", "ScorePaths", "Scored", "dense"]

# Scores [n, items] of a path: CSR where most of them are 0.
Scored: TypeAlias = torch.Tensor | sp.csr_matrix

# Below every cosine, even where a trend lowers it.
SEEN_FLOOR = -100.0
# A path with no more than this for all unseen warm items of a person says nothing of them.
SILENT = 1e-12
# Scores of a piece of a block: 1 MB, so that what is done to it stays in the cache.
PIECE_SCORES = 1 << 18


@dataclass(frozen=True)
class PathScores:
    """Scores of a block of users over the items of one domain.

    Attributes
    ----------
    n_users
        How many there are.
    scores
        By path, float32 [n, items] ≥ 0, dense or CSR, or [1, items] where it is the same for all;
        that of "gnn" holds cosines and is dense.
    seen_row, seen_column
        int64 [s], cells that the user has seen, by rows: they take no part in the normalisation.
    warm
        float32 [items], 1 for items with interactions, else 0.
    trend
        float32 [n, items] > 0 that scales every path before it is normalised; None for none.
    """

    n_users: int
    scores: dict[str, Scored]
    seen_row: torch.Tensor
    seen_column: torch.Tensor
    warm: torch.Tensor
    trend: torch.Tensor | None = None

    def probabilities(self, name: str, temperature: float) -> torch.Tensor:
        """Return a path's [n, items], summing to 1 over unseen warm items.

        Cold items get what the same normalisation gives them, on top; a path that reaches no unseen
        warm item says nothing. Dense scores of the path are consumed, except those of the network.
        """
        mass, scale = self._masses(name, temperature)
        part = mass.mul_(scale) if len(mass) == self.n_users else mass * scale
        part[self.seen_row, self.seen_column] = 0
        return part

    def _masses(self, name: str, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a path's mass [n, items], and [n, 1], what makes it 1 over unseen warm items.

        The mass is [1, items] where it is the same for all.
        """
        mass = dense(self.scores[name])
        if name == "gnn":
            mass = (mass - 1).div_(temperature).exp_()
        shared = len(mass) == 1
        if self.trend is not None:
            mass = mass * self.trend if shared else mass.mul_(self.trend)
            shared = False
        if shared:
            row = (mass[0] * self.warm).double()
            seen = row[self.seen_column]
            total = row.sum().repeat(self.n_users).index_add_(0, self.seen_row, seen, alpha=-1)
            total = total.float()
        else:
            # Apart, for what was seen may be nearly all of it.
            seen = mass[self.seen_row, self.seen_column]
            mass[self.seen_row, self.seen_column] = 0
            total = mass @ self.warm
            mass[self.seen_row, self.seen_column] = seen
        return mass, torch.where(total > SILENT, 1 / total, 0.0).unsqueeze(1)

    def unseen(self, temperature: float) -> torch.Tensor:
        """Return [n, items] that rank as the network's path, and stay finite where it is tiny."""
        scores = dense(self.scores["gnn"]).clone()
        if self.trend is not None:
            scores.add_(self.trend.log(), alpha=temperature)
        scores[self.seen_row, self.seen_column] = SEEN_FLOOR
        return scores

    def mix(self, blend: Blend, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, items], the blended scores, those of seen items on the same scale.

        Paths of the blend that have no scores here count nothing: mixtures of parts of the paths
        sum to the mixture of all.
        O(paths · n · items), some rows at a time: what is done to them stays in the cache, which
        halves the time. Sparse paths cost their entries. Dense scores of the paths are consumed.
        """
        weights = blend.weights(features)
        mixed = self._sparse_sum(blend, weights)
        rows, items = mixed.shape
        new = torch.where(self.warm > 0, 1.0, blend.new_item_weight)
        step = max(1, PIECE_SCORES // max(1, items))
        for low in range(0, rows, step):
            piece, part = self._dense_rows(low, low + step), mixed[low : low + step]
            for place, name in enumerate(blend.paths):
                if name in piece.scores:
                    mass, scale = piece._masses(name, blend.temperature)
                    part.addcmul_(mass, weights[low : low + step, place : place + 1] * scale)
            part.mul_(new)
        return mixed

    def _sparse_sum(self, blend: Blend, weights: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, items], the mixture of the sparse paths."""
        sparse = [
            (scores, weights[:, place].numpy())
            for place, name in enumerate(blend.paths)
            if (scores := self.scores.get(name)) is not None
            and not isinstance(scores, torch.Tensor)
        ]
        if not sparse:
            return torch.zeros(len(weights), len(self.warm))
        cells = (self.seen_row.numpy(), self.seen_column.numpy())
        ones = np.ones(len(self.seen_row), np.float32)
        seen = sp.csr_matrix((ones, cells), shape=(len(weights), len(self.warm)))
        parts = [self._normalized(scores, seen, weight) for scores, weight in sparse]
        parts.sort(key=lambda part: -part.nnz)
        mixed = parts[0].toarray()
        for part in parts[1:]:
            mixed[entry_rows(part), part.indices] += part.data
        return torch.from_numpy(mixed)

    def _normalized(
        self, scores: sp.csr_matrix, seen: sp.csr_matrix, weight: np.ndarray
    ) -> sp.csr_matrix:
        """Return CSR [n, items], unseen warm items of a row summing to its weight."""
        row = entry_rows(scores)
        if self.trend is not None:
            data = scores.data * self.trend.numpy()[row, scores.indices]
            scores = sp.csr_matrix((data, scores.indices, scores.indptr), shape=scores.shape)
        # In double precision a difference of sums is as good as a sum.
        warm = self.warm.numpy().astype(np.float64)
        total = scores @ warm - scores.multiply(seen) @ warm
        spoken = total > SILENT
        factor = np.divide(weight, total, out=np.zeros_like(total), where=spoken)
        factor = factor.astype(np.float32)
        return sp.csr_matrix(
            (scores.data * factor[row], scores.indices, scores.indptr), shape=scores.shape
        )

    def _dense_rows(self, low: int, high: int) -> PathScores:
        first, last = torch.searchsorted(self.seen_row, torch.tensor([low, high])).tolist()
        return PathScores(
            n_users=min(high, self.n_users) - low,
            scores={
                name: part if len(part) == 1 else part[low:high]
                for name, part in self.scores.items()
                if isinstance(part, torch.Tensor)
            },
            seen_row=self.seen_row[first:last] - low,
            seen_column=self.seen_column[first:last],
            warm=self.warm,
            trend=None if self.trend is None else self.trend[low:high],
        )


def dense(scores: Scored) -> torch.Tensor:
    """Return float32 [n, items]: the scores themselves if they are dense."""
    if isinstance(scores, torch.Tensor):
        return scores
    return torch.from_numpy(scores.toarray().astype(np.float32, copy=False))


# Gives the scores of users in a domain by path, with their gate features.
ScorePaths = Callable[[UserBatch, str], tuple[PathScores, torch.Tensor]]
