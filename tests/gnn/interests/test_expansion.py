"""Expanders and expansions, against slow loops and a planted taste."""

import logging

import numpy as np
import pandas as pd
import pytest

from eval.evaluation.evaluator import evaluate
from gnn.interests.expanders import EXPANDERS, Expander
from gnn.interests.expansion import expand
from gnn.interests.interests import Interests
from gnn.registry import make_model
from graphgen import build_graph
from graphgen.errors import ConfigError, UnknownIdError
from graphgen.schema import INTERESTS
from graphgen.synthetic.generator import synthesize

# Who likes crime books takes up heist films, and so with the other pairs.
PAIRS = [("crime", "heist"), ("space", "robots"), ("tea", "slow")]


@pytest.fixture(scope="module")
def planted():
    """Return a model, and the interest that some users have not had yet."""
    generator = np.random.default_rng(0)
    items = [
        (f"{kind}{n}", domain, kind)
        for pair in PAIRS
        for domain, kind in zip(("books", "films"), pair, strict=True)
        for n in range(12)
    ]
    rows, hidden = [], {}
    for number in range(90):
        book, film = PAIRS[number % 3]
        user = f"u{number:02d}"
        rows += [(user, "books", f"{book}{n}") for n in generator.choice(12, 5, replace=False)]
        if number < 12:
            hidden[user] = film
        else:
            rows += [(user, "films", f"{film}{n}") for n in generator.choice(12, 5, replace=False)]
    log = pd.DataFrame(rows, columns=["user_id", "domain", "item_id"])
    table = pd.DataFrame(items, columns=["item_id", "domain", "category"])
    graph = build_graph(log, table, encoder="none", category_items=1)
    return make_model("item-knn").fit(graph), hidden


@pytest.mark.parametrize("by", [name for name in EXPANDERS if name != "popularity"])
def test_the_planted_taste_comes_first(planted, by):
    model, hidden = planted
    found = expand(model, list(hidden), k=1, by=by)
    assert dict(zip(found.user_id, found.interest, strict=True)) == hidden
    assert (found.domain == "films").all()
    for row in found.itertuples():
        items = row.item_ids.split("|")
        assert len(set(items)) == 5 and all(item.startswith(row.interest) for item in items)


def test_a_theme_of_other_domains_is_found_in_a_new_one():
    """Interests are themes of one domain: who likes pirates in books has not met them in games."""
    data = synthesize(n_users=1000, seed=0)
    themes = np.asarray(data.truth.themes, object)
    items = data.items.assign(category=data.items["domain"].astype(str))
    items["category"] += ": " + themes[data.truth.item_theme]
    model = make_model("item-knn").fit(
        build_graph(data.train, items, encoder="none", category_items=1)
    )
    cold = data.test[data.test["setting"] == "cold_user"].drop_duplicates(["user_id", "domain"])
    favourite = pd.Series(themes[data.truth.user_taste.argmax(axis=1)], data.users["user_id"])

    def share_found(by):
        hits = [
            found["interest"] == f"{domain}: " + favourite[found["user_id"]].to_numpy(object)
            for domain, part in cold.groupby("domain", observed=True)
            for found in [expand(model, part["user_id"], k=1, domain=str(domain), by=by)]
        ]
        return pd.concat(hits).mean()

    assert len(cold) > 50
    assert share_found("blend") > 0.3 > 4 * share_found("popularity")


def test_an_expander_is_evaluated_as_a_scorer_of_interests(planted):
    model, hidden = planted
    truth = pd.DataFrame({"user_id": list(hidden), "item_id": list(hidden.values())})
    truth["domain"] = INTERESTS
    result = evaluate(Expander(model), truth, k=1, metrics=["hit-rate", "auc"], bootstrap=0)
    assert result.value("hit-rate@1") == result.value("auc") == 1


def test_evidence_and_distance_are_counted(planted):
    model, _ = planted
    found = expand(model, "u00", k=5)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    assert "crime" not in set(found.interest)
    expander = Expander(model)
    has = expander.has.toarray() > 0
    column = {name: i for i, name in enumerate(Interests.of(model.data).names)}
    crime = has[:, column["crime"]]
    for row in found.itertuples():
        new = has[:, column[row.interest]]
        cosine = (crime & new).sum() / np.sqrt(crime.sum() * new.sum())
        assert row.distance == pytest.approx(1 - cosine, abs=1e-6)
        times = (crime & new).sum() / (crime.sum() * new.sum() / len(has))
        assert row.because == (
            f"{(crime & new).sum()} of {crime.sum()} users with 'crime' have it too, "
            f"{times:.1f} times the share among all users"
        )
    total = expander.score(["u00"], domain=INTERESTS)
    assert total.sum() == pytest.approx(1, abs=1e-5)


def test_boldness_goes_from_likely_to_far(planted):
    model, _ = planted
    lists = [expand(model, "u00", k=1, boldness=b).distance[0] for b in (0, 0.5, 1)]
    assert lists == sorted(lists) and lists[0] < lists[2]


def test_users_without_a_like_get_common_interests(planted, caplog):
    model, _ = planted
    with caplog.at_level(logging.WARNING):
        found = expand(model, ["nobody", "u50"], k=2)
    assert "1 user without a like" in caplog.text
    assert found.user_id.tolist() == ["nobody"] * 2 + ["u50"] * 2
    assert found.because[0].startswith("common: ")
    later = pd.DataFrame({"user_id": "nobody", "domain": "books", "item_id": ["tea1", "tea2"]})
    assert expand(model, "nobody", k=1, history=later).interest[0] == "slow"


def test_arguments_out_of_range_are_said(planted):
    model, _ = planted
    assert set(expand(model, "u00", domain="books").domain) == {"books"}
    for options, error, words in [
        ({"boldness": 2}, ConfigError, "`boldness` must lie in"),
        ({"by": "magic"}, ConfigError, "`by` must be one of blend, items"),
        ({"domain": "toys"}, UnknownIdError, "knows no domain 'toys'"),
    ]:
        with pytest.raises(error, match=words):
            expand(model, "u00", **options)
