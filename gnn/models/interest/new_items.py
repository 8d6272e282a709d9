"""The weight of items without interactions: cost and gain on held-out rows, and a price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from gnn.validation import COLD_ITEM, RankingQuality

__all__ = ["TradeOff", "measure_trade_off", "weight_at_cost"]

# Rows (weight, share of NDCG@20 on warm items that is kept, NDCG@20 on items without interactions).
TradeOff: TypeAlias = tuple[tuple[float, float, float], ...]


def measure_trade_off(tried: Mapping[float, RankingQuality]) -> TradeOff:
    """Return cost and gain of each weight of new items.

    The cost is that of the users who lose most, warm or cold ones. Cold users are mostly given
    popular items and lose next to nothing, so a mean over both would let warm users pay twice as
    much in a log with cold users as in one without.

    The curve ends where new items cost more NDCG@20 than they gain: without texts, for instance,
    next to none is found at any weight.

    Parameters
    ----------
    tried
        By weight, rising, over the same users.

    Returns
    -------
    TradeOff
        At least the first weight.
    """
    warm = np.array([list(quality.by_kind().values()) for quality in tried.values()])
    best = warm.max(axis=0)
    kept = np.divide(warm, best, out=np.ones_like(warm), where=best > 0).min(axis=1)
    found = np.array([quality.mean((COLD_ITEM,)) for quality in tried.values()])
    pays = found - found[0] >= (best - warm).max(axis=1)
    end = int(np.flatnonzero(pays)[-1]) + 1 if pays.any() else 1
    return tuple(zip(tried, kept.tolist(), found.tolist(), strict=True))[:end]


def weight_at_cost(points: TradeOff, cost: float) -> float:
    """Return the largest weight of new items that costs warm items at most a share `cost`.

    Between two measured weights the cost is taken to be linear. Where no weight within the cost
    finds any new item, it is 0.

    Parameters
    ----------
    points
        At least one, by weight.
    cost
        Share of the NDCG@20 at the best weight.

    Examples
    --------
    >>> weight_at_cost(((0.0, 1.0, 0.0), (1.0, 0.75, 0.03), (2.0, 0.25, 0.06)), 0.5)
    1.5
    """
    weights, warm, found = np.array(points).T
    floor = (1 - cost) * warm.max()
    if not (found[warm >= floor] > 0).any():
        return 0.0
    last = int(np.flatnonzero(warm >= floor)[-1])
    if last == len(weights) - 1:
        return float(weights[-1])
    share = (warm[last] - floor) / (warm[last] - warm[last + 1])
    return float(weights[last] + share * (weights[last + 1] - weights[last]))
