"""The evaluator: lists and scorers give what definitions give, and bad input is refused."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from eval import EvaluationResult, evaluate, with_groups
from eval.evaluation import sources
from gnn import make_model
from graphgen.build import build_graph
from graphgen.errors import BadRowsError, ConfigError, InputError
from graphgen.log import InteractionLog

RECS = pd.DataFrame(
    {
        "user_id": ["ann", "ann", "ann", "bob", "bob", "eve"],
        "domain": ["books", "books", "films", "books", "books", "books"],
        "item_id": ["a", "b", "x", "c", "d", "a"],
        "rank": [1, 2, 1, 1, 2, 1],
    }
)
TRUTH = pd.DataFrame(
    {
        "user_id": ["ann", "ann", "ann", "bob", "cat"],
        "domain": ["books", "books", "films", "books", "books"],
        "item_id": ["b", "z", "y", "c", "a"],
        "setting": ["warm", "cold_item", "warm", "warm", "cold_user"],
    }
)


def slow_summary(world, k):
    """Recall, NDCG and AUC of every domain, user by user."""
    scorer, values = world.scorer, {}
    for domain, rows in world.truth.groupby("domain"):
        per_user = []
        for user, mine in rows.groupby("user_id"):
            scores = scorer.score([user], domain=domain)[0]
            hidden = scorer.seen([user], domain=domain).toarray()[0].astype(bool)
            good = scorer.items(domain).encode(mine["item_id"])
            order = [i for i in np.argsort(-scores) if not hidden[i]][:k]
            places = [place for place, item in enumerate(order) if item in set(good)]
            ideal = sum(1 / math.log2(2 + j) for j in range(min(k, len(good))))
            label = np.isin(np.arange(len(scores)), good)
            per_user.append(
                (
                    len(places) / len(good),
                    sum(1 / math.log2(2 + j) for j in places) / ideal,
                    roc_auc_score(label[~hidden], scores[~hidden]),
                )
            )
        values[domain] = np.mean(per_user, axis=0)
    return values


@pytest.mark.parametrize("size", [1, 4000, 2**26])
def test_a_scorer_is_ranked_in_full_as_the_slow_oracle_does(world, size, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK_BYTES", size)
    result = evaluate(world.scorer, world.truth, k=5, bootstrap=0)
    expected = slow_summary(world, 5)
    for domain, values in expected.items():
        for metric, value in zip(("recall@5", "ndcg@5", "auc"), values, strict=True):
            assert result.value(metric, domain=domain) == pytest.approx(value, abs=1e-6)
    macro = np.mean([values[0] for values in expected.values()])
    assert result.value("recall@5") == pytest.approx(macro)


def test_lists_and_scorer_agree(world):
    from_scorer = evaluate(world.scorer, world.truth, k=(3, 10), bootstrap=0)
    from_lists = evaluate(world.recommendations(10), world.truth, k=(3, 10), bootstrap=0)
    for metric in ("recall@3", "ndcg@10", "map@10", "f1@3", "r-precision@10", "mrr@10"):
        for name in from_scorer.slices:
            if not name.startswith("history"):
                assert from_lists.value(metric, slice=name) == pytest.approx(
                    from_scorer.value(metric, slice=name)
                )
    assert "auc" not in from_lists.metrics
    assert "score for every item" in from_lists.meta["not_computed"]["auc"]


def test_worked_by_hand_with_an_unanswered_user_and_slices():
    result = evaluate(RECS, TRUTH, k=2, metrics=["recall", "mrr"])
    assert result.value("recall@2", domain="books") == pytest.approx((0.5 + 1 + 0) / 3)
    assert result.value("recall@2", domain="films") == 0
    assert result.value("recall@2") == pytest.approx(0.25)
    assert result.value("mrr@2", domain="books") == pytest.approx((0.5 + 1 + 0) / 3)
    assert result.value("recall@2", domain="books", slice="setting=warm") == 1
    assert result.value("recall@2", domain="books", slice="setting=cold_item") == 0
    assert result.value("recall@2", domain="books", slice="setting=cold_user") == 0
    every = result.per_user[result.per_user["slice"] == "all"]
    assert every.set_index(["user_id", "domain"])["answered"].to_dict() == {
        ("ann", "books"): True,
        ("bob", "books"): True,
        ("cat", "books"): False,
        ("ann", "films"): True,
    }
    notes = " ".join(result.meta["notes"])
    assert "1 (user, domain) of the truth have no recommendation" in notes
    assert "1 of 6 recommendations are for users or domains without truth" in notes
    summary = result.summary.set_index(["slice", "domain", "metric"])["n_users"]
    assert summary["all", "books", "recall@2"] == 3
    assert summary["all", "macro", "recall@2"] == 3


def test_slices_leave_the_ranking_and_the_irrelevant_items_as_they_are(world):
    result = evaluate(world.scorer, world.truth, k=5, bootstrap=0, by=["setting"])
    frame = result.per_user
    rows = world.truth.groupby(["user_id", "domain"])["setting"].nunique()
    both = rows[rows == 2].index[0]
    parts = frame[(frame["user_id"] == both[0]) & (frame["domain"] == both[1])].set_index("slice")
    weight = parts["n_relevant"]
    assert weight["all"] == weight["setting=warm"] + weight["setting=cold_item"]
    for metric in ("auc", "recall@5"):
        pooled = np.average(parts[metric].iloc[1:], weights=weight.iloc[1:])
        assert parts.loc["all", metric] == pytest.approx(pooled)


def test_cold_and_warm_users_and_groups(world):
    groups = pd.DataFrame({"user_id": world.scorer.users, "group": ["a", "b", "", "a"] * 10})
    result = evaluate(world.scorer, with_groups(world.truth, groups), k=5, metrics=["recall"])
    frame = result.per_user[result.per_user["slice"] == "all"]
    for _, row in frame.iterrows():
        count = world.scorer.seen([row["user_id"]], domain=row["domain"]).nnz
        assert row["history"] == ("warm" if count else "cold")
    cold = frame[(frame["history"] == "cold") & (frame["domain"] == "d0")]
    got = result.value("recall@5", domain="d0", slice="history=cold")
    assert got == pytest.approx(cold["recall@5"].mean())
    assert {"group=a", "group=b"} < set(result.slices)
    assert "group=" not in result.slices


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(seed):
    first = evaluate(RECS, TRUTH, k=2, bootstrap=50)
    second = evaluate(
        RECS.sample(frac=1, random_state=seed),
        TRUTH.sample(frac=1, random_state=seed),
        k=2,
        bootstrap=50,
    )
    pd.testing.assert_frame_equal(first.summary, second.summary)
    pd.testing.assert_frame_equal(first.per_user, second.per_user)


def test_renaming_users_and_items_changes_no_value(world):
    scorer = world.scorer
    before = evaluate(scorer, world.truth, k=5, bootstrap=0).summary["value"]
    names = {user: f"x{99 - i}" for i, user in enumerate(scorer.users)}
    scorer.users = [names[user] for user in scorer.users]
    after = evaluate(
        scorer, world.truth.assign(user_id=world.truth["user_id"].map(names)), k=5, bootstrap=0
    ).summary["value"]
    np.testing.assert_allclose(before, after)


def test_a_constant_scorer_gets_chance_and_its_interval_covers_it(worlds):
    world = worlds(seed=5, n_users=400, sizes=(50,))
    scorer = world.scorer
    scorer.scores["d0"][:] = 1.0
    scorer.seen_pairs["d0"][:] = False
    first = world.truth.drop_duplicates("user_id").assign(item_id="d0-007")
    result = evaluate(scorer, first, k=10, metrics=["recall", "auc"])
    row = result.summary.set_index(["slice", "domain", "metric"]).loc["all", "macro", "recall@10"]
    assert row["low"] <= 10 / 50 <= row["high"]
    assert row["high"] - row["low"] < 0.15
    assert result.value("auc") == 0.5


def test_lists_without_ranks_are_ordered_by_score_and_ties_do_not_follow_the_file():
    n_users, n_items = 300, 20
    recs = pd.DataFrame(
        {
            "user_id": np.repeat([f"u{i}" for i in range(n_users)], n_items),
            "domain": "d",
            "item_id": [f"i{j:02d}" for j in range(n_items)] * n_users,
            "score": 0.5,
        }
    )
    truth = recs.drop_duplicates("user_id")[["user_id", "domain", "item_id"]]
    result = evaluate(recs, truth, k=5, metrics=["recall"])
    row = result.summary.iloc[0]
    assert row["low"] <= 5 / 20 <= row["high"]
    ordered = evaluate(recs.assign(score=np.tile(np.arange(20.0), n_users)), truth, k=5)
    assert ordered.value("recall@5") == 0
    assert evaluate(recs, truth, k=5, metrics=["recall"], seed=1).value("recall@5") != row["value"]


def test_truth_the_system_cannot_recommend_counts_as_missed(world):
    extra = pd.DataFrame(
        {"user_id": ["u00", "stranger"], "domain": "d0", "item_id": ["nowhere", "d0-001"]}
    )
    world.scorer.seen_pairs["d0"][1, 3] = True
    leak = pd.DataFrame({"user_id": ["u01"], "domain": "d0", "item_id": ["d0-003"]})
    result = evaluate(world.scorer, pd.concat([extra, leak]), k=30, metrics=["recall", "auc"])
    frame = result.per_user.set_index("user_id")
    assert frame.loc["u00", "recall@30"] == frame.loc["u01", "recall@30"] == 0
    assert frame.loc["u00", "auc"] == frame.loc["u01", "auc"] == 0
    assert frame.loc["stranger", "recall@30"] == 1
    assert any("not in the scorer's catalogue" in note for note in result.meta["notes"])
    assert any("part of the training log" in note for note in result.meta["notes"])


def test_k_above_the_catalogue_and_one_user(world):
    one = world.truth[world.truth["user_id"] == "u05"]
    result = evaluate(world.scorer, one, k=200, metrics=["recall", "ndcg"])
    assert result.value("recall@200") == 1
    row = result.summary.iloc[0]
    assert row["low"] == row["high"] == 1


def test_the_scorers_own_memory_is_left_alone(world):
    class Cached:
        domains, items, seen = world.scorer.domains, world.scorer.items, world.scorer.seen

        def score(self, user_ids, *, domain):
            return kept[domain][: len(user_ids)]

    kept = {d: s.copy() for d, s in world.scorer.scores.items()}
    evaluate(Cached(), world.truth, k=5, metrics=["recall"])
    for domain, scores in world.scorer.scores.items():
        np.testing.assert_array_equal(kept[domain], scores)
        kept[domain].flags.writeable = False
    evaluate(Cached(), world.truth, k=5, metrics=["recall"])


def test_infinite_scores_are_ranked_and_nan_is_refused(world):
    world.scorer.scores["d0"][:, 3] = np.inf
    world.scorer.scores["d0"][:, 4] = -np.inf
    world.scorer.seen_pairs["d0"][:, 3:5] = False
    truth = pd.DataFrame({"user_id": "u09", "domain": "d0", "item_id": ["d0-003", "d0-004"]})
    result = evaluate(world.scorer, truth, k=30, metrics=["recall", "mrr", "auc"])
    assert result.value("mrr@30") == 1
    assert result.value("recall@30") == 0.5
    assert result.value("auc") == 0.5
    world.scorer.scores["d0"][9, 5] = np.nan
    with pytest.raises(InputError, match=r"Domain 'd0'.*NaN"):
        evaluate(world.scorer, truth)


@pytest.mark.parametrize(
    ("recs", "message"),
    [
        (RECS.drop(columns="item_id"), "no column 'item_id'; its columns are 'user_id'"),
        (RECS.drop(columns="rank"), "neither a column 'rank' nor 'score'"),
        (RECS.head(0), "have no row"),
        (pd.concat([RECS, RECS.head(1).assign(rank=3)]), "an item twice in one list, in 1 case"),
        (RECS.assign(rank=[1, 3, 1, 1, 2, 1]), "without gaps or repeats; found 3 out of turn"),
        (RECS.assign(rank=[0, 1, 0, 0, 1, 0]), "found 0 out of turn"),
        (RECS.assign(rank=[1, 1, 1, 1, 2, 1]), "found 1 out of turn"),
        (RECS.assign(rank=[1, 1.5, 1, 1, 2, 1]), "found 1.5 out of turn"),
        (RECS.assign(rank=[1, np.nan, 1, 1, 2, 1]), "must hold finite numbers; 1 do not"),
        (RECS.drop(columns="rank").assign(score=np.inf), "must hold finite numbers; 6 do not"),
        (RECS.assign(user_id=[None, *RECS["user_id"][1:]]), "'user_id' is empty in 1 rows"),
        (RECS.head(2).assign(domain="Books"), "No recommended .user, domain. occurs in the truth"),
        (RECS.head(2).assign(user_id="nobody"), "do ids and domains match"),
        ("no/such/file.csv", "There is no file no/such/file.csv"),
        (42, "A source is a path, .*got 42"),
    ],
)
def test_bad_recommendations_are_refused_in_plain_words(recs, message):
    with pytest.raises(InputError, match=message):
        evaluate(recs, TRUTH, k=2)


@pytest.mark.parametrize(
    ("truth", "options", "error", "message"),
    [
        (TRUTH.head(0), {}, InputError, "The truth has no row"),
        (
            TRUTH.drop(columns="domain"),
            {},
            InputError,
            "No recommended .user, domain. occurs in the truth",
        ),
        (TRUTH, {"by": ["age"]}, InputError, "no column 'age' to slice by"),
        (TRUTH, {"k": 0}, ConfigError, "`k` must be a whole number of at least 1; got 0"),
        (TRUTH, {"k": ()}, ConfigError, "at least one length"),
        (TRUTH, {"k": 2.5}, ConfigError, "whole number"),
        (TRUTH, {"bootstrap": -1}, ConfigError, "`bootstrap` must be at least 0"),
        (TRUTH, {"metrics": ["ncdg"]}, ConfigError, "did you mean 'ndcg'"),
        (TRUTH, {"metrics": []}, ConfigError, "`metrics` is empty"),
        (TRUTH.assign(group=list("abcdefgh")[: len(TRUTH)]), {}, InputError, "more than one group"),
    ],
)
def test_bad_truth_and_settings_are_refused_in_plain_words(truth, options, error, message):
    with pytest.raises(error, match=message):
        evaluate(RECS, truth, **{"k": 2, **options})


def test_bad_groups_of_users_are_refused():
    with pytest.raises(InputError, match="no column 'group'"):
        with_groups(TRUTH, TRUTH)
    twice = pd.DataFrame({"user_id": ["ann", "ann"], "group": ["a", "b"]})
    with pytest.raises(InputError, match="user 'ann' more than once"):
        with_groups(TRUTH, twice)


def test_a_scorer_that_does_not_know_a_domain_or_answers_in_the_wrong_shape(world):
    with pytest.raises(InputError, match="'books', 'films', which the scorer does not know"):
        evaluate(world.scorer, TRUTH)
    world.scorer.scores["d0"] = world.scorer.scores["d0"][:, :7]
    with pytest.raises(InputError, match="`score` must return the shape"):
        evaluate(world.scorer, world.truth)


def test_files_and_logs_are_read(tmp_path):
    RECS.to_csv(tmp_path / "recs.csv.gz", index=False)
    RECS.to_parquet(tmp_path / "recs.parquet")
    TRUTH.to_csv(tmp_path / "truth.csv", index=False)
    expected = evaluate(RECS, TRUTH, k=2, bootstrap=0).summary
    for recs, truth in (
        (tmp_path / "recs.csv.gz", str(tmp_path / "truth.csv")),
        (str(tmp_path / "recs.parquet"), InteractionLog(TRUTH)),
    ):
        got = evaluate(recs, truth, k=2, bootstrap=0).summary
        pd.testing.assert_frame_equal(got, expected)
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(InputError, match="is not a whole Parquet file"):
        evaluate(tmp_path / "bad.parquet", TRUTH)
    (tmp_path / "bad.csv").write_text("user_id,domain,item_id\nann,books,\n")
    with pytest.raises(BadRowsError):
        evaluate(RECS, tmp_path / "bad.csv")


def test_ids_that_are_numbers_meet_ids_that_are_text():
    recs = pd.DataFrame({"user_id": [1, 2], "domain": "d", "item_id": [10, 11], "rank": 1})
    truth = pd.DataFrame({"user_id": ["1", "2"], "domain": "d", "item_id": ["10", "12"]})
    assert evaluate(recs, truth, k=1).value("recall@1") == 0.5


def test_the_result_says_what_it_has():
    result = evaluate(RECS, TRUTH, k=2)
    assert isinstance(result, EvaluationResult)
    with pytest.raises(ConfigError, match=r"no metric 'recall@20'.*recall@2"):
        result.value("recall@20")


def test_ids_that_never_meet_are_refused_and_many_are_warned_of(caplog):
    """Lists, groups and negatives against the truth; a user counts once in each domain."""
    evaluate(RECS, TRUTH, metrics=["recall"], bootstrap=0)
    assert "1 of 4 users of the truth do" in caplog.text
    assert "has 'cat'" in caplog.text and "They score 0" in caplog.text
    numbers = {name: f"{place}" for place, name in enumerate("abcdxyz")}
    truth = TRUTH.assign(item_id=TRUTH.item_id.map(numbers))
    recs = RECS.assign(item_id=RECS.item_id.map(numbers) + ".0")
    with pytest.raises(InputError, match=r"Without a '\.0' behind them, ids match"):
        evaluate(recs, truth, bootstrap=0)
    many = pd.DataFrame({"user_id": "ann", "domain": "books", "item_id": [*"klmnopqrstuvw"]})
    recs, truth = many.assign(rank=range(1, 14)), many.assign(item_id=many.item_id + "_")
    with pytest.raises(InputError, match="None of 13 items of the recommendations occurs"):
        evaluate(recs, truth, bootstrap=0)
    groups = pd.DataFrame({"user_id": ["ANN", "BOB"], "group": ["a", "b"]})
    with pytest.raises(InputError, match="Without upper and lower case"):
        with_groups(TRUTH, groups)


def test_a_truth_and_negatives_of_other_ids_than_the_models(world, caplog):
    strange = world.truth.assign(item_id="no-" + world.truth.item_id)
    with pytest.raises(InputError, match="of the truth occurs in the catalogue of the model"):
        evaluate(world.scorer, strange, bootstrap=0)
    part = pd.concat([world.truth.query("domain == 'd1'"), strange.query("domain == 'd0'")])
    evaluate(world.scorer, part, metrics=["recall"], bootstrap=0)
    assert "They count as missed." in caplog.text
    negatives = world.truth.assign(user_id="nobody")
    with pytest.raises(InputError, match="of the truth occurs in the negatives"):
        evaluate(world.scorer, world.truth, negatives=negatives, bootstrap=0)


def test_training_that_is_later_than_the_truth_is_told(caplog):
    times = pd.date_range("2024-01-01", periods=8, tz="UTC")
    rows = pd.DataFrame(
        {
            "user_id": list("aaaabbbb"),
            "item_id": list("wxyzwxyz"),
            "domain": "book",
            "timestamp": times,
        }
    )
    recs = pd.DataFrame({"user_id": ["a"], "domain": "book", "item_id": ["w"], "rank": [1]})

    def notes(train, test, system=recs):
        graph = build_graph(train, encoder="none")
        if system is not recs:  # A model knows its training without the graph.
            system, graph = system.fit(graph), None
        caplog.clear()
        settings = {"metrics": ["recall"], "bootstrap": 0}
        return evaluate(system, test, graph=graph, **settings).meta["notes"]

    last = rows.user_id.eq("a") & rows.item_id.eq("z")
    for truth in (rows[last], InteractionLog(rows[last])):
        for system in (recs, make_model("popularity")):
            found = notes(rows[~last], truth, system)
            assert any("57% of the training interactions are later" in note for note in found)
            assert "random). Prefer `interest split LOG --protocol temporal`" in caplog.text
    assert not any("later" in n for n in notes(rows.head(3), rows[last]))
    placed = rows.drop(columns="timestamp").assign(position=range(8))
    assert any("Positions order" in n for n in notes(placed[~last], placed[last]))
