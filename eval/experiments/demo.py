"""The full pipeline on a built-in example."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eval.evaluation.result import EvaluationResult
from eval.experiments.costs import Experiment, SystemRun
from eval.experiments.experiment import compare
from eval.reports.markdown import comparison_markdown
from gnn.base import Model
from graphgen.build import build_graph
from graphgen.graph import InterestGraph
from graphgen.log_files import read_log
from graphgen.looking.connections import connect
from graphgen.looking.neighborhoods import neighborhood
from graphgen.looking.page import write_page
from graphgen.schema import USER
from graphgen.storage import check_output, fingerprint
from graphgen.synthetic.generator import write_synthetic
from graphgen.tables import read_items

__all__ = ["run_demo"]

MODELS = ("popularity", "item-knn", "lightgcn", "interest-gnn")
COLD = "setting=cold_user"
SHOWN = ["recall@20", "ndcg@20", "auc"]
# Recommendations of one user that the demo explains.
EXPLAINED = 3
EXPLAINED_MODEL = "interest-gnn"


def run_demo(
    out: Path,
    *,
    n_users: int,
    encoder: str,
    seed: int,
    say: Callable[[str], None],
    overwrite: bool = False,
) -> Experiment:
    """Write a log, build a graph, train, compare on cold users, explain one recommendation."""
    data, graph_path = out / "data", out / "graph"
    made_from = fingerprint(["demo", n_users, encoder, seed])
    replacing: Any = {"overwrite": overwrite, "made_from": made_from}
    folders = {"synthetic log": data, "graph": graph_path, "report": out / "report"}
    for kind, path in {**folders, "model": out / "model"}.items():
        check_output(path, kind=kind, **replacing)
    check_output(out / "neighborhood.html")
    say("1. A synthetic log of books, films, games and music, with planted interests")
    write_synthetic(data, n_users=n_users, seed=seed, **replacing)
    log = read_log(data / "train.csv")
    say(f"   {log}")

    say("2. An interest graph with text features")
    graph = build_graph(log, read_items(data / "items.csv"), encoder=encoder, progress=True)
    graph.save(graph_path, **replacing)
    say(f"   {graph}")

    say("3. Models, fitted on the same rows, validated on validation rows, evaluated on test rows")
    fitted: dict[str, Model] = {}

    def finished(name: str, run: SystemRun, model: Model) -> None:
        say(f"   {name}: fitted in {run.fit_seconds:.1f} s, ranked in {run.score_seconds:.1f} s")
        if name == EXPLAINED_MODEL:
            fitted[name] = model

    experiment = compare(
        graph,
        read_log(data / "test.csv"),
        MODELS,
        valid=read_log(data / "valid.csv"),
        seed=seed,
        progress=True,
        on_run=finished,
    )
    experiment.save(out / "report", **replacing)
    model = fitted[EXPLAINED_MODEL]
    model.save(out / "model", **replacing)
    say("\nCold users, whose whole history is in other domains, with 95 % intervals:")
    say(comparison_markdown(experiment.comparison, SHOWN, slices=[COLD], domains=["macro"]))

    _explain(graph, model, experiment.comparison.results[EXPLAINED_MODEL], out, say)
    say("\nFiles written:")
    for path, what in (
        (data, "the log: train, valid, test, items, users"),
        (graph_path, "the graph"),
        (out / "model", "the trained interest-gnn"),
        (out / "report" / "report.html", "every metric, with plots"),
        (out / "neighborhood.html", "one user's neighbourhood, to explore in a browser"),
    ):
        say(f"  {path}  {what}")
    return experiment


def _explain(
    graph: InterestGraph,
    model: Model,
    result: EvaluationResult,
    out: Path,
    say: Callable[[str], None],
) -> None:
    """Show one cold user: history, recommendations in the new domain, and paths to them."""
    frame = result.per_user
    cold = frame[(frame["slice"] == COLD)].sort_values(
        ["recall@20", "user_id"], ascending=[False, True]
    )
    if cold.empty:
        return
    user, domain = str(cold.iloc[0]["user_id"]), str(cold.iloc[0]["domain"])
    recs = model.recommend([user], domain=domain, k=EXPLAINED)
    titles = graph.item_frame(domain).set_index("item_id")["title"]
    around = neighborhood(graph, (USER, user), hops=2, limit=40, users=False)
    say(f"\nUser {user}, without history in {domain!r}. History elsewhere:")
    for node, facts in around.nodes(data=True):
        if facts["distance"] == 1:
            say(f"  {node[0]}: {facts['label']}")
    say(f"Recommended in {domain!r}, and paths in the graph that lead there:")
    for item_id in recs["item_id"]:
        say(f"  {titles[item_id]}")
        for path in connect(graph, (USER, user), (domain, item_id), max_paths=1):
            say(f"      {path}")
    write_page(around, out / "neighborhood.html")
