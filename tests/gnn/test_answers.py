"""Answers to what is asked in any common form, with filters, reasons, titles and one mixed list."""

from __future__ import annotations

import logging
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import graphgen
from eval import evaluate
from gnn import load_model, make_model
from graphgen.errors import ConfigError, InputError, InterestError, UnknownIdError


@pytest.fixture(scope="module")
def model(graph):
    return make_model("item-knn").fit(graph)


@pytest.mark.parametrize(
    "asked",
    ["u000", {"u000"}, ("u000",), pd.Series(["u000"]), np.array("u000"), b"u000",
     pd.DataFrame({"user_id": ["u000"]}), pd.Categorical(["u000"]), [" u000", None]],
    ids=lambda asked: type(asked).__name__,
)  # fmt: skip
def test_users_in_any_form(model, asked):
    due = model.recommend(["u000"], k=3)
    pd.testing.assert_frame_equal(model.recommend(asked, k=np.float64(3)), due)
    pd.testing.assert_frame_equal(model.recommend((u for u in ["u000"]), k=3), due)


@pytest.mark.parametrize("asked", [None, "", float("nan"), True, {"u000": 1}, [["u000"]], [0.5]])
def test_what_is_no_user_is_a_clear_error(model, asked):
    with pytest.raises(InputError, match="user ids"):
        model.recommend(asked)


@pytest.mark.parametrize("k", ["2", 2.5, None, True, float("nan"), float("inf"), [3]])
def test_what_is_no_length_is_a_clear_error(model, k):
    with pytest.raises(InputError, match="`k` must be a whole number"):
        model.recommend("u000", k=k)


def test_nobody_gets_an_empty_table(model):
    for asked in ([], [None]):
        assert model.recommend(asked, titles=True).empty


def test_domains_in_any_form(model):
    both = model.recommend("u000", k=2)
    assert both.equals(model.recommend("u000", domain=["book", "film", "book"], k=2))
    assert model.recommend("u000", domain={"film"}).equals(model.recommend("u000", domain="film"))
    with pytest.raises(UnknownIdError, match="did you mean 'film'"):
        model.recommend("u000", domain=["films"])
    with pytest.raises(InputError, match="names no domain"):
        model.recommend("u000", domain=[])


def test_history_in_any_form(model, tmp_path, caplog):
    frame = pd.DataFrame({"user_id": "new", "domain": "book", "item_id": ["b00", "b03", "zz"]})
    frame.to_csv(tmp_path / "h.csv", index=False)
    with caplog.at_level(logging.WARNING):
        due = model.recommend("new", history=frame)
    assert "1 of 3 items of the history does not occur in the model: the history has 'zz'" in (
        caplog.text
    )
    for history in (tmp_path / "h.csv", str(tmp_path / "h.csv"), [tmp_path / "h.csv"]):
        assert model.recommend("new", history=history).equals(due)
    assert not {"b00", "b03"} & set(due.item_id)
    with pytest.raises(InputError, match=r"the history \(opera\) occurs in the model \(bo"):
        model.recommend("new", history=frame.assign(domain="opera"))
    with pytest.raises(InputError, match="`history` must be an InteractionLog"):
        model.recommend("new", history=3)


def test_filters_keep_lists_full(model, graph, tmp_path):
    everything = model.recommend("u001", domain="book", k=100).item_id.tolist()
    barred = everything[:5]
    assert (
        model.recommend("u001", domain="book", without=barred, k=5).item_id.tolist()
        == (everything[5:10])
    )
    (tmp_path / "items.txt").write_text("\n".join(barred[2:]))
    allowed = model.recommend("u001", domain="book", only=tmp_path / "items.txt", k=3)
    assert allowed.item_id.tolist() == barred[2:]
    by_title = model.recommend("u001", where="title in ('book number 3', 'film number 4')")
    assert set(by_title.item_id) <= {"b03", "f04"}
    with pytest.raises(InputError, match="No column is named 'price'; there are 'title'"):
        model.recommend("u001", where="price<3")
    with pytest.raises(InputError, match="None of 1 item of `only` occurs in the model"):
        model.recommend("u001", only="zzz")


def test_short_lists_are_counted(model, caplog):
    with caplog.at_level(logging.WARNING):
        model.recommend(["u000", "u001"], domain="book", only=["b26", "b25"], k=3)
    assert "2 of 2 lists are shorter than k=3" in caplog.text


def test_reasons_name_the_fallback(graph):
    model = make_model("item-knn").fit(graph)
    recs = model.recommend(["u000", "nobody"], domain="book", k=1, reasons=True)
    assert recs.reason.tolist() == ["item-knn", "popularity: unknown user"]


def test_titles_come_from_the_saved_model(model, tmp_path):
    model.save(tmp_path / "m")
    recs = load_model(tmp_path / "m").recommend("u000", k=2, titles=True)
    assert recs.title[0] == f"book number {int(recs.item_id[0][1:])}"


def test_one_list_over_domains(model):
    mixed = model.recommend(["u000", "u001"], k=6, mix=True)
    assert mixed["rank"].tolist() == [1, 2, 3, 4, 5, 6] * 2
    assert mixed[mixed["rank"] <= 2].score.tolist() == [1.0] * 4
    assert mixed.groupby("user_id").domain.nunique().tolist() == [2, 2]
    assert mixed.groupby("user_id").score.apply(lambda s: s.is_monotonic_decreasing).all()


@pytest.mark.parametrize("name", ["item-knn", "ials", "text-knn", "bpr-mf"])
def test_similar_items_share_the_taste(name, graph):
    quick = {"ials": {"embedding_dim": 4}, "bpr-mf": {"embedding_dim": 16, "learning_rate": 0.05}}
    model = make_model(name, **quick.get(name, {})).fit(graph, seed=1)
    for to in (None, "film"):
        found = model.similar("b03", domain="book", to=to, k=5)
        assert (found.item_id.str[1:].astype(int) % 3 == 0).all()
        assert "b03" not in set(found.item_id)
    pd.testing.assert_frame_equal(model.similar("book number 3"), model.similar("b03"))


def test_similar_needs_an_item_and_a_model_that_compares(model, graph):
    with pytest.raises(UnknownIdError, match="nearest titles are"):
        model.similar("bok numbr 3")
    with pytest.raises(UnknownIdError, match="titles hold it: book=b00"):
        model.similar("book number")
    with pytest.raises(ConfigError, match="nothing to compare"):
        make_model("popularity").fit(graph).similar("b03")


def test_each_user_in_a_domain_of_their_own(model):
    asked = pd.DataFrame({"user_id": ["u001", "u000", "u001"], "domain": ["film", "book", "book"]})
    found = model.recommend(asked, k=2)
    due = [model.recommend(user, domain=domain, k=2) for user, domain in
           [("u001", "film"), ("u001", "book"), ("u000", "book")]]  # fmt: skip
    pd.testing.assert_frame_equal(found, pd.concat(due, ignore_index=True))
    assert set(model.recommend(asked, domain="film", k=2).domain) == {"film"}
    mixed = model.recommend(asked, k=2, mix=True)
    assert mixed.groupby("user_id", sort=False).size().tolist() == [2, 2]
    assert model.recommend(asked[:0]).empty
    with pytest.raises(UnknownIdError, match="no domain 'opera'"):
        model.recommend(asked.assign(domain="opera"))


def test_users_without_an_answer_are_counted_once(model, caplog):
    history = pd.DataFrame({"user_id": ["new"], "domain": "book", "item_id": ["b00"]})
    asked = pd.DataFrame({"user_id": ["u000", "x", "new"], "domain": ["book", "film", "book"]})
    model.recommend(asked, history=history)
    (said,) = [record.message for record in caplog.records]
    assert said == (
        "1 of 3 users of the request does not occur in the model or the history: the request has "
        "'x', the model or the history has 'u000', 'u001'. They get popular items."
    )
    caplog.clear()
    model.recommend("u000", history=history)
    assert "None of 1 user of the history occurs in the request" in caplog.text
    with pytest.raises(InputError, match="upper and lower case, ids match"):
        model.recommend(["U000", "U001"])
    with pytest.raises(InputError, match="upper and lower case, ids match"):
        model.recommend("u000", history=history.assign(user_id="U000"))


@pytest.mark.parametrize(
    "asked",
    [[7], 7, np.int64(7), [7.0], np.array([7], dtype=np.int32), pd.Series([7]), pa.array([7]),
     pa.chunked_array([[7]]), pa.table({"user_id": [7]}), (i for i in [7]), {7}, range(7, 8),
     pd.Index([7]), pd.DataFrame({"user_id": [7]}), Decimal(7)],
    ids=lambda asked: type(asked).__name__,
)  # fmt: skip
def test_numbers_in_any_form_are_ids(asked):
    log = pd.DataFrame({"user_id": [7, 7, 8, 8], "item_id": [1, 2, 2, 3]})
    model = make_model("item-knn").fit(graphgen.build_graph(log, encoder="none"))
    found = model.recommend(asked, reasons=True)
    assert found[["user_id", "item_id", "reason"]].to_numpy().tolist() == [["7", "3", "item-knn"]]


def test_frames_give_what_files_give(tmp_path):
    log = pd.DataFrame(
        {
            "Kunde": [1, 1, 2, 2, 3, 3, 3],
            "item_id": ["a", "b", "a", "b", "b", "c", "c"],
            "event": ["play", "like", "play", "skip", "like", "play", "play"],
            "timestamp": pd.date_range("2025-01-01", periods=7, tz="UTC"),
        }
    )
    log.to_csv(tmp_path / "log.csv", index=False)
    options = {"columns": {"user_id": "Kunde"}, "events": {"play": 0.3, "skip": "negative"}}
    due = graphgen.read_log({"music": tmp_path / "log.csv"}, **options)
    arrow = pa.Table.from_pandas(log)
    for table in (log, arrow):
        read = graphgen.read_log({"music": table}, **options)
        assert read == due
        assert read.report.taken == due.report.taken
    log = log.rename(columns={"Kunde": "user_id"})
    log.to_csv(tmp_path / "log.csv", index=False)
    lists = [
        make_model("item-knn")
        .fit(graphgen.build_graph(source, encoder="none"))
        .recommend([1, 2, 3], history=source, exclude_seen=False)
        for source in (tmp_path / "log.csv", log, pa.Table.from_pandas(log))
    ]
    pd.testing.assert_frame_equal(lists[0], lists[1])
    pd.testing.assert_frame_equal(lists[0], lists[2])
    figures = {
        evaluate(lists[0], truth, k=2, metrics=["recall"]).value("recall@2")
        for truth in (tmp_path / "log.csv", log, pa.Table.from_pandas(log))
    }
    assert len(figures) == 1


@pytest.mark.parametrize("graph", [None, "nowhere", pd.DataFrame({"user_id": ["a"]}), 3])
def test_what_is_no_graph_is_a_clear_error(graph):
    with pytest.raises(InterestError, match="graph"):
        make_model("item-knn").fit(graph)


def test_other_arguments_of_the_wrong_kind_are_clear_errors(model):
    for call in (
        lambda: model.recommend("u000", seed="a"),
        lambda: model.score("u000", domain=["book"]),
        lambda: model.similar(["b00", "b01"]),
        lambda: make_model(None),
        lambda: graphgen.build_graph([{"user_id": "a", "item_id": "b"}]),
    ):
        with pytest.raises(InterestError):
            call()
