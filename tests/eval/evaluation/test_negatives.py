"""Sampled metrics: fixed negatives, ranks by hand and by oracle, chance for a constant scorer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import evaluate, sample_negatives, write_negatives
from eval.metrics import sampled_rank
from graphgen.errors import ConfigError, InputError


@pytest.fixture
def drawn(world):
    return sample_negatives(world.truth, world.scorer.vocabularies, n=12, seed=4)


def test_negatives_are_distinct_irrelevant_and_depend_on_the_seed_alone(world, drawn):
    keys = ["user_id", "domain"]
    sizes = drawn.groupby(keys, observed=True)["item_id"].agg(["size", "nunique"])
    assert (sizes == 12).all().all()
    assert len(sizes) == len(world.truth[keys].drop_duplicates())
    merged = drawn.astype(str).merge(world.truth, on=["user_id", "domain", "item_id"])
    assert merged.empty
    shuffled = world.truth.sample(frac=1, random_state=1)
    again = sample_negatives(shuffled, world.scorer.vocabularies, n=12, seed=4)
    pd.testing.assert_frame_equal(drawn, again)
    other = sample_negatives(world.truth, world.scorer.vocabularies, n=12, seed=5)
    assert not drawn.equals(other)
    few = sample_negatives(world.truth, world.scorer.vocabularies, n=500)
    assert few.groupby(keys, observed=True).size().max() < 50


def test_equals_ranking_by_hand(world, drawn, tmp_path):
    world.scorer.seen_pairs = {d: np.zeros_like(s) for d, s in world.scorer.seen_pairs.items()}
    expected = {}
    for (user, domain), rows in world.truth.groupby(["user_id", "domain"]):
        scores = world.scorer.score([user], domain=domain)[0]
        items = world.scorer.items(domain)
        mine = drawn[(drawn["user_id"] == user) & (drawn["domain"] == domain)]
        against = scores[items.encode(mine["item_id"].astype(str))]
        ranks = [1 + (against > scores[i]).sum() for i in items.encode(rows["item_id"])]
        expected[user, domain] = np.mean([1 / np.log2(1 + r) if r <= 5 else 0 for r in ranks])
    for source in (
        drawn,
        write_negatives(drawn, tmp_path / "negatives.parquet"),
        write_negatives(drawn, tmp_path / "negatives.csv"),
    ):
        result = evaluate(
            world.scorer, world.truth, k=5, metrics=["ndcg"], negatives=source, bootstrap=0
        )
        frame = result.per_user[result.per_user["slice"] == "all"]
        got = frame.set_index(["user_id", "domain"])["sampled-ndcg@5"].to_dict()
        assert got == pytest.approx(expected)
    assert {"ndcg@5", "sampled-ndcg@5", "sampled-hit-rate@5", "sampled-mrr"} == set(result.metrics)


def test_a_constant_scorer_gets_chance():
    n = 4000
    rank = sampled_rank(
        np.zeros((n, 30), np.float32),
        np.arange(n),
        np.zeros(n, np.int64),
        np.tile(np.arange(1, 20), (n, 1)),
        np.arange(n),
    )
    assert (rank <= 5).mean() == pytest.approx(5 / 20, abs=0.02)
    assert rank.min() == 1
    assert rank.max() == 20


def test_lost_items_come_last_and_users_without_negatives_have_no_value(world, drawn):
    user, domain = world.truth.loc[0, ["user_id", "domain"]]
    missing = drawn[~((drawn["user_id"] == user) & (drawn["domain"] == domain))]
    result = evaluate(world.scorer, world.truth, k=5, metrics=["recall"], negatives=missing)
    frame = result.per_user.set_index(["slice", "user_id", "domain"])
    assert np.isnan(frame.loc[("all", user, domain), "sampled-mrr"])
    assert any("1 (user, domain) have no negatives" in note for note in result.meta["notes"])
    lost = sampled_rank(
        np.zeros((1, 3), np.float32),
        np.array([0]),
        np.array([-1]),
        np.array([[1, 2]]),
        np.array([0]),
    )
    assert lost.tolist() == [3]


def test_bad_negatives_are_refused(world, drawn):
    with pytest.raises(InputError, match="are relevant to their"):
        evaluate(world.scorer, world.truth, negatives=world.truth)
    with pytest.raises(InputError, match="Negative 'x' is not in the catalogue"):
        evaluate(world.scorer, world.truth, negatives=drawn.astype(str).assign(item_id="x"))
    with pytest.raises(ConfigError, match="`n` must be at least 1"):
        sample_negatives(world.truth, world.scorer.vocabularies, n=0)
    with pytest.raises(InputError, match="No catalogue of domain 'd0'"):
        sample_negatives(world.truth)
    lists = evaluate(world.recommendations(5), world.truth, k=5, negatives=drawn)
    assert "sampled-ndcg" in lists.meta["not_computed"]
