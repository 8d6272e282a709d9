"""A graph handed on to other tools, read back."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest

from graphgen.build import build_graph
from graphgen.looking.neighborhoods import neighborhood
from graphgen.networks import edge_table, node_table, write_form


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


def written(graph, form, folder):
    (name,) = write_form(node_table(graph), edge_table(graph), form, folder)
    return getattr(nx, f"read_{form}")(folder / name)


@pytest.mark.parametrize("suffix", ["graphml", "gexf"])
@pytest.mark.parametrize("whole", [True, False])
def test_networks_are_read_back(graph, tmp_path, suffix, whole):
    part = graph if whole else neighborhood(graph, ("user", "ann"))
    again = written(part, suffix, tmp_path)
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
    again = written(graph, suffix, tmp_path)
    kinds = [data["kind"] for data in again.get_edge_data("book:d1", "book:d2").values()]
    assert sorted(kinds) == ["next", "similar"]
    assert not again.has_edge("book:d2", "book:d1")


def test_tables_of_nodes_and_edges_fit(graph, tmp_path):
    nodes, edges = node_table(graph), edge_table(graph)
    assert nodes.node.is_unique
    assert set(edges.source) | set(edges.target) == set(nodes.node)
    assert nodes.set_index("node").loc["book:b:1", "price"] == "3"
    assert write_form(nodes, edges, "parquet", tmp_path) == ["nodes.parquet", "edges.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "nodes.parquet"), nodes)


def test_the_neo4j_pair_has_the_header_that_its_import_reads(graph, tmp_path):
    write_form(node_table(graph), edge_table(graph), "neo4j", tmp_path)
    nodes = pd.read_csv(tmp_path / "neo4j_nodes.csv", dtype=str)
    assert nodes.columns[:3].tolist() == ["node:ID", ":LABEL", "id"]
    assert nodes.set_index("node:ID").loc["user:ann", ":LABEL"] == "User"
    assert nodes.set_index("node:ID").loc["film:Älien & Co", ":LABEL"] == "Item;film"
    edges = pd.read_csv(tmp_path / "neo4j_edges.csv")
    wanted = [":START_ID", ":END_ID", ":TYPE", "weight:double", "time:datetime"]
    assert edges.columns.tolist() == wanted
    assert set(edges[":START_ID"]) | set(edges[":END_ID"]) == set(nodes["node:ID"])
    assert set(edges[":TYPE"]) == {"INTERACTS"}


@pytest.mark.parametrize("whole", [True, False])
def test_the_writers_of_networkx_take_what_to_networkx_and_neighborhood_return(
    graph, tmp_path, whole
):
    network = graph.to_networkx() if whole else neighborhood(graph, ("user", "ann"))
    assert network.nodes["book", "b:1"]["label"] == "Dune <1>"
    fact = {"kind": "interacts", "weight": 1.0, "time": "2020-01-01T00:00:00+00:00", "count": 1}
    assert network.get_edge_data(("user", "ann"), ("book", "b:1")) == {"interacts": fact}
    for form in ("graphml", "gexf"):
        getattr(nx, f"write_{form}")(network, tmp_path / f"n.{form}")
        again = getattr(nx, f"read_{form}")(tmp_path / f"n.{form}")
        assert (len(again), again.number_of_edges()) == (4, 3)
