"""Reasons: exact where a score is a sum, and true of the model where it is not."""

import json

import numpy as np
import pandas as pd
import pytest

from gnn import explain, make_model
from gnn.explaining import Explainer, attribute
from gnn.explaining.attribution import masked
from graphgen.errors import ConfigError, UnknownIdError
from graphgen.log import InteractionLog

SHARES = ["domain", "item_id", "title", "share"]


@pytest.fixture(scope="module")
def fitted(graph):
    cache = {}
    settings = {"interest-gnn": {"embedding_dim": 16, "steps": 12}}

    def get(name):
        if name not in cache:
            cache[name] = make_model(name, **settings.get(name, {})).fit(graph, seed=1, valid=None)
        return cache[name]

    return get


def first_of(model, user="u001", domain="film"):
    return model.recommend(user, domain=domain, k=1).iloc[0]


@pytest.mark.parametrize("name", ["item-knn", "ease", "graph-filter"])
def test_shares_of_linear_models_are_the_terms_of_their_sum(fitted, name):
    model = fitted(name)
    row = first_of(model)
    found = explain(model, "u001", row.item_id, "film")
    column = model.items("film").encode([row.item_id])[0]
    terms = []
    for at in found.interactions.itertuples():
        log = InteractionLog(
            pd.DataFrame({"user_id": ["x"], "domain": at.domain, "item_id": at[2]})
        )
        terms.append(model.score("x", domain="film", history=log)[0, column])
    np.testing.assert_allclose(found.interactions["share"], np.array(terms) / row.score, rtol=1e-4)
    assert found.interactions["share"].is_monotonic_decreasing
    assert found.explained == pytest.approx(1, abs=1e-4)
    assert (found.score, found.rank) == (pytest.approx(row.score), 1)


def test_shares_of_interest_gnn_sum_to_what_the_history_adds(fitted, graph):
    model = fitted("interest-gnn")
    row = first_of(model)
    found = explain(model, "u001", row.item_id, graph=graph)
    user = model.data.batch(np.array([model.users.encode(["u001"])[0]]))
    n, place = user.history.nnz, model.items("film").encode([row.item_id])
    scores = [
        sum(model.parts(masked(user, mask), "film", place).values())[0, 0]
        for mask in (np.ones((1, n), bool), np.zeros((1, n), bool))
    ]
    assert found.explained == pytest.approx(1 - scores[1] / scores[0])
    assert found.experts["share"].sum() == pytest.approx(1)
    assert len(found.interactions) == n and found.interactions.columns.tolist() == SHARES
    path = found.paths.iloc[0]
    assert path.nodes[0]["id"] == "u001" and path.nodes[-1]["id"] == row.item_id
    assert len(path.relations) == len(path.nodes) - 1
    by_start = found.paths.groupby(found.paths["nodes"].str[1].str["id"])["share"].sum()
    shares = found.interactions.set_index("item_id")["share"]
    np.testing.assert_allclose(by_start, shares[by_start.index])


def test_parts_of_the_mixture_sum_to_its_score(fitted):
    model = fitted("interest-gnn")
    users, places = model.data.batch(np.arange(5)), np.array([0, 7, 25])
    parts = model.parts(users, "book", places)
    assert [*parts] == [*model.mixture_.experts]
    np.testing.assert_allclose(
        sum(parts.values()), model._mixed(users, "book").numpy()[:, places], rtol=1e-4
    )


def test_masked_histories_are_those_of_a_log(fitted):
    model = fitted("interest-gnn")
    user = model.data.batch(np.array([3]))
    mask = np.arange(user.history.nnz) % 2 == 0
    part = masked(user, np.vstack([mask, ~mask]))
    assert part.history[0].indices.tolist() == user.history.indices[mask].tolist()
    assert (part.history.sum(axis=0) == user.history.sum(axis=0)).all()


def test_words_and_sentence_name_the_planted_taste(fitted, graph, items):
    row = first_of(fitted("interest-gnn"))
    found = Explainer(fitted("interest-gnn"), graph).explain("u001", row.item_id)
    taste = items[items.item_id == row.item_id].text.iloc[0].split()
    assert set(found.words) & set(taste) or "number" in found.words
    assert found.interactions["title"].iloc[0] in found.sentence
    told = json.loads(json.dumps(found.to_dict()))
    assert told["interactions"][0].keys() == set(SHARES)
    assert "u001" in str(told["paths"]) and "<table>" in found._repr_html_()
    others = [n for p in told["paths"] for n in p["nodes"] if n["kind"] == "user"][1:]
    assert all(node["id"] == "u001" or node["id"].startswith("user ") for node in others)


def test_lists_get_the_sentences_of_single_reasons(fitted):
    explainer = Explainer(fitted("interest-gnn"))
    lists = explainer.model.recommend(["u001", "nobody"], k=2)
    sentences = explainer.reasons(lists)
    assert len(sentences) == len(lists) == 8
    for row, sentence in zip(lists.itertuples(), sentences, strict=True):
        assert sentence == explainer.explain(row.user_id, row.item_id, row.domain).sentence
    assert "unknown user" in sentences[-1]


def test_a_stranger_is_explained_by_a_history(fitted, graph):
    history = pd.DataFrame({"user_id": "new", "domain": "book", "item_id": ["b00", "b01", "b03"]})
    model = fitted("item-knn")
    found = explain(model, "new", "f06", graph=graph, history=history)
    assert set(found.interactions["item_id"][:2]) == {"b00", "b03"}
    seen = history.assign(item_id=["b00", "b01", "b06"])
    assert "b06" not in explain(model, "new", "b06", history=seen).interactions["item_id"].tolist()


def test_what_cannot_be_explained_says_so(fitted, graph):
    assert (
        "no interaction of the user raises it"
        in explain(fitted("popularity"), "u001", "f00").sentence
    )
    with pytest.raises(ConfigError, match="bpr-mf scores a user by a vector learned"):
        Explainer(make_model("bpr-mf", epochs=1).fit(graph, valid=None))
    with pytest.raises(UnknownIdError):
        explain(fitted("item-knn"), "u001", "no such item")


def test_interplay_is_shared_out():
    pair = attribute(lambda masks: 1.0 * masks[:, :2].all(1)[:, None], 3)[0]
    assert pair.added.tolist() == [0.5, 0.5, 0.0]
    assert (pair.whole, pair.empty) == (1, 0)
    both = attribute(lambda masks: np.stack([masks.sum(1), -1.0 * masks[:, 0]], 1), 2)
    assert [one.added.tolist() for one in both] == [[1, 1], [-1, 0]]
    assert both[1].order.tolist() == [1, 0]
