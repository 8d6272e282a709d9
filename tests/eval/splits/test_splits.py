"""Protocols: what they promise, on random logs, and the checks that would notice a leak."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.evaluation.inputs import read_truth
from eval.splits.data_card import card_text, leak_checks, split_card, write_split
from eval.splits.duplicate_items import find_twins, resolve_twins
from eval.splits.holdout import (
    cold_item_split,
    cold_user_split,
    k_fold_split,
    leave_last_out_split,
    random_split,
    temporal_split,
)
from eval.splits.protocols import PROTOCOLS, make_split
from graphgen.errors import ConfigError, InputError, StorageError
from graphgen.log import InteractionLog
from graphgen.log_files import read_log

PAIR = ["user_id", "domain", "item_id"]
# Those that need a log only.
CUTS = [name for name in PROTOCOLS if name != "new-interest"]


def make_log(seed=0, n=1500, n_users=60, time=True, domains=("a", "b", "c")):
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "user_id": [f"u{i:03d}" for i in generator.integers(0, n_users, n)],
            "domain": generator.choice(list(domains), n),
            "item_id": [f"i{i:03d}" for i in generator.integers(0, 80, n)],
        }
    ).drop_duplicates(ignore_index=True)
    if time:
        frame["timestamp"] = generator.integers(1_400_000_000, 1_500_000_000, len(frame))
    return InteractionLog(frame)


def pairs(log):
    return set(log.frame[PAIR].astype(str).itertuples(index=False, name=None))


@pytest.mark.parametrize("protocol", CUTS)
def test_what_was_disliked_is_no_truth_and_costs_no_like(protocol):
    frame = make_log(n=3000).frame
    disliked = np.random.default_rng(1).random(len(frame)) < 0.6
    disliked[frame.item_id == "i000"] = True  # an item and a user without a like
    disliked[frame.user_id == "u000"] = True
    log = InteractionLog(frame.assign(weight=np.where(disliked, -1.0, 1.0)))
    likes = InteractionLog(frame[~disliked].reset_index(drop=True))
    for split in make_split(log, protocol, seed=3):
        parts = list(split.parts.values())
        assert sum(map(len, parts)) == len(log)
        relevant = read_truth(split.test, ()).domains
        wanted = {(u, d.domain, i) for d in relevant for u, i in zip(
            d.user_ids[d.pair_user], d.pair_item, strict=True)}  # fmt: skip
        assert wanted
        assert wanted <= pairs(likes)
        assert not [c for c in leak_checks(split) if c.passed is False and "twin" not in c.name]
        assert f"{int((~split.test.liked).sum()):,} seen or disliked" in card_text(
            split_card(split)
        )
        if protocol == "random":
            units = ["user_id", "domain"]
            trained = split.train.frame[split.train.liked]
            assert len(trained[units].drop_duplicates()) == len(
                likes.frame[units].drop_duplicates()
            )
            assert split.test.liked.sum() == pytest.approx(0.2 * len(likes), rel=0.2)
        if protocol == "cold-item":
            assert "i000" not in set(split.test.frame.item_id)
        if protocol == "cold-user":
            assert "u000" not in set(split.test.frame.user_id)


@pytest.mark.parametrize("protocol", CUTS)
def test_parts_make_up_the_log_and_pass_the_checks(protocol):
    log = make_log()
    for split in make_split(log, protocol, seed=3):
        parts = [pairs(part) for part in split.parts.values()]
        assert sum(map(len, parts)) == len(log)
        assert set.union(*parts) == pairs(log)
        failed = [c for c in leak_checks(split) if c.passed is False and c.name != "no twin items"]
        assert not failed


@pytest.mark.parametrize("protocol", CUTS)
def test_the_seed_and_the_set_of_rows_decide_alone(protocol):
    log = make_log()
    one = make_split(log, protocol, seed=1)
    again = make_split(log, protocol, seed=1)
    assert [s.test for s in one] == [s.test for s in again]
    if protocol not in ("leave-last-out", "temporal"):
        assert [s.test for s in make_split(log, protocol, seed=2)] != [s.test for s in one]


def test_random_shares_hold_on_average_and_training_keeps_a_row():
    log = make_log(n=6000, n_users=300)
    split = random_split(log, valid=0.1, test=0.2)
    assert len(split.test) / len(log) == pytest.approx(0.2, abs=0.02)
    assert len(split.valid) / len(log) == pytest.approx(0.1, abs=0.02)
    units = log.frame.groupby(["user_id", "domain"], observed=True).ngroups
    assert split.train.frame.groupby(["user_id", "domain"], observed=True).ngroups == units


@pytest.mark.parametrize("per", ["domain", "user"])
def test_leave_last_out_takes_the_last_two(per):
    log = make_log()
    split = leave_last_out_split(log, per=per)
    keys = ["user_id", "domain"] if per == "domain" else ["user_id"]
    parts = {name: part.frame.groupby(keys, observed=True) for name, part in split.parts.items()}
    for key, rows in parts["test"]:
        assert len(rows) == 1
        valid, train = parts["valid"].get_group(key), parts["train"].get_group(key)
        assert len(valid) == 1
        assert train["timestamp"].max() <= valid["timestamp"].min() <= rows["timestamp"].min()
    sizes = log.frame.groupby(keys, observed=True).size()
    assert len(split.test) == (sizes >= 3).sum()


def test_equal_times_are_ordered_by_row():
    frame = pd.DataFrame(
        {"user_id": "u", "domain": "d", "item_id": list("abcd"), "timestamp": [5, 5, 5, 5]}
    )
    split = leave_last_out_split(InteractionLog(frame))
    assert split.test.frame["item_id"].tolist() == ["d"]
    assert split.valid.frame["item_id"].tolist() == ["c"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(1, 30))
def test_temporal_has_no_later_edge_in_an_earlier_part(seed, n_times):
    generator = np.random.default_rng(seed)
    n = 60
    frame = pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in generator.integers(0, 9, n)],
            "domain": "d",
            "item_id": [f"i{i}" for i in range(n)],
            "timestamp": generator.integers(0, n_times, n),
        }
    )
    try:
        split = temporal_split(InteractionLog(frame))
    except InputError as error:
        assert "nothing to train on" in str(error)
        return
    times = [part.frame["timestamp"] for part in split.parts.values() if len(part)]
    for earlier, later in pairwise(times):
        assert earlier.max() < later.min()
    assert split.train.frame["timestamp"].max() < pd.Timestamp(split.cutoff)


def test_cold_users_lose_the_target_and_keep_the_rest():
    log = make_log()
    for target in ("a", None):
        split = cold_user_split(log, target=target, test=0.2, valid=0.1)
        history = set(split.train.frame[["user_id", "domain"]].itertuples(index=False, name=None))
        for part in (split.valid, split.test):
            frame = part.frame
            assert set(frame["setting"]) <= {"cold_user", "cold_item"}
            for user, domain in frame[["user_id", "domain"]].itertuples(index=False, name=None):
                assert (user, domain) not in history
                assert any(known == user for known, _ in history)
            if target:
                assert set(frame["domain"]) == {target}
        n = split.settings["overlap_users"]
        assert split.test.n_users == round(0.2 * n)
        assert split.valid.n_users == round(0.1 * n)


@pytest.mark.parametrize(("share", "valid"), [(0.2, 0.08), (0.5, 0.05), (0.8, 0.02)])
def test_cold_user_shares_are_those_of_the_literature(share, valid):
    frame = make_log(n=6000, time=False).frame
    log = InteractionLog(frame[frame["domain"] != "c"].reset_index(drop=True))
    split = cold_user_split(log, target="b", test=share)
    known = {d: set(log.frame.loc[log.frame["domain"] == d, "user_id"]) for d in "ab"}
    overlap = known["a"] & known["b"]
    tested, chosen_on = (set(p.frame["user_id"]) for p in (split.test, split.valid))
    assert len(tested) == round(share * len(overlap))
    assert len(chosen_on) == round(valid * len(overlap))
    assert tested | chosen_on <= overlap and not tested & chosen_on
    # The rest bridges the domains: it is trained on in both, as are people of one domain.
    trained = split.train.frame.groupby("user_id")["domain"].agg(set)
    bridging = {user for user, domains in trained.items() if domains == {"a", "b"}}
    assert bridging == overlap - tested - chosen_on
    assert set(trained.index) == known["a"] | known["b"]
    papers = cold_user_split(log, target="b", test=share, valid=0)
    assert not len(papers.valid)
    assert set(papers.test.frame["user_id"]) == tested


def test_cold_items_are_nowhere_in_training():
    split = cold_item_split(make_log(), test=0.1, valid=0.05)
    trained = set(split.train.frame[["domain", "item_id"]].itertuples(index=False, name=None))
    for part in (split.valid, split.test):
        assert set(part.frame["setting"]) == {"cold_item"}
        items = part.frame[["domain", "item_id"]].itertuples(index=False, name=None)
        assert trained.isdisjoint(items)


def test_each_user_is_tested_in_one_fold():
    log = make_log()
    folds = k_fold_split(log, folds=4, test=0.5, valid=0.0)
    tested = [set(fold.test.frame["user_id"]) for fold in folds]
    assert sum(map(len, tested)) == len(set.union(*tested)) == log.n_users


def test_settings_of_held_out_rows():
    train = [("ann", "a", "x"), ("bob", "b", "z"), ("bob", "b", "y"), ("ann", "a", "w")]
    log = InteractionLog(
        pd.DataFrame(
            [*train, ("bob", "a", "x"), ("cat", "a", "x"), ("ann", "a", "new")], columns=PAIR
        ).assign(timestamp=[1, 2, 3, 4, 8, 9, 9])
    )
    split = temporal_split(log, valid=0, test=0.4)
    found = split.test.frame.set_index(["user_id", "item_id"])["setting"].to_dict()
    assert found == {
        ("bob", "x"): "cold_user",
        ("cat", "x"): "new_user",
        ("ann", "new"): "cold_item",
    }


def test_leaks_are_noticed():
    split = cold_user_split(make_log(), target="a")
    leaky = replace(split, train=InteractionLog.concat(split.train, _bare(split.test)))
    failed = {check.name for check in leak_checks(leaky) if check.passed is False}
    assert {"no pair in two parts", "no cold user with target history"} <= failed
    cold = cold_item_split(make_log())
    leaky = replace(cold, train=InteractionLog.concat(cold.train, _bare(cold.test)))
    failed = {check.name for check in leak_checks(leaky) if check.passed is False}
    assert "no cold item with training interactions" in failed
    timed = temporal_split(make_log())
    leaky = replace(timed, train=InteractionLog.concat(timed.train, _bare(timed.test)))
    failed = {check.name for check in leak_checks(leaky) if check.passed is False}
    assert "no later edge in an earlier part" in failed


def _bare(log):
    return InteractionLog(log.frame.drop(columns="setting"))


def slow_twins(log, min_shared=3, min_jaccard=0.8):
    users = {
        key: set(rows)
        for key, rows in log.frame.groupby(["domain", "item_id"], observed=True)["user_id"]
    }
    found = set()
    for (d1, i1), first in users.items():
        for (d2, i2), second in users.items():
            shared = len(first & second)
            if d1 < d2 and shared >= min_shared and shared / len(first | second) >= min_jaccard:
                found.add(frozenset([(d1, i1), (d2, i2)]))
    return found


@pytest.fixture
def twinned():
    log = make_log(n=800, time=False)
    generator = np.random.default_rng(7)
    rows = []
    for twin in range(6):
        people = [f"u{i:03d}" for i in generator.choice(60, 9, replace=False)]
        first, second = generator.choice(["a", "b", "c"], 2, replace=False)
        rows += [(person, first, f"t{twin}") for person in people]
        rows += [(person, second, f"other{twin}") for person in people[: 9 - twin // 2]]
    return InteractionLog.concat(log, InteractionLog(pd.DataFrame(rows, columns=PAIR)))


def test_twins_equal_the_slow_search(twinned, monkeypatch):
    expected = slow_twins(twinned)
    assert len(expected) >= 4
    for block in (20_000_000, 1):
        monkeypatch.setattr("eval.splits.duplicate_items.BLOCK_PAIRS", block)
        twins = find_twins(twinned)
        found = {
            frozenset([(t.domain, t.item_id), (t.twin_domain, t.twin_item_id)])
            for t in twins.itertuples()
        }
        assert found == expected
    assert (twins["users"] >= twins["twin_users"]).all()


@pytest.mark.parametrize("how", ["drop", "merge"])
def test_after_dropping_or_merging_no_twin_is_left(twinned, how):
    twins = find_twins(twinned)
    clean = resolve_twins(twinned, twins, how)
    assert len(find_twins(clean)) == 0
    people = twinned.frame["user_id"].nunique()
    assert clean.n_users == people
    [split] = make_split(twinned, "random", twins=how)
    assert all(check.passed is not False for check in leak_checks(split))
    assert split.settings["twins_found"] >= len(twins)
    first = [(t.item_id, t.twin_item_id) for t in twins.itertuples()]
    card = split_card(split)
    assert [(t["item_id"], t["twin_item_id"]) for t in card["twins"]][: len(first)] == first
    text = card_text(card)
    assert f"Twin items: {len(card['twins'])} pairs found" in text
    assert "passed       no twin items" in text
    [kept] = make_split(twinned, "random")
    assert {c.name: c.passed for c in leak_checks(kept)}["no twin items"] is False


def test_three_ids_of_one_product_become_one():
    frame = pd.DataFrame(
        [(u, d, f"{d}!") for u in "pqrs" for d in "abc"] + [("x", "b", "b!")], columns=PAIR
    )
    log = InteractionLog(frame)
    merged = resolve_twins(log, find_twins(log), "merge")
    assert set(merged.frame["item_id"]) == {"b!"}
    assert len(merged) == 5


def test_twins_that_appear_by_merging_are_merged_too():
    # Each of the first two shares 10 people of 13 with the third; joined they share 11.
    x, y, z = [*range(9), 9], [*range(9), 10], range(13)
    rows = [(f"v{n}", d, d) for d, people in zip("abc", (x, y, z), strict=True) for n in people]
    log = InteractionLog(pd.DataFrame(rows, columns=PAIR))
    assert find_twins(log)["item_id"].tolist() == ["a"]
    log = InteractionLog.concat(log, make_log(n=400, time=False))
    [split] = make_split(log, "random", twins="merge")
    assert {c.name: c.passed for c in leak_checks(split)}["no twin items"]
    assert split.twins[["item_id", "twin_item_id"]].to_numpy().tolist() == [["a", "b"], ["c", "a"]]


def test_a_written_split_reads_back(tmp_path):
    [split] = make_split(make_log(), "temporal")
    folder = write_split(split, tmp_path / "split")
    for name, part in split.parts.items():
        assert read_log(folder / f"{name}.csv") == part
    card = json.loads((folder / "card.json").read_text())
    assert card["parts"]["train"]["interactions"] == len(split.train)
    assert card["cutoff"] == split.cutoff.isoformat()
    text = (folder / "card.txt").read_text()
    assert "passed       no later edge in an earlier part" in text
    assert "Users shared by two domains" in text
    write_split(split, folder, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").write_text("x")
    with pytest.raises(StorageError):
        write_split(split, tmp_path / "mine")


def test_folds_and_twins_are_written(tmp_path, twinned):
    folder = write_split(make_split(twinned, "k-fold", folds=3), tmp_path / "folds")
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", "fold-1", "fold-2", "fold-3"]
    twins = pd.read_csv(folder / "fold-2" / "twins.csv")
    assert len(twins) == len(find_twins(twinned))
    assert "FAILED       no twin items" in (folder / "fold-2" / "card.txt").read_text()


def test_the_card_counts_what_was_dropped():
    log = make_log()
    doubled = InteractionLog.concat(log, log)
    [split] = make_split(doubled, "random")
    assert split_card(split)["dropped"] == {"repeats of a user and item": len(log)}


@pytest.mark.parametrize(
    ("protocol", "options", "error", "message"),
    [
        ("temporl", {}, ConfigError, "did you mean 'temporal'"),
        ("random", {"tset": 0.2}, ConfigError, "no option 'tset'; did you mean 'test'"),
        ("random", {"test": 0}, ConfigError, "nothing to test on"),
        ("random", {"test": 1.5}, ConfigError, "`test` must be a share"),
        ("random", {"test": 0.6, "valid": 0.5}, ConfigError, "something to train on"),
        ("leave-last-out", {}, InputError, "needs timestamps"),
        ("temporal", {}, InputError, "needs timestamps"),
        ("cold-user", {"target": "z"}, ConfigError, "no domain 'z'; the log has a, b, c"),
        ("k-fold", {"folds": 1}, ConfigError, "`folds` must lie between 2 and"),
        ("random", {"twins": "ignore"}, ConfigError, "`twins` must be"),
    ],
)
def test_bad_options_are_refused_in_plain_words(protocol, options, error, message):
    with pytest.raises(error, match=message):
        make_split(make_log(n=300, time=False), protocol, **options)


def test_a_log_without_overlap_has_no_cold_users():
    log = make_log(domains=("a",))
    with pytest.raises(InputError, match="Only 0 users with interactions in two domains"):
        cold_user_split(log)
