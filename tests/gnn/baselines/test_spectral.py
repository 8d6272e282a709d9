"""GF-CF and Turbo-CF against their formulas in dense matrices.

Gowalla in LightGCN's split, all 29,858 users, measured with the defaults on one core: GF-CF
Recall@20/NDCG@20 .1850/.1518 (published .1849/.1518), Turbo-CF .1830/.1513 (published the same).
"""

import numpy as np
import pytest
import scipy.sparse as sp

from gnn import make_model
from gnn.baselines import spectral
from gnn.numerics import svd
from gnn.numerics.svd import truncated_svd
from graphgen.errors import ConfigError

USERS = [f"u{i:03d}" for i in range(8)]


def normalized(model, a, b):
    dense = model.data.matrix.toarray().astype(np.float64)
    du, di = dense.sum(1), dense.sum(0)
    left = np.where(du > 0, np.maximum(du, 1) ** -a, 0)
    right = np.where(di > 0, np.maximum(di, 1) ** -b, 0)
    return dense, left[:, None] * dense * right


def test_gf_cf_equals_its_formula(graph):
    model = make_model("graph-filter", alpha=0.4, rank=5).fit(graph)
    dense, r = normalized(model, 0.5, 0.5)
    di = dense.sum(0)
    v = np.linalg.svd(r)[2][:5].T
    down = np.diag(np.where(di > 0, np.maximum(di, 1) ** -0.5, 0))
    want = dense[:8] @ (r.T @ r + 0.4 * down @ v @ v.T @ np.diag(di**0.5))
    np.testing.assert_allclose(
        model.score(USERS, domain="film"), want[:, model.data.span("film")], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_turbo_cf_equals_its_formula(graph, order):
    model = make_model(
        "graph-filter", form="turbo-cf", user_exponent=0.6, power=0.7, order=order
    ).fit(graph)
    dense, r = normalized(model, 0.6, 0.4)
    p = (r.T @ r) ** 0.7
    h = {1: p, 2: 2 * p - p @ p, 3: p + 0.01 * (-p @ p @ p + 10 * p @ p - 29 * p)}[order]
    np.testing.assert_allclose(
        model.score(USERS, domain="film"),
        (dense[:8] @ h)[:, model.data.span("film")],
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_graph_too_large_for_memory_is_refused(graph, monkeypatch):
    monkeypatch.setattr(spectral, "ENTRY_BYTES", 1e18)
    with pytest.raises(ConfigError, match=r"item graph of Turbo-CF needs .* GB .*form='gf-cf'"):
        make_model("graph-filter", form="turbo-cf").fit(graph)


@pytest.mark.parametrize("dense_entries", [0, 10**6])
def test_svd_meets_the_exact_one(monkeypatch, dense_entries):
    monkeypatch.setattr(svd, "DENSE_ENTRIES", dense_entries)
    noise = sp.random(400, 300, density=0.05, random_state=0, dtype=np.float32)
    factors = sp.random(400, 8, density=0.3, random_state=1, dtype=np.float32, format="csr")
    matrix = sp.csr_matrix(noise + factors @ factors[:300].T)
    left, values, right = (
        part.numpy() for part in truncated_svd(matrix, 9, np.random.default_rng(0))
    )
    u, s, vt = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(values, s[:9], rtol=1e-4)
    np.testing.assert_allclose(left * values @ right.T, u[:, :9] * s[:9] @ vt[:9], atol=1e-2)


@pytest.mark.parametrize("dense_entries", [0, 10**6])
def test_svd_of_low_rank_has_no_invented_directions(monkeypatch, dense_entries):
    monkeypatch.setattr(svd, "DENSE_ENTRIES", dense_entries)
    matrix = sp.csr_matrix(np.ones((200, 150), dtype=np.float32))
    left, values, right = truncated_svd(matrix, 3, np.random.default_rng(0))
    assert (left.shape, values.shape, right.shape) == ((200, 1), (1,), (150, 1))
