import pandas as pd
import pytest

from gnn.baselines.popularity import Popularity
from gnn.data import TrainingData
from gnn.interests.interests import Interests
from gnn.registry import load_model
from graphgen import ItemTable, build_graph
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog

ROWS = [("a", "x", "books"), ("a", "y", "books"), ("b", "x", "books"), ("b", "p", "films")]
KINDS = [("x", "books", "Crime|Tea"), ("y", "books", "Tea"), ("p", "films", "Crime")]


def small_graph(kinds=KINDS):
    log = InteractionLog(pd.DataFrame(ROWS, columns=["user_id", "item_id", "domain"]))
    items = ItemTable(pd.DataFrame(kinds, columns=["item_id", "domain", "category"]))
    return build_graph(log, items, encoder="none", category_items=1)


def test_an_item_is_shared_out_among_its_interests():
    interests = Interests.of(TrainingData.from_graph(small_graph()))
    assert interests.names == ("Crime", "Tea")
    assert interests.joint.toarray().tolist() == [[0.5, 0.5], [0, 1], [1, 0]]
    assert interests.members["films"].toarray().tolist() == [[1, 0]]


def test_amounts_and_the_shares_of_the_population():
    data = TrainingData.from_graph(small_graph())
    interests = Interests.of(data)
    assert interests.amounts(data.matrix).toarray().tolist() == [[0.5, 1.5], [1.5, 0.5]]
    assert interests.population(data.liking).tolist() == [0.5, 0.5]
    # p is wholly of Crime, and x only by half, though it has one user more.
    assert interests.typical(data.liking, 1).indices.tolist() == [2, 1]


def test_a_saved_model_carries_its_interests(tmp_path):
    graph = small_graph()
    Popularity().fit(graph).save(tmp_path / "model")
    loaded = Interests.of(load_model(tmp_path / "model").data)
    assert loaded.names == ("Crime", "Tea")
    assert (loaded.joint != Interests.of(TrainingData.from_graph(graph)).joint).nnz == 0


def test_interests_of_another_graph_are_lined_up_with_the_items_of_a_model():
    data = TrainingData.from_graph(small_graph())
    other = small_graph([("p", "films", "Crime"), ("y", "books", "Herbs"), ("0", "books", "Crime")])
    interests = Interests.of(data, other)
    assert interests.names == ("Crime", "Herbs")
    assert interests.joint.toarray().tolist() == [[0, 0], [0, 1], [1, 0]]


def test_a_graph_without_topics_says_how_to_get_them():
    log = InteractionLog(pd.DataFrame(ROWS, columns=["user_id", "item_id", "domain"]))
    graph = build_graph(log, encoder="none")
    with pytest.raises(ConfigError, match="--items"):
        Interests.of(TrainingData.from_graph(small_graph()), graph)
    with pytest.raises(ConfigError, match="--items"):
        Interests.of(TrainingData.from_graph(graph))
