"""Global curves against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from eval import evaluate
from eval.metrics import PRAUC, ROCAUC, ScoreHistogram


@pytest.mark.parametrize("levels", [None, 4])
def test_equals_scikit_learn(levels):
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(60, 90)).astype(np.float32)
    if levels:
        scores = generator.integers(-levels, levels, scores.shape).astype(np.float32)
    relevant = generator.random(scores.shape) < 0.05
    masked = (generator.random(scores.shape) < 0.1) & ~relevant
    scores[masked] = -np.inf
    histogram = ScoreHistogram()
    for start in range(0, 60, 25):
        part = slice(start, start + 25)
        rows, columns = np.nonzero(relevant[part])
        histogram.add(scores[part], rows, columns, masked[part].sum(axis=1))
    label, score = relevant[~masked], scores[~masked]
    expected = roc_auc_score(label, score)
    # Of a few levels each has a bin of its own, so nothing is rounded.
    assert ROCAUC()(histogram) == pytest.approx(expected, abs=1e-9 if levels else 2e-3)
    assert PRAUC()(histogram) == pytest.approx(average_precision_score(label, score), abs=2e-3)
    false, true = histogram.roc_curve()
    assert np.trapezoid(true, false) == pytest.approx(expected, abs=5e-3)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_lost_links_lie_below_all():
    histogram = ScoreHistogram()
    histogram.add(np.array([[1.0, 2.0, 3.0]], np.float32), np.array([0, 0]), np.array([2, -1]))
    assert ROCAUC()(histogram) == pytest.approx(0.5)
    assert PRAUC()(histogram) == pytest.approx((1 + 2 / 4) / 2)
    assert np.isnan(ROCAUC()(ScoreHistogram()))


def test_they_are_computed_on_request_only(world):
    plain = evaluate(world.scorer, world.truth, k=5, bootstrap=0)
    assert "roc-auc" not in plain.metrics
    asked = evaluate(world.scorer, world.truth, k=5, metrics=["auc", "roc-auc", "pr-auc"])
    assert asked.value("roc-auc", domain="d0") == pytest.approx(
        asked.value("auc", domain="d0"), abs=0.05
    )
    assert set(asked.curves) == {"d0", "d1"}
    lists = evaluate(world.recommendations(5), world.truth, k=5, metrics=["recall", "roc-auc"])
    assert "roc-auc" in lists.meta["not_computed"]
