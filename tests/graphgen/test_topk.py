"""Top-k against a slow, obvious oracle, and what ties must obey."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphgen.errors import InputError
from graphgen.topk import tie_noise, top_k


def oracle(scores, k, keys, seed):
    """Sort each row in plain Python by (score, noise)."""
    indices = np.full((len(scores), k), -1)
    values = np.full((len(scores), k), -np.inf, dtype=np.float32)
    for row, key in enumerate(keys):
        noise = tie_noise(np.array([key]), np.arange(scores.shape[1]), seed=seed)
        candidates = [c for c in range(scores.shape[1]) if scores[row, c] > -np.inf]
        candidates.sort(key=lambda c: (-scores[row, c], noise[c]))
        for place, column in enumerate(candidates[:k]):
            indices[row, place], values[row, place] = column, scores[row, column]
    return indices, values


@settings(max_examples=60, deadline=None)
@given(
    scores=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
        elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0]).map(np.float32),
    ),
    k=st.integers(1, 45),
    seed=st.integers(-5, 2**63),
)
def test_equals_the_oracle_with_many_ties(scores, k, seed):
    keys = np.arange(len(scores)) * 7 - 3
    indices, values = top_k(scores, k, keys=keys, seed=seed)
    expected_indices, expected_values = oracle(scores, k, keys, seed)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(values, expected_values)


def test_equals_the_oracle_without_ties():
    scores = np.random.default_rng(0).normal(size=(30, 200)).astype(np.float32)
    indices, _ = top_k(torch.from_numpy(scores), 10)
    np.testing.assert_array_equal(indices, np.argsort(-scores, axis=1)[:, :10])


def test_short_and_long_runs_of_ties_agree_with_the_oracle():
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 30, size=(40, 500)).astype(np.float32)
    scores[:10] = generator.normal(size=(10, 500))
    scores[5, 3] = scores[5].max() + 1
    scores[5, 4] = scores[5, 3]
    indices, _ = top_k(scores, 20, seed=3)
    np.testing.assert_array_equal(indices, oracle(scores, 20, np.arange(40), 3)[0])


def test_chunking_changes_nothing():
    scores = np.zeros((50, 300), dtype=np.float32)
    keys = np.arange(50) + 1000
    whole, _ = top_k(scores, 5, keys=keys, seed=1)
    parts = [top_k(scores[s : s + 7], 5, keys=keys[s : s + 7], seed=1)[0] for s in range(0, 50, 7)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert (top_k(scores, 5, keys=keys, seed=2)[0] != whole).any()


def test_ties_favour_no_column():
    indices, _ = top_k(np.zeros((4000, 50), dtype=np.float32), 10)
    counts = np.bincount(indices.ravel(), minlength=50)
    expected = 4000 * 10 / 50
    assert ((counts - expected) ** 2 / expected).sum() < 95  # chi-square, 49 df, p < 1e-4
    assert all(len(set(row)) == 10 for row in indices.tolist())


def test_fewer_candidates_than_k_and_infinite_scores():
    scores = np.array([[np.inf, 1.0, -np.inf], [-np.inf] * 3], dtype=np.float32)
    indices, values = top_k(scores, 5)
    assert indices.tolist() == [[0, 1, -1, -1, -1], [-1] * 5]
    assert np.isneginf(values[indices < 0]).all()
    assert top_k(np.zeros((0, 3)), 2)[0].shape == (0, 2)
    assert top_k(np.zeros((2, 0)), 2)[0].tolist() == [[-1, -1]] * 2


def test_the_input_is_left_alone():
    scores = np.zeros((5, 40), dtype=np.float32)
    top_k(scores, 3)
    assert (scores == 0).all()


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (np.zeros((2, 3)), {"k": 0}, "`k` must be at least 1; got 0"),
        (np.zeros(3), {"k": 1}, "shape"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), {"k": 1}, "NaN in 1 of 2 rows .first: row 1"),
        (np.zeros((2, 3)), {"k": 1, "keys": np.zeros(3)}, "one integer per row"),
    ],
)
def test_bad_input(scores, options, message):
    with pytest.raises(InputError, match=message):
        top_k(scores, **options)
