"""The linear filter: its formula, with and without its product, and its flattened spectrum."""

import numpy as np
import pytest
import scipy.sparse as sp

from gnn.numerics import linear_filter
from gnn.numerics.linear_filter import FilterConfig, LinearFilter, cold_bridge, leading_directions


@pytest.fixture
def x():
    matrix = sp.random(40, 15, density=0.25, random_state=3, format="csr", dtype=np.float32)
    matrix.data[:] = 1.0
    return matrix


def test_filter_equals_its_formula(x):
    dense = x.toarray().astype(np.float64)
    du, di = np.maximum(dense.sum(1), 1), np.maximum(dense.sum(0), 1)
    left = np.diag(di**-0.3) @ dense.T @ np.diag(du**-0.6)
    want = dense[:5] @ left @ dense @ np.diag(di ** (0.2 - 0.3))
    ours = LinearFilter(x, FilterConfig(target_exponent=0.2)).score(x[:5], slice(3, 11)).toarray()
    np.testing.assert_allclose(ours, want[:, 3:11], rtol=1e-5)


def test_filter_without_its_product_is_the_same(x, monkeypatch):
    kept = LinearFilter(x).score(x[:7], slice(0, 15)).toarray()
    monkeypatch.setattr(linear_filter, "MAX_ENTRIES", 0)
    np.testing.assert_allclose(
        LinearFilter(x).score(x[:7], slice(0, 15)).toarray(), kept, rtol=1e-5
    )


def test_cold_bridge_hands_scores_on_by_squared_cosine():
    similar = sp.csr_matrix(
        np.array([[0, 0.9, 0.5, 0.4], [0.9, 0, 0, 0], [0.5, 0, 0, 0], [0.8, 0.6, 0, 0]])
    )
    warm = np.array([True, True, True, False])
    bridge = cold_bridge(similar, warm, slice(0, 4), 10)
    scores = np.array([[1.0, 2.0, 3.0, 0.0]])
    handed = (scores @ bridge.toarray())[0]
    np.testing.assert_allclose(handed, [0, 0, 0, (0.64 * 1 + 0.36 * 2) / 1.0], rtol=1e-6)


def test_a_flattened_filter_equals_its_formula(x):
    config = FilterConfig(
        user_exponent=0.7, item_exponent=0.4, source_exponent=0.2, target_exponent=0.1, flattened=4
    )
    dense = x.toarray().astype(np.float64)
    du, di = np.maximum(dense.sum(1), 1), np.maximum(dense.sum(0), 1)
    half = np.diag(du**-0.35) @ dense @ np.diag(di**-0.4)
    values, vectors = np.linalg.eigh(half.T @ half)
    values[-4:] = values[-4]
    flat = (vectors * values) @ vectors.T
    want = dense @ np.diag(di**-0.2) @ flat @ np.diag(di**0.1)
    link = LinearFilter(x, config)
    left, right = link.excess(leading_directions(x, config, np.random.default_rng(0)))
    span = slice(2, 9)
    ours = link.score(x, span).toarray() - (x @ left) @ right[span].T
    np.testing.assert_allclose(ours, want[:, span], rtol=2e-4, atol=2e-5)
