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
        # What is the same for everybody is normalised once for all of them.
        shared = {
            name: self._masses(name, blend.temperature)
            for name, scores in self.scores.items()
            if name in blend.paths and self.trend is None and _same_for_all(scores)
        }
        for low in range(0, rows, step):
            piece, part = self._dense_rows(low, low + step), mixed[low : low + step]
            for place, name in enumerate(blend.paths):
                if name in shared:
                    mass, scale = shared[name]
                    scale = scale[low : low + step]
                elif name in piece.scores:
                    mass, scale = piece._masses(name, blend.temperature)
                else:
                    continue
                part.addcmul_(mass, weights[low : low + step, place : place + 1] * scale)
            part.mul_(new)
        return mixed

    def _sparse_sum(self, blend: Blend, weights: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, items], the mixture of the sparse paths."""
        sparse = [
            (self._under_trend(scores), weights[:, place].numpy())
            for place, name in enumerate(blend.paths)
            if (scores := self.scores.get(name)) is not None
            and not isinstance(scores, torch.Tensor)
        ]
        if not sparse:
            return torch.zeros(len(weights), len(self.warm))
        sparse.sort(key=lambda part: -part[0].nnz)
        # What was seen is looked up in the fullest path as it is laid out, and found in the others.
        (fullest, weight), *others = sparse
        mixed = fullest.toarray()
        cells = self.seen_row.numpy(), self.seen_column.numpy()
        warm = self.warm.numpy().astype(np.float64)
        seen = np.bincount(cells[0], mixed[cells] * warm[cells[1]], minlength=len(mixed))
        mixed *= _scale(fullest @ warm - seen, weight)[:, None]
        if others:
            ones = np.ones(len(cells[0]), np.float32)
            pattern = sp.csr_matrix((ones, cells), shape=mixed.shape)
        for scores, weight in others:
            scale = _scale(scores @ warm - scores.multiply(pattern) @ warm, weight)
            row = entry_rows(scores)
            mixed[row, scores.indices] += scores.data * scale[row]
        return torch.from_numpy(mixed)

    def _under_trend(self, scores: sp.csr_matrix) -> sp.csr_matrix:
        if self.trend is None:
            return scores
        data = scores.data * self.trend.numpy()[entry_rows(scores), scores.indices]
        return sp.csr_matrix((data, scores.indices, scores.indptr), shape=scores.shape)

    def _dense_rows(self, low: int, high: int) -> PathScores:
        first, last = torch.searchsorted(self.seen_row, torch.tensor([low, high])).tolist()
        return PathScores(
            n_users=min(high, self.n_users) - low,
            scores={
                name: part if _same_for_all(part) else part[low:high]
                for name, part in self.scores.items()
                if isinstance(part, torch.Tensor)
            },
            seen_row=self.seen_row[first:last] - low,
            seen_column=self.seen_column[first:last],
            warm=self.warm,
            trend=None if self.trend is None else self.trend[low:high],
        )


def _same_for_all(scores: Scored) -> bool:
    return isinstance(scores, torch.Tensor) and len(scores) == 1


def _scale(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return float32 [n], what makes a path's unseen warm items sum to its weight.

    In double precision `total`, a difference of sums, is as good as a sum.
    """
    spoken = total > SILENT
    scale = np.divide(weight, total, out=np.zeros_like(total), where=spoken)
    return scale.astype(np.float32)


def dense(scores: Scored) -> torch.Tensor:
    """Return float32 [n, items]: the scores themselves if they are dense."""
    if isinstance(scores, torch.Tensor):
        return scores
    return torch.from_numpy(scores.toarray().astype(np.float32, copy=False))


# Gives the scores of users in a domain by path, with their gate features.
ScorePaths = Callable[[UserBatch, str], tuple[PathScores, torch.Tensor]]
