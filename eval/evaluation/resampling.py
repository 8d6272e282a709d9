"""How sure a mean is: resampling over users.

A user who appears in several domains is drawn in all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from eval.metrics.base import Array

__all__ = [
    "CONFIDENCE",
    "bootstrap_means",
    "cell_means",
    "mean_over_cells",
    "percentile_interval",
    "weighted_sums",
]

# Users whose weights are drawn at a time; with 1,000 replicates a block takes 16 MB.
BLOCK_USERS: Final = 4096
CONFIDENCE: Final = 0.95


def _poisson_table() -> Array:
    """Give the Poisson(1) weight of each of 65,536 equally likely draws."""
    upper = np.round(stats.poisson.cdf(np.arange(12), 1.0) * 65536).astype(np.int64)
    return np.searchsorted(upper, np.arange(65536), side="right").astype(np.float32)


def bootstrap_means(
    values: Array,
    user: Array,
    cell: Array,
    n_cells: int,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> Array:
    """Draw users with replacement and return the mean of every cell in every draw.

    Each user gets a Poisson(1) weight in each replicate, the same in all cells: the bootstrap of
    a resampling of users, in a form that needs no more memory for more users.

    Parameters
    ----------
    values
        float [rows, metrics]; NaN where a row does not count for a metric.
    user, cell
        int64 [rows]: the user of a row, and which of the `n_cells` means it enters.
    n_cells, replicates, seed
        Number of means and of draws, and the seed of the draws.

    Returns
    -------
    numpy.ndarray
        float64 [replicates, n_cells, metrics]; NaN where a draw holds nobody of the cell.

    References
    ----------
    Chamandy et al., "Estimating uncertainty for massive data streams", Google 2012.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> means = bootstrap_means(rng.normal(size=(400, 1)), np.arange(400), np.zeros(400, int), 1)
    >>> bool(0.04 < means.std() < 0.06)  # the standard error is 1 / sqrt(400)
    True
    """
    values = np.asarray(values, dtype=np.float64)
    table = _poisson_table()

    def weights(generator: np.random.Generator, users: int) -> Array:
        return table[generator.integers(0, 65536, size=(replicates, users), dtype=np.uint16)]

    total, weight = weighted_sums(values, user, cell, n_cells, replicates, weights, [seed])
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def weighted_sums(
    values: Array,
    user: Array,
    cell: Array,
    n_cells: int,
    replicates: int,
    draw: Callable[[np.random.Generator, int], Array],
    seed: list[int],
) -> tuple[Array, Array]:
    """Sum values over the rows of each cell with random weights per user, many times.

    Returns sums and sums of the weights of rows that count, [replicates, n_cells, metrics] each.
    """
    order = np.lexsort((cell, user))
    users, user = np.unique(user[order], return_inverse=True)
    values, cell = values[order], np.asarray(cell)[order]
    total = np.zeros((replicates, n_cells, values.shape[1]))
    weight = np.zeros_like(total)
    for number, start in enumerate(range(0, len(users), BLOCK_USERS)):
        stop = min(start + BLOCK_USERS, len(users))
        weights = draw(np.random.default_rng([*seed, number]), stop - start)
        first, last = np.searchsorted(user, [start, stop])
        for this in np.unique(cell[first:last]):
            rows = first + np.flatnonzero(cell[first:last] == this)
            block = values[rows]
            counted = ~np.isnan(block)
            here = np.take(weights, user[rows] - start, axis=1)
            total[:, this] += here @ np.where(counted, block, 0.0).astype(np.float32)
            full = counted.all(axis=0)
            weight[:, this, full] += here.sum(axis=1, dtype=np.float64)[:, None]
            some = counted.any(axis=0) & ~full
            if some.any():
                weight[:, this, some] += here @ counted[:, some].astype(np.float32)
    return total, weight


def percentile_interval(replicates: Array, confidence: float = CONFIDENCE) -> tuple[Array, Array]:
    """Return the percentile interval over the first axis, leaving NaN replicates out.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = percentile_interval(np.arange(101.0), 0.9)
    >>> round(float(low), 6), round(float(high), 6)
    (5.0, 95.0)
    """
    flat = pd.DataFrame(replicates.reshape(len(replicates), -1))
    bounds = flat.quantile([(1 - confidence) / 2, (1 + confidence) / 2]).to_numpy(np.float64)
    low, high = bounds.reshape(2, *replicates.shape[1:])
    return low, high


def cell_means(values: Array, cell: Array, n_cells: int) -> tuple[Array, Array]:
    """Return mean and number of the values of each cell [n_cells, metrics]; NaN does not count."""
    counted = ~np.isnan(values)
    size, total = np.zeros((2, n_cells, values.shape[1]))
    np.add.at(size, cell, counted)
    np.add.at(total, cell, np.where(counted, values, 0.0))
    return np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0), size


def mean_over_cells(means: Array) -> Array:
    """Average over the second axis, leaving out cells without a value (NaN if none has one)."""
    counted = ~np.isnan(means)
    count = counted.sum(axis=1)
    total = np.where(counted, means, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
