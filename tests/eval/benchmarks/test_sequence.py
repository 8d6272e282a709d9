"""The benchmark of the next item: both protocols, checks, published figures, joined domains."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eval.benchmarks import runs, sequence, worker
from eval.benchmarks.datasets import find_data_set
from eval.benchmarks.next_item import NEW_ITEMS, SHARED_USERS, measure_lists
from eval.benchmarks.sequence import measure_sequence, protocols
from eval.experiments.single_domain import train_separately
from gnn import make_model
from graphgen import build_graph
from graphgen.errors import ConfigError, InputError, InterestError
from graphgen.log import InteractionLog

# 60 users walk a ring of 30 items a step at a time; every third walks that of the other domain too.
USERS, ITEMS, STEPS = 60, 30, 6
JUDGING = {"k": 10, "metrics": ["recall", "ndcg"], "bootstrap": 20, "seed": 0}


@pytest.fixture(scope="module")
def walks():
    rows = [
        (f"u{user}", domain, f"{domain}{(user * 7 + step) % ITEMS}", step)
        for domain, every in (("toys", 1), ("books", 3))
        for user in range(0, USERS, every)
        for step in range(STEPS)
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "domain", "item_id", "position"])
    # An item that nobody has in training.
    frame.loc[(frame["user_id"] == "u1") & (frame["position"] == STEPS - 1), "item_id"] = "new"
    frame["split"] = np.select(
        [frame["position"] == STEPS - 1, frame["position"] == STEPS - 2], ["test", "valid"], "train"
    )
    return frame


@pytest.fixture(scope="module")
def logs(walks):
    parts = ("train", "valid", "test")
    return {p: InteractionLog(walks[walks["split"] == p].drop(columns="split")) for p in parts}


@pytest.fixture(scope="module")
def graph(logs):
    items = pd.DataFrame({"item_id": ["toys0", "new"], "domain": "toys"})
    return build_graph(logs["train"], items, encoder="none")


def test_the_last_validation_row_leads_to_the_next_item(graph, logs):
    def judged(history, test=logs["test"], make=lambda: make_model("transition-graph").fit(graph)):
        return measure_lists(make, test, history, graph=graph, **JUDGING)

    result, run, checks = judged(logs["valid"])
    without = judged(None)[0]
    assert checks["test_rows_seen"] == 0
    # One of the 60 toys is new.
    assert result.value("recall@10", domain="toys") == pytest.approx(59 / 60)
    assert result.value("ndcg@10", domain="books") > without.value("ndcg@10", domain="books")
    assert result.value("recall@10", domain="toys", slice=NEW_ITEMS) == 0
    shared = result.per_user[result.per_user["slice"] == SHARED_USERS]
    assert set(shared["user_id"]) == {f"u{user}" for user in range(0, USERS, 3)}
    assert run.fit_seconds > 0 and run.config["hops"] == 3
    leaked = InteractionLog.concat(logs["valid"], logs["test"].where(user_id=["u2", "u3"]))
    assert judged(leaked)[2]["test_rows_seen"] == 3  # u3 has rows in both domains
    with pytest.raises(InputError, match="60 rows too many"):
        judged(None, InteractionLog.concat(logs["test"], logs["valid"].where(domain="toys")))


def test_models_of_one_domain_see_that_domain_only(graph, logs):
    def make():
        return train_separately(graph, "item-knn", graph.domains)

    result, run, _ = measure_lists(make, logs["test"], logs["valid"], graph=graph, **JUDGING)
    assert run.chosen is None
    model = make_model("item-knn").fit(
        build_graph(logs["train"].where(domain="books"), encoder="none")
    )
    rows = logs["test"].where(domain="books").frame
    lists = model.recommend(rows["user_id"], history=logs["valid"].where(domain="books"))
    found = lists.merge(rows, on=["user_id", "item_id"])
    assert result.value("recall@10", domain="books") == pytest.approx(len(found) / len(rows))


def test_chance_is_the_mean_over_all_orders_of_the_test_items(graph, logs):
    model = make_model("popularity").fit(graph)
    _, _, checks = measure_lists(lambda: model, logs["test"], None, graph=graph, **JUDGING)
    for domain in graph.domains:
        rows = logs["test"].where(domain=domain).frame
        lists = model.recommend(rows["user_id"], domain=domain, k=10)
        listed = lists.groupby("user_id", observed=True)["item_id"].agg(set)
        hits = [[item in mine for item in rows["item_id"]] for mine in listed]
        assert checks["chance"][domain] == pytest.approx(np.mean(hits))
        assert abs(checks["shuffled"][domain] - np.mean(hits)) < 0.2


@pytest.fixture(scope="module")
def data(walks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    walks.to_csv(folder / "interactions.csv", index=False)
    return find_data_set(f"ring={folder}")


def test_one_file_with_a_column_split_is_a_data_set(data, tmp_path):
    assert sorted(data.files) == ["test", "train", "valid"]
    assert len(set(data.digests.values())) == 1
    strict, refitted = protocols(data)
    assert (strict.name, sorted(strict.files)) == ("ring-strict", ["history", "test", "train"])
    assert (refitted.name, sorted(refitted.files)) == ("ring-refitted", ["more", "test", "train"])
    (tmp_path / "interactions.csv").write_text("user_id,item_id\na,b\n")
    with pytest.raises(InputError, match="nor interactions with a column 'split'"):
        find_data_set(str(tmp_path))
    with pytest.raises(InputError, match="no validation rows"):
        protocols(replace(data, files={"train": None, "test": None}))
    with pytest.raises(ConfigError, match="'ease', which is not among"):
        measure_sequence(data, ["popularity"], out=tmp_path, alone=["ease"])


@pytest.fixture
def here(monkeypatch):
    """Let this process do the work, and count its jobs."""
    jobs = []

    def work(job, data, time_limit, folder):
        job = {**job, "files": {part: str(path) for part, path in data.files.items()}}
        jobs.append(job)
        try:
            worker.measure(job) if "out" in job else worker.build(job)
        except InterestError as error:
            return str(error)
        return ""

    monkeypatch.setattr(runs, "_work", work)
    return jobs


def test_tables_of_both_protocols(data, here, tmp_path, monkeypatch):
    figures = tmp_path / "published.csv"
    pd.DataFrame(
        [["Walker", "toys", USERS, 0.5, 0.25, "A paper"], ["Other", "toys", 7, 0.5, 0.25, "No"]],
        columns=["system", "domain", "users", "recall", "ndcg", "source"],
    ).to_csv(figures, index=False)
    monkeypatch.setattr(sequence, "PUBLISHED", figures)

    def measure():
        return measure_sequence(
            data, ["transition-graph", "text-knn"], out=tmp_path / "out", seeds=[0, 1],
            encoder="none", bootstrap=20,
        )  # fmt: skip

    found = measure()
    assert len(here) == 2 + 2 * 2 + 1  # graphs; models, once for both seeds; one alone
    page = found.to_markdown()
    assert "| Walker (published) | strict | – | 0.5000 / 0.2500 | – | – | – |" in page
    assert "Walker: A paper." in page and "Other" not in page
    rows = [line for line in page.splitlines() if line.startswith("| transition-graph | ")]
    assert [row.split(" | ")[1] for row in rows[:2]] == ["strict", "refitted"]
    # Refitted, the last validation row is learned from; strict, it is history: both lead on.
    assert all("0.98" in row for row in rows[:2])
    assert "books R / N (20 users) | toys R / N (60 users)" in page
    assert "### What joining the domains adds" in page
    assert [row.split(" | ")[1:3] for row in rows[2:4]] == [
        ["strict", "recall@10"],
        ["strict", "ndcg@10"],
    ]
    assert "history: 0." in page and "(1 user)" in page
    assert "| text-knn | refitted | failed: A text-knn model needs text features" in page
    assert "- text-knn, strict, seed 0 failed: A text-knn model needs" in page
    table = found.table
    assert set(table["table"]) == {"models", "alone"}
    found.save(tmp_path / "out")
    about = json.loads((tmp_path / "out" / "models.json").read_text())["data_sets"]["ring-strict"]
    assert [run["ablation"] for run in about["runs"]] == ["", "", "alone"]
    here.clear()
    assert measure().to_markdown() == page
    assert [job["inputs"]["model"] for job in here] == ["text-knn"] * 2  # The others are kept.
