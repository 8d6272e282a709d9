"""BiTGCF against its equations in dense matrices, one user at a time."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnn import make_model
from gnn.models import bitgcf
from gnn.models.bitgcf import BiTGCFConfig, BiTGCFNetwork


def matrices(domains):
    """Users 0 to 3 everywhere, the others in one or two domains."""
    rng = np.random.default_rng(domains)
    made = []
    for domain in range(domains):
        x = (rng.random((9, 6 + domain)) < 0.5).astype(np.float32)
        x[:4, 0] = 1
        x[4 + domain] = 0
        x[8] = 0
        if domain == 0:
            x[8, 2] = 1
        made.append(sp.csr_matrix(x))
    return made


def network(domains, connect="concat", dropout=0.0):
    config = BiTGCFConfig(
        embedding_dim=5,
        num_layers=2,
        transfer=0.7,
        connect=connect,
        dropout=dropout,
        regularization=0.1,
    )
    return BiTGCFNetwork(matrices(domains), config, np.random.default_rng(0))


def oracle(net, xs, connect):
    """The paper's equations 3 to 9; with more domains, "other" is the mean over those known."""
    xs = [x.toarray().astype(np.float64) for x in xs]
    n = len(xs[0])
    users = [net.parameters[f"users.{d}"].detach().double().numpy() for d in range(len(xs))]
    items = [net.parameters[f"items.{d}"].detach().double().numpy() for d in range(len(xs))]
    layers = [(users, items)]
    for _ in range(2):
        new_users, new_items = [], []
        for d, x in enumerate(xs):
            u, i = users[d].copy(), items[d].copy()
            for a in range(n):
                for b in range(x.shape[1]):
                    if x[a, b]:
                        weight = 1 / np.sqrt(x[a].sum() * x[:, b].sum())
                        u[a] += weight * (items[d][b] + items[d][b] * users[d][a])
                        i[b] += weight * (users[d][a] + users[d][a] * items[d][b])
            new_users.append(u)
            new_items.append(i)
        users, items = [u.copy() for u in new_users], new_items
        for d in range(len(xs)):
            for a in range(n):
                known = [o for o in range(len(xs)) if o != d and xs[o][a].any()]
                if not known:
                    continue
                other = np.mean([new_users[o][a] for o in known], axis=0)
                mixed = 0.7 * new_users[d][a] + 0.3 * other
                degree = np.array([x[a].sum() for x in xs])
                merged = sum(degree[o] * new_users[o][a] for o in range(len(xs))) / degree.sum()
                users[d][a] = (mixed + merged) / 2
        layers.append((users, items))

    def unit(v):
        return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)

    final = []
    for d in range(len(xs)):
        parts = [
            [layers[0][kind][d], *(unit(layer[kind][d]) for layer in layers[1:])] for kind in (0, 1)
        ]
        join = (
            (lambda p: np.concatenate(p, 1)) if connect == "concat" else (lambda p: np.mean(p, 0))
        )
        final.append([join(p) for p in parts])
    return final


@pytest.mark.parametrize("domains", [2, 3])
@pytest.mark.parametrize("connect", ["concat", "mean"])
def test_layers_equal_the_paper(domains, connect):
    net = network(domains, connect)
    for ours, want in zip(net.propagate(), oracle(net, matrices(domains), connect), strict=True):
        for got, expected in zip(ours, want, strict=True):
            np.testing.assert_allclose(got.detach(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("chunk", [3, 8192])
def test_gradients_of_pairs_equal_autograd(monkeypatch, chunk):
    monkeypatch.setattr(bitgcf, "CHUNK_PAIRS", chunk)
    rng = np.random.default_rng(0)
    user, domain = rng.integers(0, 9, 20), rng.integers(0, 2, 20)
    item, label = rng.integers(0, 6, 20), (rng.random(20) < 0.3).astype(np.float32)
    ours, theirs = network(2, dropout=0.2), network(2, dropout=0.2)
    total = ours.backward(user, item, domain, label, seed=4)

    final = theirs.propagate(4)
    pairs = list(zip(user, item, domain, strict=True))
    scores = torch.stack([final[d][0][u] @ final[d][1][i] for u, i, d in pairs])
    loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, torch.from_numpy(label))
    norm = sum(
        theirs.parameters[f"users.{d}"][u].square().sum()
        + theirs.parameters[f"items.{d}"][i].square().sum()
        for u, i, d in pairs
    )
    (loss + 0.1 * norm / (2 * 20)).backward()
    assert total == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, parameter in ours.parameters.items():
        torch.testing.assert_close(parameter.grad, theirs.parameters[name].grad)


def test_dropout_is_seeded():
    net = network(2, dropout=0.5)
    one, two, three = (net.propagate(seed)[0][0].detach() for seed in (1, 1, 2))
    torch.testing.assert_close(one, two)
    assert not torch.equal(one, three)


def test_loss_falls(graph):
    history = (
        make_model("bitgcf", embedding_dim=8, epochs=15, learning_rate=0.02)
        .fit(graph, valid=None)
        .history_
    )
    losses = [entry["loss"] for entry in history]
    assert losses[-1] < losses[0]
