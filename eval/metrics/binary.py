"""Ranking all links of a domain together: global ROC and precision-recall curves.

A global curve asks whether scores of different users can be compared with each other, which
ranking per user never needs. Read it beside the per-user AUC.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import torch

from eval.metrics.base import Array, DomainTotals, Metric

__all__ = ["PRAUC", "ROCAUC", "ScoreHistogram"]

# The upper 20 bits of a float32: sign, exponent and 11 bits of mantissa, one part in 2,048.
BITS: Final = 20
PIECE_SCORES: Final = 1_000_000
CURVE_POINTS: Final = 101


class ScoreHistogram:
    """Counts the scores of relevant and irrelevant links of a domain, block by block.

    Scores are rounded to one part in 2,048, which keeps their order; links in one bin count as
    ties. Memory does not grow with the links. A relevant link that the system cannot recommend
    lies below all others; masked links are left out.

    Examples
    --------
    >>> import numpy as np
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([[0.9, 0.1, 0.5]], np.float32), np.array([0]), np.array([2]))
    >>> histogram.roc_auc()
    0.5
    """

    def __init__(self) -> None:
        self.relevant = np.zeros(2**BITS, dtype=np.int64)
        self.irrelevant = np.zeros(2**BITS, dtype=np.int64)
        self.lost = 0

    def add(
        self, scores: Array, rows: Array, columns: Array, n_masked: Array | None = None
    ) -> None:
        """Count a block of scores; arguments as in `pair_auc`."""
        step = max(1, PIECE_SCORES // scores.shape[1])
        pieces = [scores[start : start + step] for start in range(0, len(scores), step)]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for counts in self._counted(pool, pieces):
                self.irrelevant += counts
        if n_masked is not None:
            self.irrelevant[_bins(np.array([-np.inf], np.float32))[0]] -= int(n_masked.sum())
        placed = columns >= 0
        self.lost += int((~placed).sum())
        own = np.bincount(_bins(scores[rows[placed], columns[placed]]), minlength=2**BITS)
        self.relevant += own
        self.irrelevant -= own

    @staticmethod
    def _counted(pool: ThreadPoolExecutor, pieces: list[Array]) -> Iterator[Array]:
        # A few at a time: each result is 8 MB.
        width = 4
        for start in range(0, len(pieces), width):
            yield from pool.map(
                lambda piece: np.bincount(_bins(piece.ravel()), minlength=2**BITS),
                pieces[start : start + width],
            )

    def _totals(self) -> tuple[int, int]:
        return int(self.relevant.sum()) + self.lost, int(self.irrelevant.sum())

    def roc_auc(self) -> float:
        """Return the area under the ROC curve; NaN without links of both kinds."""
        relevant, irrelevant = self._totals()
        if not relevant or not irrelevant:
            return float("nan")
        below = np.cumsum(self.irrelevant) - 0.5 * self.irrelevant
        return float(self.relevant @ below / (relevant * irrelevant))

    def average_precision(self) -> float:
        """Return the area under the precision-recall curve, as the mean precision at each link.

        Links of one bin share the precision at the end of the bin, as in scikit-learn.
        """
        relevant, irrelevant = self._totals()
        if not relevant or not irrelevant:
            return float("nan")
        used = np.flatnonzero(self.relevant)[::-1]
        found = np.cumsum(self.relevant[::-1])[::-1][used]
        false = np.cumsum(self.irrelevant[::-1])[::-1][used]
        total = float((self.relevant[used] * found / (found + false)).sum())
        total += self.lost * relevant / (relevant + irrelevant)
        return total / relevant

    def roc_curve(self, points: int = CURVE_POINTS) -> tuple[Array, Array]:
        """Return false and true positive rates, thinned to about `points`."""
        relevant, irrelevant = self._totals()
        true = np.concatenate([[0], np.cumsum(self.relevant[::-1])]) / max(relevant, 1)
        false = np.concatenate([[0], np.cumsum(self.irrelevant[::-1])]) / max(irrelevant, 1)
        # Places where the curve has run equal lengths along both axes.
        where = np.searchsorted(true + false, np.linspace(0, true[-1] + false[-1], points))
        kept = np.unique(np.minimum(where, len(true) - 1))
        return np.append(false[kept], 1.0), np.append(true[kept], 1.0)


def _bins(scores: Array) -> Array:
    """Map float32 to bins that keep the order; int64."""
    bits = np.ascontiguousarray(scores).view(np.int32)
    # Negative numbers order backwards in their bits: turn them all round.
    turned = bits ^ ((bits >> 31) | np.int32(-(2**31)))
    return (turned.view(np.uint32) >> np.uint32(32 - BITS)).astype(np.int64)


class LinkMetric(Metric):
    """A metric with one value per domain, computed from the scores of all its links."""

    needs = ("histogram",)
    on_request = True

    def per_domain(self, totals: DomainTotals) -> dict[str, float]:
        """Return one value, of all users together."""
        return {} if totals.histogram is None else {self.name: self(totals.histogram)}

    def __call__(self, histogram: ScoreHistogram) -> float:
        """Return the value."""
        raise NotImplementedError


class ROCAUC(LinkMetric):
    """Area under the ROC curve over all links of a domain together.

    Relevant and irrelevant links as in `AUC`, but scores of different users are compared too, and
    users with more relevant items weigh more. Computed on scores rounded to one part in 2,048.

    Examples
    --------
    >>> import numpy as np
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([[3, 2], [1, 0]], np.float32), np.array([0]), np.array([0]))
    >>> ROCAUC()(histogram)
    1.0
    """

    name, title = "roc-auc", "Global ROC-AUC"

    def __call__(self, histogram: ScoreHistogram) -> float:
        """Return a share in [0, 1]."""
        return histogram.roc_auc()


class PRAUC(LinkMetric):
    """Average precision over all links of a domain together (area under precision-recall).

    Its chance value is the share of links that are relevant, not one half.

    Examples
    --------
    >>> import numpy as np
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([[3, 2], [1, 0]], np.float32), np.array([0]), np.array([1]))
    >>> PRAUC()(histogram)
    0.5
    """

    name, title = "pr-auc", "Global PR-AUC"

    def __call__(self, histogram: ScoreHistogram) -> float:
        """Return a share in [0, 1]."""
        return histogram.average_precision()
