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
from gnn.numerics.sparse import entry_rows

__all__ = ["SEEN_FLOOR", "PathScores", "ScorePaths", "Scored", "dense"]

# Scores [n, items] of a path: CSR where most of them are 0.
Scored: TypeAlias = torch.Tensor | sp.csr_matrix

# Below every cosine, even where a trend lowers it.
SEEN_FLOOR = -100.0
# A path with no more than this for all unseen warm items of a person says nothing of them.
SILENT = 1e-12
# Scores of a piece of a block: half a MB, so that what is done to it stays in the cache.
PIECE_SCORES = 1 << 17


@dataclass(frozen=True)
class PathScores:
    """Scores of a block of users over the items of one domain.

    Attributes
    ----------
    n_users
        How many there are.
    scores
        By path, float32 [n, items] ≥ 0, dense or CSR, or [1, items] where it is the same for all;
        that of "gnn" holds cosines and that of "factors" inner products, both dense.
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
        scores = self._for_each(dense(self.scores[name]))
        mass = _mass(name, scores.clone() if name == "gnn" else scores, temperature)
        if self.trend is not None:
            mass.mul_(self.trend)
        mass[self.seen_row, self.seen_column] = 0
        return mass.mul_(_scale(mass @ self.warm, torch.ones(1)))

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
        here = {
            name: (scores, weights[:, place])
            for place, name in enumerate(blend.paths)
            if (scores := self.scores.get(name)) is not None
        }
        sparse = [self._weighted(*part) for part in here.values() if sp.issparse(part[0])]
        full, shared = {}, []
        for name, (scores, weight) in here.items():
            if not isinstance(scores, torch.Tensor):
                continue
            if len(scores) == self.n_users or self.trend is not None:
                full[name] = self._for_each(scores), weight
            else:
                shared.append((scores, self._share_of_all(scores[0], weight)))
        # What was seen stands aside, and comes back on the scale of the others.
        seen = {
            name: self._take_seen(name, part, blend.temperature) for name, (part, _) in full.items()
        }
        shares = {name: torch.empty(self.n_users, 1) for name in full}
        new = torch.where(self.warm > 0, 1.0, blend.new_item_weight)
        # The first of them becomes the mixture.
        first = [scores for scores, _ in full.values()][:1]
        mixed = first[0] if first else torch.zeros(self.n_users, len(new))
        step = max(1, PIECE_SCORES // max(1, len(new)))
        for low in range(0, self.n_users, step):
            rows = slice(low, low + step)
            part = mixed[rows]
            for name, (scores, weight) in full.items():
                mass = _mass(name, scores[rows], blend.temperature)
                if self.trend is not None:
                    mass.mul_(self.trend[rows])
                shares[name][rows] = share = _scale(mass @ self.warm, weight[rows])
                if scores is mixed:
                    part.mul_(share)
                else:
                    part.addcmul_(mass, share)
            for scores, share in shared:
                part.addcmul_(scores, share[rows])
            for matrix in sparse:
                _add_rows(part, matrix, rows)
            part.mul_(new)
        for name, mass in seen.items():
            mass *= shares[name][self.seen_row, 0] * new[self.seen_column]
            mixed.index_put_((self.seen_row, self.seen_column), mass, accumulate=True)
        return mixed

    def _for_each(self, scores: torch.Tensor) -> torch.Tensor:
        """Return [n, items], rows of their own for everybody."""
        return scores if len(scores) == self.n_users else scores.repeat(self.n_users, 1)

    def _take_seen(self, name: str, scores: torch.Tensor, temperature: float) -> torch.Tensor:
        """Return the mass of what was seen, [s], and leave none in the scores."""
        cells = self.seen_row, self.seen_column
        mass = _mass(name, scores[cells], temperature)
        if self.trend is not None:
            mass *= self.trend[cells]
        scores[cells] = -torch.inf if name == "gnn" else 0.0
        return mass

    def _share_of_all(self, scores: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return [n, 1], what makes scores [items] that everybody shares sum to the weight."""
        row = (scores * self.warm).double()
        total = row.sum().repeat(self.n_users)
        total.index_add_(0, self.seen_row, row[self.seen_column], alpha=-1)
        return _scale(total, weight)

    def _weighted(self, scores: sp.csr_matrix, weight: torch.Tensor) -> sp.csr_matrix:
        """Return sparse scores, summing to the weight over unseen warm items."""
        row, data = entry_rows(scores), scores.data
        if self.trend is not None:
            data = data * self.trend.numpy()[row, scores.indices]
            scores = sp.csr_matrix((data, scores.indices, scores.indptr), shape=scores.shape)
        ones = np.ones(len(self.seen_row), np.float32)
        cells = self.seen_row.numpy(), self.seen_column.numpy()
        pattern = sp.csr_matrix((ones, cells), shape=scores.shape)
        # In double precision a difference of sums is as good as a sum.
        warm = self.warm.numpy().astype(np.float64)
        total = torch.from_numpy(scores @ warm - scores.multiply(pattern) @ warm)
        data = data * _scale(total, weight).numpy()[row, 0]
        return sp.csr_matrix((data, scores.indices, scores.indptr), shape=scores.shape)


def _mass(name: str, scores: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return what a path's scores weigh, at least 0; in place."""
    if name == "gnn":
        return scores.sub_(1).mul_(1 / temperature).exp_()
    if name == "factors":
        # Squared: an iALS score is near 1 for what is liked and near 0 elsewhere, and a probability
        # needs a sharper difference (chosen on the validation rows of a log of four domains).
        return scores.clamp_(min=0).square_()
    return scores


def _scale(total: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return float32 [n, 1], what makes a path's unseen warm items sum to its weight."""
    # By NumPy, which spends a tenth of PyTorch's time on so few numbers.
    scale = np.zeros((len(total), 1), dtype=np.float32)
    sums = total.numpy()
    np.divide(weight.numpy(), sums, out=scale[:, 0], where=sums > SILENT, casting="same_kind")
    return torch.from_numpy(scale)


def _add_rows(part: torch.Tensor, scores: sp.csr_matrix, rows: slice) -> None:
    """Add rows of a matrix to `part`, in place."""
    ends = scores.indptr[rows.start : rows.start + len(part) + 1]
    first = np.arange(len(part), dtype=np.int64) * part.shape[1]
    place = np.repeat(first, np.diff(ends)) + scores.indices[ends[0] : ends[-1]]
    added = torch.from_numpy(scores.data[ends[0] : ends[-1]])
    part.view(-1).index_add_(0, torch.from_numpy(place), added)


def dense(scores: Scored) -> torch.Tensor:
    """Return float32 [n, items]: the scores themselves if they are dense."""
    if isinstance(scores, torch.Tensor):
        return scores
    return torch.from_numpy(scores.toarray().astype(np.float32, copy=False))


# Gives the scores of users in a domain by path, with their gate features.
ScorePaths = Callable[[UserBatch, str], tuple[PathScores, torch.Tensor]]
