"""Intervals for the best and the worst of several groups, corrected for the selection.

The largest of several means lies above the largest of the true ones more often than below, and its
bootstrap distribution lies higher still: the percentile interval of a gap never holds 0. Here the
deviations of the means are resampled, not the extremes: each extreme differs from the true one by
no more than the largest deviation among the groups that may be the extreme.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from eval.evaluation.resampling import CONFIDENCE
from eval.metrics.base import Array

__all__ = ["extreme_interval", "gap_interval", "ratio_interval", "smallest_and_largest"]

# Where a logarithm of a mean is taken, a mean of 0 counts as this.
SMALLEST_MEAN: Final = 1e-12


def gap_interval(
    observed: Array, draws: Array, n_users: int, confidence: float = CONFIDENCE
) -> tuple[Array, Array]:
    """Return an interval of the difference between the largest and the smallest group mean.

    Parameters
    ----------
    observed
        float64 [groups, metrics]: means; NaN for a group that does not count.
    draws
        float64 [replicates, groups, metrics]: bootstrap means of the same.
    n_users
        How many users there are in all.
    confidence
        Coverage wanted.

    Returns
    -------
    low, high : numpy.ndarray
        float64 [metrics], `low` at least 0; NaN where fewer than two groups count.

    Notes
    -----
    If ``e`` are the errors of the means, the gap is off by at most ``max |e_i - e_j|`` over groups
    i that may be the best and j that may be the worst; the quantile of that maximum over bootstrap
    draws is the half width. A group may be the best if it is within ``sqrt(log n)`` standard errors
    of the best one (moment selection): where all are equal this is Tukey's simultaneous interval,
    where two stand out it is the plain interval of their difference.

    References
    ----------
    Andrews and Soares, "Inference for parameters defined by moment inequalities using generalized
    moment selection", Econometrica 2010. Chernozhukov, Lee and Rosen, "Intersection bounds:
    estimation and inference", Econometrica 2013.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> means = np.array([[0.50], [0.52]])
    >>> draws = means + rng.normal(scale=0.03, size=(1000, 2, 1))
    >>> low, high = gap_interval(means, draws, 500)
    >>> float(low[0]), bool(0.08 < high[0] < 0.13)
    (0.0, True)
    """
    errors, best, worst = _errors(observed, draws, n_users)
    (best_high, best_low), (worst_high, worst_low) = (
        (np.where(of, errors, -np.inf).max(axis=1), np.where(of, errors, np.inf).min(axis=1))
        for of in (best, worst)
    )
    largest_error = np.maximum(best_high - worst_low, worst_high - best_low)
    half = np.quantile(largest_error, confidence, axis=0)
    low, high = smallest_and_largest(observed)
    gap = high - low
    several = np.isfinite(observed).sum(axis=0) > 1
    low, high = np.maximum(gap - half, 0.0), gap + half
    return np.where(several, low, np.nan), np.where(several, high, np.nan)


def ratio_interval(
    observed: Array, draws: Array, n_users: int, confidence: float = CONFIDENCE
) -> tuple[Array, Array]:
    """Return an interval of the smallest over the largest mean; as `gap_interval` of logarithms.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> means = np.array([[0.2], [0.4]])
    >>> draws = means + rng.normal(scale=0.01, size=(1000, 2, 1))
    >>> low, high = ratio_interval(means, draws, 500)
    >>> bool(0.4 < low[0] < 0.5 < high[0] < 0.6)
    True
    """
    means, drawn = (np.log(np.maximum(each, SMALLEST_MEAN)) for each in (observed, draws))
    low, high = gap_interval(means, drawn, n_users, confidence)
    return np.exp(-high), np.exp(-low)


def extreme_interval(
    observed: Array,
    draws: Array,
    n_users: int,
    *,
    largest: Array,
    confidence: float = CONFIDENCE,
) -> tuple[Array, Array]:
    """Return an interval of the largest (where bool [metrics] says so) or the smallest group mean.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> means = np.array([[0.2], [0.4]])
    >>> draws = means + rng.normal(scale=0.01, size=(1000, 2, 1))
    >>> low, high = extreme_interval(means, draws, 500, largest=np.array([False]))
    >>> bool(0.17 < low[0] < 0.19 < 0.21 < high[0] < 0.23)
    True
    """
    errors, best, worst = _errors(observed, draws, n_users)
    candidates = np.where(largest, best, worst)
    half = np.quantile(np.where(candidates, np.abs(errors), 0.0).max(axis=1), confidence, axis=0)
    low, high = smallest_and_largest(observed)
    value = np.where(largest, high, low)
    return value - half, value + half


def smallest_and_largest(observed: Array) -> tuple[Array, Array]:
    """Return float64 [metrics] twice, over the groups that count; NaN where none does.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = smallest_and_largest(np.array([[0.2, np.nan], [0.4, np.nan]]))
    >>> low.tolist(), high.tolist()
    ([0.2, nan], [0.4, nan])
    """
    counted = np.where(np.isfinite(observed), observed, np.nan)
    return np.fmin.reduce(counted, axis=0), np.fmax.reduce(counted, axis=0)


def _errors(observed: Array, draws: Array, n_users: int) -> tuple[Array, Array, Array]:
    """Return the error of each draw (0 where unknown), and the groups that may be best, or worst.

    bool [groups, metrics]: the group may have the largest (smallest) of the true means.
    """
    errors = np.nan_to_num(draws - observed, nan=0.0)
    counted = np.isfinite(observed)
    candidates = []
    for sign in (1.0, -1.0):
        merit = np.where(counted, sign * observed, -np.inf)
        leader = merit.argmax(axis=0)[None]
        behind = np.take_along_axis(merit, leader, axis=0) - merit
        spread = (errors - np.take_along_axis(errors, leader[None], axis=1)).std(axis=0)
        candidates.append(counted & (behind <= np.sqrt(np.log(max(n_users, 2))) * spread))
    return errors, candidates[0], candidates[1]
