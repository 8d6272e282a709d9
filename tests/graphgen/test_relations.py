"""Edges on request: co-consumption, friends, shared attributes and periods."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from eval.experiments.single_domain import only_domain
from gnn.holdout import hold_out
from graphgen import build_graph, describe, load_graph, neighborhood
from graphgen.builders.co_consumption import MIN_RATIO, log_likelihood_ratio
from graphgen.errors import ConfigError, InputError

DAY = 86_400


def planted(n_users=120, seed=0):
    """Return a log in which items are liked by sixes, in two domains, within four months."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        group = int(rng.integers(5))
        liked = [6 * group + step for step in range(6) if rng.random() < 0.7]
        liked += rng.integers(0, 30, 2).tolist()
        rows += [
            (f"u{user:03d}", f"i{item:02d}", "film" if item % 3 else "book",
             1_577_836_800 + int(rng.integers(120)) * DAY)
            for item in liked
        ]  # fmt: skip
    names = ["user_id", "item_id", "domain", "timestamp"]
    return pd.DataFrame(rows, columns=names).drop_duplicates(names[:3])


@pytest.fixture(scope="module")
def log():
    return planted()


def edges_of(graph, relation):
    """Return weight by ((type, id), (type, id))."""
    found = {}
    for edge_type in graph.data.edge_types:
        source, name, target = edge_type
        if name == relation:
            store = graph.data[edge_type]
            heads, tails = store.edge_index.numpy()
            ones = [(source, i) for i in graph.vocabularies[source].decode(heads)]
            others = [(target, i) for i in graph.vocabularies[target].decode(tails)]
            found |= dict(zip(zip(ones, others, strict=True), store.weight.tolist(), strict=True))
    return found


def slow_ratio(both, first, second, total):
    """Return G² of a table cell by cell."""
    table = [[both, first - both], [second - both, total - first - second + both]]
    ratio = 0.0
    for row, column in itertools.product(range(2), range(2)):
        expected = sum(table[row]) * (table[0][column] + table[1][column]) / total
        if table[row][column]:
            ratio += 2 * table[row][column] * math.log(table[row][column] / expected)
    return ratio if both * total > first * second else 0.0


def test_significant_pairs_are_those_of_a_loop(log):
    users = {item: set(part) for item, part in log.groupby(["domain", "item_id"]).user_id}
    active = {domain: set(part) for domain, part in log.groupby("domain").user_id}
    want = {}
    for a, b in itertools.permutations(users, 2):
        total = active[a[0]] & active[b[0]]
        both, first, second = users[a] & users[b], users[a] & total, users[b] & total
        ratio = slow_ratio(*map(len, (both, first, second, total)))
        if len(both) > 1 and ratio >= MIN_RATIO:
            want[a, b] = len(both) / math.sqrt(len(users[a]) * len(users[b]))
    graph = build_graph(log, encoder="none", co_consumed_k=100)
    found = edges_of(graph, "co_consumed")
    assert found == pytest.approx(want)
    assert {(a[0], b[0]) for a, b in found} == set(itertools.product(["book", "film"], repeat=2))
    same = [int(a[1][1:]) // 6 == int(b[1][1:]) // 6 for a, b in found]
    assert np.mean(same) > 0.9
    few = edges_of(build_graph(log, encoder="none", co_consumed_k=1), "co_consumed")
    assert set(few) < set(found)
    assert not edges_of(build_graph(log, encoder="none"), "co_consumed")


def test_no_ratio_of_independent_or_opposed_items():
    numbers = (np.array([n]) for n in (10.0, 20.0, 50.0, 100.0))
    assert log_likelihood_ratio(*numbers).tolist() == [0.0]
    assert log_likelihood_ratio(*map(np.array, ([1.0], [50.0], [50.0], [100.0]))).tolist() == [0.0]


def test_friendships_hold_both_ways_and_strangers_are_left_out(log, caplog):
    friends = pd.DataFrame(
        {"user_id": ["u001", "u002", "u001", "u003", "x"],
         "friend_id": ["u002", "u001", "u005", "u003", "u001"]}
    )  # fmt: skip
    graph = build_graph(log, friends=friends, encoder="none")
    pairs = {(a[1], b[1]) for a, b in edges_of(graph, "friend")}
    assert pairs == {("u001", "u002"), ("u002", "u001"), ("u001", "u005"), ("u005", "u001")}
    assert graph.provenance["friends_left_out"] == 1
    assert "1 of 5 rows of the table of friends" in caplog.text
    around = neighborhood(graph, ("user", "u002"), relations=["friend"])
    assert set(around) == {("user", f"u00{i}") for i in (1, 2, 5)}
    assert sum(facts["kind"] == "friend" for *_, facts in around.edges(data=True)) == 2
    with pytest.raises(InputError, match="None of 1 row"):
        build_graph(log, friends=friends.tail(1), encoder="none")


def items_of(log):
    items = log[["item_id", "domain"]].drop_duplicates().sort_values("item_id")
    number = items.item_id.str[1:].astype(int)
    author = np.where(number % 2 == 0, "Ann|Bob", "ann")
    return items.assign(author=np.where(number == 29, "Only One", author), price=number.astype(str))


def test_items_of_all_domains_share_the_values_of_a_column(log):
    graph = build_graph(log, items_of(log), encoder="none", relations=("author",))
    found = edges_of(graph, "author")
    assert graph.vocabularies["attribute"].ids.tolist() == ["author: Ann", "author: Bob"]
    assert {name for (name, _), _ in found} == {"book", "film"}
    bob = {item for (_, item), (_, value) in found if value == "author: Bob"}
    assert bob == {f"i{n:02d}" for n in range(0, 30, 2)}
    assert not any(item == "i29" for (_, item), _ in found)
    assert set(graph.domains) == {"book", "film"}
    around = neighborhood(graph, ("attribute", "author: Bob"), hops=1)
    assert {node[0] for node in around} == {"attribute", "book", "film"}
    with pytest.raises(ConfigError, match=r"'autor'.*did you mean 'author'"):
        build_graph(log, items_of(log), encoder="none", relations=("autor",))
    with pytest.raises(ConfigError, match="cannot be named 'next'"):
        build_graph(log, items_of(log).assign(next="x"), encoder="none", relations=("next",))


def test_periods_count_the_interactions_of_an_item(log):
    graph = build_graph(log, encoder="none", periods="month")
    month = pd.to_datetime(log.timestamp, unit="s").dt.strftime("%Y-%m")
    share = log.groupby(["domain", "item_id"]).size()
    count = log.groupby(["domain", "item_id", month]).size()
    want = {
        ((d, i), ("attribute", f"during: {m}")): n / share[d, i] for (d, i, m), n in count.items()
    }
    assert edges_of(graph, "during") == pytest.approx(want)
    timeless = build_graph(log.drop(columns="timestamp"), encoder="none", periods="month")
    assert "attribute" not in timeless.vocabularies


def test_they_are_saved_and_described(log, tmp_path):
    friends = pd.DataFrame({"user_id": ["u001"], "friend_id": ["u002"]})
    graph = build_graph(
        log, items_of(log), friends=friends, encoder="none", co_consumed_k=3, periods="year",
        relations=("author",),
    )  # fmt: skip
    graph.save(tmp_path / "graph")
    again = load_graph(tmp_path / "graph")
    for relation in ("co_consumed", "friend", "author", "during"):
        assert edges_of(again, relation) == edges_of(graph, relation)
    counts = describe(again).edges
    assert counts["user -friend-> user"] == 2
    assert counts["book -author-> attribute"] > 0
    network = again.to_networkx()
    assert {kind for *_, kind in network.edges(keys=True)} == {
        "interacts", "next", "co_consumed", "friend", "author", "during"
    }  # fmt: skip
    assert json.loads(json.dumps(again.provenance["config"]))["relations"] == ["author"]


def test_nothing_tells_of_interactions_that_are_held_out(log):
    settings = {"encoder": "none", "co_consumed_k": 50, "periods": "month"}
    graph = build_graph(log, **settings)
    smaller, rows = hold_out(graph)
    key = ["user_id", "domain", "item_id"]
    held = pd.MultiIndex.from_frame(rows.frame[key].astype(str))
    left = log[~pd.MultiIndex.from_frame(log[key]).isin(held)]
    direct = build_graph(left, **settings)
    for relation in ("co_consumed", "during"):
        assert edges_of(smaller, relation) == pytest.approx(edges_of(direct, relation))
    film = only_domain(graph, "film")
    own = build_graph(log[log.domain == "film"], **settings)
    assert edges_of(film, "co_consumed") == pytest.approx(edges_of(own, "co_consumed"))
    assert edges_of(film, "during") == pytest.approx(edges_of(own, "during"))
