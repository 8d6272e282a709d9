"""Binary decisions on links: thresholds, and calibration of scores as probabilities."""

from __future__ import annotations

from typing import Final

import numpy as np

from eval.metrics.base import Array
from graphgen.errors import ConfigError, InputError

__all__ = [
    "best_threshold",
    "binary_curve",
    "expected_calibration_error",
    "reliability_curve",
    "threshold_metrics",
]

N_BINS: Final = 10


def binary_curve(labels: Array, scores: Array, weights: Array | None = None) -> dict[str, Array]:
    """Count accepted links at each distinct score, from the highest down.

    Parameters
    ----------
    labels
        Bool [links].
    scores
        float [links], finite.
    weights
        float [links]; default 1 each.

    Returns
    -------
    dict
        threshold, true, false: float64 [distinct scores]; `true` and `false` are the (weighted)
        relevant and irrelevant links that score at least `threshold`.

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
    weight = np.ones(len(labels)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    return {
        "threshold": ordered[ends],
        "true": np.cumsum(weight[order] * labels[order])[ends],
        "false": np.cumsum(weight[order] * ~labels[order])[ends],
    }


def curve_auc(curve: dict[str, Array]) -> tuple[float, float]:
    """Return ROC-AUC and average precision of a curve; NaN without links of both kinds."""
    true, false = curve["true"], curve["false"]
    if not true[-1] or not false[-1]:
        return float("nan"), float("nan")
    step_true = np.diff(true, prepend=0.0)
    step_false = np.diff(false, prepend=0.0)
    # A relevant link beats the irrelevant ones accepted later, and half of those with it.
    beaten = false[-1] - false + 0.5 * step_false
    precision = np.divide(true, true + false, out=np.zeros(len(true)), where=true + false > 0)
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
    labels = np.asarray(labels).astype(np.float64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InputError(
            "Probabilities must lie in [0, 1]; calibrate scores first (pass validation links)."
        )
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    total = np.maximum(count, 1)
    return {
        "predicted": (np.bincount(place, probabilities, bins) / total)[used],
        "observed": (np.bincount(place, labels, bins) / total)[used],
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
