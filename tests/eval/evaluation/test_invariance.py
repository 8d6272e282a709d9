"""What must not change a figure, and what a scorer that knows nothing must get."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import evaluate, sample_negatives
from eval.evaluation import sources
from graphgen.errors import InputError
from graphgen.vocabulary import Vocabulary

KS = (3, 10)


def figures(result):
    return result.summary.set_index(["slice", "domain", "metric"])["value"].sort_index()


def relabelled(world, seed):
    """Rename users and items by a permutation, and move their rows and columns along."""
    generator = np.random.default_rng(seed)
    scorer = world.scorer
    users = dict(zip(scorer.users, generator.permutation(scorer.users), strict=True))
    items = {}
    for domain in scorer.domains:
        ids = scorer.items(domain).ids
        renamed = generator.permutation(ids)
        items |= dict(zip(ids, renamed, strict=True))
        order = np.argsort(Vocabulary(ids).encode(renamed))
        for table in (scorer.scores, scorer.seen_pairs):
            table[domain] = table[domain][:, order]
    scorer.users = [users[user] for user in scorer.users]
    truth = world.truth.copy()
    truth["user_id"] = truth["user_id"].map(users)
    truth["item_id"] = truth["item_id"].map(items)
    return scorer, truth


@pytest.mark.parametrize("seed", range(4))
def test_permuting_users_and_items_changes_nothing(worlds, seed):
    world = worlds(seed)
    before = evaluate(world.scorer, world.truth, k=KS, bootstrap=0)
    after = evaluate(*relabelled(world, seed), k=KS, bootstrap=0)
    pd.testing.assert_series_equal(figures(before), figures(after), rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_an_irrelevant_item_below_k_changes_nothing(seed):
    generator = np.random.default_rng(seed)
    users = [f"u{n}" for n in range(12)]
    rows = [(u, "d", f"i{i}", r + 1) for u in users for r, i in enumerate(generator.permutation(9))]
    recs = pd.DataFrame(rows, columns=["user_id", "domain", "item_id", "rank"])
    truth = pd.DataFrame(
        [(u, "d", f"i{i}") for u in users for i in generator.permutation(9)[:3]],
        columns=["user_id", "domain", "item_id"],
    )
    more = pd.DataFrame({"user_id": users, "domain": "d", "item_id": "other", "rank": 10})
    for k in (1, 5, 9):
        before = evaluate(recs, truth, k=k, bootstrap=20)
        after = evaluate(pd.concat([more, recs]), truth, k=k, bootstrap=20)
        pd.testing.assert_frame_equal(before.summary, after.summary)


def test_scaling_scores_or_chunking_changes_nothing(worlds, monkeypatch):
    before = evaluate(worlds(1).scorer, worlds(1).truth, k=KS, bootstrap=0)
    world = worlds(1)
    for scores in world.scorer.scores.values():
        scores *= 8
        scores -= 3
    monkeypatch.setattr(sources, "BLOCK_BYTES", 1)
    after = evaluate(world.scorer, world.truth, k=KS, bootstrap=0)
    pd.testing.assert_series_equal(figures(before), figures(after), rtol=1e-9)


def test_saying_twice_what_is_relevant_changes_nothing(world):
    before = evaluate(world.scorer, world.truth, k=KS, bootstrap=30)
    after = evaluate(world.scorer, pd.concat([world.truth, world.truth]), k=KS, bootstrap=30)
    pd.testing.assert_frame_equal(before.summary, after.summary)


def test_a_constant_scorer_gets_the_chance_value_of_every_metric(worlds):
    """One relevant item among 50, lists of 10: the place of a hit is uniform over 50."""
    n_items, k = 50, 10
    world = worlds(seed=5, n_users=600, sizes=(n_items,))
    world.scorer.scores["d0"][:] = 1.0
    world.scorer.seen_pairs["d0"][:] = False
    truth = world.truth.drop_duplicates("user_id").drop(columns="setting")
    negatives = sample_negatives(truth, world.scorer.vocabularies, n=19)
    names = ["recall", "hit-rate", "precision", "ndcg", "mrr", "map", "auc", "roc-auc"]
    result = evaluate(world.scorer, truth, k=k, metrics=names, negatives=negatives)
    places = np.arange(1, k + 1)
    chance = {
        "recall@10": k / n_items,
        "hit-rate@10": k / n_items,
        "precision@10": 1 / n_items,
        "ndcg@10": (1 / np.log2(1 + places)).sum() / n_items,
        "mrr@10": (1 / places).sum() / n_items,
        "map@10": (1 / places).sum() / n_items,
        "sampled-hit-rate@10": k / 20,
        "sampled-ndcg@10": (1 / np.log2(1 + places)).sum() / 20,
    }
    table = result.summary[result.summary["domain"] == "macro"].set_index(["slice", "metric"])
    for metric, value in chance.items():
        row = table.loc["all", metric]
        assert row["low"] <= value <= row["high"], metric
        assert row["high"] - row["low"] < max(0.12, value), metric
    assert result.value("auc") == result.value("roc-auc", domain="d0") == 0.5


def test_the_interval_of_a_constant_scorer_covers_chance_at_its_rate(worlds):
    covered = []
    for seed in range(60):
        world = worlds(seed, n_users=120, sizes=(40,))
        world.scorer.scores["d0"][:] = 0.0
        world.scorer.seen_pairs["d0"][:] = False
        truth = world.truth.drop_duplicates("user_id").drop(columns="setting")
        result = evaluate(
            world.scorer, truth, k=10, metrics=["recall"], bootstrap=200, seed=seed, by=[]
        )
        row = result.summary.iloc[0]
        covered.append(row["low"] <= 10 / 40 <= row["high"])
    # Binomial with 60 draws of .95: fewer than 52 in about 1 of 1,000 runs.
    assert sum(covered) >= 52


def test_one_user_with_one_item_and_a_catalogue_of_one():
    truth = pd.DataFrame({"user_id": ["u"], "domain": "d", "item_id": "x"})
    result = evaluate(truth.assign(rank=1), truth, k=(1, 1000))
    for metric in ("recall@1", "ndcg@1000", "mrr@1000", "map@1000", "r-precision@1000"):
        row = result.summary.set_index(["domain", "metric"]).loc["macro", metric]
        assert row["value"] == row["low"] == row["high"] == 1
    assert result.value("precision@1000") == pytest.approx(0.001)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_of_lists_that_are_no_numbers_are_refused(bad):
    truth = pd.DataFrame({"user_id": ["u", "v"], "domain": "d", "item_id": "x"})
    with pytest.raises(InputError, match="must hold finite numbers; 1 do not"):
        evaluate(truth.assign(score=[1.0, bad]), truth, k=1)
