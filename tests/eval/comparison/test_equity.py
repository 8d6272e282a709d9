"""Fairness inside an evaluation: the same numbers as the functions that stand alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval import evaluate, group_fairness, provider_fairness
from graphgen.errors import InputError


@pytest.fixture
def providers(world):
    parts = [
        pd.DataFrame({"domain": d, "item_id": world.scorer.items(d).ids})
        for d in world.scorer.domains
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(provider=np.resize(["big", "big", "small", ""], len(table)))


def test_exposure_of_a_scorer_equals_that_of_its_lists(world, providers):
    lists = world.recommendations(10)
    expected = provider_fairness(lists, world.truth, providers, column="provider", k=10)
    for system in (world.scorer, lists):
        result = evaluate(system, world.truth, k=10, providers=providers, bootstrap=0)
        found = pd.DataFrame(result.meta["providers"]["rows"])
        if system is world.scorer:
            # A list ranks for people without truth too; the evaluation sees those with truth.
            judged = world.truth[["user_id", "domain"]].drop_duplicates()
            expected = provider_fairness(
                lists.merge(judged), world.truth, providers, column="provider", k=10
            )
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert "## Providers" in result.to_markdown()


def test_bad_providers_are_refused(world, providers):
    with pytest.raises(InputError, match="no column 'provider'"):
        evaluate(world.scorer, world.truth, providers=providers.drop(columns="provider"))
    with pytest.raises(InputError, match="do ids match"):
        evaluate(world.scorer, world.truth, providers=providers.assign(item_id="nothing"))


def test_groups_are_compared_with_intervals(world, tmp_path):
    users = pd.DataFrame({"user_id": world.scorer.users, "group": ["a", "b"] * 20})
    result = evaluate(world.scorer, world.truth, k=5, users=users)
    found = pd.DataFrame(result.meta["fairness"])
    expected = group_fairness(result, metrics=["recall@5", "ndcg@5", "auc"])
    mine = found[found["attribute"] == "group"].drop(columns="attribute").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected, check_dtype=False)
    macro = mine[(mine["domain"] == "macro") & (mine["what"] == "group")]
    people = result.per_user.drop_duplicates("user_id")["group"].value_counts()
    assert macro.set_index("group")["n_users"].to_dict() == people.to_dict()
    assert "Fairness by group" in result.to_markdown()
    assert "Fairness by group" in (result.save(tmp_path / "r") / "report.html").read_text()


def test_groups_too_small_are_told_and_not_compared(world):
    users = pd.DataFrame({"user_id": world.scorer.users[:4], "group": list("aabb")})
    result = evaluate(world.scorer, world.truth, k=5, users=users)
    assert not any(row["attribute"] == "group" for row in result.meta["fairness"])
    assert any(note.startswith("Fairness by group") for note in result.meta["notes"])
