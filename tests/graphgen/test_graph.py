"""Saving and loading of graphs."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import HeteroData

from graphgen import build_graph, load_graph
from graphgen.errors import InputError, StorageError, UnknownIdError
from graphgen.graph import InterestGraph
from graphgen.storage import atomic_directory
from graphgen.vocabulary import Vocabulary


@pytest.fixture
def graph(tmp_path):
    log = pd.DataFrame(
        {
            "user_id": ["ann", "bob", "bob"],
            "item_id": ["龙猫", "dune", "龙猫"],
            "domain": ["电影", "book/s", "电影"],
            "timestamp": [1_400_000_000, 1_400_000_001, 1_400_000_002],
            "rating": [5, 4, 3],
        }
    )
    items = pd.DataFrame(
        {
            "item_id": ["龙猫", "dune"],
            "domain": ["电影", "book/s"],
            "title": ["龙猫", "Dune"],
            "text": ["森林", "desert"],
        }
    )
    return build_graph(
        log, items, encoder="hashing", min_similarity=-1, cache_dir=tmp_path, cutoff="2030-01-01"
    )


def test_round_trip(graph, tmp_path):
    graph.save(tmp_path / "graph")
    again = load_graph(tmp_path / "graph")
    assert set(again.data.edge_types) == set(graph.data.edge_types)
    assert again.vocabularies == graph.vocabularies
    assert again.cutoff == graph.cutoff
    assert again.provenance == json.loads(json.dumps(graph.provenance))
    for edge_type in graph.data.edge_types:
        for name, value in graph.data[edge_type].items():
            assert torch.equal(again.data[edge_type][name], value), (edge_type, name)
    for domain in graph.domains:
        assert torch.equal(again.data[domain].x, graph.data[domain].x)
        pd.testing.assert_frame_equal(again.item_frame(domain), graph.item_frame(domain))
    assert not [name for name in os.listdir(tmp_path / "graph") if name.endswith((".pkl", ".pt"))]


def test_features_are_mapped_and_the_file_never_changes(graph, tmp_path):
    graph.save(tmp_path / "graph")
    again = load_graph(tmp_path / "graph")
    again.data["电影"].x.zero_()
    assert load_graph(tmp_path / "graph").data["电影"].x.abs().sum() > 0


def test_newer_damaged_and_foreign_folders(graph, tmp_path):
    graph.save(tmp_path / "graph")
    manifest = tmp_path / "graph" / "graph.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(StorageError, match="Upgrade"):
        load_graph(tmp_path / "graph")
    manifest.write_text(text[:50])
    with pytest.raises(StorageError, match="damaged"):
        load_graph(tmp_path / "graph")
    manifest.write_text(text)
    next((tmp_path / "graph").glob("*.edge_index.npy")).write_bytes(b"oops")
    with pytest.raises(StorageError, match="damaged"):
        load_graph(tmp_path / "graph")
    (tmp_path / "else").mkdir()
    with pytest.raises(StorageError, match="is not a graph"):
        load_graph(tmp_path / "else")


def test_a_failed_save_leaves_the_old_graph(graph, tmp_path, monkeypatch):
    graph.save(tmp_path / "graph")
    before = (tmp_path / "graph" / "graph.json").read_text()

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        graph.save(tmp_path / "graph", overwrite=True)
    assert (tmp_path / "graph" / "graph.json").read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".graph")) == []


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with (
        pytest.raises(StorageError, match="was not written by interest"),
        atomic_directory(tmp_path / "mine", kind="graph"),
    ):
        pass


def test_unknown_domain(graph):
    with pytest.raises(UnknownIdError, match="no domain 'opera'"):
        graph.interactions("opera")


def test_validation_names_type_and_shape():
    data = HeteroData()
    data["user"].num_nodes = 1
    data["book"].num_nodes = 2
    data["book"].x = torch.zeros(3, 4)
    vocabularies = {"user": Vocabulary(["u"]), "book": Vocabulary(["a", "b"])}
    with pytest.raises(InputError, match=r"'book': x must have 2 rows.*got 3"):
        InterestGraph(data, vocabularies)
    data["book"].x = torch.zeros(2, 4)
    data["user", "interacts", "book"].edge_index = torch.tensor([[0], [2]])
    with pytest.raises(InputError, match=r"indices of 'book' must lie in \[0, 2\); got 2 to 2"):
        InterestGraph(data, vocabularies)
