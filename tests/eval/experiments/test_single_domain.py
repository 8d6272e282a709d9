"""Models that see one domain only, and what others gain over them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import compare
from eval.experiments.single_domain import only_domain, train_separately
from gnn.data import DOMAINS
from gnn.registry import MODELS, model_class
from graphgen.build import build_graph
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def rows():
    """A taste of two kinds, the same in both domains; half of the users are new to films."""
    generator = np.random.default_rng(0)
    taste = np.arange(120) % 2
    parts = []
    for domain in ("book", "film"):
        item = 2 * generator.integers(0, 15, (120, 8)) + taste[:, None]
        user = np.repeat(np.arange(120), 8)
        ids = [f"{domain}{i:02d}" for i in item.ravel()]
        frame = pd.DataFrame({"user_id": [f"u{u:03d}" for u in user], "item_id": ids})
        parts.append(frame.assign(domain=domain, number=user))
    log = pd.concat(parts).drop_duplicates(["user_id", "domain", "item_id"])
    new = (log["domain"] == "film") & (log["number"] % 4 < 2)
    log = log.drop(columns="number")
    return InteractionLog(log[~new]), InteractionLog(log[new])


def test_the_part_of_one_domain_knows_nothing_of_the_others(rows):
    graph = build_graph(rows[0], encoder="none")
    part = only_domain(graph, "film")
    assert part.domains == ["film"]
    assert part.n_users == graph.n_users
    assert set(part.data.node_types) == {"user", "film", "interest"}
    assert graph.data["film", "about", "interest"].edge_index.shape[1] > 0
    assert part.data["film", "about", "interest"].edge_index.shape[1] == 0
    for mine, whole in zip(part.interactions("film"), graph.interactions("film"), strict=True):
        assert mine.equal(whole)


@pytest.mark.parametrize("name", sorted(n for n in MODELS if DOMAINS in model_class(n).requires))
def test_models_of_several_domains_are_fitted_without_transfer(rows, name):
    """Warm users get items of their taste; users new to the domain what is popular."""
    graph = build_graph(rows[0], encoder="none")
    small = {"epochs": 20, "embedding_dim": 8, "learning_rate": 0.01}
    config = model_class(name).Config.model_fields
    settings = {key: value for key, value in small.items() if key in config}
    models = train_separately(graph, name, ["film"], settings=settings)
    scores = models.score(["u002", "u003", "u000", "u001"], domain="film")
    taste = np.array([int(item[-2:]) % 2 for item in models.items("film").ids])
    for user, own in enumerate(scores[:2]):
        assert own[taste == user].mean() > own[taste != user].mean()
    np.testing.assert_array_equal(*scores[2:])
    assert model_class(name).requires == {DOMAINS}


def test_transitions_of_one_domain_are_not_counted_over_the_others():
    frame = pd.DataFrame(
        {"user_id": list("aaabbb"), "item_id": list("xyz") * 2, "position": [1, 2, 3] * 2,
         "domain": ["book", "film", "book"] * 2}
    )  # fmt: skip
    graph = build_graph(frame, encoder="none")
    next_ = ("book", "next", "book")
    assert next_ not in graph.data.edge_types  # x and z are two visits apart: weight 1.
    assert only_domain(graph, "book").data[next_].weight.tolist() == [2.0]


def test_gain_over_the_best_that_stays_in_its_domain(rows, tmp_path):
    train, test = rows
    experiment = compare(
        build_graph(train, encoder="none"),
        test,
        ["item-knn"],
        single_domain=["item-knn", "popularity"],
        k=15,
        bootstrap=100,
    )
    assert list(experiment.runs) == ["item-knn", "item-knn alone", "popularity alone"]
    table = experiment.comparison.migration
    row = table.set_index(["slice", "domain", "metric"]).loc["all", "macro", "recall@15"]
    assert row["system"] == "item-knn"
    assert row["best_single"].endswith("alone")
    assert row["gain"] == pytest.approx(row["value"] - row["single_value"])
    assert 0.2 < row["low"] < row["gain"] < row["high"]
    assert row["p_holm"] < 0.05
    experiment.save(tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Migration gain" in page
    assert "Migration gain" in experiment.to_markdown()


def test_lists_of_others_may_be_the_single_domain_systems(rows):
    train, test = rows
    lists = test.frame.drop_duplicates("user_id").assign(item_id="film00", rank=1)
    experiment = compare(
        build_graph(train, encoder="none"),
        test,
        ["item-knn"],
        recommendations={"theirs": lists},
        single_domain=["theirs"],
        k=5,
        bootstrap=20,
    )
    assert set(experiment.comparison.migration["best_single"]) == {"theirs"}
