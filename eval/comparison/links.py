"""Evaluation of a table of scored links as binary decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from eval.evaluation.inputs import read_table
from eval.evaluation.records import records
from eval.evaluation.resampling import percentile_interval
from eval.metrics.base import Array
from eval.metrics.links import (
    best_threshold,
    binary_curve,
    curve_auc,
    expected_calibration_error,
    reliability_curve,
    threshold_metrics,
)
from graphgen.arrays import place_in_group
from graphgen.errors import ConfigError, InputError
from graphgen.schema import SCORE, USER_ID
from graphgen.storage import provenance

__all__ = ["LinkEvaluation", "evaluate_links"]

LABEL: Final = "label"
CURVE_POINTS: Final = 101


@dataclass(frozen=True, eq=False)
class LinkEvaluation:
    """What an evaluation of labelled links found.

    Attributes
    ----------
    summary
        metric, value, low, high: ``roc-auc``, ``pr-auc``; at the threshold chosen on validation
        ``accuracy``, ``precision``, ``recall``, ``f1``; of the calibrated probabilities ``ece`` and
        ``brier``, and ``ece-raw`` where the scores themselves lie in [0, 1]. Intervals: 95 %
        bootstrap over users (over links without a user_id).
    curves
        ``roc`` (fpr, tpr) and ``reliability`` (predicted, observed, count).
    meta
        Threshold, counts, notes, provenance.
    """

    summary: pd.DataFrame
    curves: dict[str, dict[str, list[float]]]
    meta: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``links.json`` holds."""
        return {"summary": records(self.summary), "curves": self.curves, "meta": self.meta}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take back what `to_dict` gave."""
        return cls(pd.DataFrame(content["summary"]), content["curves"], content["meta"])


def evaluate_links(
    scored: Any, *, valid: Any = None, bins: int = 10, bootstrap: int = 200, seed: int = 0
) -> LinkEvaluation:
    """Judge scored links that carry a label.

    Parameters
    ----------
    scored
        DataFrame or path with ``label`` (0 or 1) and ``score``; optional ``user_id``.
    valid
        Validation links in the same form. The threshold and the calibration (isotonic regression)
        are chosen on them; without them neither is reported.
    bins
        Bins of the reliability curve.
    bootstrap
        Replicates of the intervals; 0 for none.
    seed
        Seed of the bootstrap.

    Returns
    -------
    LinkEvaluation

    Raises
    ------
    InputError
        If a column is missing, a label is not 0 or 1, a score is not finite, or one kind is absent.

    Examples
    --------
    >>> links = pd.DataFrame({"label": [1, 0, 1, 0], "score": [0.9, 0.2, 0.6, 0.7]})
    >>> found = evaluate_links(links, valid=links, bootstrap=0).summary.set_index("metric")["value"]
    >>> float(found["roc-auc"]), float(found["accuracy"])
    (0.75, 0.75)
    """
    if bootstrap < 0:
        raise ConfigError(f"`bootstrap` must be at least 0; got {bootstrap}.")
    frame, labels, scores = _links(scored, "The links")
    threshold: float | None = None
    probabilities: Array | None = None
    notes: list[str] = []
    if valid is not None:
        from sklearn.isotonic import IsotonicRegression

        _, valid_labels, valid_scores = _links(valid, "The validation links")
        threshold = best_threshold(valid_labels, valid_scores)
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        fitted.fit(valid_scores, valid_labels.astype(float))
        probabilities = np.clip(fitted.predict(scores), 0, 1)
    else:
        notes.append(
            "No validation links: no threshold was chosen and no calibration fitted, so accuracy, "
            "F1 and ECE are missing."
        )
    raw = scores if bool(((scores >= 0) & (scores <= 1)).all()) else None
    observed = _measure(labels, scores, threshold, probabilities, raw, bins)
    low = high = dict.fromkeys(observed, np.nan)
    if bootstrap:
        by = frame[USER_ID].astype(str) if USER_ID in frame else pd.Series(np.arange(len(frame)))
        person, _ = pd.factorize(by, sort=True)
        draws = _resampled(
            labels, scores, threshold, probabilities, raw, bins, person, bootstrap, seed
        )
        bounds = percentile_interval(draws)
        low, high = (dict(zip(observed, bound, strict=True)) for bound in bounds)
    summary = pd.DataFrame(
        [
            {"metric": name, "value": value, "low": float(low[name]), "high": float(high[name])}
            for name, value in observed.items()
        ]
    )
    curve = binary_curve(labels, scores)
    where = np.unique(np.linspace(0, len(curve["true"]) - 1, CURVE_POINTS).astype(np.int64))
    curves = {
        "roc": {
            "fpr": [0.0, *(curve["false"][where] / curve["false"][-1]).round(5).tolist()],
            "tpr": [0.0, *(curve["true"][where] / curve["true"][-1]).round(5).tolist()],
        }
    }
    shown = probabilities if probabilities is not None else raw
    if shown is not None:
        found = reliability_curve(labels, shown, bins=bins)
        curves["reliability"] = {name: found[name].round(6).tolist() for name in found}
    meta = {
        "n_links": len(labels),
        "n_relevant": int(labels.sum()),
        "threshold": threshold,
        "bootstrap": bootstrap,
        "seed": seed,
        "notes": notes,
        "provenance": provenance(),
    }
    return LinkEvaluation(summary, curves, meta)


def _links(source: Any, what: str) -> tuple[pd.DataFrame, Array, Array]:
    frame = read_table(source, (LABEL, SCORE), what)
    labels = pd.to_numeric(frame[LABEL], errors="coerce").to_numpy(np.float64)
    if not np.isin(labels, (0.0, 1.0)).all():
        raise InputError(f"{what}: column 'label' must hold 0 or 1.")
    if labels.min() == labels.max():
        raise InputError(f"{what} must hold links of both kinds; all labels are {labels[0]:g}.")
    scores = pd.to_numeric(frame[SCORE], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(scores).all():
        raise InputError(
            f"{what}: {int((~np.isfinite(scores)).sum())} scores are no finite number."
        )
    return frame.reset_index(drop=True), labels.astype(bool), scores


def _measure(
    labels: Array,
    scores: Array,
    threshold: float | None,
    probabilities: Array | None,
    raw: Array | None,
    bins: int,
) -> dict[str, float]:
    roc, precision = curve_auc(binary_curve(labels, scores))
    found = {"roc-auc": roc, "pr-auc": precision}
    if threshold is not None:
        found |= threshold_metrics(labels, scores, threshold)
    if probabilities is not None:
        found["ece"] = expected_calibration_error(labels, probabilities, bins=bins)
        found["brier"] = float(np.mean((probabilities - labels) ** 2))
    if raw is not None:
        found["ece-raw"] = expected_calibration_error(labels, raw, bins=bins)
    return found


def _resampled(
    labels: Array,
    scores: Array,
    threshold: float | None,
    probabilities: Array | None,
    raw: Array | None,
    bins: int,
    person: Array,
    bootstrap: int,
    seed: int,
) -> Array:
    """Measure on people drawn with replacement; float64 [bootstrap, metrics]."""
    order = np.argsort(person, kind="stable")
    size = np.bincount(person)
    start = np.cumsum(size) - size
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(bootstrap):
        chosen = generator.integers(0, len(size), len(size))
        length = size[chosen]
        draw = np.repeat(np.arange(len(chosen)), length)
        rows = order[start[chosen][draw] + place_in_group(draw)]
        parts = [None if part is None else part[rows] for part in (probabilities, raw)]
        measured = _measure(labels[rows], scores[rows], threshold, parts[0], parts[1], bins)
        draws.append(list(measured.values()))
    return np.array(draws)
