"""The interest or the domain of a user's next interaction: experts, and a pool of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import minimize

from gnn.data import TrainingData, UserBatch, known_order
from gnn.interests.estimating import Prior, learn_prior
from gnn.interests.interests import domain_targets
from gnn.numerics.order import visits_ago
from gnn.numerics.sparse import entry_rows
from graphgen.schema import USER_ID
from graphgen.topk import top_k

if TYPE_CHECKING:
    from gnn.base import Model
    from gnn.interests.profiling import Asked, Profiler

__all__ = ["EXPERTS", "NextTargets", "coming", "fit_pool", "pooled"]

EXPERTS: Final = ("popularity", "p-top-freq", "gp-top-freq", "most-recent", "markov", "recent-freq")
WITHOUT_TRAINING: Final = ("recent-freq", "markov")
# Weight of the popularity that keeps every probability above 0.
FLOOR: Final = 0.01
# Visits after which an interaction counts half, as the most recent one and as a habit.
LATEST_HALF_LIFE, HABIT_HALF_LIFE = 0.5, 8.0
# Items of a recommender's list whose interests are added up.
LIST: Final = 50
# Ridge of the pool's weights, in interactions.
RIDGE: Final = 1.0


class NextTargets:
    """Probabilities of the targets of a user's next interaction, by several experts.

    - ``popularity``: shares of all interactions;
    - ``p-top-freq``: the user's own shares (personal frequency);
    - ``gp-top-freq``: those, then popularity (a Dirichlet prior of one interaction);
    - ``most-recent``: the targets of the latest visits;
    - ``markov``: first-order transitions from the latest visit, with the prior of popularity;
    - ``recent-freq``: the user's shares, halved every 8 visits, under the prior of all users;
    - any recommender (`of_model`): targets of its first 50 unseen items of each domain.

    Parameters
    ----------
    data
        Training data with the order of interactions.
    targets
        CSR [n_items, targets], rows sum to 1 or 0: `domain_targets`, or `Interests.joint`.
    prior
        That of `learn_prior` for these targets, where it is known.

    Raises
    ------
    ConfigError
        If the log has neither times nor positions.

    References
    ----------
    Li et al., "A next basket recommendation reality check", TOIS 2023 (P-TopFreq, GP-TopFreq).
    """

    def __init__(
        self, data: TrainingData, targets: sp.csr_matrix, prior: Prior | None = None
    ) -> None:
        order = known_order(data)
        self.data, self.targets = data, sp.csr_matrix(targets, dtype=np.float64)
        self.prior: Prior = prior or learn_prior(data.matrix, self.targets)
        row = entry_rows(order)
        sorting = np.lexsort((order.data, row))
        item, own = order.indices[sorting], row[sorting]
        step = np.flatnonzero(own[1:] == own[:-1])
        moves = self.targets[item[step]].T @ self.targets[item[step + 1]]
        moves = np.asarray(moves.todense()) + self.prior.shares
        self.moves: np.ndarray = moves / moves.sum(axis=1, keepdims=True)

    def probabilities(self, expert: str, users: UserBatch) -> np.ndarray:
        """Return float64 [n, targets] of one of `EXPERTS`; rows sum to 1, none is 0."""
        usual = np.tile(self.prior.shares, (len(users), 1))
        if expert == "popularity":
            return usual
        if expert == "p-top-freq":
            return _floored(self._amounts(users, None), usual, 0.0)
        if expert == "gp-top-freq":
            return _floored(self._amounts(users, None), usual, 1.0)
        if expert == "recent-freq":
            return _floored(self._amounts(users, HABIT_HALF_LIFE), usual, self.prior.strength)
        latest = self._amounts(users, LATEST_HALF_LIFE)
        return _floored(latest if expert == "most-recent" else latest @ self.moves, usual, 0.0)

    def of_model(self, model: Model, users: UserBatch) -> np.ndarray:
        """Return float64 [n, targets], from a recommender's scores; O(users · items).

        The targets of the first items of a domain's list, unseen ones, discounted as in DCG; the
        lists of several domains count by the user's share in each, as ``recent-freq`` has it.
        """
        data = self.data
        domains = self._of_domains.probabilities("recent-freq", users)
        result = np.zeros((len(users), self.targets.shape[1]))
        for number, domain in enumerate(data.domains):
            span = data.span(domain)
            for low, part in model.blocks(users, domain):
                scores = model.score_batch(part, domain)
                scores[part.seen_cells(span)] = -np.inf
                items, _ = top_k(scores, LIST)
                weight = np.where(items >= 0, 1 / np.log2(np.arange(items.shape[1]) + 2), 0.0)
                row = np.repeat(np.arange(len(part)), items.shape[1])
                column = span.start + np.maximum(items, 0).ravel()
                lists = sp.csr_matrix((weight.ravel(), (row, column)), (len(part), data.n_items))
                share = np.asarray((lists @ self.targets).todense())
                share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
                own = slice(low, low + len(part))
                result[own] += domains[own, number : number + 1] * share
        return _floored(result, np.tile(self.prior.shares, (len(users), 1)), 0.0)

    @cached_property
    def _of_domains(self) -> NextTargets:
        return NextTargets(self.data, domain_targets(self.data))

    def _amounts(self, users: UserBatch, half_life: float | None) -> np.ndarray:
        order = known_order(users)
        weight = np.ones(order.nnz)
        if half_life is not None:
            weight = np.exp2(-visits_ago(order) / half_life).astype(np.float64)
        decayed = sp.csr_matrix((weight, order.indices, order.indptr), users.history.shape)
        return np.asarray((decayed @ self.targets).todense())


def coming(profiler: Profiler, asked: Asked) -> pd.DataFrame:
    """Return the interest and the domain most likely next of each user.

    By the pool of ``recent-freq`` and ``markov`` in equal parts.

    Returns
    -------
    pandas.DataFrame
        user_id, interest, interest_probability, domain, domain_probability, in the order given.

    Raises
    ------
    ConfigError
        If the log has neither times nor positions.
    """
    table = pd.DataFrame({USER_ID: asked.ids})
    data = profiler.data
    interests = profiler.interests
    for name, names, experts in (
        ("interest", interests.names, NextTargets(data, interests.joint, profiler.prior)),
        ("domain", data.domains, NextTargets(data, domain_targets(data))),
    ):
        found = {expert: experts.probabilities(expert, asked.users) for expert in WITHOUT_TRAINING}
        p = pooled(found, dict.fromkeys(found, 1 / len(found)))
        table[name] = np.asarray(names, dtype=object)[p.argmax(axis=1)]
        table[f"{name}_probability"] = p.max(axis=1)
    return table


def _floored(amounts: np.ndarray, usual: np.ndarray, strength: float) -> np.ndarray:
    total = amounts.sum(axis=1, keepdims=True) + strength
    shares = np.where(total > 0, (amounts + strength * usual) / np.maximum(total, 1e-12), usual)
    return np.asarray((1 - FLOOR) * shares + FLOOR * usual)


def fit_pool(experts: Mapping[str, np.ndarray], truth: np.ndarray) -> dict[str, float]:
    """Learn the weight of each expert in a logarithmic pool; convex.

    The probability of a target is proportional to the product of the experts' probabilities, each
    to the power of its weight (at least 0): a conditional logit with the logarithms as its inputs.

    Parameters
    ----------
    experts
        Probabilities [n, targets] by name.
    truth
        int64 [n], the target that came next.

    References
    ----------
    McFadden, "Conditional logit analysis of qualitative choice behavior", 1974.

    Examples
    --------
    >>> right, wrong = np.array([[0.9, 0.1]] * 9), np.array([[0.5, 0.5]] * 9)
    >>> weights = fit_pool({"right": right, "wrong": wrong}, np.zeros(9, int))
    >>> weights["right"] > 0.5
    True
    """
    logs = np.stack([np.log(p) for p in experts.values()])
    here = np.arange(len(truth))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.tensordot(weights, logs, axes=1)
        scores -= scores.max(axis=1, keepdims=True)
        p = np.exp(scores)
        p /= p.sum(axis=1, keepdims=True)
        slope = [(p * log).sum() - log[here, truth].sum() for log in logs]
        cost = -np.log(p[here, truth]).sum() + RIDGE * ((weights - start) ** 2).sum()
        return float(cost), np.array(slope) + 2 * RIDGE * (weights - start)

    start = np.full(len(logs), 1 / len(logs))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(logs))
    return dict(zip(experts, found.x.tolist(), strict=True))


def pooled(experts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Return float64 [n, targets], the probabilities of the pool of `fit_pool`."""
    scores = np.add.reduce([weight * np.log(experts[name]) for name, weight in weights.items()])
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
