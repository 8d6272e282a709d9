"""Gains of edges on request, measured on a planted log."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval.benchmarks.datasets import find_data_set
from eval.benchmarks.edges import NO_EDGES, edge_gains
from graphgen.errors import InputError

USERS, ITEMS, TASTES = 120, 60, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Users like items of one taste, which popularity does not know and an author tells."""
    folder = tmp_path_factory.mktemp("split")
    user, item = np.nonzero(np.random.default_rng(0).random((USERS, ITEMS)) < 0.5)
    kept = user % TASTES == item % TASTES
    log = pd.DataFrame({"user_id": user[kept], "item_id": item[kept], "domain": "film"})
    part = np.random.default_rng(1).choice(["train", "valid", "test"], len(log), p=[0.7, 0.2, 0.1])
    for name in ("train", "valid", "test"):
        log[part == name].to_csv(folder / f"{name}.csv", index=False)
    items = pd.DataFrame({"item_id": range(ITEMS), "domain": "film"})
    items["author"] = [f"author {item % TASTES}" for item in range(ITEMS)]
    items.to_csv(folder / "items.csv", index=False)
    friends = pd.DataFrame({"user_id": range(USERS - 1), "friend_id": range(1, USERS)})
    friends.to_csv(folder / "pairs.csv", index=False)
    return folder


def test_what_tells_the_taste_gains_and_chance_friends_do_not(folder):
    lines = []
    table = edge_gains(
        find_data_set(f"films={folder}"),
        relations=["author"],
        friends=str(folder / "pairs.csv"),
        settings={"experts": ["popularity", "co_consumed", "attributes", "social"]},
        encoder="none",
        seeds=(0, 1),
        on_row=lines.append,
    ).table.query("domain == 'macro' and slice == 'all' and metric == 'ndcg@20'")
    table = table.set_index(table.system.str.split().str[0])
    assert table.index.tolist() == [NO_EDGES, "co_consumed", "author", "friend"]
    assert table.system["author"] == f"author ({ITEMS})"
    assert len(lines) == 8
    for kind in ("co_consumed", "author"):
        assert 0 < table.difference_low[kind] < table.difference[kind]
    assert abs(table.difference["friend"]) <= table.difference["author"]


def test_validation_rows_are_needed(folder, tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text((folder / f"{name}.csv").read_text())
    with pytest.raises(InputError, match="'bare' has no validation rows"):
        edge_gains(find_data_set(f"bare={tmp_path}"))
