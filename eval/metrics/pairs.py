"""Metrics of the score of each relevant item: against the whole catalogue, and sampled.

AUC ranks a relevant item among all irrelevant items of the catalogue. Sampled metrics rank it
among random negatives; they exist to set results beside papers that report them. They are not
estimates of the full metrics and can order systems differently (Krichene and Rendle, "On sampled
metrics for item recommendation", KDD 2020), so they are computed on request only, from a fixed
file of negatives, and are named ``sampled-...``.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

import numpy as np
import torch

from eval.metrics.base import Array, ListMetric, RankedLists
from graphgen.arrays import place_in_group
from graphgen.pieces import over_rows
from graphgen.topk import tie_noise

__all__ = [
    "AUC",
    "LogLoss",
    "SampledHitRate",
    "SampledMRR",
    "SampledNDCG",
    "pair_auc",
    "sampled_rank",
]

# Up to this many relevant items, comparing each with the whole row costs less than sorting the
# row once (measured on 12,000 columns: 14 against 65 microseconds).
MAX_COMPARED: Final = 4


class AUC(ListMetric):
    """Exact area under the ROC curve of each user over the whole catalogue.

    The probability that a relevant item scores above an irrelevant one, a tie counting half,
    averaged over the user's relevant items. Irrelevant is every item that is neither seen in
    training nor relevant to the user in any slice. A relevant item that the system cannot
    recommend (unknown to it, or masked as seen) scores below every other. A user whose catalogue
    holds no irrelevant item has no value. It needs scores for every item, so it cannot be computed
    from recommendation lists.

    Examples
    --------
    >>> lists = RankedLists.of([[4]], [{2, 9}], pair_row=[0, 0], pair_auc=[1.0, 0.5])
    >>> AUC()(lists, 1).tolist()
    [0.75]
    """

    name, title, needs = "auc", "AUC", ("pair_auc",)
    has_k = False

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return lists.mean_over_pairs(np.asarray(lists.pair_auc))


class LogLoss(ListMetric):
    """Minus the natural logarithm of the probability of a relevant item, averaged over them.

    Lower is better; a uniform guess among n targets has ``log n``. It needs probabilities, which
    the systems of `eval.experiments.next_target` give.

    Examples
    --------
    >>> lists = RankedLists.of([[4]], [{4, 9}], pair_row=[0, 0], pair_probability=[1.0, 0.25])
    >>> LogLoss()(lists, 1).round(4).tolist()
    [0.6931]
    """

    name, title, needs = "log-loss", "Log-loss", ("pair_probability",)
    has_k, higher_is_better, on_request = False, False, True

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return lists.mean_over_pairs(-np.log(np.asarray(lists.pair_probability)))


def pair_auc(scores: Array, rows: Array, columns: Array, n_masked: Array | None = None) -> Array:
    """Return, for each relevant (user, item), the share of irrelevant items that score below it.

    Parameters
    ----------
    scores
        float32 [users, items]; masked entries hold ``-inf``.
    rows, columns
        int64 [pairs], sorted by row: the relevant items; column -1 for an item that has no score
        or is masked: it counts as below everything.
    n_masked
        int64 [users]: how many entries of the row are masked (default: none).

    Returns
    -------
    numpy.ndarray
        float64 [pairs]; ties count half; NaN where the row holds no irrelevant item.

    Notes
    -----
    O(users * items) for few relevant items per user, O(users * items * log items) for many.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1, 0.5, 0.5]], dtype=np.float32)
    >>> pair_auc(scores, np.array([0]), np.array([2])).tolist()  # above one, equal to one of three
    [0.5]
    """
    n_users, n_items = scores.shape
    masked = np.zeros(n_users, np.int64) if n_masked is None else n_masked
    placed = np.flatnonzero(columns >= 0)
    result = np.zeros(len(rows), dtype=np.float64)
    per_row = np.bincount(rows[placed], minlength=n_users)
    irrelevant = (n_items - masked - per_row)[rows]
    if placed.size:
        row, own = rows[placed], scores[rows[placed], columns[placed]]
        place = place_in_group(row)
        below, up_to = _count(scores, row, own, place, per_row)
        # Take the user's other relevant items, and what is masked, out of the count.
        relevant = np.full((n_users, int(per_row.max())), np.nan, dtype=np.float32)
        relevant[row, place] = own
        others = relevant[row]
        below = below - np.count_nonzero(others < own[:, None], axis=1)
        up_to = up_to - np.count_nonzero(others <= own[:, None], axis=1) - masked[row]
        below -= np.where(own > -np.inf, masked[row], 0)
        wins = 0.5 * (below + up_to)
        result[placed] = wins / np.maximum(irrelevant[placed], 1)
    result[irrelevant == 0] = np.nan
    return result


def _count(
    scores: Array, row: Array, own: Array, place: Array, per_row: Array
) -> tuple[Array, Array]:
    """Count the entries of each pair's row that lie below, and not above, its score."""
    below = np.empty(len(row), dtype=np.int64)
    up_to = np.empty(len(row), dtype=np.int64)
    ends = np.cumsum(per_row)

    def work(start: int, stop: int) -> None:
        pairs = slice(ends[start] - per_row[start], ends[stop - 1])
        block, counts = scores[start:stop], per_row[start:stop]
        local, score, depth = row[pairs] - start, own[pairs], place[pairs]
        few = counts[local] <= MAX_COMPARED
        low, high = np.empty(len(local), np.int64), np.empty(len(local), np.int64)
        for position in range(MAX_COMPARED):
            chosen = np.flatnonzero(few & (depth == position))
            if not chosen.size:
                continue
            lines = block if len(chosen) == len(block) else block[local[chosen]]
            threshold = score[chosen, None]
            low[chosen] = np.count_nonzero(lines < threshold, axis=1)
            high[chosen] = np.count_nonzero(lines <= threshold, axis=1)
        many = np.flatnonzero(~few)
        if many.size:
            lines_used, line = np.unique(local[many], return_inverse=True)
            ordered = torch.from_numpy(np.sort(block[lines_used], axis=1))
            queries = np.zeros((len(lines_used), int(counts.max())), dtype=np.float32)
            queries[line, depth[many]] = score[many]
            asked = torch.from_numpy(queries)
            left = torch.searchsorted(ordered, asked).numpy()
            right = torch.searchsorted(ordered, asked, right=True).numpy()
            low[many], high[many] = left[line, depth[many]], right[line, depth[many]]
        below[pairs], up_to[pairs] = low, high

    over_rows(work, *scores.shape)
    return below, up_to


class SampledMetric(ListMetric):
    """A metric of the rank of a relevant item among negatives; users average over theirs."""

    needs = ("pair_rank",)
    on_request = True

    def __call__(self, lists: RankedLists, k: int) -> Array:
        return lists.mean_over_pairs(self.of_rank(np.asarray(lists.pair_rank), k))

    @abstractmethod
    def of_rank(self, rank: Array, k: int) -> Array:
        """Return the value of each rank, from 1; float64 [pairs]."""


class SampledHitRate(SampledMetric):
    """1 where the relevant item ranks among the first k of itself and its user's negatives.

    A user with several relevant items averages over them, each ranked apart from the others.

    Examples
    --------
    >>> SampledHitRate().of_rank(np.array([1, 11]), 10).tolist()
    [1.0, 0.0]
    """

    name, title = "sampled-hit-rate", "Sampled hit rate"

    def of_rank(self, rank: Array, k: int) -> Array:
        return (rank <= k).astype(np.float64)


class SampledNDCG(SampledMetric):
    """``1 / log2(1 + rank)`` where the rank is at most k, else 0.

    Examples
    --------
    >>> SampledNDCG().of_rank(np.array([1, 3, 11]), 10).tolist()
    [1.0, 0.5, 0.0]
    """

    name, title = "sampled-ndcg", "Sampled NDCG"

    def of_rank(self, rank: Array, k: int) -> Array:
        return np.where(rank <= k, 1.0 / np.log2(1.0 + rank), 0.0)


class SampledMRR(SampledMetric):
    """One over the rank among the negatives, without a cut.

    Examples
    --------
    >>> SampledMRR().of_rank(np.array([1, 4]), 0).tolist()
    [1.0, 0.25]
    """

    name, title, has_k = "sampled-mrr", "Sampled MRR", False

    def of_rank(self, rank: Array, k: int) -> Array:
        return 1.0 / rank


def sampled_rank(
    scores: Array, rows: Array, columns: Array, negatives: Array, keys: Array, seed: int = 0
) -> Array:
    """Rank each relevant item among its user's negatives.

    Parameters
    ----------
    scores
        float32 [users, items].
    rows, columns
        int64 [pairs]: relevant items; column -1 ranks behind all negatives.
    negatives
        int64 [users, n]: columns of the negatives, -1 where a user has fewer.
    keys
        int64 [users]: a key of each user that holds beyond this call.
    seed
        Seed by which equal scores are ordered.

    Returns
    -------
    numpy.ndarray
        float64 [pairs], from 1; NaN for a user without negatives.

    Examples
    --------
    >>> scores = np.array([[0.5, 0.9, 0.1, 0.3]])
    >>> sampled_rank(scores, np.array([0]), np.array([0]), np.array([[1, 2, 3]]), np.array([7]))
    array([2.])
    """
    there = negatives >= 0
    against = np.take_along_axis(scores, np.maximum(negatives, 0), axis=1)
    against[~there] = -np.inf
    count = there.sum(axis=1)[rows]
    own = np.where(columns >= 0, scores[rows, np.maximum(columns, 0)], -np.inf)[:, None]
    above = np.count_nonzero(against[rows] > own, axis=1)
    equal = np.count_nonzero((against[rows] == own) & there[rows], axis=1)
    draw = tie_noise(keys[rows], columns + 1, seed=seed) / np.float64(2**63)
    rank = 1.0 + above + np.floor(draw * (equal + 1.0))
    rank = np.where(columns >= 0, rank, count + 1.0)
    return np.where(count > 0, rank, np.nan)
