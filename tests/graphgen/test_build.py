"""From tables to a graph: nodes, edges, text, cutoff, provenance."""

import logging
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import torch

from gnn import load_model, make_model
from graphgen import build_graph, describe, load_graph
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog


@pytest.fixture
def log():
    return pd.DataFrame(
        {
            "user_id": ["ann", "ann", "bob", "bob", "cas"],
            "item_id": ["dune", "alien", "dune", "emma", "alien"],
            "domain": ["book", "film", "book", "book", "film"],
            "timestamp": [
                1_400_000_300,
                1_400_000_100,
                1_400_000_200,
                1_400_000_000,
                1_400_000_400,
            ],
        }
    )


@pytest.fixture
def items():
    return pd.DataFrame(
        {
            "item_id": ["dune", "emma", "ulysses", "alien", "silent"],
            "domain": ["book", "book", "book", "film", "film"],
            "title": ["Dune", "Emma", "Ulysses", "Alien", ""],
            "text": ["desert planet", "matchmaking", "Dublin", "a monster in space", ""],
            "category": ["sf", "classic", "classic", "sf", ""],
        }
    )


def build(log, items=None, tmp_path=None, **settings):
    return build_graph(log, items, **{"encoder": "hashing", "cache_dir": tmp_path, **settings})


def test_nodes_are_those_of_log_and_items(log, items, tmp_path):
    graph = build(log, items, tmp_path)
    assert graph.domains == ["book", "film"]
    assert graph.vocabularies["book"].ids.tolist() == ["dune", "emma", "ulysses"]
    assert graph.vocabularies["film"].ids.tolist() == ["alien", "silent"]
    assert graph.n_users == 3


def test_edges_are_sorted_by_user_then_time_and_reversed(log, items, tmp_path):
    graph = build(log, items, tmp_path)
    store = graph.data["user", "interacts", "book"]
    pairs = [
        (graph.vocabularies["user"].decode([u])[0], graph.vocabularies["book"].decode([i])[0])
        for u, i in store.edge_index.T.tolist()
    ]
    assert pairs == [("ann", "dune"), ("bob", "emma"), ("bob", "dune")]
    assert store.time.tolist() == [1_400_000_300_000, 1_400_000_000_000, 1_400_000_200_000]
    reverse = graph.data["book", "rev_interacts", "user"]
    assert torch.equal(reverse.edge_index, store.edge_index.flip(0))
    assert torch.equal(reverse.time, store.time)


def test_without_times_the_order_of_the_log_stands():
    log = pd.DataFrame({"user_id": "ann", "item_id": ["z", "a", "m"], "domain": "book"})
    graph = build(log, encoder="none")
    index, _ = graph.interactions("book")
    assert graph.vocabularies["book"].decode(index[1].numpy()).tolist() == ["z", "a", "m"]
    assert "time" not in graph.data["user", "interacts", "book"]


def test_nothing_at_or_after_the_cutoff_is_an_edge(log, items, tmp_path):
    cutoff = datetime.fromtimestamp(1_400_000_200, UTC)
    graph = build(log, items, tmp_path, cutoff=cutoff)
    times = torch.cat([graph.data["user", "interacts", d].time for d in graph.domains])
    assert times.tolist() == [1_400_000_000_000, 1_400_000_100_000]
    assert graph.cutoff == cutoff
    with pytest.raises(InputError, match="at or after the cutoff"):
        build(log, cutoff=datetime(2001, 1, 1))


def test_text_features_and_who_has_none(log, items, tmp_path):
    graph = build(log, items, tmp_path)
    film = graph.data["film"]
    assert film.has_text.tolist() == [True, False]
    assert film.x[0].norm().item() == pytest.approx(1.0, abs=1e-5)
    assert film.x[1].abs().sum() == 0
    assert graph.feature_dim == 256


def test_semantic_edges_leave_textless_items_out(log, items, tmp_path):
    graph = build(log, items, tmp_path, min_similarity=-1.0)
    for source, relation, target in graph.data.edge_types:
        if relation == "similar":
            index = graph.data[source, relation, target].edge_index
            for node_type, row in ((source, 0), (target, 1)):
                assert graph.data[node_type].has_text[index[row]].all()
            if source == target:
                assert (index[0] != index[1]).all()


def test_items_of_no_domain_join_the_only_one(tmp_path):
    log = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "y"], "domain": "shop"})
    items = pd.DataFrame({"item_id": ["x", "y", "z"], "title": ["one", "two", "three"]})
    assert build(log, items, tmp_path).domains == ["shop"]
    two = log.assign(domain=["shop", "store"])
    with pytest.raises(InputError, match="Add a column 'domain'"):
        build(two, items, tmp_path)


def test_items_in_a_domain_without_interactions(log, items, tmp_path, caplog):
    more = pd.concat(
        [items, pd.DataFrame({"item_id": ["go"], "domain": ["game"], "title": ["Go"]})]
    ).fillna("")
    with caplog.at_level(logging.WARNING):
        graph = build(log, more, tmp_path)
    assert "game" in graph.domains
    assert graph.interactions("game")[0].shape == (2, 0)
    assert "reached by text only" in caplog.text


def test_users_of_the_user_table_are_nodes(log):
    graph = build_graph(log, users=pd.DataFrame({"user_id": ["ann", "zoe"]}), encoder="none")
    assert "zoe" in graph.vocabularies["user"]


def test_labels_fall_back_to_the_text(log, items, tmp_path):
    untitled = items.assign(title="")
    frame = build(log, untitled, tmp_path).item_frame("book")
    assert frame.loc[frame.item_id == "dune", "title"].item() == "desert planet"


def test_description(log, items, tmp_path):
    description = describe(build(log, items, tmp_path))
    assert description.overlap == {"book": {"book": 2, "film": 1}, "film": {"book": 1, "film": 2}}
    book = description.domains["book"]
    assert (book.users, book.items, book.cold_items, book.interactions) == (2, 3, 1, 3)
    assert description.provenance["log"]["rows"] == 5


def test_provenance_does_not_depend_on_the_order_of_rows(log):
    one = build_graph(log, encoder="none").provenance["log"]["digest"]
    two = build_graph(log.sample(frac=1, random_state=0), encoder="none").provenance["log"][
        "digest"
    ]
    assert one == two


def test_one_user_one_item():
    graph = build_graph(
        pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "domain": ["d"]}), encoder="none"
    )
    assert (graph.n_users, graph.n_items) == (1, 1)


def test_empty_log_is_a_clear_error(log):
    with pytest.raises(InputError, match="no interaction to build"):
        build_graph(InteractionLog(log.iloc[:0]), encoder="none")


def test_unknown_setting_and_unreachable_encoder(log, items, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'similar_k'"):
        build_graph(log, encoder="none", similark=3)
    with pytest.raises(ConfigError, match="neither a folder with a transformers model"):
        build(log, items, tmp_path, encoder=str(tmp_path / "nothing"))


def test_semantic_neighbours_equal_a_slow_oracle():
    from graphgen.builders import semantic

    generator = torch.Generator().manual_seed(0)
    features = {
        d: torch.nn.functional.normalize(torch.randn(n, 8, generator=generator), dim=1)
        for d, n in (("a", 13), ("b", 9), ("c", 5))
    }
    has_text = {d: torch.ones(len(x), dtype=torch.bool) for d, x in features.items()}
    has_text["a"][3] = False
    edges = semantic.semantic_neighbors(features, has_text, k=2, min_similarity=-1)
    found = {(s, i, t, j) for (s, t), (index, _) in edges.items() for i, j in index.T.tolist()}
    want = set()
    for s, x in features.items():
        for i in range(len(x)):
            if not has_text[s][i]:
                continue
            everything = [
                (float(x[i] @ y[j]), t, j)
                for t, y in features.items()
                for j in range(len(y))
                if has_text[t][j] and (s, i) != (t, j)
            ]
            for inside in (True, False):
                group = sorted((e for e in everything if (e[1] == s) == inside), reverse=True)[:2]
                want |= {(s, i, t, j) for _, t, j in group}
    assert found == want
    for index, cosine in edges.values():
        assert (index[0].diff() >= 0).all()
        assert np.all((cosine.numpy() <= 1) & (cosine.numpy() >= -1))


def test_extra_item_columns_go_from_the_table_to_the_saved_model(log, tmp_path):
    table = pd.DataFrame(
        {
            "item_id": [*log["item_id"].unique(), "new"],
            "domain": log["domain"].iloc[0],
            "price": [*map(str, range(log["item_id"].nunique())), "99"],
            "empty": "",
        }
    )
    build(log, table, tmp_path).save(tmp_path / "graph")
    graph = load_graph(tmp_path / "graph")
    domain = log["domain"].iloc[0]
    columns = graph.item_columns[domain]
    assert columns.columns.tolist() == ["title", "category", "price"]
    place = graph.vocabularies[domain].encode(["new"])[0]
    assert columns["price"][place] == "99"
    make_model("popularity").fit(graph).save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    pd.testing.assert_frame_equal(model.data.item_columns[domain], columns)
