"""Holding rows out: what is parted, what the rows imitate, and that a seed decides."""

import numpy as np
import pandas as pd
import pytest

from gnn.holdout import hold_out
from graphgen import build_graph, synthesize


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    made = synthesize(n_users=400, seed=3)
    return build_graph(
        made.train, made.items, encoder="hashing", cache_dir=tmp_path_factory.mktemp("cache")
    )


def pairs_of(graph):
    result = set()
    for domain in graph.domains:
        index, _ = graph.interactions(domain)
        users = graph.vocabularies["user"].decode(index[0].numpy())
        items = graph.vocabularies[domain].decode(index[1].numpy())
        result |= {(u, domain, i) for u, i in zip(users, items, strict=True)}
    return result


def rows_of(log):
    frame = log.frame
    return set(zip(frame.user_id, frame.domain.astype(str), frame.item_id, strict=True))


def test_hold_out_parts_the_interactions(graph):
    smaller, rows = hold_out(graph, seed=1)
    assert pairs_of(smaller) | rows_of(rows) == pairs_of(graph)
    assert not pairs_of(smaller) & rows_of(rows)
    assert len(rows) == len(rows_of(rows))
    for edge_type in smaller.data.edge_types:
        source, relation, target = edge_type
        if relation == "rev_interacts":
            forward = smaller.data[target, "interacts", source].edge_index
            assert (smaller.data[edge_type].edge_index.flip(0) == forward).all()


def test_hold_out_imitates_what_will_be_met(graph):
    smaller, rows = hold_out(graph, seed=1)
    kept = pd.DataFrame(sorted(pairs_of(smaller)), columns=["user_id", "domain", "item_id"])
    frame = rows.frame.astype({"domain": str})
    settings = dict(iter(frame.groupby("setting")))
    assert set(settings) == {"warm", "cold_user", "cold_item"}
    have = set(zip(kept.user_id, kept.domain, strict=True))
    cold = settings["cold_user"]
    assert not have & set(zip(cold.user_id, cold.domain, strict=True))
    assert set(cold.user_id) <= set(kept.user_id)
    known = set(zip(kept.domain, kept.item_id, strict=True))
    lost = settings["cold_item"]
    assert not known & set(zip(lost.domain, lost.item_id, strict=True))


def test_the_latest_block_is_held_out_where_there_are_times():
    log = pd.DataFrame(
        {
            "user_id": "ann",
            "item_id": [f"i{n}" for n in range(20)],
            "domain": "d",
            "timestamp": np.random.default_rng(0).permutation(20) * 86_400 + 1_400_000_000,
        }
    )
    _, rows = hold_out(build_graph(log, encoder="none"), share=0.2)
    latest = log.sort_values("timestamp").item_id.tail(4)
    assert set(rows.frame.item_id) == set(latest)


def test_without_times_half_the_histories_lose_a_block_of_twice_the_share():
    log = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{n:03d}" for n in range(200)], 30),
            "item_id": np.tile([f"{n:02d}" for n in range(30)], 200),
            "domain": "d",
        }
    )
    _, rows = hold_out(build_graph(log, encoder="none"), share=0.2, seed=4)
    places = rows.frame.assign(place=rows.frame.item_id.astype(int)).groupby("user_id").place
    assert (places.size() == 12).all()
    assert (places.max() - places.min() == 11).all()
    assert 80 < len(places) < 120


def test_hold_out_is_seeded(graph):
    assert rows_of(hold_out(graph, seed=1)[1]) == rows_of(hold_out(graph, seed=1)[1])
    assert rows_of(hold_out(graph, seed=1)[1]) != rows_of(hold_out(graph, seed=2)[1])


def test_transitions_tell_nothing_of_held_out_interactions():
    """They are those of a graph that was built without the held-out rows."""
    rng = np.random.default_rng(0)
    log = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{n:02d}" for n in range(60)], 8),
            "item_id": np.concatenate([rng.permutation(10)[:8] for _ in range(60)]).astype(str),
            "domain": np.where(rng.random(480) < 0.5, "book", "film"),
            "position": np.tile(range(8), 60),
        }
    )

    def transitions(graph):
        return {
            (source, target, head, tail, weight)
            for source, relation, target in graph.data.edge_types
            if relation == "next"
            for store in [graph.data[source, relation, target]]
            for head, tail, weight in zip(
                graph.vocabularies[source].decode(store.edge_index[0].numpy()),
                graph.vocabularies[target].decode(store.edge_index[1].numpy()),
                store.weight.tolist(),
                strict=True,
            )
        }

    settings = {"encoder": "none", "next_weight": 0.5}
    whole = build_graph(log, **settings)
    smaller, rows = hold_out(whole, share=0.3)
    kept = log.merge(rows.frame, on=["user_id", "domain", "item_id"], how="left", indicator=True)
    kept = kept[kept["_merge"] == "left_only"]
    assert len(kept) == len(log) - len(rows) < len(log)
    assert transitions(smaller) == transitions(build_graph(kept[[*log]], **settings))
    assert transitions(smaller) != transitions(whole)
