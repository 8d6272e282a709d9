"""Training: falling loss, early stopping, and checkpoints that resume to the same result."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from gnn import make_model
from gnn.models.interest.model import InterestGNN
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
def held(log):
    return log.groupby("user_id").sample(1, random_state=0)


@pytest.fixture
def smaller(log, held):
    """The graph of all other rows."""
    return build_graph(log.drop(held.index), encoder="none")


@pytest.mark.parametrize("name", sorted(QUICK))
@pytest.mark.parametrize("validated", [False, True])
def test_resuming_gives_the_same_model(name, validated, smaller, held, tmp_path, monkeypatch):
    valid = InteractionLog(held.reset_index(drop=True)) if validated else None
    whole = make_model(name, **QUICK[name]).fit(smaller, seed=5, valid=valid)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, 8)
        make_model(name, **QUICK[name]).fit(
            smaller, seed=5, valid=valid, checkpoint=tmp_path / "checkpoint"
        )
    assert (tmp_path / "checkpoint" / "checkpoint.json").exists()
    resumed = make_model(name, **QUICK[name]).fit(
        smaller, seed=5, valid=valid, checkpoint=tmp_path / "checkpoint"
    )
    assert resumed.history_ == whole.history_
    np.testing.assert_array_equal(
        resumed.score(["u003"], domain="film"), whole.score(["u003"], domain="film")
    )
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("stage", ["choose", "refit"])
def test_finished_steps_are_not_repeated_after_an_interruption(stage, graph, tmp_path, monkeypatch):
    """The gate is learned, and the refit scored, after the last step."""
    whole = make_model("interest-gnn", **QUICK["interest-gnn"]).fit(graph, seed=5)
    runs = []
    run = TrainingLoop.run

    def counting(loop, step, validate):
        def counted_step():
            runs.append(loop.checkpoint.name)
            return step()

        return run(loop, counted_step, validate)

    def dying(*args, **given):
        raise Interrupted

    monkeypatch.setattr(TrainingLoop, "run", counting)
    checkpoint = tmp_path / "m"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        if stage == "choose":
            patch.setattr("gnn.models.interest.model.learn_mixture", dying)
        else:
            patch.setattr(InterestGNN, "_set_up", lambda m: dying() if m.config.mixture else None)
        make_model("interest-gnn", **QUICK["interest-gnn"]).fit(
            graph, seed=5, checkpoint=checkpoint
        )
    assert (tmp_path / f"m-{stage}").exists()
    before = len(runs)
    assert before
    resumed = make_model("interest-gnn", **QUICK["interest-gnn"])
    resumed.fit(graph, seed=5, checkpoint=checkpoint)
    assert set(runs[before:]) == ({"m-refit"} if stage == "choose" else set())
    assert resumed.chosen_ == whole.chosen_
    assert resumed.validation_ == whole.validation_
    np.testing.assert_array_equal(
        resumed.score(["u003"], domain="film"), whole.score(["u003"], domain="film")
    )
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_other_settings_is_not_taken_up(graph, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, 4)
        make_model("interest-gnn", **QUICK["interest-gnn"]).fit(
            graph, valid=None, checkpoint=tmp_path / "c"
        )
    with caplog.at_level(logging.WARNING):
        make_model("interest-gnn", **{**QUICK["interest-gnn"], "embedding_dim": 4}).fit(
            graph, valid=None, checkpoint=tmp_path / "c"
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
    history = make_model(name, embedding_dim=8, **settings).fit(graph, valid=None).history_
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


def test_held_out_rows_never_enter_training(smaller, held):
    """A model fitted with them equals one fitted without, as long as they choose nothing."""
    rows = InteractionLog(held.reset_index(drop=True))
    settings = {**QUICK["lightgcn"], "epochs": 4}
    with_rows, without = (
        make_model("lightgcn", **settings).fit(smaller, seed=3, valid=valid)
        for valid in (rows, None)
    )
    np.testing.assert_array_equal(
        with_rows.score(["u001"], domain="book"), without.score(["u001"], domain="book")
    )


def test_the_metric_of_training_is_the_ndcg_of_the_lists(log, graph):
    """One held-out item a warm user: it gains 1 / log2(1 + rank) of the list."""
    several = log[log.duplicated(["user_id", "domain"], keep=False)]
    held = several.groupby(["user_id", "domain"]).sample(1, random_state=0)
    train = log.drop(held.index)
    smaller = build_graph(train, encoder="none")
    rows = InteractionLog(held.reset_index(drop=True))
    model = make_model("bpr-mf", embedding_dim=8, epochs=4, validate_every=4)
    model.fit(smaller, valid=rows)
    recs = model.recommend(held.user_id.unique(), k=20)
    found = held.merge(recs, on=["user_id", "domain", "item_id"], how="left")
    gain = (1 / np.log2(1 + found["rank"])).fillna(0)
    want = gain.groupby(found.domain.astype(str)).mean().mean()
    assert model.history_[-1]["metric"] == pytest.approx(want, rel=1e-4)
