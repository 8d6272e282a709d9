"""The process of one run: ``python -m eval.benchmarks.worker JOB.json``."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.benchmarks.ablations import Ablation, ablations
from eval.benchmarks.datasets import TRAINED
from eval.benchmarks.next_item import measure_lists
from eval.benchmarks.runs import ALONE, REFUSED, RUN, loaded_sources
from eval.experiments.experiment import run_system
from eval.experiments.single_domain import train_separately
from gnn.registry import make_model
from graphgen.allocation import keep_freed_memory
from graphgen.build import build_graph
from graphgen.errors import InterestError
from graphgen.graph import load_graph
from graphgen.log_files import read_log
from graphgen.meaning import taken_in
from graphgen.tables import read_items

__all__ = ["build", "main", "measure"]


def main(path: str) -> int:
    """Do the job of a file; return the exit status."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        measure(job) if "out" in job else build(job)
    except InterestError as error:
        sys.stdout.write(f"{error}\n")
        return REFUSED
    return 0


def build(job: Mapping[str, Any]) -> None:
    """Build a graph from the rows of ``files`` to learn from, and save it as ``graph``."""
    files, inputs = job["files"], job["inputs"]
    items = read_items(files["items"]) if "items" in files else None
    log = read_log(*(files[part] for part in TRAINED if part in files), **inputs["meaning"])
    graph = build_graph(log, items, encoder=inputs["encoder"])
    graph.provenance[RUN] = {"inputs": inputs, "sources": loaded_sources("graphgen")}
    graph.save(job["graph"], overwrite=True)


def measure(job: Mapping[str, Any]) -> None:
    """Fit and evaluate one model; save the result, with its cost, as ``out``."""
    files, inputs = job["files"], job["inputs"]
    graph = load_graph(job["graph"])
    meaning = taken_in(graph.provenance)
    test = read_log(files["test"], as_in=meaning)
    valid, history = (
        read_log(files[part], as_in=meaning) if part in files else None
        for part in ("valid", "history")
    )
    variant, alone = Ablation(), inputs["ablation"] == ALONE
    if inputs["ablation"] and not alone:
        variant = ablations(graph, inputs["settings"])[0][inputs["ablation"]]
    settings, seed = {**inputs["settings"], **variant.settings}, inputs["seed"]
    known, model = variant.graph(graph), inputs["model"]

    def make() -> Any:
        if alone:
            return train_separately(
                known, model, test.domains, settings=settings, valid=valid, seed=seed
            )
        rows: Any = "auto" if valid is None else valid
        return make_model(model, **settings).fit(known, valid=rows, seed=seed)

    judging: Any = {**inputs["judging"], "bootstrap": inputs["bootstrap"], "seed": seed}
    checks: dict[str, Any] = {}
    if judging.pop("next_item", False):
        result, run, checks = measure_lists(make, test, history, graph=graph, **judging)
    else:
        result, run, _ = run_system(make, test, made_with=seed, graph=graph, **judging)
    ranked = sum(domain["users"] for domain in result.meta["domains"].values())
    result.meta[RUN] = {
        "inputs": inputs,
        "sources": loaded_sources("gnn"),
        "cost": {
            "fit_seconds": run.fit_seconds,
            "fit_cpu_seconds": run.fit_cpu_seconds,
            "users_per_second": ranked / max(run.score_seconds, 1e-3),
            "peak_gigabytes": run.peak_megabytes / 1000,
        },
        "config": run.config,
        "chosen": run.chosen,
        "checks": checks,
    }
    replace(result, name=job["name"]).save(job["out"], overwrite=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
