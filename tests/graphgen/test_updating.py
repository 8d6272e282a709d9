"""A graph with interactions added is the graph of all of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from graphgen import build_graph, load_graph, read_items, read_log, update_graph
from graphgen.errors import ConfigError, InputError


def log_of(n=400, seed=0):
    """Return rows with ratings, of users and items that come and go; many pairs are there twice."""
    rng = np.random.default_rng(seed)
    place = np.arange(n)
    item = (rng.random(n) * (8 + place / 20)).astype(int)
    return pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in (rng.random(n) * (10 + place / 20)).astype(int)],
            "item_id": [f"i{number}" for number in item],
            "domain": np.array(["book", "film", "game"])[item % 3],
            "rating": rng.integers(1, 6, n),
            "timestamp": 1_500_000_000 + 50 * rng.permutation(n) // 60 * 60,
        }
    )


def items_of(log):
    items = log[["item_id", "domain"]].drop_duplicates()
    words = np.array(["red fox", "blue hen", "green owl", "old king"])
    number = items["item_id"].str[1:].astype(int)
    return items.assign(
        title=words[number % 4] + " " + items["item_id"], category=number.map("c{}".format).str[:2]
    )


def parts_of(graph):
    """Return all that a graph holds but its provenance, and the order of its types."""
    ids = {name: vocabulary.ids.tolist() for name, vocabulary in graph.vocabularies.items()}
    tables = {name: table.to_pydict() for name, table in graph.item_tables.items()}
    tensors = {
        (str(store._key), name): value.tolist()
        for store in graph.data.stores
        for name, value in store.items()
        if hasattr(value, "tolist")
    }
    return ids, tables, tensors


def built_twice(tmp_path, log, cut, *, items=None, more=None, **rules):
    """Return the graph of both parts of a log, and that of the first, saved and updated."""
    paths = [tmp_path / "first.csv", tmp_path / "later.csv"]
    for path, part in zip(paths, (log[:cut], log[cut:]), strict=True):
        part.to_csv(path, index=False)
    settings = {"cache_dir": tmp_path, "encoder": "hashing", "min_similarity": -1, "next_weight": 0}
    whole = build_graph(read_log(*paths, **rules), more, **settings)
    build_graph(read_log(paths[0], **rules), items, **settings).save(tmp_path / "graph")
    updated = update_graph(tmp_path / "graph", paths[1], items=more, cache_dir=tmp_path)
    return whole, updated


@pytest.mark.parametrize("cut", [60, 399])
@pytest.mark.parametrize("clock", ["timestamp", "position", None])
def test_it_equals_a_build_from_scratch(tmp_path, cut, clock):
    log = log_of().rename(columns={"timestamp": clock or "kept"})
    log.loc[0, "rating"] = 5
    whole, updated = built_twice(tmp_path, log, cut)
    assert parts_of(updated) == parts_of(whole)
    assert any(edge_type[1] == "rejects" for edge_type in whole.data.edge_types)
    assert any(edge_type[1] == "next" for edge_type in whole.data.edge_types) == (clock is not None)


def test_of_texts_only_new_ones_are_encoded(tmp_path):
    log = log_of()
    items, more = items_of(log[:60]), items_of(log)
    whole, updated = built_twice(tmp_path, log, 60, items=items, more=more)
    assert parts_of(updated) == parts_of(whole)
    assert any(edge_type[1] == "similar" for edge_type in whole.data.edge_types)
    # The whole graph was built first, so that the cache held all of them.
    assert updated.provenance["text"]["encoded"] == 0
    # Of new items alone the texts are needed.
    new = more[~more["item_id"].isin(items["item_id"])]
    graph = load_graph(tmp_path / "graph")
    assert parts_of(update_graph(graph, log[60:], items=new, cache_dir=tmp_path)) == parts_of(whole)
    graph.texts = {}  # As one of an older version.
    with pytest.raises(InputError, match=r"The texts of \d+ items of the graph are not given"):
        update_graph(graph, log[60:], items=more[-3:], cache_dir=tmp_path)


def test_without_texts_the_graph_holds_what_is_known_of_items(tmp_path):
    log = log_of()
    items = items_of(log[:60])
    more = pd.concat([items_of(log), pd.DataFrame({"item_id": ["new"], "domain": ["book"]})])
    whole = build_graph(log, more.fillna(""), encoder="none")
    first = build_graph(log[:60], items, encoder="none")
    later = more[~more["item_id"].isin(items["item_id"])].fillna("")
    assert parts_of(update_graph(first, log[60:], items=later)) == parts_of(whole)


def test_events_that_are_later_add_up(tmp_path):
    log = log_of().drop(columns="rating").sort_values("timestamp", kind="stable")
    log["timestamp"] += np.arange(len(log))
    log["event"] = np.random.default_rng(1).choice(["play", "skip", "refund"], len(log))
    rules = {"events": {"play": 0.3, "skip": "negative", "refund": "drop"}}
    whole, updated = built_twice(tmp_path, log, 200, **rules)
    ours, theirs = parts_of(updated), parts_of(whole)
    assert ours[:2] == theirs[:2]
    assert ours[2].keys() == theirs[2].keys()
    for name, values in theirs[2].items():
        assert np.allclose(ours[2][name], values), name
    with pytest.raises(InputError, match="events are not later"):
        update_graph(updated, tmp_path / "first.csv")


def test_events_add_up_beside_a_domain_of_ratings(tmp_path):
    log = log_of().sort_values("timestamp", kind="stable")
    log["timestamp"] += np.arange(len(log))
    log["event"] = np.where(log["domain"] == "book", "", "play")
    log.loc[log["domain"] != "book", "rating"] = np.nan
    whole, updated = built_twice(tmp_path, log, 200, events={"play": 0.3})
    ours, theirs = parts_of(updated)[2], parts_of(whole)[2]
    assert all(np.allclose(ours[name], theirs[name]) for name in theirs)
    # A rating replaces a rating, but only a part of a sum with it.
    book = log[log["domain"] == "book"].tail(1).assign(timestamp=lambda row: row["timestamp"] + 9)
    mixed = update_graph(updated, book.assign(event="play"), encoder="none")
    with pytest.raises(InputError, match="rows without an event"):
        update_graph(mixed, book.assign(rating=1), encoder="none")


def test_a_core_is_not_updated(tmp_path):
    log_of().to_csv(tmp_path / "log.csv", index=False)
    core = build_graph(read_log(tmp_path / "log.csv", k_core=3), encoder="none")
    with pytest.raises(ConfigError, match="k-core cannot be updated"):
        update_graph(core, log_of())


def test_the_rules_of_the_graph_hold(tmp_path):
    log_of().to_csv(tmp_path / "log.csv", index=False)
    rules = {"separate_users": True, "negative": "rating<=2", "ordered": True}
    first = build_graph(read_log(tmp_path / "log.csv", **rules), encoder="none")
    updated = update_graph(first, pd.DataFrame({"user_id": ["z"], "item_id": ["y"], "rating": [1],
                                                "domain": ["book"], "timestamp": [1]}))  # fmt: skip
    assert "book:z" in updated.vocabularies["user"]
    assert updated.rejections("book")[1].min() == -1
    assert read_items(items_of(log_of())).domains == load_graph_domains(updated, tmp_path)


def load_graph_domains(graph, tmp_path):
    graph.save(tmp_path / "saved")
    return load_graph(tmp_path / "saved").domains
