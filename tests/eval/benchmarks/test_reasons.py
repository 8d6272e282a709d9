"""The benchmark of reasons: its orders, its measures, and causes that are planted."""

import itertools
import math
import sys

import numpy as np
import pytest

from eval.benchmarks import reasons
from eval.benchmarks.reason_orders import NETWORK, ORDERS, OURS, permutation_shapley
from eval.benchmarks.reasons import measure_planted, measure_reasons
from eval.commands.main import main
from gnn import make_model
from graphgen.build import build_graph

N = 5


def game(masks):
    """Two that stand in for each other, two that only count together, and one against."""
    return masks[:, :2].any(1) + 2.0 * masks[:, 2:4].all(1) - 0.5 * masks[:, 4]


def exact_shapley(value, n):
    found = np.zeros(n)
    for order in itertools.permutations(range(n)):
        mask = np.zeros((1, n), dtype=bool)
        for player in order:
            before = value(mask)[0]
            mask[0, player] = True
            found[player] += value(mask)[0] - before
    return found / math.factorial(n)


def test_sampled_shapley_values_approach_the_exact_ones_and_those_of_shap():
    import shap

    exact = exact_shapley(game, N)
    ours = permutation_shapley(game, N, 2000, np.random.default_rng(0))
    np.testing.assert_allclose(ours, exact, atol=0.03)
    few = permutation_shapley(game, N, 1, np.random.default_rng(0))
    assert few.sum() == pytest.approx(game(np.ones((1, N), bool))[0])
    explainer = shap.KernelExplainer(lambda x: game(x > 0.5), np.zeros((1, N)))
    np.testing.assert_allclose(explainer.shap_values(np.ones((1, N)), silent=True)[0], exact)


@pytest.fixture(scope="module")
def planted():
    """Reasons of a small planted log."""
    small = {"LEARNED": 300, "PAIRS": 12, "AGAIN": 3}
    before = {name: getattr(reasons, name) for name in small}
    for name, value in small.items():
        setattr(reasons, name, value)
    yield measure_planted(users=20, steps=8, embedding_dim=16)
    for name, value in before.items():
        setattr(reasons, name, value)


def test_planted_causes_come_first(planted):
    table = planted.table().set_index("method")
    assert [*table.index] == [*ORDERS]
    assert table.loc[OURS, "found"] >= 0.9
    assert table.loc["random", "found"] < 0.6
    assert table.loc["random", "found_p"] < 0.05
    assert table.loc["GNNExplainer", "found"] > table.loc["random", "found"]


def test_deletion_in_our_order_loses_the_item_sooner(planted):
    table = planted.table().set_index("method")
    assert table.loc[OURS, "deletion_auc"] < table.loc["most popular", "deletion_auc"]
    assert table.loc[OURS, "deletion_auc_low"] <= table.loc[OURS, "deletion_auc"]
    assert table.loc[OURS, "pos_p"] <= table.loc["random", "pos_p"]
    assert (table["same_first"] <= 1).all() and table.loc[OURS, "same_first"] == 1
    assert OURS in planted.to_markdown() and "†" in planted.to_markdown()


@pytest.fixture(scope="module")
def log():
    return reasons.planted_log(40, seed=0)[0]


def test_measures_are_those_of_a_slow_loop(log):
    model = make_model("item-knn").fit(build_graph(log, encoder="none"))
    found = measure_reasons(model, users=6, seed=3).per_user
    assert not set(NETWORK) & set(found["method"])
    generator = np.random.default_rng(3)
    known = np.flatnonzero(np.diff(model.data.matrix.indptr) > 1)
    rows = generator.choice(known, 6, replace=False)
    row, name = rows[0], str(generator.choice(model.domains))
    history = model.data.matrix[row].indices
    span = model.data.span(name)
    weights = model.similarity_[history][:, span].toarray()
    scores = weights.sum(axis=0)
    seen = history[(history >= span.start) & (history < span.stop)] - span.start
    scores[seen] = -np.inf
    place = int(generator.choice(np.argsort(-scores, kind="stable")[: reasons.TOP]))
    left = weights[np.argsort(-weights[:, place], kind="stable")]
    kept, shares = [], []
    sizes = [len(left) // 10 + (step < len(left) % 10) for step in range(10)]
    for gone in np.cumsum(sizes):
        now = left[gone:].sum(axis=0)
        shares.append(now[place] / left[:, place].sum())
        if not now.any():
            now = model.data.liking[span].astype(float)
        others = np.delete(now, seen)
        kept.append((others > now[place]).sum() < reasons.TOP)
    ours = found[(found.user == 0) & (found.method == OURS)].iloc[0]
    assert ours.deletion_auc == pytest.approx(np.mean(shares), abs=1e-5)
    assert ours.pos_p == pytest.approx(np.mean(kept))


def test_the_command_writes_the_table(log, tmp_path, monkeypatch, capsys):
    make_model("item-knn").fit(build_graph(log, encoder="none")).save(tmp_path / "model")
    line = (
        f"interest bench reasons {tmp_path}/model --users 5 --methods random --out {tmp_path}/r.csv"
    )
    monkeypatch.setattr(sys, "argv", line.split())
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert (tmp_path / "r.csv").read_text().startswith("method,deletion_auc,")
    assert "random" in capsys.readouterr().out
