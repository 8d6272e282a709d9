"""Intervals of means and tests of their differences, by resampling over users.

A user who appears in several domains has the sign turned in all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import stats

from eval.evaluation.resampling import (
    bootstrap_means,
    cell_means,
    mean_over_cells,
    percentile_interval,
    weighted_sums,
)
from eval.metrics.base import Array
from graphgen.errors import InputError

__all__ = ["PairedTest", "holm", "paired_test"]

# Equal sums taken in another order must count as equal.
TOLERANCE: Final = 1e-5
# A p value is never shown as zero.
SMALLEST_P: Final = 1e-300


class PairedTest(NamedTuple):
    """Outcome of `paired_test`, per metric: float64 [metrics] each.

    The difference is first minus second, with its 95 % bootstrap interval. Both p values are
    two-sided: one from turning signs at random, one from signed ranks.
    """

    difference: Array
    low: Array
    high: Array
    p_value: Array
    p_wilcoxon: Array


def paired_test(
    first: Array,
    second: Array,
    user: Array,
    cell: Array | None = None,
    *,
    permutations: int = 2_000,
    bootstrap: int = 1000,
    seed: int = 0,
) -> PairedTest:
    """Test whether two systems differ on the same users.

    The statistic is the mean difference; with several cells (domains), the plain mean over cells of
    the mean difference in each. Under the null hypothesis the two systems may be exchanged for any
    user, so the sign of all of a user's differences is turned at random.

    Parameters
    ----------
    first, second
        float [rows, metrics], row by row the same user and domain; a row with NaN in either is
        left out for that metric.
    user, cell
        int64 [rows]: user of the row, and its domain from 0; default one domain for all.
    permutations
        Number of random sign patterns. Where the p value they give is limited by their number,
        Hoeffding's bound of the exact one is reported instead, so that a clear difference survives
        the correction for a large table.
    bootstrap, seed
        Replicates of the interval, and the seed of both.

    Raises
    ------
    InputError
        If shapes disagree or there is no row.

    References
    ----------
    Smucker, Allan and Carterette, "A comparison of statistical significance tests for information
    retrieval evaluation", CIKM 2007. Hoeffding, "Probability inequalities for sums of bounded
    random variables", JASA 1963.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> base = rng.random((300, 1))
    >>> test = paired_test(base + 0.1, base, np.arange(300))
    >>> bool(test.p_value[0] < 0.001), round(float(test.difference[0]), 3)
    (True, 0.1)
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if difference.ndim != 2 or not len(difference) or len(user) != len(difference):
        raise InputError(
            "A paired test needs the same rows of both systems, [rows, metrics], and one user "
            f"per row; got {np.shape(first)}, {np.shape(second)} and {len(user)} users."
        )
    cells = np.zeros(len(difference), np.int64) if cell is None else np.asarray(cell)
    groups = [list(range(int(cells.max()) + 1))]
    test = tests_by_group(
        difference, user, cells, groups, permutations=permutations, bootstrap=bootstrap, seed=seed
    )
    return PairedTest(*(part[0] for part in test))


def tests_by_group(
    difference: Array,
    user: Array,
    cell: Array,
    groups: Sequence[Sequence[int]],
    *,
    permutations: int,
    bootstrap: int,
    seed: int,
) -> PairedTest:
    """Run the test of `paired_test` for several groups of cells with the same random draws.

    Each statistic averages over the cells of one group; the arrays returned are [groups, metrics].
    """
    n_cells = max(max(group) for group in groups) + 1
    counted = ~np.isnan(difference)
    _, size = cell_means(difference, cell, n_cells)
    draws = bootstrap_means(difference, user, cell, n_cells, replicates=bootstrap, seed=seed)

    def signs(generator: np.random.Generator, users: int) -> Array:
        packed = generator.integers(0, 256, (permutations, -(-users // 8)), dtype=np.uint8)
        return np.unpackbits(packed, axis=1, count=users).astype(np.float32) * 2 - 1

    scale = np.maximum(np.nanmax(np.abs(np.where(counted, difference, 0)), axis=0), 1e-300)
    flipped, _ = weighted_sums(
        difference / scale, user, cell, n_cells, permutations, signs, [seed, 1]
    )
    flipped /= np.where(size > 0, size, np.nan)
    _, code = np.unique(user, return_inverse=True)
    parts = []
    for group in groups:
        rows = np.flatnonzero(np.isin(cell, group))
        n_used = np.maximum((size[group] > 0).sum(axis=0), 1)
        # What each row adds to the statistic, and then each user.
        share = np.where(counted[rows], difference[rows], 0) / scale
        share /= np.maximum(size, 1)[cell[rows]] * n_used
        users, place = np.unique(code[rows], return_inverse=True)
        added = np.zeros((len(users), difference.shape[1]))
        np.add.at(added, place, share)
        observed = np.where(size[group].sum(axis=0) > 0, added.sum(axis=0), np.nan)
        low, high = percentile_interval(mean_over_cells(draws[:, group]))
        p_value = _sign_flip_p(mean_over_cells(flipped[:, group]), observed, added)
        p_wilcoxon = np.array([_wilcoxon_p(column) for column in added.T])
        parts.append((observed * scale, low, high, p_value, p_wilcoxon))
    return PairedTest(*(np.stack(part) for part in zip(*parts, strict=True)))


def _sign_flip_p(flipped: Array, observed: Array, added: Array) -> Array:
    """Return the share of sign patterns that are as extreme, or a bound of it where it is less."""
    bound = np.abs(observed)
    extreme = np.abs(flipped) >= bound - TOLERANCE * np.maximum(bound, np.abs(added).max(axis=0))
    p_value = (extreme.sum(axis=0) + 1.0) / (len(flipped) + 1.0)
    # A sum with random signs exceeds t with a probability of at most 2 exp(-t^2 / 2 sum a^2).
    tail = 2.0 * np.exp(-(bound**2) / np.maximum(2.0 * (added**2).sum(axis=0), 1e-300))
    p_value = np.minimum(p_value, np.maximum(tail, SMALLEST_P))
    return np.where(np.isnan(observed), np.nan, p_value)


def _wilcoxon_p(differences: Array) -> float:
    largest = np.abs(differences).max(initial=0.0)
    rounded = np.round(differences / (largest or 1.0), 9)  # sums in another order are ties
    if not np.any(rounded):
        return 1.0
    return float(stats.wilcoxon(rounded, method="approx").pvalue)


def holm(p_values: Array) -> Array:
    """Correct p values for their number, by Holm's step-down rule; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    result = np.full(p_values.shape, np.nan)
    valid = np.flatnonzero(~np.isnan(p_values))
    order = valid[np.argsort(p_values[valid], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(p_values[order] * steps), 1.0)
    return result
