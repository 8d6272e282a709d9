import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.numerics.sparse import dense_product, keep_largest, pack_csr, unpack_csr
from gnn.numerics.svd import spectral_vectors


def test_keep_largest_and_packing():
    matrix = sp.random(20, 30, density=0.4, random_state=0, format="csr", dtype=np.float32)
    kept = keep_largest(matrix, 3)
    for row in range(20):
        want = np.sort(matrix[row].toarray().ravel())[::-1][:3]
        got = np.sort(kept[row].toarray().ravel())[::-1][:3]
        np.testing.assert_array_equal(got, want)
    assert (unpack_csr("m", pack_csr("m", kept)) != kept).nnz == 0


@pytest.mark.parametrize("mkl", [True, False])
@pytest.mark.parametrize("density", [0.3, 0.0])
def test_dense_product_with_and_without_mkl(monkeypatch, mkl, density):
    if mkl and not torch.backends.mkl.is_available():
        pytest.skip("this PyTorch has no MKL")
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    rng = np.random.default_rng(0)
    left, right = (
        sp.random(*shape, density=density, random_state=rng, format="csr", dtype=np.float32)
        for shape in ((7, 5), (5, 9))
    )
    want = left.toarray() @ right.toarray()
    np.testing.assert_allclose(dense_product(left, right).numpy(), want, rtol=1e-6)


def test_spectral_vectors_meet_the_exact_decomposition():
    rng = np.random.default_rng(0)
    matrix = sp.csr_matrix((rng.random((60, 25)) < 0.3).astype(np.float32))
    vectors = spectral_vectors(matrix, 8, np.random.default_rng(1)).double().numpy()
    du = np.asarray(matrix.sum(1)).ravel()
    di = np.asarray(matrix.sum(0)).ravel()
    a = np.diag(du**-0.5) @ matrix.toarray() @ np.diag(di**-0.5)
    _, s, vt = np.linalg.svd(a)
    want = vt[:8].T * np.sqrt(s[:8])
    want = want / np.linalg.norm(want, axis=1).mean()
    np.testing.assert_allclose(vectors @ vectors.T, want @ want.T, atol=2e-2)
