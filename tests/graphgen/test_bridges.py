"""What joins two domains, against a count in plain Python; and the example of the notebooks."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

import graphgen
from graphgen.errors import BadRowsError, ConfigError, UnknownIdError

ITEMS = {"d1": "space", "d2": "love", "a1": "space", "a2": "love", "a3": "love"}
TAKEN = {"ann": "d1 a1 a2", "bob": "d1 d2 a1", "eve": "d2 a2 a3", "ida": "d1", "leo": "a1"}


@pytest.fixture(scope="module")
def graph():
    pairs = [(user, item) for user, items in TAKEN.items() for item in items.split()]
    log = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    log["domain"] = log["item_id"].str[0].map({"d": "book", "a": "film"})
    items = pd.DataFrame({"item_id": ITEMS.keys(), "category": ITEMS.values()})
    items["domain"] = items["item_id"].str[0].map({"d": "book", "a": "film"})
    return graphgen.build_graph(log, items, encoder="none", category_items=1, topics=0)


def test_bridges_are_those_of_a_plain_count(graph):
    follows = {
        (user, domain, topic)
        for user, items in TAKEN.items()
        for item in items.split()
        for domain, topic in [("book" if item[0] == "d" else "film", ITEMS[item])]
    }
    table = graphgen.bridge_interests(graph, "book", "film").set_index("interest")
    for topic in ("space", "love"):
        book, film = ({u for u, d, t in follows if (d, t) == (x, topic)} for x in ("book", "film"))
        assert table.loc[topic, "users"] == len(book & film)
        expected = len(book) * len(film) / len(TAKEN)
        assert table.loc[topic, "lift"] == pytest.approx(len(book & film) / expected, abs=0.01)
    assert table.loc["love", ["book", "film"]].tolist() == [1, 2]

    pairs = graphgen.bridge_items(graph, "book", "film", k=20)
    sets = {item: {u for u, taken in TAKEN.items() if item in taken.split()} for item in ITEMS}
    wanted = {
        (b, f): len(sets[b] & sets[f]) / (len(sets[b]) * len(sets[f])) ** 0.5
        for b, f in itertools.product(("d1", "d2"), ("a1", "a2", "a3"))
        if sets[b] & sets[f]
    }
    found = {(row.book_id, row.film_id): row.cosine for row in pairs.itertuples()}
    assert found == pytest.approx(wanted, abs=1e-3)
    assert pairs["cosine"].is_monotonic_decreasing


def test_wrong_domains_are_clear_errors(graph):
    with pytest.raises(UnknownIdError, match="no domain 'game'"):
        graphgen.bridge_interests(graph, "book", "game")
    with pytest.raises(ConfigError, match="joins two domains"):
        graphgen.bridge_items(graph, "book", "book")


def test_a_user_to_begin_with_leaves_a_domain_to_recommend_in(graph):
    assert graphgen.crossing_user(graph) in ("ida", "leo")


def test_the_messy_log_is_refused_whole_and_read_with_a_quarantine(tmp_path):
    files = graphgen.write_messy_log(tmp_path / "shop")
    with pytest.raises(BadRowsError, match=r"31\.02\.2023"):
        graphgen.read_log(files.log, columns=files.columns)
    bad = tmp_path / "bad.csv"
    log = graphgen.read_log(
        files.log, columns=files.columns, on_bad_rows="quarantine", quarantine=bad
    )
    assert log.report.bad == len(pd.read_csv(bad)) == 4
    assert log.report.duplicates == 200
    assert len(graphgen.read_items(files.items, columns=files.item_columns)) == 800
