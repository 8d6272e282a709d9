import numpy as np
import pandas as pd
import pytest

from eval.evaluation.evaluator import evaluate
from gnn.registry import load_model, make_model
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.log import InteractionLog

FRAME = pd.DataFrame(
    [
        ("a", "x", 3.0), ("a", "y", 1.0), ("b", "x", 1.0), ("b", "z", 2.0),
        ("c", "x", 1.0), ("c", "z", -1.0), ("c", "w", 0.0), ("d", "z", 1.0), ("d", "w", 1.0),
    ],
    columns=["user_id", "item_id", "weight"],
)  # fmt: skip


@pytest.fixture(scope="module")
def graph():
    return build_graph(InteractionLog(FRAME), encoder="none")


@pytest.mark.parametrize("name", ["item-knn", "popularity", "ials"])
def test_refused_items_are_seen_also_after_loading(graph, name, tmp_path):
    model = make_model(name).fit(graph)
    model.save(tmp_path / "m")
    for fitted in (model, load_model(tmp_path / "m")):
        assert fitted.recommend(["c"]).item_id.tolist() == ["y"]
        seen = fitted.seen(["c"], domain="items").toarray()[0]
        assert seen[fitted.items("items").encode(["x", "z", "w", "y"])].tolist() == [1, -1, -1, 0]
    again = load_model(tmp_path / "m").score(["a", "c"], domain="items")
    assert again == pytest.approx(model.score(["a", "c"], domain="items"))


def test_a_history_refuses_and_weighs(graph):
    model = make_model("popularity").fit(graph)
    since = InteractionLog(pd.DataFrame({"user_id": "c", "item_id": ["y", "x"], "weight": [0, -1]}))
    assert model.recommend(["c"], history=since).empty
    assert model.seen(["c"], domain="items", history=since).toarray().tolist() == [[-1] * 4]


def test_weights_count_where_a_model_uses_them(graph, caplog):
    popular = make_model("popularity").fit(graph).score(["new"], domain="items")[0]
    order = graph.vocabularies["items"].ids
    assert dict(zip(order, popular.tolist(), strict=True)) == {"w": 1, "x": 5, "y": 1, "z": 3}
    assert not caplog.text
    flat = build_graph(InteractionLog(FRAME[FRAME.weight > 0].assign(weight=1.0)), encoder="none")
    for name in ("item-knn", "user-knn", "ease", "ials"):
        scores = [make_model(name).fit(g).score(["a"], domain="items") for g in (graph, flat)]
        assert not np.allclose(*scores), name
    make_model("ease-sparse").fit(graph)
    assert "ease-sparse does not use the weights" in caplog.text


def test_refused_rows_of_the_truth_are_not_relevant(graph):
    truth = pd.DataFrame({"user_id": "a", "domain": "items", "item_id": ["z", "w"]})
    recs = truth.assign(rank=[1, 2])
    result = evaluate(recs, truth.assign(rating=[5, 1]), k=1, metrics=["recall"], bootstrap=0)
    assert result.value("recall@1") == 1
    graded = evaluate(recs, truth.assign(rating=[1, 3]), k=2, metrics=["ndcg"], graded=True)
    gain = 1 / np.log2([2, 3])
    assert graded.value("ndcg@2") == pytest.approx(([1, 3] @ gain) / ([3, 1] @ gain))
    with pytest.raises(InputError, match=r"None of the 2 rows of the truth is a like"):
        evaluate(recs, truth.assign(rating=[2, 3]))
