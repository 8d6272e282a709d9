"""The protocol that holds out whole interests, against slow loops over users."""

import numpy as np
import pandas as pd
import pytest

from eval.splits.data_card import leak_checks, write_split
from eval.splits.protocols import make_split
from graphgen import build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog

KINDS = list("ABCDEFGH")


def world(seed=0, time=True):
    """Return a log of 60 users, and a graph whose items have one or two of eight categories."""
    generator = np.random.default_rng(seed)
    items = pd.DataFrame({"item_id": [f"i{i}" for i in range(60)]})
    items["domain"] = np.where(np.arange(60) < 30, "books", "films")
    first, second = generator.choice(KINDS, (2, 60))
    items["category"] = [a if a == b else f"{a}|{b}" for a, b in zip(first, second, strict=True)]
    rows = items.iloc[generator.integers(0, 60, 700)][["item_id", "domain"]]
    frame = rows.assign(user_id=[f"u{i:02d}" for i in generator.integers(0, 60, 700)])
    frame = frame.drop_duplicates(ignore_index=True)
    if time:
        frame["timestamp"] = 1_400_000_000 + generator.permutation(len(frame)) * 1000
    frame["weight"] = np.where(generator.random(len(frame)) < 0.1, -1.0, 1.0)
    log = InteractionLog(frame)
    graph = build_graph(log, items, encoder="none", category_items=1)
    return log, graph, items.set_index("item_id")["category"].str.split("|").to_dict()


def kinds(frame, of):
    """Return the interests of each user's likes."""
    liked = frame[frame.weight > 0]
    return {
        user: set().union(*(of[item] for item in rows.item_id))
        for user, rows in liked.groupby("user_id")
    }


@pytest.mark.parametrize("by", ["time", "user", "random"])
def test_no_interest_that_is_held_out_is_in_training(by):
    log, graph, of = world()
    [split] = make_split(log, "new-interest", graph=graph, by=by, valid=0.2, test=0.3)
    trained, before = kinds(split.train.frame, of), {}
    for part in ("valid", "test"):
        held = split.parts[part].frame
        liked = held[held.weight > 0]
        expected = set()
        for user, rows in liked.groupby("user_id"):
            found = set().union(*(of[item] for item in rows.item_id))
            assert len(trained[user]) >= 2
            new = found - trained[user] - (before.get(user, set()) if by == "time" else set())
            assert new, "a held-out row without a new interest"
            expected |= {(user, interest) for interest in new}
        table = split.tables[f"{part}_interests"]
        assert set(zip(table.user_id, table.interest, strict=True)) == expected
        assert len(table) == len(expected)
        counts = [
            sum(r.interest in of[item] for item in liked[liked.user_id == r.user_id].item_id)
            for r in table.itertuples()
        ]
        assert table.interactions.tolist() == counts
        before = found_by_user(log, split, part, of) if by == "time" else {}
    assert all(check.passed is not False for check in leak_checks(split))


def found_by_user(log, split, part, of):
    """Return the interests that users touched between the two instants."""
    frame = log.deduplicate().frame
    start = split.train.frame.timestamp.max()
    stop = split.test.frame.timestamp.min()
    return kinds(frame[(frame.timestamp > start) & (frame.timestamp < stop)], of)


def test_by_random_every_row_with_the_interest_leaves_and_no_other():
    log, graph, of = world(time=False)
    [split] = make_split(log, "new-interest", graph=graph, valid=0, test=0.5)
    assert split.settings["by"] == "random"
    assert len(split.train) + len(split.test) == len(log)
    for user, rows in split.test.frame.groupby("user_id"):
        left = split.train.frame[split.train.frame.user_id == user]
        shared = set.intersection(*(set(of[item]) for item in rows.item_id))
        # Disliked rows of the interest are held out too.
        assert any(all(one not in of[item] for item in left.item_id) for one in shared)


def test_by_user_the_interest_is_the_one_touched_last():
    log, graph, of = world()
    [split] = make_split(log, "new-interest", graph=graph, by="user", valid=0, test=0.9)
    frame = log.deduplicate().frame
    for user, held in split.test.frame.groupby("user_id"):
        rows = frame[(frame.user_id == user) & (frame.weight > 0)].sort_values("timestamp")
        first = {}
        for row in rows.itertuples():
            for interest in of[row.item_id]:
                first.setdefault(interest, row.timestamp)
        assert held[held.weight > 0].timestamp.min() == max(first.values())
        assert (
            split.train.frame[split.train.frame.user_id == user].timestamp < max(first.values())
        ).all()


def test_the_tables_are_written_and_counted(tmp_path):
    log, graph, _ = world()
    graph.save(tmp_path / "graph")
    splits = make_split(log, "new-interest", graph=str(tmp_path / "graph"), by="user")
    folder = write_split(splits, tmp_path / "split")
    table = pd.read_csv(folder / "test_interests.csv")
    assert table.columns.tolist() == ["user_id", "interest", "domain", "interactions"]
    text = (folder / "card.txt").read_text()
    assert f"test_interests.csv: {len(table)} rows" in text
    assert "held-out rows of no new interest" in text


def test_what_cannot_be_split_is_said():
    log, graph, _ = world(time=False)
    for options, error, words in [
        ({}, ConfigError, "needs a graph with topics"),
        ({"graph": graph, "by": "time"}, InputError, "needs timestamps"),
        ({"graph": graph, "by": "month"}, ConfigError, "`by` must be one of time, user, random"),
        ({"graph": graph, "least": 1}, ConfigError, "`least` must be at least 2"),
        ({"graph": graph, "least": 99}, InputError, "No user has 99 interests"),
        ({"graph": build_graph(log, encoder="none", topics=0)}, InputError, "has no topics"),
    ]:
        with pytest.raises(error, match=words):
            make_split(log, "new-interest", **options)
