"""Training: falling loss, early stopping, and checkpoints that resume to the same result."""

import copy
import logging

import numpy as np
import pandas as pd
import pytest
import torch

from eval.experiments.monitoring import ValidationMonitor
from gnn import make_model
from gnn.data import TrainingData
from gnn.models.interest.encoder import EncoderTrainer, InterestEncoder
from gnn.models.interest.hiding import Hiding
from gnn.numerics.propagation import Propagator, normalized_adjacency
from gnn.training import TrainingLoop
from graphgen.build import build_graph
from graphgen.log import InteractionLog

QUICK = {
    "lightgcn": {"embedding_dim": 8, "epochs": 12, "validate_every": 4},
    "bpr-mf": {"embedding_dim": 8, "epochs": 12, "validate_every": 4},
    "bitgcf": {"embedding_dim": 8, "epochs": 12, "validate_every": 4},
    "interest-gnn": {"embedding_dim": 8, "steps": 12, "validate_every": 4},
}


class Interrupted(Exception):
    pass


def interrupt(monkeypatch, at):
    """Make the run die right after its checkpoint at `at` steps."""
    save = TrainingLoop._save

    def dying(self, done, history, best):
        save(self, done, history, best)
        if done == at:
            raise Interrupted

    monkeypatch.setattr(TrainingLoop, "_save", dying)


@pytest.fixture
def monitor(log):
    held = log.groupby("user_id").sample(1, random_state=0)
    return ValidationMonitor(InteractionLog(held.reset_index(drop=True)))


@pytest.mark.parametrize("name", sorted(QUICK))
@pytest.mark.parametrize("validated", [False, True])
def test_resuming_gives_the_same_model(name, validated, graph, monitor, tmp_path, monkeypatch):
    watch = monitor if validated else None
    whole = make_model(name, **QUICK[name]).fit(graph, seed=5, monitor=watch)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, 8)
        make_model(name, **QUICK[name]).fit(
            graph, seed=5, monitor=watch, checkpoint=tmp_path / "checkpoint"
        )
    assert (tmp_path / "checkpoint" / "checkpoint.json").exists()
    resumed = make_model(name, **QUICK[name]).fit(
        graph, seed=5, monitor=watch, checkpoint=tmp_path / "checkpoint"
    )
    assert resumed.history_ == whole.history_
    np.testing.assert_array_equal(
        resumed.score(["u003"], domain="film"), whole.score(["u003"], domain="film")
    )
    assert not (tmp_path / "checkpoint").exists()


def test_a_checkpoint_of_other_settings_is_not_taken_up(graph, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, 4)
        make_model("interest-gnn", **QUICK["interest-gnn"]).fit(graph, checkpoint=tmp_path / "c")
    with caplog.at_level(logging.WARNING):
        make_model("interest-gnn", **{**QUICK["interest-gnn"], "embedding_dim": 4}).fit(
            graph, checkpoint=tmp_path / "c"
        )
    assert "other settings" in caplog.text


@pytest.mark.parametrize("name", sorted(QUICK))
def test_loss_falls(name, log):
    """On a log with noise, where the start is not yet the answer."""
    generator = np.random.default_rng(0)
    noise = pd.DataFrame(
        {
            "user_id": [f"u{u:03d}" for u in generator.integers(0, 120, 600)],
            "item_id": [f"b{i:02d}" for i in generator.integers(0, 24, 600)],
            "domain": "book",
        }
    )
    graph = build_graph(pd.concat([log, noise]).drop_duplicates(), encoder="none")
    settings = {"interest-gnn": {"steps": 60}}.get(name, {"epochs": 30})
    history = make_model(name, embedding_dim=8, **settings).fit(graph).history_
    losses = [entry["loss"] for entry in history]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_the_best_state_is_kept_and_patience_ends_the_run():
    parameter = torch.nn.Parameter(torch.zeros(1))
    loop = TrainingLoop(
        parameters={"x": parameter},
        optimizer=torch.optim.SGD([parameter], lr=1.0),
        generator=np.random.default_rng(0),
        steps=50,
        validate_every=1,
        patience=3,
    )

    def step():
        with torch.no_grad():
            parameter.add_(1.0)
        return 0.0

    history = loop.run(step, lambda: -abs(float(parameter.detach()) - 4))
    assert float(parameter.detach()) == 4.0
    assert [entry["step"] for entry in history] == [1, 2, 3, 4, 5, 6, 7]


def test_the_gradient_of_a_step_is_that_of_the_loss_of_a_domain(graph):
    """Accumulated over chunks and domains, gradients meet those of autograd through everything."""
    data = TrainingData.from_graph(graph)
    settings = {"dim": 6, "num_layers": 2, "semantic_weight": 1.0, "semantic_neighbors": 5}
    network = InterestEncoder(data, **settings, generator=np.random.default_rng(0))
    adjacency = Propagator(normalized_adjacency(data.matrix, 0.5, 0.3))
    generator = np.random.default_rng(1)
    trainer = EncoderTrainer(
        data,
        network,
        adjacency,
        torch.optim.SGD(network.parameters.values(), lr=0.0),
        id_dropout=0.3,
        edge_dropout=0.25,
        domain_dropout=0.5,
        temperature=0.2,
        num_negatives=10**6,
        chunk_users=7,
        generator=generator,
    )
    again = copy.deepcopy(generator)
    loss = trainer.step()
    ours = {name: parameter.grad.clone() for name, parameter in network.parameters.items()}

    new = torch.from_numpy(again.random(data.n_items) < 0.3)
    kept, cold = Hiding(data, edge_dropout=0.25, domain_dropout=0.5, generator=again).draw()
    assert 0 < cold.sum() < len(cold)
    # The degrees stay those of the whole graph: a hidden edge is absent, nothing else changes.
    visible = normalized_adjacency(data.matrix, 0.5, 0.3)
    visible.data *= kept
    people, layers = network.layers(
        Propagator(visible), network.base(new), network.parameters["user"]
    )
    own = torch.from_numpy(~cold).float()[:, None]
    users = torch.nn.functional.normalize(own * people[0] + people[1] + people[2], dim=1)
    stays = (~new).float()[:, None]
    items = torch.nn.functional.normalize(layers[0] + stays * (layers[1] + layers[2]), dim=1)
    total = 0.0
    for domain in data.domains:
        span = data.span(domain)
        block = torch.from_numpy(data.matrix[:, span].toarray()).sign()
        count = block.sum(1)
        logits = users @ items[span].T / 0.2
        pull = (block * logits).sum(1) / count.clamp(min=1).sqrt()
        candidates = torch.from_numpy(data.warm[span])
        push = count.sqrt() * torch.logsumexp(logits[:, candidates], 1)
        total = total + (push - pull).sum()
    total = total / data.matrix.nnz
    network_parameters = list(network.parameters.values())
    expected = torch.autograd.grad(total, network_parameters)
    assert loss == pytest.approx(float(total.detach()), rel=1e-4)
    for name, gradient in zip(network.parameters, expected, strict=True):
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)


def test_people_who_play_cold_lose_one_domain_and_keep_another(graph):
    data = TrainingData.from_graph(graph)
    hiding = Hiding(data, edge_dropout=0.0, domain_dropout=0.4, generator=np.random.default_rng(0))
    shares = []
    for _ in range(20):
        kept, cold = hiding.draw()
        visible = data.matrix.copy()
        visible.data *= kept
        before, after = (
            np.asarray(np.column_stack([matrix[:, data.span(d)].sum(1) for d in data.domains]))
            for matrix in (data.matrix, visible)
        )
        lost = (before > 0) & (after == 0)
        assert (lost.sum(1) == cold).all()
        assert (after[~lost] == before[~lost]).all()
        several = (before > 0).sum(1) > 1
        assert not cold[~several].any()
        shares.append(cold[several].mean())
    assert np.mean(shares) == pytest.approx(0.4, abs=0.05)


def test_monitor_rows_never_enter_training(graph, log):
    """A model fitted with a monitor equals one fitted without, until validation chooses."""
    held = InteractionLog(pd.DataFrame(log.head(50)))
    settings = {**QUICK["lightgcn"], "epochs": 4}
    with_monitor = make_model("lightgcn", **settings).fit(
        graph, seed=3, monitor=ValidationMonitor(held)
    )
    without = make_model("lightgcn", **settings).fit(graph, seed=3)
    np.testing.assert_array_equal(
        with_monitor.score(["u001"], domain="book"), without.score(["u001"], domain="book")
    )
