"""A graph handed on to other tools, read back."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest

from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.looking.export import edge_table, node_table, write_network
from graphgen.looking.neighborhoods import neighborhood
from graphgen.storage import write_table


@pytest.fixture(scope="module")
def graph():
    log = pd.DataFrame(
        {
            "user_id": ["ann", "ann", "bob"],
            "domain": ["book", "film", "film"],
            "item_id": ["b:1", "Älien & Co", "Älien & Co"],
            "timestamp": [1577836800, 1577836801, 1577836802],
        }
    )
    items = pd.DataFrame(
        {"item_id": ["b:1"], "domain": ["book"], "title": ["Dune <1>"], "price": ["3"]}
    )
    return build_graph(log, items, encoder="none", category_items=0, topics=0)


@pytest.mark.parametrize("suffix", ["graphml", "gexf"])
@pytest.mark.parametrize("whole", [True, False])
def test_networks_are_read_back(graph, tmp_path, suffix, whole):
    part = graph if whole else neighborhood(graph, ("user", "ann"))
    path = tmp_path / f"g.{suffix}"
    write_network(part, path)
    again = getattr(nx, f"read_{suffix}")(path)
    assert set(again) == {"user:ann", "user:bob", "book:b:1", "film:Älien & Co"}
    assert again.nodes["book:b:1"]["label"] == "Dune <1>"
    assert again.edges["user:ann", "book:b:1"]["kind"] == "interacts"
    assert again.edges["user:ann", "book:b:1"]["time"] == "2020-01-01T00:00:00+00:00"


@pytest.mark.parametrize("suffix", ["graphml", "gexf"])
def test_two_relations_of_one_pair_are_both_read_back(tmp_path, suffix):
    log = pd.DataFrame(
        {"user_id": list("aabb"), "item_id": ["d1", "d2"] * 2, "domain": "book",
         "position": [1, 2] * 2}
    )  # fmt: skip
    items = pd.DataFrame({"item_id": ["d1", "d2"], "title": ["Dune saga", "Dune saga, more"]})
    graph = build_graph(log, items, encoder="hashing", cache_dir=tmp_path, topics=0)
    write_network(graph, tmp_path / f"g.{suffix}")
    again = getattr(nx, f"read_{suffix}")(tmp_path / f"g.{suffix}")
    kinds = [data["kind"] for data in again.get_edge_data("book:d1", "book:d2").values()]
    assert sorted(kinds) == ["next", "similar"]
    assert not again.has_edge("book:d2", "book:d1")


def test_tables_of_nodes_and_edges_fit(graph, tmp_path):
    nodes, edges = node_table(graph), edge_table(graph)
    assert nodes.node.is_unique
    assert set(edges.source) | set(edges.target) == set(nodes.node)
    assert nodes.set_index("node").loc["book:b:1", "price"] == "3"
    write_table(nodes, tmp_path / "nodes.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "nodes.parquet"), nodes)
    with pytest.raises(InputError, match=r"written as \.graphml or \.gexf"):
        write_network(graph, tmp_path / "g.csv")
