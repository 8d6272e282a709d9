"""Slices that a graph tells, against counting by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import evaluate
from eval.evaluation.slices import DERIVED_SLICES, add_slices
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def world():
    generator = np.random.default_rng(0)
    train = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in generator.integers(0, 30, 500)],
            "domain": generator.choice(["a", "b", "c"], 500, p=[0.5, 0.3, 0.2]),
            "item_id": [f"i{i}" for i in np.minimum(generator.geometric(0.1, 500), 40)],
        }
    ).drop_duplicates()
    truth = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in generator.integers(0, 33, 200)],
            "domain": generator.choice(["a", "b", "c"], 200),
            "item_id": [f"i{i}" for i in generator.integers(1, 60, 200)],
        }
    ).drop_duplicates()
    return train, truth, build_graph(InteractionLog(train), encoder="none")


def test_columns_equal_counting(world):
    train, truth, graph = world
    found = add_slices(truth, graph, list(DERIVED_SLICES))
    sizes = train.groupby("user_id").size()
    for row in found.itertuples():
        mine = train[train["user_id"] == row.user_id]
        per_domain = mine.groupby("domain").size()
        assert row.domain_count == str(len(per_domain))
        others = per_domain.drop(row.domain, errors="ignore")
        if others.empty:
            assert row.source_domain == "none"
        else:
            assert others[row.source_domain] == others.max()
        share = others.sum() / max(len(mine), 1)
        expected = (
            "no history"
            if not len(mine)
            else "0"
            if share == 0
            else "under half"
            if share < 0.5
            else "half or more"
            if share < 1
            else "all elsewhere"
        )
        assert row.overlap_share == expected
        bounds = np.quantile(sizes, [0.25, 0.5, 0.75])
        quarter = ["1 least", "2", "3", "4 most"][sum(len(mine) > bound for bound in bounds)]
        assert row.activity == (quarter if len(mine) else "none")


def test_popularity_bands_take_the_shares_they_promise(world):
    train, truth, graph = world
    band = add_slices(train.assign(user_id="u0"), graph, ["popularity"]).drop_duplicates(
        ["domain", "item_id"]
    )
    counts = train.groupby(["domain", "item_id"]).size()
    band["n"] = counts.reindex(pd.MultiIndex.from_frame(band[["domain", "item_id"]])).to_numpy()
    for _, rows in band.groupby("domain"):
        share = rows.groupby("popularity")["n"].sum() / rows["n"].sum()
        assert share["head"] >= 0.5
        assert share["head"] + share["middle"] >= 0.8
        assert (
            rows[rows["popularity"] == "head"]["n"].min()
            >= rows[rows["popularity"] == "tail"]["n"].max()
        )
    unseen = truth.assign(item_id="never seen")
    assert set(add_slices(unseen, graph, ["popularity"])["popularity"]) == {"new"}


def test_evaluate_slices_by_them(world):
    _, truth, graph = world
    recs = truth.drop_duplicates(["user_id", "domain"]).assign(rank=1)
    result = evaluate(
        recs, truth, k=1, graph=graph, by=["activity", "popularity"], metrics=["recall"]
    )
    assert {"activity=4 most", "popularity=head", "popularity=new"} <= set(result.slices)
    with pytest.raises(InputError, match="with a graph also activity"):
        evaluate(recs, truth, k=1, by=["activity"])
    with pytest.raises(InputError, match="no slice 'age'"):
        add_slices(truth, graph, ["age"])
