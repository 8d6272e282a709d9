"""The order below the best items: AUC, the choice of popularity's weight, and what never moves."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from gnn import load_model
from gnn.data import TrainingData
from gnn.models.interest.tail import _auc, choose_tail, order_tail, popularity_shares
from gnn.registry import make_model
from gnn.validation import ValidationRows
from graphgen.build import build_graph
from graphgen.log import InteractionLog

NONE = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def split():
    """Popularity is all there is: a hundred items of very different popularity, no tastes."""
    generator = np.random.default_rng(0)
    share = 1.0 / np.arange(1, 101)
    items = [
        generator.choice(100, size=8, replace=False, p=share / share.sum()) for _ in range(200)
    ]
    rows = pd.DataFrame(
        [(f"u{u}", f"i{i}", "book") for u, own in enumerate(items) for i in own],
        columns=["user_id", "item_id", "domain"],
    )
    held = rows.groupby("user_id").sample(2, random_state=1)
    graph = build_graph(rows.drop(held.index), encoder="none")
    return graph, InteractionLog(held.reset_index(drop=True))


def test_auc_is_that_of_scikit_learn():
    generator = np.random.default_rng(3)
    scores = torch.from_numpy(generator.integers(0, 30, (4, 60)).astype(np.float32))
    label = torch.zeros(4, 60, dtype=torch.int64)
    label[0, :3], label[1, 5], label[2, [7, 9]] = 1, 2, torch.tensor([1, 2])
    seen = np.array([0, 0, 1, 3]), np.array([10, 11, 12, 13])
    found = _auc(scores.clone(), label, seen)
    for kind in (0, 1):
        want = []
        for row in range(4):
            own = (label[row] == kind + 1).numpy()
            if own.any():
                kept = own | (label[row] == 0).numpy()
                kept[seen[1][seen[0] == row]] = False
                want.append(roc_auc_score(own[kept], scores[row][kept]))
        assert found[kind].tolist() == pytest.approx(want)


@pytest.mark.parametrize("weight", [0.25, 0.75])
def test_the_best_unseen_items_stay(weight):
    generator = np.random.default_rng(0)
    scores = torch.from_numpy(generator.random((5, 80), dtype=np.float32))
    seen = np.repeat(np.arange(5), 4), np.tile(np.arange(4), 5)
    shares = popularity_shares(generator.integers(0, 50, 80))
    ordered = order_tail(scores, shares, seen, weight)

    def best(of):
        of = of.clone()
        of[seen] = -1
        return of.topk(20)

    for ours, theirs in zip(best(ordered), best(scores), strict=True):
        assert torch.equal(ours, theirs)
    changed = ordered != scores
    assert changed.sum(1).min() > 50 and (ordered > 0).all()


def test_the_tail_heeds_popularity_where_the_mixture_knows_less(split):
    graph, held = split
    data = TrainingData.from_graph(graph)
    rows = ValidationRows.of(held, data)
    popularity = torch.from_numpy(data.popularity.astype(np.float32))

    def noise(users, _):
        return torch.rand((len(users), data.n_items), generator=torch.Generator().manual_seed(7))

    def popular(users, _):
        return popularity.repeat(len(users), 1)

    assert choose_tail(noise, data, rows, seed=0) == 0.75
    assert choose_tail(popular, data, rows, seed=0) == 0.0


def test_a_model_keeps_its_tail(split, tmp_path):
    graph, held = split
    model = make_model("interest-gnn", embedding_dim=8, steps=6, tail=0.5).fit(graph, valid=held)
    assert model.chosen_["tail"] == 0.5
    flat = make_model("interest-gnn", embedding_dim=8, steps=6, tail=0.0).fit(graph, valid=held)
    ours, theirs = (m.score(["u1", "u2"], domain="book") for m in (model, flat))
    assert (ours != theirs).any()
    lists = [m.recommend(["u1", "u2"], k=20).item_id.tolist() for m in (model, flat)]
    assert lists[0] == lists[1]
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(
        load_model(tmp_path / "m").score(["u1", "u2"], domain="book"), ours
    )
