"""The score of `InterestGNN`: a mixture of its experts' distributions over the items of a domain.

    P(i | u) = w_i · Σ_e g_e(u) · m_e(u, i) / Σ_{j unseen, warm} m_e(u, j)

m_e ≥ 0 is what expert e gives to an item, g(u) the weights of the gate, and w_i is 1 for items with
interactions and `new_item_weight` for those without. `mixed_by_formula` computes this line by line
and `ExpertScores.mix_` the same in half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import pydantic
import scipy.sparse as sp
import torch

from gnn.data import UserBatch
from gnn.models.interest.new_items import TradeOff, weight_at_cost
from gnn.numerics.sparse import entry_rows
from graphgen.config import Config

__all__ = [
    "GATE_FEATURES",
    "ExpertScores",
    "Mixture",
    "ScoreExperts",
    "Scored",
    "dense",
    "gate_features",
    "mixed_by_formula",
]

GATE_FEATURES = ("constant", "log own history", "log other history", "cold in domain")
# Logits of the experts where no row is held out.
DEFAULT_LOGITS = {
    "filter": 0.0,
    "gnn": 0.5,
    "popularity": -2.0,
    "factors": -0.5,
    "semantic": -1.5,
    "ridge": 0.5,
    "sequence": -0.5,
    "recent": -0.5,
    "profile": -0.5,
    "co_consumed": -1.5,
    "attributes": -1.5,
    "social": -1.5,
}
# An expert that gives all unseen warm items of a user no more than this has no score for the user.
NO_SCORE = 1e-12
# Scores of a piece of a block: half a MB, so that what is done to it stays in the cache.
PIECE_SCORES = 1 << 17

# Scores [n, items] of an expert: CSR where most of them are 0.
Scored: TypeAlias = torch.Tensor | sp.csr_matrix


class Mixture(Config):
    """How the experts are mixed: a softmax gate, and the weight of items without interactions."""

    experts: tuple[str, ...]
    """Names of the experts."""
    gate: tuple[tuple[float, ...], ...]
    """[gate features, experts]; the weights of a user are softmax(features · gate)."""
    temperature: float = pydantic.Field(0.15, gt=0)
    """The network's distribution is softmax(cosine / temperature)."""
    recent_temperature: float = pydantic.Field(0.1, gt=0)
    """The same of the network on the latest events: fewer of them agree less."""
    new_item_weight: float = pydantic.Field(1.0, ge=0)
    """Weight of items without interactions."""
    trade_off: TradeOff = ()
    """Cost and gain of that weight on held-out rows."""

    @classmethod
    def default(cls, experts: Sequence[str]) -> Self:
        """Return the mixture of `experts` where no row is held out."""
        constant = tuple(DEFAULT_LOGITS[name] for name in experts)
        rest = ((0.0,) * len(experts),) * (len(GATE_FEATURES) - 1)
        return cls(experts=tuple(experts), gate=(constant, *rest))

    def weights(self, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, experts], rows summing to 1, for `gate_features` [n, f]."""
        return torch.softmax(features @ torch.tensor(self.gate), dim=1)

    def temperature_of(self, name: str) -> float | None:
        """Return the temperature of an expert that gives cosines; None of the others."""
        return {"gnn": self.temperature, "recent": self.recent_temperature}.get(name)

    def at_cost(self, cost: float) -> Self:
        """Return the mixture in which new items cost warm ones at most a share `cost` of NDCG."""
        if not self.trade_off:
            return self
        return self.replace(new_item_weight=weight_at_cost(self.trade_off, cost))


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


@dataclass
class ExpertScores:
    """Scores of a block of users over the items of one domain.

    Attributes
    ----------
    n_users
        Number of users.
    scores
        By expert, float32 [n, items] ≥ 0, dense or CSR, or [1, items] where it is the same for all
        users; "gnn" and "recent" hold cosines and "factors" inner products, all dense.
    seen_row, seen_column
        int64 [s], cells that the user has interacted with, by rows.
    warm
        float32 [items], 1 for items with interactions, else 0.
    trend
        float32 [n, items] > 0 that scales every expert before it is normalised; None for none.
    """

    n_users: int
    scores: dict[str, Scored]
    seen_row: torch.Tensor
    seen_column: torch.Tensor
    warm: torch.Tensor
    trend: torch.Tensor | None = None

    def probabilities(self, name: str, temperature: float | None) -> torch.Tensor:
        """Return [n, items], an expert's mass over its sum over unseen warm items.

        Rows of an expert without a score for the user are 0.
        """
        mass = _mass(name, self._for_each(dense(self.scores[name])).clone(), temperature)
        if self.trend is not None:
            mass.mul_(self.trend)
        unseen = mass.clone()
        unseen[self.seen_row, self.seen_column] = 0
        return mass.mul_(_scale(unseen @ self.warm, torch.ones(1)))

    def mix_(self, mixture: Mixture, features: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, items], as `mixed_by_formula`, and leave the dense scores changed.

        Experts of the mixture that have no scores here add nothing, so mixtures of parts of the
        experts sum to the mixture of all. O(experts · n · items), some rows at a time: what is done
        to them stays in the cache, which halves the time. Sparse experts cost their entries.
        """
        weights = mixture.weights(features)
        here = {
            name: (scores, weights[:, place])
            for place, name in enumerate(mixture.experts)
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
        # Seen items are set aside, and come back on the scale of the others.
        seen = {
            name: self._take_seen(name, part, mixture.temperature_of(name))
            for name, (part, _) in full.items()
        }
        shares = {name: torch.empty(self.n_users, 1) for name in full}
        new = torch.where(self.warm > 0, 1.0, mixture.new_item_weight)
        # The first of them becomes the mixture.
        first = [scores for scores, _ in full.values()][:1]
        mixed = first[0] if first else torch.zeros(self.n_users, len(new))
        step = max(1, PIECE_SCORES // max(1, len(new)))
        for low in range(0, self.n_users, step):
            rows = slice(low, low + step)
            part = mixed[rows]
            for name, (scores, weight) in full.items():
                mass = _mass(name, scores[rows], mixture.temperature_of(name))
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

    def parts(
        self, mixture: Mixture, features: torch.Tensor, columns: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return by expert float64 [n, columns]: what it adds to some columns of the mixture."""
        weights = mixture.weights(features)
        new = torch.where(self.warm[columns] > 0, 1.0, mixture.new_item_weight)
        found = {}
        for place, name in enumerate(mixture.experts):
            share = self.probabilities(name, mixture.temperature_of(name))[:, columns]
            found[name] = share.mul_(weights[:, [place]]).mul_(new).double().numpy()
        return found

    def _for_each(self, scores: torch.Tensor) -> torch.Tensor:
        """Return [n, items], a row for each user."""
        return scores if len(scores) == self.n_users else scores.repeat(self.n_users, 1)

    def _take_seen(
        self, name: str, scores: torch.Tensor, temperature: float | None
    ) -> torch.Tensor:
        """Return the mass of seen items, [s], and leave none in the scores."""
        cells = self.seen_row, self.seen_column
        mass = _mass(name, scores[cells], temperature)
        if self.trend is not None:
            mass *= self.trend[cells]
        scores[cells] = -torch.inf if temperature else 0.0
        return mass

    def _share_of_all(self, scores: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return [n, 1], the factors by which scores [items] of all users sum to the weight."""
        row = (scores * self.warm).double()
        total = row.sum().repeat(self.n_users)
        total.index_add_(0, self.seen_row, row[self.seen_column], alpha=-1)
        return _scale(total, weight)

    def _weighted(self, scores: sp.csr_matrix, weight: torch.Tensor) -> sp.csr_matrix:
        """Return sparse scores, summing to the weight over unseen warm items."""
        row, column, data = entry_rows(scores), scores.indices, scores.data
        if self.trend is not None:
            data = data * self.trend.numpy()[row, column]
        counts = np.broadcast_to(self.warm.numpy() > 0, scores.shape).copy()
        counts[self.seen_row.numpy(), self.seen_column.numpy()] = False
        total = np.bincount(row, data * counts[row, column], minlength=self.n_users)
        data = data * _scale(torch.from_numpy(total), weight).numpy()[row, 0]
        return sp.csr_matrix((data, column, scores.indptr), shape=scores.shape)


# Returns the experts' scores of users in a domain, and the users' gate features.
ScoreExperts: TypeAlias = Callable[[UserBatch, str], tuple[ExpertScores, torch.Tensor]]


def mixed_by_formula(
    scores: ExpertScores, mixture: Mixture, features: torch.Tensor
) -> torch.Tensor:
    """Return float32 [n, items], the formula of this module as it is written."""
    weights = mixture.weights(features)
    mixed = torch.zeros(scores.n_users, len(scores.warm))
    for place, name in enumerate(mixture.experts):
        mixed += weights[:, [place]] * scores.probabilities(name, mixture.temperature_of(name))
    return mixed * torch.where(scores.warm > 0, 1.0, mixture.new_item_weight)


def _mass(name: str, scores: torch.Tensor, temperature: float | None) -> torch.Tensor:
    """Return m_e ≥ 0 of an expert's scores, in place."""
    if temperature:
        return scores.sub_(1).mul_(1 / temperature).exp_()
    if name == "factors":
        # Squared: an iALS score is near 1 for liked items and near 0 elsewhere, and a probability
        # needs a sharper difference (chosen on the validation rows of amazon4).
        return scores.clamp_(min=0).square_()
    return scores


def _scale(total: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return float32 [n, 1], weight / total, or 0 where the expert has no score."""
    # By NumPy, which spends a tenth of PyTorch's time on so few numbers.
    scale = np.zeros((len(total), 1), dtype=np.float32)
    sums = total.numpy()
    np.divide(weight.numpy(), sums, out=scale[:, 0], where=sums > NO_SCORE, casting="same_kind")
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
