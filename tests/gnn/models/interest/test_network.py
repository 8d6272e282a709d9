"""The network: its vectors as an expert, a training step, and the dropout of the graph."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from gnn.data import TrainingData, UserBatch
from gnn.models.interest.config import InterestGNNConfig, TrainingSettings
from gnn.models.interest.network import InterestNetwork, NetworkExpert, NetworkVectors
from gnn.models.interest.training import NetworkTrainer
from gnn.numerics.propagation import Propagator, inverse_power, normalized_adjacency

USER_EXPONENT, ITEM_EXPONENT = 0.5, 0.3


@pytest.fixture(scope="module")
def data(graph):
    return TrainingData.from_graph(graph)


@pytest.fixture
def network(data):
    return InterestNetwork(
        data,
        dim=6,
        num_layers=2,
        semantic_weight=1.0,
        semantic_neighbors=3,
        generator=np.random.default_rng(0),
    )


def test_a_user_is_the_sum_over_a_history(data):
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    vectors = NetworkVectors(draw(data.n_items, 3), draw(data.n_items, 3))
    known = data.batch(np.arange(4))
    new = UserBatch(np.full(4, -1), known.history, known.keys)
    scores = NetworkExpert(data, vectors).score(known, "film")
    for user in range(4):
        vector = vectors.history.numpy()[known.history[user].indices].sum(0)
        want = vectors.items.numpy()[data.span("film")] @ (vector / np.linalg.norm(vector))
        np.testing.assert_allclose(scores[user], want, rtol=1e-4, atol=1e-5)
    # Users who arrive after training are scored as those who were trained on.
    torch.testing.assert_close(NetworkExpert(data, vectors).score(new, "film"), scores)


def test_a_history_adds_up_to_the_user_of_the_propagation(data, network):
    adjacency = Propagator(normalized_adjacency(data.matrix, USER_EXPONENT, ITEM_EXPONENT))
    scale = torch.from_numpy(inverse_power(data.popularity, ITEM_EXPONENT)).unsqueeze(1)
    none_dropped = torch.zeros(data.n_items, dtype=torch.bool)
    users, items = network(adjacency, none_dropped)
    expert = NetworkExpert(data, network.vectors(adjacency, scale))
    scores = expert.score(data.batch(np.arange(9)), "film")
    torch.testing.assert_close(scores, (users[:9] @ items[data.span("film")].T).detach())


def test_a_new_item_has_the_base_of_its_text_and_a_dropped_one_no_identity(data, network):
    with torch.no_grad():
        network.item.fill_(1.0)
        network._semantic = None
        text = torch.from_numpy(data.features) @ network.content.projection
        base = network.base(torch.arange(data.n_items) == 0)
    identity = torch.from_numpy(data.warm).float()
    identity[0] = 0
    torch.testing.assert_close(base, text + identity[:, None])


def test_the_gradient_of_a_step_is_that_of_the_loss_of_every_domain(data, network):
    """Accumulated over chunks, it equals that of autograd through the whole softmax."""
    adjacency = Propagator(normalized_adjacency(data.matrix, USER_EXPONENT, ITEM_EXPONENT))
    generator = np.random.default_rng(1)
    settings = InterestGNNConfig(
        learning_rate=1e-9,
        id_dropout=0.3,
        temperature=0.2,
        num_negatives=10**6,
        chunk_users=7,
    )
    settings = TrainingSettings.of(settings, data)
    trainer = NetworkTrainer(data, network, adjacency, settings, generator)
    again = copy.deepcopy(generator)
    loss = trainer.step()
    ours = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}

    new = torch.from_numpy(again.random(data.n_items) < 0.3)
    visible = normalized_adjacency(data.matrix, USER_EXPONENT, ITEM_EXPONENT)
    a = torch.from_numpy(visible.toarray())
    base = network.base(new)
    users, items = [a @ base], [a.T @ (a @ base)]
    users, items = [*users, a @ items[0]], [*items, a.T @ (a @ items[0])]
    stays = (~new).float()[:, None]
    user = normalize(users[0] + users[1], dim=1)
    item = normalize(base + stays * (items[0] + items[1]), dim=1)
    total = 0.0
    for domain in data.domains:
        span = data.span(domain)
        block = torch.from_numpy(data.matrix[:, span].toarray()).sign()
        count = block.sum(1)
        logits = user @ item[span].T / 0.2
        toward = (block * logits).sum(1) / count.clamp(min=1).sqrt()
        warm = torch.from_numpy(data.warm[span])
        away = count.sqrt() * torch.logsumexp(logits[:, warm], 1)
        total = total + (away - toward).sum()
    total = total / data.matrix.nnz
    expected = torch.autograd.grad(total, list(network.parameters()))
    assert loss == pytest.approx(float(total.detach()), rel=1e-4)
    for name, gradient in zip(ours, expected, strict=True):
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)
