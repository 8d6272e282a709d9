"""`interest update` and `interest replay` from the command line."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from eval.commands.main import app
from gnn import load_model
from graphgen import load_graph


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INTEREST_CACHE_DIR", str(tmp_path / "cache"))

    def command(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.output

    return command


def rows_of(n, start, new=False):
    rng = np.random.default_rng(start)
    item = rng.integers(0, 30, n) + 30 * new
    frame = pd.DataFrame(
        {
            "user_id": [f"u{number}" for number in rng.integers(0, 40, n)],
            "item_id": [f"i{number}" for number in item],
            "domain": "book",
            "timestamp": 1_500_000_000 + 3600 * (start + np.arange(n)),
        }
    )
    return frame.drop_duplicates(["user_id", "item_id"])


def items_of(log):
    ids = log["item_id"].drop_duplicates()
    words = np.array(["dragons and wizards", "murder and detectives"])
    title = words[ids.str[1:].astype(int) % 2] + " " + ids
    return pd.DataFrame({"item_id": ids, "domain": "book", "title": title})


def test_a_model_is_updated_with_new_items_only(run, tmp_path):
    first, today = rows_of(500, 0), rows_of(80, 1000, new=True)
    for name, table in {
        "log": first, "today": today, "items": items_of(first), "new": items_of(today)
    }.items():  # fmt: skip
        table.to_csv(f"{name}.csv", index=False)
    assert run("build", "log.csv", "--items", "items.csv", "--encoder", "hashing",
               "--out", "graph")[0] == 0  # fmt: skip
    assert run("train", "graph", "--model", "ease", "--out", "model")[0] == 0
    code, output = run("update", "model", "today.csv", "--items", "new.csv", "--out", "model2")
    assert code == 0, output
    assert "ease (exact) was updated" in output
    assert "A full retrain is due" in output
    assert "The distribution by popularity of items has shifted" in output
    updated, graph = load_model("model2"), load_graph("model2-graph")
    assert updated.data.matrix.nnz == len(first) + len(today)
    assert graph.data["book"].x.abs().sum(1).min() > 0
    # The updated model finds its own graph for the next update.
    rows_of(40, 2000).to_csv("next.csv", index=False)
    code, output = run("update", "model2", "next.csv", "--out", "model3")
    assert code == 0, output
    assert len(load_model("model3").provenance_["updates"]) == 2
    # Adaptation is judged on the same rows, by the model as it was.
    code, output = run("replay", "today.csv", "--model", "model", "--blocks", 2,
                       "--systems", "frozen,updated", "--out", "report")  # fmt: skip
    assert code == 0, output
    assert "Against frozen" in output
    found = json.loads((tmp_path / "report" / "replay.json").read_text())
    assert [row["system"] for row in found["summary"]] == ["frozen", "updated"]


def test_what_is_wrong_is_said_before_any_work(run):
    rows_of(50, 0).to_csv("today.csv", index=False)
    code, _ = run("update", "nowhere", "today.csv", "--out", "model2")
    assert code == 2
    code, _ = run("replay", "today.csv", "--model", "eaze", "--out", "report")
    assert code == 2


def test_events_of_a_stream_become_a_model(run, tmp_path):
    rows_of(500, 0).assign(event="play").to_csv("log.csv", index=False)
    assert (
        run("build", "log.csv", "--event", "play=0.5", "--encoder", "none", "--out", "graph")[0]
        == 0
    )
    assert run("train", "graph", "--model", "item-knn", "--out", "model")[0] == 0
    with sqlite3.connect("events.db") as sent:
        sent.execute("CREATE TABLE messages (row INTEGER PRIMARY KEY, body TEXT, time INTEGER)")
        bodies = [{"user_id": "u0", "item_id": f"new{n}", "domain": "book"} for n in range(5)]
        # Without a kind, where training had kinds; the last one of a pair, and before the training.
        bodies[4] |= {"item_id": rows_of(500, 0).item_id[0], "user_id": rows_of(500, 0).user_id[0]}
        bodies[4]["time"] = "2017-01-01"
        sent.executemany(
            "INSERT INTO messages (body, time) VALUES (?, ?)",
            [(json.dumps(body), 1_700_000_000_000) for body in bodies],
        )
    sent.close()
    code, output = run("update", "model", "--state", "live", "--out", "model2")
    assert code == 2 and "no state.db" in output
    code, output = run("consume", "model", "--from", "sqlite:///events.db", "--state", "live",
                       "--once")  # fmt: skip
    assert code == 0, output
    code, output = run("update", "model", "--state", "live", "--out", "model2")
    assert code == 0, output
    assert "5 events since training are in live" in output
    updated = load_model("model2").data
    assert updated.items["book"].encode([f"new{n}" for n in range(4)]).min() >= 0
    strength = updated.weights[updated.users.encode([bodies[4]["user_id"]])[0]]
    assert sorted(set(strength.data.tolist())) == [0.5, 1.5]
    code, output = run("update", "model2", "--state", "live", "--out", "model3")
    assert code == 2 and "no events that item-knn has not learned" in output
    assert run("update", "model", "--out", "model3")[0] == 2
