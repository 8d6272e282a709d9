"""One run of a benchmark: its process, the folder that keeps it, and whether it is still valid."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

import gnn
from eval.benchmarks.datasets import TRAINED, DataSet
from eval.evaluation.result import EvaluationResult
from gnn.trained_on import graph_digest
from graphgen.errors import InterestError, StorageError
from graphgen.graph import load_graph
from graphgen.progress import progress_bar
from graphgen.storage import atomic_file, package_version

__all__ = [
    "ALONE",
    "JUDGING",
    "REFUSED",
    "RUN",
    "KeptGraph",
    "Outcome",
    "Run",
    "execute",
    "loaded_sources",
    "mean_cost",
    "prepare_graph",
]

WORKER: Final = "eval.benchmarks.worker"
# Exit status of a worker that says on standard output why it stopped.
REFUSED: Final = 3
# Key of a result's meta, and of a graph's provenance, under which a worker writes its record.
RUN: Final = "run"
PACKAGES: Final = Path(gnn.__file__).parents[1]
# The list of all models, on which no fit depends.
NOT_RECORDED: Final = {"gnn/registry.py"}
# The variant of any model that is trained in each domain on that domain alone.
ALONE: Final = "alone"
# How a run is judged, unless a benchmark says otherwise.
JUDGING: Final = {"k": 20, "metrics": ["recall", "ndcg", "auc"]}


@dataclass(frozen=True)
class Run:
    """What one process does: a registered model, or a variant of it, on a data set."""

    data: DataSet
    model: str
    ablation: str  # Name of the variant; "" for the model as it is.
    seed: int  # Of training, ties and intervals.
    settings: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What tables call it."""
        return f"{self.model} {ALONE}" if self.ablation == ALONE else self.ablation or self.model

    @property
    def folder(self) -> Path:
        """Where the run is kept, below the folder of the benchmark."""
        variant = f"{self.model} {self.ablation}".strip().replace(" ", "-")
        return Path("runs") / self.data.name / variant / f"seed-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    run: Run
    result: EvaluationResult | None  # With the cost in ``meta["run"]``; None where it failed.
    reason: str = ""  # Why it failed, in one sentence; "" where it did not.
    kept: bool = False  # Whether an earlier benchmark had finished it.
    seconds: float = 0.0  # Wall time now, with starting the process and reading files.

    @property
    def cost(self) -> dict[str, Any]:
        """Seconds, users a second and memory by name; empty where the run failed."""
        return self.result.meta[RUN]["cost"] if self.result is not None else {}


@dataclass(frozen=True)
class KeptGraph:
    """The graph of a data set: its folder, and a hash of its content."""

    folder: Path
    digest: str


def prepare_graph(
    data: DataSet, out: Path, *, encoder: str, meaning: Mapping[str, Any]
) -> KeptGraph:
    """Build the graph of a data set, in a separate process, unless it is there already.

    It is there if it was made of the same bytes, with the same encoder and `meaning` (options of
    `graphgen.read_log`), by the same version of
    this package and the same source of the modules of `graphgen`.

    Raises
    ------
    InterestError
        If it cannot be built; the message says why.
    """
    folder = out / "graphs" / data.name
    inputs = {
        "files": {p: d for p, d in data.digests.items() if p in (*TRAINED, "items")},
        "encoder": encoder,
        "meaning": {name: value for name, value in meaning.items() if value},
        "interest_version": package_version(),
    }
    try:
        done = load_graph(folder).provenance.get(RUN, {})
    except StorageError:
        done = {}
    if not _same(done, inputs):
        reason = _work({"graph": str(folder), "inputs": inputs}, data, None, folder)
        if reason:
            raise InterestError(f"Data set {data.name!r}: {reason}")
    return KeptGraph(folder, graph_digest(load_graph(folder)))


def execute(
    run: Run,
    graph: KeptGraph,
    out: Path,
    *,
    bootstrap: int,
    time_limit: float | None,
    judging: Mapping[str, Any] = JUDGING,
) -> Outcome:
    """Run, or take the finished run of an earlier benchmark with the same inputs.

    The same inputs are: the graph, the bytes of the files, settings, seed, version of this package,
    and the source of the modules of `gnn` that the run had loaded.

    For the parameters see `eval.benchmarks.models.measure_models`; `out` is the folder of the
    benchmark.
    """
    folder = out / run.folder
    inputs = {
        "graph": graph.digest,
        "files": {p: d for p, d in run.data.digests.items() if p not in (*TRAINED, "items")},
        "model": run.model,
        "ablation": run.ablation,
        "settings": dict(run.settings),
        "seed": run.seed,
        "bootstrap": bootstrap,
        "judging": dict(judging),
        "interest_version": package_version(),
    }
    inputs = json.loads(json.dumps(inputs))  # As they are read again.
    started = time.perf_counter()
    kept = _finished(folder, inputs)
    if kept is not None:
        return Outcome(run, kept, kept=True)
    job = {"graph": str(graph.folder), "out": str(folder), "name": run.label, "inputs": inputs}
    reason = _work(job, run.data, time_limit, folder)
    seconds = time.perf_counter() - started
    result = None if reason else EvaluationResult.load(folder)
    return Outcome(run, result, reason, seconds=seconds)


def mean_cost(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return means over the runs that finished, and the highest peak; empty where none did."""
    costs = pd.DataFrame([outcome.cost for outcome in outcomes if outcome.cost])
    seconds = ("fit_seconds", "fit_cpu_seconds", "users_per_second")
    means = {**dict.fromkeys(seconds, "mean"), "peak_gigabytes": "max"}
    return {} if costs.empty else {name: float(v) for name, v in costs.agg(means).items()}


def loaded_sources(package: str) -> dict[str, str]:
    """Return the hash of each file of a package that this process has imported, by path."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    own = (Path(f).relative_to(PACKAGES) for f in files if f and Path(f).is_relative_to(PACKAGES))
    names = {path.as_posix() for path in own if path.parts[0] == package}
    return _source_digests(names - NOT_RECORDED)


def _source_digests(names: Iterable[str]) -> dict[str, str]:
    return {
        name: hashlib.sha256((PACKAGES / name).read_bytes()).hexdigest()
        for name in sorted(names)
        if (PACKAGES / name).is_file()
    }


def _finished(folder: Path, inputs: dict[str, Any]) -> EvaluationResult | None:
    try:
        result = EvaluationResult.load(folder)
    except StorageError:
        return None
    return result if _same(result.meta.get(RUN, {}), inputs) else None


def _same(done: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
    """Whether a worker that left `done` had these inputs, and the source that is here now."""
    sources = done.get("sources", {})
    return done.get("inputs") == inputs and _source_digests(sources) == sources


def _work(job: dict[str, Any], data: DataSet, time_limit: float | None, folder: Path) -> str:
    """Run a worker; return "" or why it failed. What a crash printed goes to `folder`.log."""
    log = folder.with_name(f"{folder.name}.log")
    log.unlink(missing_ok=True)
    job = {**job, "files": {part: str(path) for part, path in data.files.items()}}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(job, file)
        file.flush()
        try:
            with progress_bar(job.get("name") or f"{data.name}: graph"):
                done = subprocess.run(
                    # -P: a folder that happens to be called `eval` here must not be imported.
                    [sys.executable, "-P", "-m", WORKER, file.name],
                    capture_output=True,
                    text=True,
                    timeout=time_limit,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return f"It took longer than the limit of {time_limit:g} s."
    if not done.returncode:
        return ""
    if done.returncode == REFUSED:
        return done.stdout.strip()
    with atomic_file(log) as temporary:
        temporary.write_text(done.stderr, encoding="utf-8")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        memory = ", as happens where memory runs out" if name == "SIGKILL" else ""
        return f"The process was ended by {name}{memory}."
    last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
    return f"It crashed: {last} (all of it is in {log})"
