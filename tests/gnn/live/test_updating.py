"""Updates of models: equal to a fit where they are exact, near one where they are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnn import MODELS, load_model, make_model
from gnn.baselines.linear import ease_weights, updated_ease
from gnn.growth import Growth
from gnn.live.updating import update_model
from gnn.registry import model_class
from graphgen import build_graph, update_graph
from graphgen.errors import ConfigError

EXACT = sorted(name for name in MODELS if model_class(name).updates == "exact")
NEAR = {"ials": {"embedding_dim": 4}, "bridge-ridge": {"embedding_dim": 4},
        "interest-gnn": {"embedding_dim": 16, "steps": 12}}  # fmt: skip


def log_of(n=2400, seed=0):
    """Return rows of two tastes, of users and items that come with time."""
    rng = np.random.default_rng(seed)
    place = np.arange(n)
    user = (rng.random(n) * (60 + place / 60)).astype(int)
    item = 2 * (rng.random(n) ** 2 * (40 + place / 80)).astype(int) + user % 2
    frame = pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in user],
            "item_id": [f"i{number}" for number in item],
            "domain": np.where(item % 6 < 3, "book", "film"),
            "timestamp": 1_500_000_000 + 3600 * place,
        }
    )
    return frame.drop_duplicates(["user_id", "item_id"])


@pytest.fixture(scope="module")
def graphs():
    """A graph, and the same with twenty more likes, a new domain among them."""
    log = log_of()
    later = log[-20:].copy()
    later.loc[later.index[:2], "domain"] = "audio"
    first = build_graph(log[:-20], encoder="none")
    return first, update_graph(first, later)


def scores_of(model, graph):
    ids = graph.vocabularies["user"].ids
    return np.concatenate([model.score(ids, domain=domain) for domain in graph.domains], axis=1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", EXACT)
def test_exact_updates_equal_a_fit_over_several_updates(name, weighted):
    log = log_of()
    if weighted:
        log["weight"] = np.random.default_rng(1).integers(1, 4, len(log)) / 2
    settings = {"ease": {"regularization": 20}, "item-knn": {"neighbors": 9}}.get(name, {})
    graph = build_graph(log[:-15], encoder="none")
    model = make_model(name, **settings).fit(graph)
    for low in (-15, -10, -5):  # Few rows, so that the inverse is updated.
        graph = update_graph(graph, log[low : low + 5 or None])
        model = update_model(model, graph)
    fitted = scores_of(make_model(name, **settings).fit(graph), graph)
    np.testing.assert_allclose(scores_of(model, graph), fitted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rows", [3, 12])
def test_the_inverse_is_that_of_a_fit(rows):
    rng = np.random.default_rng(rows)
    before = (rng.random((90, 60)) < 0.15).astype(np.float32)
    before[:, -4:] = 0
    after = before.copy()
    after[:rows] = np.maximum(after[:rows], rng.random((rows, 60)) < 0.2)
    after[-1, -4:] = 1
    before[5] = 0  # A new user.
    import scipy.sparse as sp

    warm = np.flatnonzero(before.any(0))
    old = ease_weights(sp.csr_matrix(before[:, warm]), 10.0)
    found = updated_ease(old, warm, sp.csr_matrix(before), sp.csr_matrix(after), 10.0)
    wanted = ease_weights(sp.csr_matrix(after[:, after.any(0)]), 10.0)
    if rows == 3:
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    else:
        assert found is None  # Cheaper anew.


@pytest.mark.parametrize("name", NEAR)
def test_approximate_updates_rank_new_items_and_keep_old_answers(name, graphs, tmp_path):
    first, later = graphs
    model = make_model(name, **NEAR[name]).fit(first)
    chosen = dict(model.chosen_)
    model.save(tmp_path / "model")
    updated = update_model(load_model(tmp_path / "model"), later)
    before, after = (m.score(["u1", "u2"], domain="book") for m in (model, updated))
    same = later.vocabularies["book"].encode(first.vocabularies["book"].ids)
    for old, new in zip(before, after[:, same], strict=True):
        assert np.corrcoef(np.argsort(np.argsort(old)), np.argsort(np.argsort(new)))[0, 1] > 0.8
    assert updated.domains == ["audio", "book", "film"]
    assert np.ptp(updated.score(["u1"], domain="audio")) >= 0
    assert {k: updated.chosen_[k] for k in chosen} == chosen
    again = update_model(load_model(tmp_path / "model"), later)
    np.testing.assert_array_equal(scores_of(again, later), scores_of(updated, later))
    updated.save(tmp_path / "updated")
    np.testing.assert_array_equal(
        scores_of(load_model(tmp_path / "updated"), later), scores_of(updated, later)
    )


def test_other_models_are_fitted_again_with_what_was_chosen(graphs):
    first, later = graphs
    model = make_model("bpr-mf", embedding_dim=4, epochs=3).fit(first)
    updated = update_model(model, later)
    wanted = make_model("bpr-mf", embedding_dim=4, **model.chosen_).fit(later, valid=None)
    np.testing.assert_array_equal(scores_of(updated, later), scores_of(wanted, later))
    assert updated.config == model.config


def test_a_graph_that_does_not_go_on_is_refused(graphs):
    first, later = graphs
    with pytest.raises(ConfigError, match="does not go on from the one"):
        update_model(make_model("popularity").fit(later), first)


def test_growth_says_what_changed(graphs):
    models = [make_model("popularity").fit(graph) for graph in graphs]
    growth = Growth.of(models[0].data, models[1].data)
    assert growth.change.sum() == 20
    assert len(growth.touched_users) <= 20
    np.testing.assert_array_equal(
        growth.item_rows(growth.former.popularity) + np.asarray(growth.change.sum(0)).ravel(),
        growth.data.popularity,
    )
