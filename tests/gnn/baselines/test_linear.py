"""EASE against numpy's closed form, and its sparse form against EASE and a slow oracle."""

import logging

import numpy as np
import pytest

from gnn import make_model
from gnn.baselines import linear
from graphgen.errors import ConfigError

USERS = [f"u{i:03d}" for i in range(8)]


@pytest.mark.parametrize("block", [5, 1024])
def test_ease_equals_the_closed_form(graph, monkeypatch, block):
    monkeypatch.setattr(linear, "BLOCK_ROWS", block)
    model = make_model("ease", regularization=30).fit(graph)
    x = model.data.matrix.toarray().astype(np.float64)
    p = np.linalg.inv(x.T @ x + 30 * np.eye(x.shape[1]))
    b = p / -np.diag(p)
    np.fill_diagonal(b, 0)
    np.testing.assert_allclose(
        model.score(USERS, domain="film"),
        (x[:8] @ b)[:, model.data.span("film")],
        rtol=1e-3,
        atol=1e-5,
    )


def test_ease_says_what_it_needs_and_refuses_what_is_not_there(graph, monkeypatch, caplog):
    with caplog.at_level(logging.INFO):
        make_model("ease").fit(graph)
    assert "EASE over 48 items needs 0.00 GB of memory" in caplog.text
    monkeypatch.setattr(linear, "BYTES_PER_ENTRY", 10**15)
    with pytest.raises(ConfigError, match=r"EASE over 48 items needs .* Train 'ease-sparse'"):
        make_model("ease").fit(graph)


@pytest.fixture
def noisy():
    """Items of uneven popularity without exact ties."""
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    chance = rng.uniform(0.2, 0.7, 30)
    return sp.csr_matrix((rng.random((300, 30)) < chance).astype(np.float32))


def oracle(x, config):
    """Section 3 of the paper in dense matrices, as its author's notebook has it."""
    x = x.toarray().astype(np.float64)
    n, m = x.shape
    gram = x.T @ x
    together = gram > 0
    mu = np.diag(gram) / n
    deviation = np.sqrt(np.diag(gram) - mu * mu * n)
    scale = deviation**-config.scaling
    gram = (gram - n * np.outer(mu, mu)) * np.outer(scale, scale)
    variance = np.diag(gram).copy()
    patterns = []
    for j in range(m):
        strength = np.where(together[:, j], np.abs(gram[:, j]), 0)
        strength[j] = np.inf
        order = [i for i in np.argsort(-strength) if strength[i] > config.threshold]
        patterns.append(order[: config.neighbors + 1])
    width = np.array([len(p) for p in patterns])
    total, times, done = np.zeros((m, m)), np.zeros((m, m)), set()
    for j in np.argsort(-(width + variance / 2 / variance.max()), kind="stable"):
        if j in done:
            continue
        block = patterns[j]
        inverse = np.linalg.inv(
            gram[np.ix_(block, block)] + config.regularization * np.eye(len(block))
        )
        inverse /= -np.diag(inverse)
        owned = max(1, int(np.ceil(len(block) * config.share)))
        done.update(block[:owned])
        for column in range(owned):
            total[block, block[column]] += inverse[:, column]
            times[block, block[column]] += 1
    weights = np.divide(total, times, out=np.zeros_like(total), where=times > 0)
    for j in range(m):
        outside = np.setdiff1d(np.arange(m), patterns[j])
        weights[outside, j] = 0
    np.fill_diagonal(weights, 0)
    return scale[:, None] * weights / scale


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_sparse_ease_equals_a_slow_oracle(noisy, share, dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(linear, "DENSE_ENTRIES", 0)
    config = linear.EaseSparseConfig(share=share, neighbors=6, threshold=0.05, regularization=2.0)
    ours = linear.sparse_weights(noisy, config).toarray()
    np.testing.assert_allclose(ours, oracle(noisy, config), rtol=1e-4, atol=1e-6)


def test_sparse_ease_with_every_weight_is_ease_of_centred_data(noisy):
    config = linear.EaseSparseConfig(
        threshold=0, neighbors=30, share=0, scaling=0, regularization=5.0
    )
    ours = linear.sparse_weights(noisy, config).toarray()
    x = noisy.toarray().astype(np.float64)
    assert (x.T @ x > 0).all()
    x -= x.mean(0)
    p = np.linalg.inv(x.T @ x + 5 * np.eye(30))
    b = p / -np.diag(p)
    np.fill_diagonal(b, 0)
    np.testing.assert_allclose(ours, b, rtol=1e-3, atol=1e-5)
