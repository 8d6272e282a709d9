"""Choosing k of a user's best-scored candidates, for blocks of users at once.

Each function returns int64 [n, k], the places of the chosen candidates in the order of choice, -1
where a user has fewer than k. `relevance` is float32 [n, m], ``-inf`` where there is no candidate.
Loops run over the k places only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri

__all__ = ["calibrated", "dpp", "explored", "mmr", "quota", "sampled_shares"]

# Below these, squared distances to the span of other items, and shares of topics, are rounding.
LEAST_DISTANCE, LEAST_SHARE = 1e-6, 1e-9
# Steck smooths the list's distribution with one per cent of the profile.
SMOOTHING = 0.01
# A quota is kept to one per cent of a place.
SLACK = 0.01


def mmr(relevance: np.ndarray, vectors: np.ndarray, k: int, strength: float) -> np.ndarray:
    """Choose by maximal marginal relevance; O(n · k · m · dim).

    Each place goes to the candidate with the largest ``(1 - strength) · relevance - strength ·
    (largest cosine to an item above it)``; negative cosines count as 0.

    Parameters
    ----------
    relevance
        float32 [n, m].
    vectors
        float32 [n, m, dim] of length 1, or 0 for candidates that are similar to none.
    k
        Length of the lists.
    strength
        In [0, 1]; 0 is the order by relevance.

    References
    ----------
    Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
    producing summaries", SIGIR 1998.

    Examples
    --------
    >>> same, other = [1.0, 0.0], [0.0, 1.0]
    >>> vectors = np.array([[same, same, other]], np.float32)
    >>> mmr(np.array([[1.0, 0.9, 0.5]], np.float32), vectors, 3, 0.5).tolist()
    [[0, 2, 1]]
    """
    rows = np.arange(len(relevance))
    nearest = np.zeros_like(relevance)

    def gain(_: int, chosen: np.ndarray) -> np.ndarray:
        picked = vectors[rows, chosen]
        np.maximum(nearest, np.matmul(vectors, picked[:, :, None])[:, :, 0], out=nearest)
        return -strength * nearest

    return _greedy(relevance, k, strength, gain)


def dpp(relevance: np.ndarray, vectors: np.ndarray, k: int, strength: float) -> np.ndarray:
    """Choose greedily for the most probable set of a determinantal point process.

    A set is worth ``(1 - strength) · (sum of relevance) + strength · log det(cosines)``. The
    determinant is updated by an incremental Cholesky decomposition: O(n · k · m · (dim + k)).
    Parameters are those of `mmr`.

    References
    ----------
    Chen, Zhang and Zhou, "Fast greedy MAP inference for determinantal point process to improve
    recommendation diversity", NeurIPS 2018.

    Examples
    --------
    >>> same, other = [1.0, 0.0], [0.0, 1.0]
    >>> vectors = np.array([[same, same, other]], np.float32)
    >>> dpp(np.array([[1.0, 0.9, 0.5]], np.float32), vectors, 3, 0.5).tolist()
    [[0, 2, 1]]
    """
    n, m, dim = vectors.shape
    rows = np.arange(n)
    left = np.ones_like(relevance)  # Squared distance to the span of the items chosen.
    # Behind the vectors come the rows of the Cholesky factor, so that one product makes the next.
    factor = np.zeros((n, m, dim + k), dtype=np.float32)
    factor[..., :dim] = vectors

    def gain(place: int, chosen: np.ndarray) -> np.ndarray:
        picked = factor[rows, chosen]
        picked[:, dim:] *= -1
        row = np.matmul(factor, picked[:, :, None])[:, :, 0]
        row /= np.sqrt(left[rows, chosen, None])
        factor[:, :, dim + place - 1] = row
        np.maximum(left - row * row, LEAST_DISTANCE, out=left)
        return np.float32(strength) * np.log(left)

    return _greedy(relevance, k, strength, gain)


def calibrated(
    relevance: np.ndarray,
    topics: np.ndarray,
    weights: np.ndarray,
    profile: np.ndarray,
    k: int,
    strength: float,
) -> np.ndarray:
    """Choose so that the mix of topics in the list is near the user's own.

    Each place goes to the candidate with the largest ``(1 - strength) · relevance - strength ·
    KL(profile || list)``, the divergence of the list down to there. A user with an empty profile
    keeps the order by relevance. O(n · k · (m · topics of an item + topics of all)).

    Parameters
    ----------
    relevance
        float32 [n, m].
    topics, weights
        int64 and float32 [n, m, topics of an item]: columns of `profile`, and the shares of the
        item in them, which sum to 1, or to 0 for an item without a topic.
    profile
        float32 [n, topics of all], rows that sum to 1 or 0.
    k, strength
        As of `mmr`.

    References
    ----------
    Steck, "Calibrated recommendations", RecSys 2018.

    Examples
    --------
    >>> topics, weights = np.array([[[0], [0], [1]]]), np.ones((1, 3, 1), np.float32)
    >>> half = np.array([[0.5, 0.5]], np.float32)
    >>> calibrated(np.array([[1.0, 0.9, 0.5]], np.float32), topics, weights, half, 3, 0.5).tolist()
    [[0, 2, 1]]
    """
    rows = np.arange(len(relevance))
    cells = rows[:, None, None] * profile.shape[1] + topics
    wish = profile.take(cells)
    smooth = SMOOTHING / (1 - SMOOTHING)
    counts = weights.sum(axis=2) > 0  # Whether the item changes the mix.
    mass = np.zeros_like(profile)
    size = np.zeros((len(rows), 1), dtype=np.float32)

    def fit(size: np.ndarray) -> np.ndarray:
        """Return sum of profile · log(mix), but for a constant, of lists of `size`."""
        mixed = mass / np.maximum(size, 1) + smooth * profile
        return (profile * np.log(np.maximum(mixed, LEAST_SHARE))).sum(axis=1, keepdims=True)

    def gain(_: int, chosen: np.ndarray | None) -> np.ndarray:
        nonlocal size
        if chosen is not None:
            np.add.at(mass, (rows[:, None], topics[rows, chosen]), weights[rows, chosen])
            size = size + counts[rows, chosen, None]
        # By an item only the terms of its own topics change, and the size of the list.
        now = mass.take(cells) + smooth * (size + 1)[..., None] * wish
        more = np.log(1 + weights / np.maximum(now, LEAST_SHARE))
        added = np.einsum("nms,nms->nm", wish, more)
        if not counts.all():
            added += np.where(counts, fit(size + 1) - fit(size), 0)
        return np.float32(strength) * added

    return _greedy(relevance, k, strength, gain, first=True)


def quota(
    relevance: np.ndarray, groups: np.ndarray, weights: np.ndarray, most: np.ndarray, k: int
) -> np.ndarray:
    """Choose the best candidates such that no group takes more than its quota.

    Where all candidates that are left would exceed one, the best of them is taken all the same.
    O(n · k · m · groups of an item).

    Parameters
    ----------
    relevance
        float32 [n, m] in [0, 1].
    groups, weights
        int64 and float32 [n, m, groups of an item]: numbers of groups, and how much of a place the
        item takes of each; 0 for padding.
    most
        float32 [n, groups], places that each group may take in the list of each user.
    k
        Length of the lists.

    Examples
    --------
    >>> groups, weights = np.array([[[0], [0], [1]]]), np.ones((1, 3, 1), np.float32)
    >>> most = np.ones((1, 2), np.float32)
    >>> quota(np.array([[3.0, 2.0, 1.0]], np.float32), groups, weights, most, 3).tolist()
    [[0, 2, 1]]
    """
    rows = np.arange(len(relevance))
    room = most.copy()
    cells = rows[:, None, None] * most.shape[1] + groups
    needed = np.where(weights > 0, weights - SLACK, -np.inf).astype(np.float32)

    def gain(_: int, chosen: np.ndarray | None) -> np.ndarray:
        if chosen is not None:
            np.subtract.at(room, (rows[:, None], groups[rows, chosen]), weights[rows, chosen])
        # Relevance lies in [0, 1]: -2 puts such a candidate behind all others.
        return np.float32(-2) * (room.take(cells) < needed).any(axis=2)

    return _greedy(relevance, k, 0, gain, first=True)


def explored(relevance: np.ndarray, noise: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Give some places to random candidates from below the list, the others to the best.

    Parameters
    ----------
    relevance
        float32 [n, m], best first.
    noise
        [n, m]; of the candidates below place k, those with the least are taken.
    at
        bool [n, k], the places to give away.

    Examples
    --------
    >>> explored(np.zeros((1, 4)), np.array([[0, 0, 7, 2]]), np.array([[False, True]])).tolist()
    [[0, 3]]
    """
    k = at.shape[1]
    there = relevance > -np.inf
    below = np.maximum(there.sum(axis=1, keepdims=True) - k, 0)
    at = at & (np.cumsum(at, axis=1) <= below)
    drawn = np.argsort(np.where(there, noise, np.iinfo(np.int64).max)[:, k:], axis=1) + k
    drawn = np.pad(drawn, ((0, 0), (0, k)))
    turn = np.maximum(np.cumsum(at, axis=1) - 1, 0)
    places = np.where(at, np.take_along_axis(drawn, turn, axis=1), np.cumsum(~at, axis=1) - 1)
    known = np.take_along_axis(np.pad(there, ((0, 0), (0, k))), places, axis=1)
    return np.where(known, places, -1)


def sampled_shares(counts: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Draw weights from Gamma(counts), of which the shares in a row are Dirichlet(counts).

    Gamma(a) is drawn as Gamma(a + 1) · u^(1/a), and Gamma(a + 1) by the cube of a normal.

    Parameters
    ----------
    counts
        float [n, topics], above 0 where a topic may be drawn.
    first, second
        Random numbers [n, topics], uniform in (0, 1).

    References
    ----------
    Wilson and Hilferty, "The distribution of chi-square", PNAS 1931. Thompson, "On the likelihood
    that one unknown probability exceeds another in view of the evidence of two samples",
    Biometrika 1933.

    Examples
    --------
    >>> half = np.full((1, 2), 0.5)
    >>> sampled_shares(np.array([[3.0, 1.0]]), half, half).round(2).tolist()
    [[2.92, 0.84]]
    """
    spread = 1 / (9 * (counts + 1))
    cube = np.maximum(1 - spread + ndtri(first) * np.sqrt(spread), 0) ** 3
    drawn: np.ndarray = (counts + 1) * cube * second ** (1 / np.maximum(counts, LEAST_SHARE))
    return drawn


def _greedy(
    relevance: np.ndarray,
    k: int,
    strength: float,
    gain: Callable[[int, Any], np.ndarray],
    *,
    first: bool = False,
) -> np.ndarray:
    """Give each place to the candidate with the largest ``(1 - strength) · relevance + gain``.

    `gain` gets the place and the columns [n] chosen last; before any is chosen it is called, with
    None, only if `first`.
    """
    rows = np.arange(len(relevance))
    open_ = np.isfinite(relevance)
    value = np.where(open_, np.float32(1 - strength) * np.where(open_, relevance, 0), -np.inf)
    value = value.astype(np.float32, copy=False)
    places = np.full((len(relevance), k), -1, dtype=np.int64)
    chosen: np.ndarray | None = None
    for place in range(min(k, relevance.shape[1])):
        total = value if chosen is None and not first else value + gain(place, chosen)
        chosen = total.argmax(axis=1)
        places[:, place] = np.where(total[rows, chosen] > -np.inf, chosen, -1)
        value[rows, chosen] = -np.inf
    return places
