"""AUC against scikit-learn and against counting pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from eval.metrics import pair_auc


def problem(seed, n_users=40, n_items=120, levels=None, most=12):
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(n_users, n_items)).astype(np.float32)
    if levels:
        scores = generator.integers(0, levels, size=scores.shape).astype(np.float32)
    counts = generator.integers(1, most + 1, size=n_users)
    rows = np.repeat(np.arange(n_users), counts)
    columns = np.concatenate([generator.choice(n_items, c, replace=False) for c in counts])
    masked = generator.random(scores.shape) < 0.1
    masked[rows, columns] = False
    return np.where(masked, -np.inf, scores).astype(np.float32), rows, columns, masked


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("most", [2, 30])
def test_equals_scikit_learn(levels, most):
    scores, rows, columns, masked = problem(1, levels=levels, most=most)
    got = pair_auc(scores, rows, columns, masked.sum(axis=1))
    for user in range(len(scores)):
        relevant = np.zeros(scores.shape[1], dtype=bool)
        relevant[columns[rows == user]] = True
        kept = ~masked[user]
        expected = roc_auc_score(relevant[kept], scores[user][kept])
        assert got[rows == user].mean() == pytest.approx(expected, abs=1e-9)


def slow(scores, rows, columns, masked):
    result = []
    for row, column in zip(rows, columns, strict=True):
        relevant = set(columns[rows == row].tolist())
        others = [i for i in range(scores.shape[1]) if i not in relevant and not masked[row, i]]
        wins = 0.0
        for other in others:
            if column >= 0:
                wins += float(scores[row, column] > scores[row, other])
                wins += 0.5 * float(scores[row, column] == scores[row, other])
        result.append(wins / len(others) if others else np.nan)
    return result


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([None, 1, 2, 5]), st.integers(1, 8))
def test_equals_counting_pairs(seed, levels, most):
    scores, rows, columns, masked = problem(seed, 6, 15, levels, most)
    generator = np.random.default_rng(seed)
    columns = np.where(generator.random(len(columns)) < 0.2, -1, columns)
    scores[~masked & (generator.random(scores.shape) < 0.1)] = -np.inf
    scores[generator.random(scores.shape) < 0.05] = np.inf
    scores[masked] = -np.inf
    got = pair_auc(scores, rows, columns, masked.sum(axis=1))
    np.testing.assert_allclose(got, slow(scores, rows, columns, masked), atol=1e-12)


def test_without_irrelevant_items_there_is_no_value():
    values = pair_auc(np.zeros((1, 2), np.float32), np.array([0, 0]), np.array([0, 1]))
    assert np.isnan(values).all()
