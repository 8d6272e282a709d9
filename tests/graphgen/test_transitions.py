"""Transitions: what is counted, what is kept, and that nothing held out is seen."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from graphgen import build_graph, load_graph

LAG = 3


def walk(n_users=120, n_items=12, seed=0, clock="position"):
    """Return a log of histories of up to eight items of two domains, of which some share a time."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        # Few first items, so that many users take the same steps.
        start = int(rng.integers(4))
        items = [(start + step) % n_items for step in range(int(rng.integers(3, 9)))]
        times = np.sort(rng.integers(100, 106, len(items)))
        rows += [
            (f"u{user:03d}", f"i{item:02d}", "film" if item % 3 else "book", time)
            for item, time in zip(items, times, strict=True)
        ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "domain", clock])


def edges_of(graph):
    """Return weight by ((domain, item), (domain, item))."""
    found = {}
    for edge_type in graph.data.edge_types:
        source, relation, target = edge_type
        if relation == "next":
            store = graph.data[edge_type]
            heads, tails = store.edge_index.numpy()
            ones = [(source, i) for i in graph.vocabularies[source].decode(heads)]
            others = [(target, i) for i in graph.vocabularies[target].decode(tails)]
            found |= dict(zip(zip(ones, others, strict=True), store.weight.tolist(), strict=True))
    return found


def test_users_are_counted_as_a_loop_does():
    log = walk()
    log["position"] = log.groupby("user_id").cumcount()  # One item a visit: nothing is random.
    want = defaultdict(float)
    for _, history in log.groupby("user_id"):
        items = list(zip(history.domain, history.item_id, strict=True))
        for place, first in enumerate(items):
            for gap, second in enumerate(items[place + 1 : place + 1 + LAG]):
                want[first, second] += 2.0**-gap
    ours = edges_of(build_graph(log, encoder="none", next_weight=0))
    assert ours == pytest.approx(want)
    assert {(a[0], b[0]) for a, b in ours} == {
        (a, b) for a in ("book", "film") for b in ("book", "film")
    }
    several = edges_of(build_graph(log, encoder="none"))
    assert several == {pair: weight for pair, weight in ours.items() if weight > 1}


def test_items_of_one_visit_do_not_follow_each_other():
    log = pd.DataFrame(
        {"user_id": list("aaabbb"), "item_id": list("xyz") * 2, "domain": "d",
         "timestamp": [10, 10, 20] * 2}
    )  # fmt: skip
    ours = edges_of(build_graph(log, encoder="none"))
    assert {(a, b) for (_, a), (_, b) in ours} == {("x", "z"), ("y", "z")}


def test_an_item_keeps_its_heaviest_transitions_inside_and_across():
    whole = edges_of(build_graph(walk(), encoder="none", next_weight=0))
    few = edges_of(build_graph(walk(), encoder="none", next_weight=0, next_k=1))
    assert set(few.items()) < set(whole.items())
    best = defaultdict(float)
    for (a, b), weight in whole.items():
        best[a, a[0] == b[0]] = max(best[a, a[0] == b[0]], weight)
    assert {(a, a[0] == b[0]): weight for (a, b), weight in few.items()} == best
    assert not edges_of(build_graph(walk(), encoder="none", next_k=0))
    assert not edges_of(build_graph(walk().drop(columns="position"), encoder="none"))


def test_they_are_sorted_and_saved(tmp_path):
    graph = build_graph(walk(), encoder="none", next_weight=0)
    for edge_type in graph.data.edge_types:
        if edge_type[1] == "next":
            source = graph.data[edge_type].edge_index[0].tolist()
            steps = list(zip(source, (-graph.data[edge_type].weight).tolist(), strict=True))
            assert all(a <= b for a, b in pairwise(steps))
    graph.save(tmp_path / "graph")
    assert edges_of(load_graph(tmp_path / "graph")) == edges_of(graph)
