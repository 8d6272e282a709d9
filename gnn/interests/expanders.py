"""Scores of interests that a user does not have yet: which one is taken up next."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from gnn.asked import asked_users, history_log
from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.interests.interests import Interests
from gnn.numerics.sparse import pattern
from gnn.registry import make_model
from gnn.users import user_batch
from graphgen.errors import ConfigError
from graphgen.schema import INTERESTS
from graphgen.vocabulary import Vocabulary

__all__ = ["EXPANDERS", "Expander"]

EXPANDERS = ("blend", "items", "user-knn", "item-knn", "graph-filter", "ease", "popularity")
# Of the items of a domain the best for a user speak for their interests; all the others together
# are popularity. 200 and 500 were best on validation rows of amazon4, of 20 to all.
BEST = 200
# Interactions that the population's shares of the domains count for, beside the user's own.
PRIOR = 0.1
LEAST = 1e-12
BLOCK_SCORES = 1 << 24


class Expander:
    """Scores every interest for a user, as `eval.evaluate` takes a scorer.

    Parameters
    ----------
    model
        A fitted model of items.
    interests
        Interests of its items; None for those in the model.
    by
        ``items``: the share of an interest in the `BEST` unseen items of each domain, by the
        model's scores, the domains weighted by the user's interactions. ``user-knn``: the interests
        of users with items in common. ``popularity``, ``item-knn``, ``ease``, ``graph-filter``:
        these models, fitted on users and interests in the place of items. ``blend``: the mean of
        ``items`` and ``user-knn``.

    Raises
    ------
    ConfigError
        If `by` is none of these, or there are no topics.
    """

    def __init__(self, model: Model, interests: Interests | None = None, *, by: str = "blend"):
        if by not in EXPANDERS:
            raise ConfigError(f"`by` must be one of {', '.join(EXPANDERS)}; got {by!r}.")
        self.model, self.by = model, by
        self.interests = Interests.of(model.data) if interests is None else interests
        self.has = self.had(model.data.matrix)
        names = Vocabulary(list(self.interests.names))
        self._data = TrainingData(model.data.users, {INTERESTS: names}, self.has)
        self._own: Any = None
        self._knn = by in ("blend", "user-knn")
        if self._knn:
            self._own = _fitted("user-knn", model.data)
        elif by != "items":
            self._own = _fitted(by, self._data)

    def had(self, history: sp.csr_matrix) -> sp.csr_matrix:
        """Return float32 CSR [n, interests], 1 where a history holds an interest."""
        return pattern(self.interests.amounts(history)).astype(np.float32)

    # What an evaluator asks for ----------------------------------------------------------

    @property
    def domains(self) -> list[str]:
        """The only domain, `INTERESTS`."""
        return [INTERESTS]

    @property
    def users(self) -> Vocabulary:
        """Users of the training data."""
        return self.model.users

    def items(self, domain: str) -> Vocabulary:
        """Return the interests."""
        return self._data.items[domain]

    def score(self, user_ids: Any, *, domain: str, history: Any = None) -> np.ndarray:
        """Return float32 [users, interests]."""
        ids = asked_users(user_ids)
        users = user_batch(self.model.data, ids, history_log(history, self.model.data, ids))
        scores = np.empty((len(users), len(self.interests)), dtype=np.float32)
        step = self.block_size
        for low in range(0, len(users), step):
            part = users.rows_of(slice(low, low + step))
            scores[low : low + step] = self.scores(part, self.masses(part))
        return scores

    def seen(self, user_ids: Any, *, domain: str) -> sp.csr_matrix:
        """Return float32 CSR [users, interests], 1 where the user has an interest."""
        return self.had(user_batch(self.model.data, asked_users(user_ids), None).history)

    # The scores ---------------------------------------------------------------------------

    @property
    def asks_model(self) -> bool:
        """Whether the scores of interests depend on the model's scores of items."""
        return self.by in ("blend", "items")

    @property
    def members(self) -> Mapping[str, sp.csr_matrix]:
        """Membership of items by domain; see `Interests`."""
        return self.interests.members

    @cached_property
    def columns(self) -> dict[str, sp.csc_matrix]:
        """`Interests.members` by columns."""
        return {domain: sp.csc_matrix(part) for domain, part in self.interests.members.items()}

    @property
    def block_size(self) -> int:
        """Users that are scored at once."""
        return max(1, BLOCK_SCORES // self.model.data.n_items)

    def masses(self, users: UserBatch) -> dict[str, np.ndarray]:
        """Return `mass` of every domain; empty for expanders that do not ask the model."""
        if not self.asks_model:
            return {}
        return {name: self.mass(users, name, self.unseen(users, name)) for name in self.members}

    def unseen(self, users: UserBatch, domain: str) -> np.ndarray:
        """Return float32 [n, items of the domain], the model's scores; 0 for seen items.

        Scores below 0 are moved up. O(n · items).
        """
        scores = self.model.score_batch(users, domain)
        scores -= np.minimum(scores.min(axis=1, keepdims=True), 0)
        scores[users.seen_cells(self.model.data.span(domain))] = 0
        return scores

    def mass(self, users: UserBatch, domain: str, scores: np.ndarray) -> np.ndarray:
        """Return float32 [n, interests], the interests' shares of the best items of a domain.

        Over all domains they sum to at most 1. O(n · items).
        """
        data, span = self.model.data, self.model.data.span(domain)
        best = scores
        if scores.shape[1] > BEST:
            least = np.partition(scores, -BEST, axis=1)[:, -BEST]
            best = np.where(scores < least[:, None], np.float32(0), scores)
        best = sp.csr_matrix(best)
        own, every = (part.sum(axis=1) for part in (users.history[:, span], users.history))
        usual = data.liking[span].sum() / max(data.liking.sum(), LEAST)
        weight = (own + PRIOR * usual) / (every + PRIOR) / np.maximum(best.sum(axis=1), LEAST)
        return np.asarray((best @ self.members[domain]).toarray() * np.asarray(weight), np.float32)

    def scores(self, users: UserBatch, masses: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 [n, interests], shares that sum to 1; 0 for interests of the user.

        `masses` are those of `masses`.
        """
        had = self.had(users.history)
        parts: list[np.ndarray] = []
        if self.asks_model:
            parts.append(np.sum(list(masses.values()), axis=0))
        if self._knn:
            votes = [(near @ self.has).toarray() for near in self._own.neighbors(users)]
            parts.append(np.concatenate(votes))
        elif self._own is not None:
            parts.append(self._own.score_batch(UserBatch(users.index, had, users.keys), INTERESTS))
        common = np.diff(self.has.tocsc().indptr).astype(np.float32)
        total = np.zeros(had.shape, dtype=np.float32)
        for part in parts:
            part = part - np.minimum(part.min(axis=1, keepdims=True), 0)
            part[had.nonzero()] = 0
            # Without any score for the user, what is common.
            part = np.where(part.any(axis=1, keepdims=True), part, common)
            part[had.nonzero()] = 0
            total += part / np.maximum(part.sum(axis=1, keepdims=True), LEAST) / len(parts)
        return total


def _fitted(name: str, data: TrainingData) -> Model:
    return make_model(name).fit_data(data, None, seed=0, options=FitOptions())
