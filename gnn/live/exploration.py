"""Exploration: lists with room for chance, and the exact probability of each shown item."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import comb
from scipy.stats import binom

from gnn.base import Model
from gnn.data import UserBatch
from gnn.interests.reranking import CANDIDATES, LENGTHS, item_vectors, relative_scores, uniforms
from gnn.live.bandit import BanditConfig, CandidateFeatures, LinearBandit
from gnn.users import user_batch
from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, REWARD, USER_ID
from graphgen.topk import tie_noise, top_k

__all__ = ["EXPLORERS", "Explorer", "Question", "method_of", "questions"]

EXPLORERS: Final = ("epsilon", "thompson", "linucb")
# Share of random places by default.
EPSILON: Final = 0.1
# Random numbers of places and of posterior draws, by their first column.
PLACES, DRAWS = -(1 << 20), -(1 << 42)
# Users whose candidates are ordered by every posterior draw at once.
BLOCK: Final = 32


class Explorer:
    """Chooses lists that explore, as `rerank=` of `gnn.base.Model.recommend`.

    A list starts from the best `k` candidates in the order of the method, by score (``epsilon``),
    by a draw of the expected reward (``thompson``) or by its upper confidence bound (``linucb``).
    Each place is given to a random candidate, the best ones included, with the probability
    `epsilon`, so that every candidate may be shown at every place and the log can judge any other
    policy over the candidates.

    Probabilities are exact. Thompson takes one of `BanditConfig.draws` posterior draws for each
    list, all of them known, so that the probability of an item at a place is the share of draws
    that put it there: nothing is estimated.

    Parameters
    ----------
    model
        A fitted model.
    method
        One of `EXPLORERS`.
    epsilon
        Probability in [0, 1] that a place is random; with 0 ``epsilon`` is the order by score.
    seed
        Of all random choices: same seed, same lists.
    **settings
        Fields of `BanditConfig`.

    Raises
    ------
    ConfigError
        If the method is unknown or a setting out of range.

    References
    ----------
    Li et al., "Offline evaluation of ranking policies with click models", KDD 2018. Lu and Van Roy,
    "Ensemble sampling", NeurIPS 2017.
    """

    def __init__(
        self,
        model: Model,
        method: str = "epsilon",
        *,
        epsilon: float = EPSILON,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        _check(method, epsilon)
        self.model, self.method, self.epsilon, self.seed = model, method, float(epsilon), seed
        self.features = CandidateFeatures(item_vectors(model))
        self.bandit = LinearBandit(self.features.dim, BanditConfig.make(**settings))

    @classmethod
    def of(cls, model: Model, text: str, *, seed: int = 0) -> Explorer:
        """Make one from a text that `method_of` reads."""
        method, epsilon = method_of(text)
        return cls(model, method, epsilon=epsilon, seed=seed)

    def varied(self, text: str, seed: int) -> Explorer:
        """Return one of another method and seed that knows what this one has learned."""
        other = copy(self)
        other.method, other.epsilon = method_of(text)
        other.seed = seed
        return other

    def depth(self, k: int) -> int:
        """Return how many candidates a list of `k` is chosen from."""
        return max(CANDIDATES, LENGTHS * k)

    def learn(self, shown: pd.DataFrame, history: InteractionLog | None = None) -> Explorer:
        """Learn the bandit from user_id, domain, item_id and reward (in [0, 1]) of shown items.

        Items of unknown domains and unknown items are left out. `history` as of `Model.recommend`.
        """
        missing = {USER_ID, DOMAIN, ITEM_ID, REWARD} - set(shown.columns)
        if missing:
            raise InputError(f"The shown items have no column {', '.join(sorted(missing))}.")
        for asked in questions(self.model, shown, self.depth(1), history):
            relevance = relative_scores(asked.scores)
            found, features = self.of_items(asked, relevance, asked.shown)
            rewards = shown[REWARD].to_numpy(float)[asked.rows]
            self.bandit.learn(features[found], rewards[found])
        return self

    def of_items(
        self, asked: Question, relevance: np.ndarray, columns: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return bool [rows], whether an item is known, and features [rows, dim] of shown items.

        An item that is no candidate has the least relevance.
        """
        same = asked.columns[asked.user] == columns[:, None]
        own = np.where(same, np.maximum(relevance, 0)[asked.user], 0).max(axis=1, initial=0)
        users = asked.users.rows_of(asked.user)
        return columns >= 0, self.features(users, columns[:, None], own[:, None])[:, 0]

    def __call__(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> np.ndarray:
        """Choose lists; see `gnn.recommending.Chooser`."""
        return self.chosen(users, columns, scores, k)[0]

    def chosen(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the places [n, k] of `__call__`, and the probability of each to be there."""
        places = np.full((len(users), k), -1, dtype=np.int64)
        chance = np.zeros((len(users), k))
        for part, order, likely in self._blocks(users, columns, scores, k):
            keys, row = users.keys[part], np.arange(len(order))
            draw = (uniforms(keys, DRAWS, 1, self.seed)[:, 0] * order.shape[1]).astype(np.int64)
            at = uniforms(keys, PLACES, k, self.seed) < self.epsilon
            noise = tie_noise(keys[:, None], columns[part], seed=self.seed)
            picked = _mixed(order[row, draw], columns[part] >= 0, at, noise)
            places[part] = picked
            likely = likely[row[:, None], picked, np.arange(k)]
            chance[part] = np.where(picked >= 0, likely, 0)
        return places, chance

    def propensities(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> np.ndarray:
        """Return float64 [n, m, k], the probability that a candidate is shown at a place.

        Parameters as of `__call__`; exact.
        """
        blocks = [likely for *_, likely in self._blocks(users, columns, scores, k)]
        return np.concatenate(blocks) if blocks else np.zeros((*columns.shape, k))

    def _blocks(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield by block of users: orders [n, draws, m] and probabilities [n, m, k]."""
        relevance = relative_scores(scores)
        for low in range(0, len(users), BLOCK):
            part = slice(low, low + BLOCK)
            value = self._values(users.rows_of(part), columns[part], relevance[part])
            value = np.where(columns[part][:, None] >= 0, value, -np.inf)
            order = np.argsort(-value, axis=2, kind="stable")
            yield part, order, self._marginals(order, columns[part] >= 0, k)

    def _values(self, users: UserBatch, columns: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        """Return [n, draws, m], by which the candidates are ordered."""
        if self.method == "epsilon":
            return relevance[:, None]
        features = self.features(users, columns, relevance)
        if self.method == "linucb":
            return self.bandit.bounds(features)[:, None]
        return np.moveaxis(features @ self.bandit.sampled(self.seed), 2, 1)

    def _marginals(self, order: np.ndarray, there: np.ndarray, k: int) -> np.ndarray:
        """Return float64 [n, m, k], probabilities of candidates at places, from their orders."""
        n, draws, m = order.shape
        top = min(k, m)
        first = np.zeros((n, m, k))
        row = np.arange(n)[:, None, None]
        np.add.at(first, (row, order[..., :top], np.arange(top)), 1 / draws)
        result = np.zeros((n, m, k))
        sizes = there.sum(axis=1)
        for size in np.unique(sizes[sizes > 0]):
            rows = sizes == size
            moved = place_chances(k, self.epsilon, int(size))
            random = self.epsilon / size * (np.arange(k) < size)
            result[rows] = (first[rows] @ moved + random) * there[rows][..., None]
        return result


def method_of(text: str) -> tuple[str, float]:
    """Read ``METHOD`` or ``METHOD=EPSILON``; ``greedy`` is ``epsilon=0``.

    Raises
    ------
    ConfigError
        If the method is unknown, or what follows it is no number in [0, 1].

    Examples
    --------
    >>> method_of("thompson"), method_of("greedy")
    (('thompson', 0.1), ('epsilon', 0.0))
    """
    method, _, share = text.partition("=")
    if text == "greedy":
        method, share = "epsilon", "0"
    try:
        epsilon = float(share or EPSILON)
    except ValueError:
        raise ConfigError(f"{text!r} must be METHOD=EPSILON, such as epsilon=0.1.") from None
    _check(method, epsilon)
    return method, epsilon


def _check(method: str, epsilon: float) -> None:
    if method not in EXPLORERS:
        known = near_miss(method, EXPLORERS, f"there are {', '.join(EXPLORERS)}.")
        raise ConfigError(f"There is no exploration {method!r}; {known}")
    if not 0 <= epsilon <= 1:
        raise ConfigError(f"`epsilon` must lie in [0, 1]; got {epsilon}.")


def _mixed(order: np.ndarray, there: np.ndarray, at: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the places [n, k] of lists in an order [n, m], with random candidates at some places.

    A random one is any candidate, drawn without replacement, the best ones too; the others follow
    in their order.
    """
    k, size = at.shape[1], there.sum(axis=1, keepdims=True)
    filled = np.arange(k) < size
    at = at & filled
    random = np.argsort(np.where(there, noise, np.iinfo(np.int64).max), axis=1)
    taken = np.zeros_like(there)
    number = at.sum(axis=1, keepdims=True)
    np.put_along_axis(taken, random, np.arange(there.shape[1]) < number, axis=1)
    own = np.take_along_axis(taken, order, axis=1)
    rest = np.take_along_axis(order, np.argsort(own, axis=1, kind="stable"), axis=1)
    turn = np.where(at, np.cumsum(at, axis=1), np.cumsum(~at, axis=1)) - 1
    turn = np.clip(turn, 0, there.shape[1] - 1)
    picked = np.where(at, *(np.take_along_axis(of, turn, axis=1) for of in (random, rest)))
    return np.where(filled, picked, -1)


@lru_cache(maxsize=64)
def place_chances(k: int, epsilon: float, size: int) -> np.ndarray:
    """Return where the best of `size` candidates end up if places are random with a probability.

    Returns [k, k], the probability that the i-th is at place j without being drawn for it: of the
    places before j, t are not random, of all places r are, and i - t of the i better candidates
    are among those drawn; a sum of binomial and hypergeometric terms, O(k^4).

    Examples
    --------
    >>> place_chances(2, 0.5, 4).round(4).tolist()
    [[0.4375, 0.1875], [0.0625, 0.3125]]
    """
    length = min(k, size)
    i, j, t, r = (np.arange(length + 1).reshape(shape) for shape in
                  ((-1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)))  # fmt: skip
    i, j = i[:length], j[:length]
    before, after = j - t, r - (j - t)
    of_places = (1 - epsilon) * binom.pmf(before, j, epsilon)
    of_places = of_places * binom.pmf(after, length - 1 - j, epsilon)
    of_items = comb(i, i - t) * comb(size - i - 1, r - (i - t)) / comb(size, r)
    moved = np.zeros((k, k))
    moved[:length, :length] = np.einsum("itr,jtr->ij", of_items, of_places)
    return moved


class Question(NamedTuple):
    """The users of one domain of a table of shown items, with their candidates.

    Attributes
    ----------
    rows
        Which rows of the table these are; `user` and `shown` have one value for each.
    users, columns, scores
        Users [n] and their best candidates [n, m], as a `gnn.recommending.Chooser` gets them.
    user
        Place of the row's user in `users`.
    shown
        The row's item in the joint index; -1 if unknown.
    """

    rows: np.ndarray
    users: UserBatch
    columns: np.ndarray
    scores: np.ndarray
    user: np.ndarray
    shown: np.ndarray


def questions(
    model: Model, shown: pd.DataFrame, depth: int, history: InteractionLog | None = None
) -> Iterator[Question]:
    """Yield the users of a table of shown items by domain and block, with their candidates.

    Parameters
    ----------
    model
        A fitted model; items that a user has seen in training are no candidates.
    shown
        user_id, domain, item_id. Domains that the model does not know are left out.
    depth
        Candidates of each user.
    history
        Interactions since training.
    """
    names = shown[DOMAIN].astype(str).to_numpy(object)
    data = model.data
    for domain in data.domains:
        of_domain = np.flatnonzero(names == domain)
        if not len(of_domain):
            continue
        code, ids = pd.factorize(shown[USER_ID].to_numpy(object)[of_domain])
        item = data.items[domain].encode(shown[ITEM_ID].to_numpy(object)[of_domain], missing="mark")
        column = np.where(item >= 0, item + data.span(domain).start, -1)
        everybody = user_batch(data, ids, history)
        for low, users in model.blocks(everybody, domain):
            scores = model.score_batch(users, domain)
            scores[users.seen_cells(data.span(domain))] = -np.inf
            indices, values = top_k(scores, depth, keys=users.keys)
            joint = np.where(indices >= 0, indices + data.span(domain).start, -1)
            here = np.flatnonzero((code >= low) & (code < low + len(users)))
            yield Question(of_domain[here], users, joint, values, code[here] - low, column[here])
