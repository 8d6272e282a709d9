"""The benchmark of re-ranking: speed beside pyversity, and accuracy against diversity."""

import sys

import numpy as np
import pandas as pd
import pytest

from eval.benchmarks import reranking
from eval.benchmarks.reranking import measure_frontier, measure_speed
from eval.commands.main import main
from gnn import make_model
from gnn.interests.reranking import RERANKERS
from graphgen.build import build_graph
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog

USERS, ITEMS, KINDS = 40, 24, 4


def held_out(last):
    """Users who like two of four kinds; the last of each user's items, or all but the last."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(USERS):
        kinds = user % KINDS, (user + 1) % KINDS
        liked = rng.permutation([i for i in range(ITEMS) if i % KINDS in kinds])[:8]
        rows += [
            (f"u{user}", d, f"{d}{i}") for d in "ab" for i in (liked[7:] if last else liked[:7])
        ]
    return pd.DataFrame(rows, columns=["user_id", "domain", "item_id"])


@pytest.fixture(scope="module")
def graph():
    words = ("murder", "wedding", "rocket", "dragon")
    items = [
        (d, f"{d}{i}", words[i % KINDS], f"{words[i % KINDS]} {i}")
        for d in "ab"
        for i in range(ITEMS)
    ]
    items = pd.DataFrame(items, columns=["domain", "item_id", "category", "text"])
    return build_graph(
        held_out(False), items.assign(title=""), encoder="hashing", topics=0, category_items=1
    )


@pytest.fixture(scope="module")
def model(graph):
    return make_model("item-knn").fit(graph)


def test_the_frontier_has_the_lists_by_score_and_every_setting(graph, model):
    truth = InteractionLog(held_out(True))
    frontier = measure_frontier(model, truth, graph, k=5, strengths=(0.0, 0.9))
    found = frontier.table
    assert found.method.tolist() == ["by score", *np.repeat(list(RERANKERS), 2)]
    plain, settings = found.iloc[0], found.iloc[1:].set_index(["method", "strength"])
    assert plain.kept == plain.kept_low == plain.kept_high == 1
    for method in set(RERANKERS):
        figures = settings.loc[(method, 0.0), ["ndcg", "ild", "coverage", "interests"]]
        assert figures.tolist() == plain[figures.index].tolist()
    strong = settings.xs(0.9, level="strength")
    assert strong.ild[["mmr", "dpp"]].min() > plain.ild
    assert strong.interests[["mmr", "quota"]].min() > plain.interests
    assert strong.miscalibration["calibrated"] < 0.7 * plain.miscalibration
    assert (strong.kept_low < strong.kept).all() and (strong.kept < strong.kept_high).all()
    best = frontier.best
    assert best.method.tolist() == ["by score", *RERANKERS]
    assert (best.kept >= 0.98).all()
    most = found.ild[found.kept >= 0.98].max() / plain.ild - 1
    assert best.ild.max() / plain.ild - 1 == most
    assert f"intra-list distance {100 * most:+.1f} %" in frontier.sentence()
    assert strong.kept["epsilon"] == pytest.approx(strong.ndcg["epsilon"] / plain.ndcg)


def test_the_speed_table_has_pyversity_beside_ours(monkeypatch):
    monkeypatch.setattr(reranking, "ITEMS", 500)
    speed = measure_speed(n_lists=20, candidates=30, k=5, dim=16, rival_lists=10, repeats=1)
    table = speed.table.set_index("method")
    assert list(table.index) == list(RERANKERS)
    assert table.agree[["mmr", "dpp"]].tolist() == [1.0, 1.0]
    assert (table.lists_per_second > 0).all()
    assert speed.to_markdown().count("100.0%") == 2
    monkeypatch.setitem(sys.modules, "pyversity", None)
    with pytest.raises(ConfigError, match="pip install pyversity"):
        measure_speed(n_lists=5, candidates=9, k=2, dim=4, rival_lists=2, repeats=1)


def run(line, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["interest", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def test_the_commands(graph, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    graph.save("graph")
    model.save("model")
    held_out(True).to_csv("test.csv", index=False)
    frontier = "bench rerank --frontier model --graph graph --test test.csv -k 5"
    assert (
        run(f"{frontier} --methods calibrated --strengths default --out report", monkeypatch) == 0
    )
    assert "| calibrated | 0.2 |" in capsys.readouterr().out
    assert "Intra-list distance against NDCG" in (tmp_path / "report/report.html").read_text()
    assert pd.read_csv("report/frontier.csv").method.tolist() == ["by score", "calibrated"]
    assert run(f"{frontier} --strengths some", monkeypatch) == 2
    assert "0.1,0.5 or default" in capsys.readouterr().err
    assert run("bench rerank --frontier model", monkeypatch) == 2
    assert "--graph" in capsys.readouterr().err

    recommend = "recommend model --users test.csv -k 5 --out recs.csv"
    assert run(recommend, monkeypatch) == 0
    plain = pd.read_csv("recs.csv")
    assert run(f"{recommend} --rerank mmr --strength 0.9 --graph graph", monkeypatch) == 0
    recs = pd.read_csv("recs.csv")
    assert len(recs) == len(plain) and recs.item_id.tolist() != plain.item_id.tolist()
    assert run(f"{recommend} --strength 0.9", monkeypatch) == 2
    assert "--rerank METHOD" in capsys.readouterr().err
