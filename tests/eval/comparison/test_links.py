"""Labelled links against scikit-learn, and calibration that is right by construction."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    roc_auc_score,
)

from eval import evaluate_links, write_links
from eval.metrics.links import (
    best_threshold,
    expected_calibration_error,
    reliability_curve,
)
from graphgen.errors import InputError


def links(seed, n=3000, distort=False):
    generator = np.random.default_rng(seed)
    probability = generator.random(n) ** 2
    label = generator.random(n) < probability
    score = np.sqrt(probability) * 4 - 1 if distort else probability
    users = [f"u{i}" for i in generator.integers(0, 200, n)]
    return pd.DataFrame({"user_id": users, "label": label.astype(int), "score": score.round(3)})


def test_equals_scikit_learn():
    test, valid = links(0, distort=True), links(1, distort=True)
    result = evaluate_links(test, valid=valid, bootstrap=0)
    found = result.summary.set_index("metric")["value"]
    assert found["roc-auc"] == pytest.approx(roc_auc_score(test["label"], test["score"]))
    assert found["pr-auc"] == pytest.approx(average_precision_score(test["label"], test["score"]))
    accepted = test["score"] >= result.meta["threshold"]
    assert found["accuracy"] == pytest.approx(accuracy_score(test["label"], accepted))
    assert found["f1"] == pytest.approx(f1_score(test["label"], accepted))
    candidates = valid["score"].unique()
    best = max(f1_score(valid["label"], valid["score"] >= c) for c in candidates[::7])
    chosen = f1_score(valid["label"], valid["score"] >= result.meta["threshold"])
    assert chosen >= best
    assert found["ece"] < 0.05  # distorted scores become right again
    assert found["brier"] < brier_score_loss(
        test["label"], test["label"] * 0 + test["label"].mean()
    )


def test_true_probabilities_are_calibrated_and_wrong_ones_are_not():
    table = links(3, n=20_000)
    assert expected_calibration_error(table["label"], table["score"]) < 0.02
    assert expected_calibration_error(table["label"], np.sqrt(table["score"])) > 0.1
    curve = reliability_curve(table["label"], table["score"], bins=5)
    assert curve["count"].sum() == 20_000
    np.testing.assert_allclose(curve["predicted"], curve["observed"], atol=0.05)


def test_intervals_cover_and_without_validation_nothing_is_chosen(tmp_path):
    truth = roc_auc_score(*(links(9, n=200_000)[c] for c in ("label", "score")))
    result = evaluate_links(links(4), bootstrap=200)
    row = result.summary.set_index("metric").loc["roc-auc"]
    assert row["low"] < truth < row["high"]
    assert set(result.summary["metric"]) == {"roc-auc", "pr-auc", "ece-raw"}
    assert "No validation links" in result.meta["notes"][0]
    found = evaluate_links(links(4), valid=links(5), bootstrap=20)
    folder = write_links(found, tmp_path / "links")
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "Reliability" in page
    assert json.loads((folder / "links.json").read_text())["meta"]["n_links"] == 3000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "must hold 0 or 1"),
        ({"label": 1}, "links of both kinds; all labels are 1"),
        ({"score": np.nan}, "3000 scores are no finite number"),
    ],
)
def test_bad_links_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        evaluate_links(links(0).assign(**change))


def test_scores_outside_zero_and_one_are_no_probabilities():
    with pytest.raises(InputError, match="calibrate scores first"):
        reliability_curve(np.array([0, 1]), np.array([0.5, 1.5]))
    with pytest.raises(InputError, match="one label and one score"):
        best_threshold(np.array([0, 1]), np.array([0.5]))
