"""Links of all users together: global curves, thresholds, and calibration of scores.

A global curve asks whether scores of different users can be compared with each other, which
ranking per user never needs. Read it beside the per-user AUC.
"""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import torch

from eval.metrics.base import Array, DomainTotals, Metric
from graphgen.errors import ConfigError, InputError

__all__ = [
    "PRAUC",
    "ROCAUC",
    "ScoreHistogram",
    "best_threshold",
    "binary_curve",
    "curve_auc",
    "expected_calibration_error",
    "reliability_curve",
    "threshold_metrics",
]

N_BINS: Final = 10
# The upper 20 bits of a float32: sign, exponent and 11 bits of mantissa, one part in 2,048.
BITS: Final = 20
PIECE_SCORES: Final = 1_000_000
# Pieces counted at a time: each result is 8 MB.
PIECES: Final = 4
CURVE_POINTS: Final = 101


def binary_curve(labels: Array, scores: Array) -> dict[str, Array]:
    """Count accepted links at each distinct score, from the highest down.

    Parameters
    ----------
    labels
        Bool [links].
    scores
        float [links], finite.

    Returns
    -------
    dict
        threshold, true, false: float64 [distinct scores]; `true` and `false` are the relevant and
        irrelevant links that score at least `threshold`.

    Raises
    ------
    InputError
        If lengths differ, there is no link, or a score is not finite.

    Examples
    --------
    >>> curve = binary_curve(np.array([1, 0, 1]), np.array([0.9, 0.5, 0.5]))
    >>> curve["true"].tolist(), curve["false"].tolist()
    ([1.0, 2.0], [0.0, 1.0])
    """
    labels, scores = np.asarray(labels).astype(bool), np.asarray(scores, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1 or not len(labels):
        raise InputError(
            "Links need one label and one score each; got shapes "
            f"{labels.shape} and {scores.shape}."
        )
    if not np.isfinite(scores).all():
        raise InputError(f"{int((~np.isfinite(scores)).sum())} scores are NaN or infinite.")
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(labels[order], dtype=np.float64)[ends]
    return {"threshold": ordered[ends], "true": true, "false": ends + 1.0 - true}


def curve_auc(curve: dict[str, Array]) -> tuple[float, float]:
    """Return ROC-AUC and average precision of a curve; NaN without links of both kinds.

    Links of equal score share the precision at the last of them, as in scikit-learn.
    """
    true, false = curve["true"], curve["false"]
    if not true[-1] or not false[-1]:
        return float("nan"), float("nan")
    step_true = np.diff(true, prepend=0.0)
    step_false = np.diff(false, prepend=0.0)
    # A relevant link beats the irrelevant ones accepted later, and half of those with it.
    beaten = false[-1] - false + 0.5 * step_false
    precision = true / np.maximum(true + false, 1.0)
    return (
        float(step_true @ beaten / (true[-1] * false[-1])),
        float(step_true @ precision / true[-1]),
    )


def best_threshold(labels: Array, scores: Array) -> float:
    """Return the score from which on accepting links gives the highest F1.

    Choose it on validation links, never on those it is reported for.

    Examples
    --------
    >>> best_threshold(np.array([1, 1, 0, 0]), np.array([0.9, 0.6, 0.4, 0.1]))
    0.6
    """
    curve = binary_curve(labels, scores)
    true, false = curve["true"], curve["false"]
    f1 = 2 * true / (true + false + true[-1])
    return float(curve["threshold"][int(f1.argmax())])


def threshold_metrics(labels: Array, scores: Array, threshold: float) -> dict[str, float]:
    """Return accuracy, precision, recall and F1 of accepting scores of at least `threshold`.

    Precision is 0 where nothing is accepted, recall NaN where nothing is relevant.

    Examples
    --------
    >>> threshold_metrics(np.array([1, 1, 0]), np.array([0.9, 0.2, 0.4]), 0.5)["f1"]
    0.6666666666666666
    """
    labels = np.asarray(labels).astype(bool)
    accepted = np.asarray(scores) >= threshold
    true, n = int((accepted & labels).sum()), int(labels.sum())
    return {
        "accuracy": float((accepted == labels).mean()),
        "precision": true / max(int(accepted.sum()), 1),
        "recall": true / n if n else float("nan"),
        "f1": 2 * true / max(int(accepted.sum()) + n, 1),
    }


def reliability_curve(
    labels: Array, probabilities: Array, *, bins: int = N_BINS
) -> dict[str, Array]:
    """Compare predicted probabilities with observed frequencies, in bins of equal width.

    Returns
    -------
    dict
        predicted (mean probability), observed (share that is relevant), count; only bins that hold
        links.

    Raises
    ------
    InputError
        If a value lies outside [0, 1]: a score is no probability until it is calibrated.
    ConfigError
        If `bins` is below 1.

    Examples
    --------
    >>> curve = reliability_curve(np.array([0, 1, 1, 1]), np.array([0.1, 0.1, 0.9, 0.9]), bins=2)
    >>> curve["observed"].tolist()
    [0.5, 1.0]
    """
    if bins < 1:
        raise ConfigError(f"`bins` must be at least 1; got {bins}.")
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError(
            "Probabilities must lie in [0, 1]; calibrate scores first (pass validation links)."
        )
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    return {
        "predicted": np.bincount(place, probabilities, bins)[used] / count[used],
        "observed": np.bincount(place, np.asarray(labels), bins)[used] / count[used],
        "count": count[used],
    }


def expected_calibration_error(labels: Array, probabilities: Array, *, bins: int = N_BINS) -> float:
    """Return the mean distance of predicted and observed shares, weighted by the links in a bin.

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> expected_calibration_error(np.array([0, 1]), np.array([0.25, 0.75]))
    0.25
    """
    curve = reliability_curve(labels, probabilities, bins=bins)
    gap = np.abs(curve["predicted"] - curve["observed"])
    return float(gap @ curve["count"] / curve["count"].sum())


class ScoreHistogram:
    """Counts the scores of relevant and irrelevant links of a domain, block by block.

    Scores are rounded to one part in 2,048, which keeps their order; links in one bin count as
    ties. Memory does not grow with the links. A relevant link that the system cannot recommend
    lies below all others; masked links are left out.

    Examples
    --------
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([[0.9, 0.1, 0.5]], np.float32), np.array([0]), np.array([2]))
    >>> histogram.curve()["true"][-1], histogram.curve()["false"][-1]
    (np.float64(1.0), np.float64(2.0))
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
            for start in range(0, len(pieces), PIECES):
                for counts in pool.map(_counted, pieces[start : start + PIECES]):
                    self.irrelevant += counts
        if n_masked is not None:
            self.irrelevant[_bins(np.array([-np.inf], np.float32))[0]] -= int(n_masked.sum())
        placed = columns >= 0
        self.lost += int((~placed).sum())
        own = _counted(scores[rows[placed], columns[placed]])
        self.relevant += own
        self.irrelevant -= own

    def curve(self) -> dict[str, Array]:
        """Return the counts of accepted links from the highest bin down, as `binary_curve` does.

        float64 [bins + 1]; the last entry accepts the relevant links that have no score.
        """
        return {
            "true": np.cumsum(np.append(self.relevant[::-1], self.lost), dtype=np.float64),
            "false": np.cumsum(np.append(self.irrelevant[::-1], 0), dtype=np.float64),
        }

    def roc_curve(self) -> tuple[Array, Array]:
        """Return false and true positive rates, thinned to about 100 points."""
        curve = self.curve()
        true = np.append(0.0, curve["true"][:-1]) / max(curve["true"][-1], 1.0)
        false = np.append(0.0, curve["false"][:-1]) / max(curve["false"][-1], 1.0)
        # Places where the curve has run equal lengths along both axes.
        where = np.searchsorted(true + false, np.linspace(0, true[-1] + false[-1], CURVE_POINTS))
        kept = np.unique(np.minimum(where, len(true) - 1))
        return np.append(false[kept], 1.0), np.append(true[kept], 1.0)


def _counted(scores: Array) -> Array:
    """Count the scores of each bin; int64 [2**BITS]."""
    return np.bincount(_bins(scores.ravel()), minlength=2**BITS)


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

    @abstractmethod
    def __call__(self, histogram: ScoreHistogram) -> float:
        """Return a share in [0, 1]; NaN without links of both kinds."""


class ROCAUC(LinkMetric):
    """Area under the ROC curve over all links of a domain together.

    Relevant and irrelevant links as in `AUC`, but scores of different users are compared too, and
    users with more relevant items weigh more. Computed on scores rounded to one part in 2,048.

    Examples
    --------
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([[3, 2], [1, 0]], np.float32), np.array([0]), np.array([0]))
    >>> ROCAUC()(histogram)
    1.0
    """

    name, title = "roc-auc", "Global ROC-AUC"

    def __call__(self, histogram: ScoreHistogram) -> float:
        return curve_auc(histogram.curve())[0]


class PRAUC(LinkMetric):
    """Average precision over all links of a domain together (area under precision-recall).

    Its chance value is the share of links that are relevant, not one half.

    Examples
    --------
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([[3, 2], [1, 0]], np.float32), np.array([0]), np.array([1]))
    >>> PRAUC()(histogram)
    0.5
    """

    name, title = "pr-auc", "Global PR-AUC"

    def __call__(self, histogram: ScoreHistogram) -> float:
        return curve_auc(histogram.curve())[1]
