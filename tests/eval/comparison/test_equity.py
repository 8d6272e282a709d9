"""Fairness inside an evaluation: the same numbers as the functions that stand alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eval import (
    analyse,
    evaluate,
    exposure_by_provider,
    group_fairness,
    provider_fairness,
    result_markdown,
    with_groups,
    write_report,
)
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
        result = evaluate(system, world.truth, k=10, bootstrap=0)
        found = exposure_by_provider(result, providers)
        if system is world.scorer:
            # A list ranks for people without truth too; the evaluation sees those with truth.
            judged = world.truth[["user_id", "domain"]].drop_duplicates()
            expected = provider_fairness(
                lists.merge(judged), world.truth, providers, column="provider", k=10
            )
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert "## Providers" in result_markdown(result, analyses=analyse(result, providers=providers))


def test_bad_providers_are_refused(world, providers):
    result = evaluate(world.scorer, world.truth, bootstrap=0)
    with pytest.raises(InputError, match="no column 'provider'"):
        exposure_by_provider(result, providers.drop(columns="provider"))
    with pytest.raises(InputError, match="Do ids and domains match"):
        exposure_by_provider(result, providers.assign(item_id="nothing"))
    with pytest.raises(InputError, match="evaluate again"):
        exposure_by_provider(replace(result, exposure=None), providers)


def test_groups_are_compared_with_intervals(world, tmp_path):
    users = pd.DataFrame({"user_id": world.scorer.users, "group": ["a", "b"] * 20})
    result = evaluate(world.scorer, with_groups(world.truth, users), k=5)
    found = analyse(result).fairness
    expected = group_fairness(result, metrics=["recall@5", "ndcg@5", "auc"])
    mine = found[found["attribute"] == "group"].drop(columns="attribute").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected, check_dtype=False)
    macro = mine[(mine["domain"] == "macro") & (mine["what"] == "group")]
    people = result.per_user.drop_duplicates("user_id")["group"].value_counts()
    assert macro.set_index("group")["n_users"].to_dict() == people.to_dict()
    assert "Fairness by group" in result_markdown(result)
    page = (write_report(result, tmp_path / "r") / "report.html").read_text()
    assert "Fairness by group" in page


def test_groups_too_small_are_told_and_not_compared(world):
    users = pd.DataFrame({"user_id": world.scorer.users[:4], "group": list("aabb")})
    found = analyse(evaluate(world.scorer, with_groups(world.truth, users), k=5))
    assert not (found.fairness["attribute"] == "group").any()
    assert any(note.startswith("Fairness by group") for note in found.notes)
