"""What room for new items costs and gains: measured on held-out rows, and followed to a price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from gnn.models.interest.cells import MIN_USERS
from gnn.models.interest.validation import KINDS, KNOWN_KINDS, RankingQuality

__all__ = ["Frontier", "measured_frontier", "speaks_for_itself", "weight_at_cost"]

# By weight of new items: (weight, share of NDCG@20 on items with interactions that the people keep
# who lose most by it, NDCG@20 on items without).
Frontier: TypeAlias = tuple[tuple[float, float, float], ...]

# People with known items held out from which a domain says by itself what new items cost: of half a
# thousand the cost of a weight, some hundredths, has a standard error of one or two of them.
FRONTIER_USERS = 500
# Standard errors by which new items must be found.
CLEAR = 2.0


def measured_frontier(tried: Mapping[float, RankingQuality]) -> Frontier:
    """Return what new items cost and gain, from how well each weight of theirs ranks.

    The cost is that of the kind of people who pay most. Those without history in a domain are
    mostly given what is popular, and lose next to nothing: a mean over both kinds would let those
    with history, whom new items are like, pay twice as much where there are cold people as where
    there are none.

    It ends where new items cost more NDCG@20 than they gain: without texts, say, next to none is
    found however much room they are given.

    Parameters
    ----------
    tried
        By weight, rising, over the same people.
    """
    known = np.array([quality.known_by_kind() for quality in tried.values()])
    best = known.max(axis=0)
    kept = np.divide(known, best, out=np.ones_like(known), where=best > 0).min(axis=1)
    found = np.array([quality.by_kind().get(KINDS[-1], 0.0) for quality in tried.values()])
    pays = found - found[0] >= (best - known).max(axis=1)
    end = int(np.flatnonzero(pays)[-1]) + 1 if pays.any() else 1
    points = zip(tried, kept.tolist(), found.tolist(), strict=True)
    return tuple(points)[:end]


def speaks_for_itself(tried: Mapping[float, RankingQuality]) -> bool:
    """Whether the people of a domain make a frontier of its own.

    500 with known items held out and 20 with new ones, which are clearly found, by more than twice
    the standard error: one that is met by chance at a high weight says nothing of the others.

    Parameters
    ----------
    tried
        By weight, rising, over the same people.
    """
    qualities = list(tried.values())
    counts = qualities[0].users()
    known = sum(number for (kind, _), number in counts.items() if kind < KNOWN_KINDS)
    if known < FRONTIER_USERS or sum(counts.values()) - known < MIN_USERS:
        return False
    gain, error = qualities[-1].new_item_gain_over(qualities[0])
    return gain > CLEAR * error


def weight_at_cost(points: Frontier, cost: float) -> float:
    """Return the largest weight of new items that costs known items at most a share `cost`.

    Between two measured weights the cost is taken to be linear. Where no weight within the cost
    finds new items at all, it is 0: they would only stand in the way.

    Parameters
    ----------
    points
        At least one, by weight.
    cost
        Share of what is kept at the best weight.

    Examples
    --------
    >>> weight_at_cost(((0.0, 1.0, 0.0), (1.0, 0.75, 0.03), (2.0, 0.25, 0.06)), 0.5)
    1.5
    """
    weights, known, found = np.array(points).T
    floor = (1 - cost) * known.max()
    if not (found[known >= floor] > 0).any():
        return 0.0
    last = int(np.flatnonzero(known >= floor)[-1])
    if last == len(weights) - 1:
        return float(weights[-1])
    share = (known[last] - floor) / (known[last] - known[last + 1])
    return float(weights[last] + share * (weights[last + 1] - weights[last]))
