import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency


@pytest.fixture
def matrix():
    return sp.random(30, 20, density=0.2, random_state=0, dtype=np.float32, format="csr")


def test_equals_the_dense_product_forward_and_backward(matrix):
    dense = torch.from_numpy(matrix.toarray())
    x = torch.randn(20, 5, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    weights = torch.randn(30, 5)
    ((Propagator(matrix) @ x) * weights).sum().backward()
    ((dense @ y) * weights).sum().backward()
    torch.testing.assert_close(Propagator(matrix) @ x, dense @ y)
    torch.testing.assert_close(x.grad, y.grad)


def test_transpose(matrix):
    x = torch.randn(30, 3)
    torch.testing.assert_close(Propagator(matrix).T @ x, torch.from_numpy(matrix.toarray()).T @ x)


def test_equals_pyg_lightgcn_propagation():
    """Symmetric normalisation and summed layers are those of PyG's LGConv."""
    from torch_geometric.nn import LGConv

    x = sp.random(12, 9, density=0.3, random_state=1, format="csr")
    x.data[:] = 1.0
    n_users, n_items = x.shape
    user, item = x.nonzero()
    one_way = torch.tensor(np.stack([user, item + n_users]))
    edge_index = torch.cat([one_way, one_way.flip(0)], dim=1)
    embedding = torch.randn(n_users + n_items, 4)
    a = normalized_adjacency(x)
    ours = Propagator(sp.bmat([[None, a], [a.T, None]], format="csr")) @ embedding
    torch.testing.assert_close(ours, LGConv()(embedding, edge_index), rtol=1e-4, atol=1e-5)


def test_normalisation_leaves_empty_rows_empty():
    x = sp.csr_matrix(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    normalised = normalized_adjacency(x, 1.0, 0.0).toarray()
    np.testing.assert_allclose(normalised, [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(inverse_power(np.array([0.0, 4.0]), 0.5), [0.0, 0.5])
