"""Factorisations: alternating least squares against direct solves, BPR against its bias."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn import make_model
from gnn.baselines.ials import IALSConfig, alternate, row_solver
from gnn.data import TrainingData
from gnn.numerics import least_squares
from gnn.numerics.least_squares import RowSolver
from gnn.numerics.losses import NegativeSampler


@pytest.fixture
def ragged():
    """Rows from empty to longer than the factors are wide."""
    rng = np.random.default_rng(0)
    chance = np.linspace(0, 0.9, 50)[:, None]
    return sp.csr_matrix((rng.random((50, 40)) < chance).astype(np.float32))


@pytest.mark.parametrize("budget", [64, 1 << 23])
def test_rows_equal_direct_solves(ragged, monkeypatch, budget):
    monkeypatch.setattr(least_squares, "BATCH_FLOATS", budget)
    v = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    alpha, lam, nu = 0.2, 0.05, 0.7
    ours = RowSolver(v, unobserved_weight=alpha, regularization=lam, exponent=nu).solve(ragged)
    dense, columns = ragged.toarray().astype(np.float64), v.double().numpy()
    for row, x in enumerate(dense):
        system = columns.T @ np.diag(x) @ columns + alpha * columns.T @ columns
        system += lam * (x.sum() + alpha * 40) ** nu * np.eye(8)
        want = np.linalg.solve(system, columns.T @ x)
        np.testing.assert_allclose(ours[row], want, rtol=2e-4, atol=2e-5)


def loss(matrix, users, items, config):
    x = matrix.toarray()
    predicted = users @ items.T
    n, m = x.shape
    alpha, lam, nu = config.unobserved_weight, config.regularization, config.regularization_exponent
    ridge = (lam * (x.sum(1) + alpha * m) ** nu) @ (users**2).sum(1)
    ridge += (lam * (x.sum(0) + alpha * n) ** nu) @ (items**2).sum(1)
    return (x * (predicted - 1) ** 2).sum() + alpha * (predicted**2).sum() + ridge


def test_every_half_step_lowers_the_loss(ragged):
    losses = []
    for epochs in range(1, 6):
        config = IALSConfig(embedding_dim=6, epochs=epochs)
        items = alternate(ragged, config, np.random.default_rng(0))
        users = row_solver(items, config).solve(ragged)
        losses.append(loss(ragged, users.double().numpy(), items.double().numpy(), config))
    assert np.all(np.diff(losses) < 1e-6)


def test_bpr_learns_from_what_is_met(graph):
    model = make_model("bpr-mf", embedding_dim=8, epochs=20, learning_rate=0.05).fit(
        graph, valid=None
    )
    losses = [entry["loss"] for entry in model.history_]
    assert losses[-1] < 0.7 * losses[0]
    cold = model.score(["u000"], domain="book")[0, 24:]
    warm = model.score(["u000"], domain="book")[0, 0:24:3]
    assert cold.max() < warm.min()


def test_negatives_are_warm_items_of_the_same_domain(graph):
    data = TrainingData.from_graph(graph)
    sampler = NegativeSampler(data.item_domain, data.warm)
    positives = np.repeat(data.matrix.indices, 3)
    drawn = sampler.draw(positives, np.random.default_rng(0))
    assert (data.item_domain[drawn] == data.item_domain[positives]).all()
    assert data.warm[drawn].all()
    assert len(np.unique(drawn)) == data.warm.sum()
