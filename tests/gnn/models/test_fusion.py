import numpy as np
import pytest

from gnn import load_model, make_model
from gnn.holdout import hold_out
from graphgen.errors import ConfigError

PARTS = ("item-knn", "popularity")


def z(scores):
    return (scores - scores.mean(axis=1, keepdims=True)) / scores.std(axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["z-score", "rrf"])
def test_a_fusion_is_the_sum_of_its_parts(graph, method):
    users = ["u000", "u001"]
    parts = [make_model(name).fit(graph).score(users, domain="book") for name in PARTS]
    model = make_model("fusion", models=PARTS, method=method).fit(graph)
    if method == "z-score":
        wanted = sum(map(z, parts))
    else:
        wanted = 0
        for part in parts:
            rank = np.empty(part.shape, dtype=int)
            order = part.argsort(axis=1)[:, ::-1]
            np.put_along_axis(rank, order, np.arange(1, part.shape[1] + 1)[None], axis=1)
            wanted = wanted + 1 / (60 + rank)
    np.testing.assert_allclose(model.score(users, domain="book"), wanted, rtol=1e-4, atol=1e-5)


def test_parts_have_their_settings_after_loading(graph, tmp_path):
    settings = {"ials": {"embedding_dim": 3, "epochs": 2}}
    model = make_model("fusion", models=("ials", "bpr-mf"), settings=settings).fit(graph, seed=1)
    assert model._parts[0].item_vectors_.shape[1] == 3
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    users = ["u000", "nobody"]
    np.testing.assert_array_equal(
        again.score(users, domain="film"), model.score(users, domain="film")
    )


def test_a_stack_is_no_worse_than_its_best_part_on_validation_rows(graph):
    smaller, rows = hold_out(graph, seed=3)
    parts = ("popularity", "item-knn", "ials")
    settings = {"ials": {"embedding_dim": 4}}
    stack = make_model("stacking", models=parts, settings=settings).fit(smaller, valid=rows)
    best = {}
    for name in parts:
        fitted = make_model(name, **settings.get(name, {})).fit(smaller, valid=rows)
        for kind, value in fitted.validation_.by_kind.items():
            best[kind] = max(best.get(kind, 0), value)
    for kind, value in stack.validation_.by_kind.items():
        assert value >= best[kind] - 1e-6
    assert np.allclose(stack.weights_.sum(axis=1), 1)


def test_weights_that_are_chosen_are_those_of_the_refit(graph):
    model = make_model("stacking", models=PARTS).fit(graph, seed=1)
    assert model.chosen_["weights"] == tuple(map(tuple, model.weights_.tolist()))
    again = make_model("stacking", models=PARTS, **model.chosen_).fit(graph, seed=1, valid=None)
    np.testing.assert_array_equal(
        again.score(["u003"], domain="film"), model.score(["u003"], domain="film")
    )


def test_an_unknown_part_is_a_clear_error(graph):
    with pytest.raises(ConfigError, match="item-knn"):
        make_model("fusion", models=("item-kn",)).fit(graph)
