"""Held-out rows: their kinds, their sampling, and how well scores rank them."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
import torch

from gnn.data import TrainingData
from gnn.holdout import hold_out
from gnn.validation import RankingQuality, ValidationRows, averaging, measure
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.log import InteractionLog


@pytest.fixture(scope="module")
def held(graph):
    smaller, rows = hold_out(graph, seed=0)
    data = TrainingData.from_graph(smaller)
    return data, ValidationRows.of(rows, data)


def rows_of(data, **columns):
    return ValidationRows.of(InteractionLog(pd.DataFrame(columns)), data)


def test_repeated_rows_are_one_interaction(graph):
    data = TrainingData.from_graph(graph)
    item = graph.vocabularies["book"].ids[0]
    once = rows_of(data, user_id=["u001"], item_id=[item], domain=["book"])
    twice = rows_of(data, user_id=["u001"] * 2, item_id=[item] * 2, domain=["book"] * 2)
    assert len(once) == len(twice) == 1
    (block,) = twice.blocks(data, max_users=9, seed=0)
    assert block.truth.data.tolist() == (once.kind + 1).tolist()


def test_the_training_graph_determines_the_kind_of_a_row(log, items):
    """And rows of users or items that it does not hold are left out."""
    from graphgen.build import build_graph

    train = log[~((log.user_id == "u000") & (log.domain == "film"))]
    data = TrainingData.from_graph(build_graph(train, items, encoder="none"))
    rows = rows_of(
        data,
        user_id=["u001", "u000", "u001", "nobody", "u001"],
        item_id=["f01", "f00", "f25", "f01", "f99"],
        domain="film",
    )
    assert rows.kind.tolist() == [0, 1, 2]
    assert len(rows.of_kinds()) == 2


def test_at_most_so_many_users_of_a_kind_and_domain_are_drawn(held):
    data, rows = held

    def users(**options):
        blocks = list(rows.of_kinds((0,)).blocks(data, **options))
        return {d: [u for b in blocks if b.domain == d for u in b.users] for d in data.domains}

    assert {d: len(own) for d, own in users(max_users=5, seed=0).items()} == {"book": 5, "film": 5}
    assert users(max_users=5, seed=0) == users(max_users=5, seed=0) != users(max_users=5, seed=1)
    # The domain's share of the total, if that is more.
    assert all(len(own) == 8 for own in users(max_users=5, total=16, seed=0).values())
    everybody = users(max_users=10**6, seed=0)
    for number, domain in enumerate(data.domains):
        own = rows.user[(rows.kind == 0) & (rows.domain == number)]
        assert everybody[domain] == sorted(set(own.tolist()))


def test_measure_is_the_ndcg_of_one_list_after_the_other(held):
    data, rows = held
    generator = np.random.default_rng(0)
    table = generator.random((data.n_users, data.n_items), dtype=np.float32)

    def in_domain(domain):
        def scores(users):
            part = torch.from_numpy(table[users.index][:, data.span(domain)])
            return [part, -part]

        return scores

    tried = measure(in_domain, data, list(rows.blocks(data, max_users=10**6, seed=0)))
    for quality, sign in zip(tried, (1, -1), strict=True):
        for kind in range(3):
            means = []
            for number, domain in enumerate(data.domains):
                span = data.span(domain)
                own = (rows.kind == kind) & (rows.domain == number)
                values = []
                for user in np.unique(rows.user[own]):
                    truth = set(rows.item[own & (rows.user == user)] - span.start)
                    seen = set(data.matrix[user, span].indices)
                    order = [i for i in np.argsort(-sign * table[user, span]) if i not in seen][:20]
                    gain = sum(1 / np.log2(2 + n) for n, i in enumerate(order) if i in truth)
                    ideal = sum(1 / np.log2(2 + n) for n in range(min(20, len(truth))))
                    values.append(gain / ideal)
                means.append(values)
            # Domains count alike, or are one pool where all of them are small.
            large = [np.mean(own) for own in means if len(own) >= 20]
            want = np.mean(large) if large else np.mean(np.concatenate(means))
            assert quality.mean((kind,)) == pytest.approx(want, rel=1e-5)


def quality(warm, cold):
    """Users of each kind whose held-out item stands first (1) or nowhere (0)."""
    made = RankingQuality()
    for kind, found in enumerate((warm, cold)):
        label = torch.tensor(found, dtype=torch.int64)[:, None] * (kind + 1)
        counts = [torch.zeros(len(found), dtype=torch.int64) for _ in range(2)]
        counts[kind] += 1
        made.add("book", label, counts)
    return made


def test_a_kind_of_a_single_user_decides_nothing():
    plain, other = quality([1, 0] * 20, [0]), quality([1, 0] * 20, [1])
    assert other.mean() == plain.mean() == pytest.approx(0.5)
    assert other.gain_over(plain) == (0.0, 0.0)
    assert set(plain.by_kind()) == {"warm"}
    # Where the kinds are large enough they count alike.
    plain, other = quality([1, 0] * 20, [0] * 20), quality([1, 0] * 20, [1] * 20)
    assert other.mean() - plain.mean() == pytest.approx(0.5)
    assert other.by_kind() == {"warm": 0.5, "cold_user": 1.0}


def test_one_user_in_all_makes_no_gain_certain():
    assert quality([1], []).gain_over(quality([0], [])) == (1.0, np.inf)


def test_a_gain_comes_with_its_standard_error():
    generator = np.random.default_rng(0)
    ours, theirs = (generator.random(400) < share for share in (0.6, 0.4))
    gain, error = quality(ours, []).gain_over(quality(theirs, []))
    difference = ours.astype(float) - theirs
    assert gain == pytest.approx(difference.mean())
    assert error == pytest.approx(difference.std(ddof=1) / 20)


def test_weights_of_the_groups_sum_to_one():
    users = {(0, "a"): 50, (0, "b"): 20, (0, "c"): 3, (1, "a"): 12, (1, "b"): 9, (2, "a"): 4}
    pools = averaging(users)
    assert sum(weight for weight, _ in pools) == pytest.approx(1.0)
    assert [pool for _, pool in pools] == [[(0, "a")], [(0, "b")], [(1, "a"), (1, "b")]]
    assert averaging({}) == []


def test_rows_without_use_are_counted_or_refused(log, caplog):
    train, held = log.drop(log.index[::9]), log.iloc[::9]
    graph = build_graph(train, encoder="none")
    data = TrainingData.from_graph(graph)

    def rows(frame):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            return ValidationRows.of(InteractionLog(frame.reset_index(drop=True)), data)

    known = len(rows(held))
    assert not caplog.text
    assert len(rows(pd.concat([held, train.head(7)]))) == known
    assert f"7 of {len(held) + 7} validation rows are training interactions" in caplog.text
    strange = held.assign(user_id=[f"x{n}" for n in range(len(held))])
    assert len(rows(pd.concat([held, strange]))) == known
    assert "users of the validation rows do not occur in the graph" in caplog.text
    with pytest.raises(InputError, match="are training interactions: nothing is left"):
        rows(train.head(7))
    with pytest.raises(InputError, match="users of the validation rows occurs in the graph"):
        rows(strange)
    with pytest.raises(InputError, match="items of the validation rows occurs in the graph"):
        rows(held.assign(item_id=held.item_id + "-new"))
