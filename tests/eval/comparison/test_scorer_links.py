"""A scorer's links as yes or no: which links are scored, and what validation rows choose."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from eval import Analyses, analyse, evaluate, result_markdown, write_report
from eval.comparison.links import evaluate_scorer_links, score_links
from graphgen.errors import InputError


@pytest.fixture
def planted(worlds):
    """A world whose relevant items score higher by one, and validation rows of the same kind."""
    world = worlds(2, n_users=200)
    rows = world.truth
    for user, domain, item in zip(rows["user_id"], rows["domain"], rows["item_id"], strict=True):
        row = world.scorer.users.index(user)
        world.scorer.scores[domain][row, world.scorer.items(domain).encode([item])] += 1.0
    half = np.random.default_rng(0).random(len(rows)) < 0.5
    return world.scorer, rows[half], rows[~half]


def test_links_are_scored_as_the_scorer_scores_them(planted):
    scorer, test, _ = planted
    links = score_links(scorer, test, n=7, seed=1)
    assert links["label"].sum() == len(test)
    sizes = links[links["label"] == 0].groupby(["user_id", "domain"]).size()
    assert (sizes == 7).all()
    assert not links.duplicated(["user_id", "domain", "item_id"]).any()
    for row in links.sample(50, random_state=0).itertuples():
        item = scorer.items(row.domain).encode([row.item_id])[0]
        assert row.score == pytest.approx(scorer.score([row.user_id], domain=row.domain)[0, item])
        assert not scorer.seen([row.user_id], domain=row.domain).toarray()[0, item]
    pd.testing.assert_frame_equal(links, score_links(scorer, test, n=7, seed=1))


def test_users_are_sampled_and_what_has_no_score_is_left_out(planted):
    scorer, test, _ = planted
    assert score_links(scorer, test, max_users=20)["user_id"].nunique() <= 40
    strange = pd.DataFrame({"user_id": ["u00"], "domain": "d0", "item_id": "nowhere"})
    more = score_links(scorer, pd.concat([test, strange]), n=3)
    assert "nowhere" not in set(more["item_id"])
    with pytest.raises(InputError, match="does not know the domain 'd9'"):
        score_links(scorer, test.assign(domain="d9"))


def test_equals_scikit_learn_at_the_threshold_of_validation(planted):
    scorer, test, valid = planted
    found = evaluate_scorer_links(scorer, test, valid, bootstrap=30, seed=3)
    links = score_links(scorer, test, seed=3)
    for domain, part in links.groupby("domain"):
        summary = found[domain].summary.set_index("metric")
        accepted = part["score"] >= found[domain].meta["threshold"]
        values = summary["value"]
        assert values["accuracy"] == pytest.approx(accuracy_score(part["label"], accepted))
        assert values["f1"] == pytest.approx(f1_score(part["label"], accepted))
        assert values["roc-auc"] == pytest.approx(roc_auc_score(part["label"], part["score"]))
        assert 0.7 < values["roc-auc"] < 0.82  # normal scores one apart: .76
        assert values["ece"] < 0.05
        inside = summary["low"].le(summary["value"]) & summary["value"].le(summary["high"])
        assert inside[["roc-auc", "f1", "accuracy"]].all()


def test_they_are_part_of_an_evaluation_and_its_report(planted, tmp_path):
    scorer, test, valid = planted
    result = evaluate(scorer, test, k=5, metrics=["recall", "roc-auc"], bootstrap=20)
    found = analyse(result, links=evaluate_scorer_links(scorer, test, valid, bootstrap=20))
    assert "Links, yes or no" in result_markdown(result, analyses=found)
    page = (write_report(result, tmp_path / "report", found) / "report.html").read_text()
    assert "ROC curve by domain" in page
    assert "Reliability by domain" in page
    again = Analyses.from_dict(json.loads(json.dumps(found.to_dict())))
    assert result_markdown(result, analyses=again) == result_markdown(result, analyses=found)


def test_validation_of_one_domain_says_what_the_other_lacks(planted):
    scorer, test, valid = planted
    found = evaluate_scorer_links(scorer, test, valid[valid["domain"] == "d0"], bootstrap=0)
    assert found["d0"] is not None and found["d1"] is None
