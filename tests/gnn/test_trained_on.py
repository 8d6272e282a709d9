import shutil

import pytest

from gnn import load_model, make_model
from gnn.trained_on import graph_digest, graph_of
from graphgen.errors import ConfigError
from graphgen.graph import load_graph


@pytest.fixture
def saved(tmp_path, graph):
    graph = type(graph)(graph.data, graph.vocabularies, item_tables=graph.item_tables)
    graph.save(tmp_path / "here" / "graph")
    opened = load_graph(tmp_path / "here" / "graph")
    make_model("popularity").fit(opened).save(tmp_path / "here" / "model")
    return tmp_path


def test_a_model_finds_its_graph(saved, graph):
    model = load_model(saved / "here" / "model")
    assert graph_digest(graph_of(model)) == graph_digest(graph)


def test_a_model_finds_a_graph_that_was_moved_with_it(saved):
    shutil.move(saved / "here", saved / "there")
    model = load_model(saved / "there" / "model")
    assert graph_of(model).folder == saved / "there" / "graph"
    shutil.move(saved / "there" / "graph", saved / "elsewhere")
    with pytest.raises(
        ConfigError, match=r"here/graph is not there\. Name its folder with --graph"
    ):
        graph_of(model)
    assert graph_of(model, saved / "elsewhere").folder == saved / "elsewhere"


def test_another_graph_is_refused(saved):
    model = load_model(saved / "here" / "model")
    other = load_graph(saved / "here" / "graph")
    edge = next(e for e in other.data.edge_types if e[1] == "interacts")
    other.data[edge].weight = other.data[edge].weight + 1
    other.save(saved / "other")
    with pytest.raises(ConfigError, match="is not the graph that this model was trained on"):
        graph_of(model, saved / "other")


def test_a_graph_in_memory_has_no_folder(saved, graph):
    model = make_model("popularity").fit(type(graph)(graph.data, graph.vocabularies))
    with pytest.raises(ConfigError, match="in memory only"):
        graph_of(model)
