"""One run of a benchmark: a process of its own, a folder that keeps it, and when it still holds."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gnn
from eval.benchmarks.datasets import DataSet
from eval.result import EvaluationResult
from graphgen.errors import InterestError, StorageError
from graphgen.graph import load_graph
from graphgen.storage import atomic_file, package_version

__all__ = ["REFUSED", "RUN", "Outcome", "Run", "execute", "model_sources", "prepare_graph"]

WORKER: Final = "eval.benchmarks.worker"
# Exit status of a worker that says on standard output why it stopped.
REFUSED: Final = 3
# Key of a result's meta, and of a graph's provenance, under which a worker writes what it did.
RUN: Final = "run"
GNN: Final = Path(gnn.__file__).parent


@dataclass(frozen=True)
class Run:
    """What one process does.

    Attributes
    ----------
    data
        The data set.
    model
        Registered name.
    ablation
        Name of the variant; "" for the model as it is.
    seed
        Of training, ties and intervals.
    settings
        Fields of the model's config.
    """

    data: DataSet
    model: str
    ablation: str = ""
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.ablation or self.model

    @property
    def folder(self) -> Path:
        """Where the run is kept, below the folder of the benchmark."""
        variant = f"{self.model} {self.ablation}".strip().replace(" ", "-")
        return Path("runs") / self.data.name / variant / f"seed-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    run
        What was run.
    result
        Its evaluation, with what it cost in ``meta["run"]``; None where it failed.
    reason
        Why it failed, in one sentence; "" where it did not.
    kept
        Whether an earlier benchmark had finished it.
    seconds
        Wall time now, with starting the process and reading files.
    """

    run: Run
    result: EvaluationResult | None = None
    reason: str = ""
    kept: bool = False
    seconds: float = 0.0

    @property
    def cost(self) -> dict[str, Any]:
        """fit_seconds, users_per_second, peak_gigabytes; empty where the run failed."""
        return self.result.meta[RUN]["cost"] if self.result is not None else {}


def prepare_graph(data: DataSet, out: Path, *, encoder: str) -> Path:
    """Build the graph of a data set, in a process of its own, unless it is there already.

    Returns
    -------
    pathlib.Path
        The folder of the graph.

    Raises
    ------
    InterestError
        If it cannot be built; the message says why.
    """
    folder = out / "graphs" / data.name
    inputs = {
        "files": {part: data.digests[part] for part in ("train", "items") if part in data.digests},
        "encoder": encoder,
        "interest_version": package_version(),
    }
    try:
        if load_graph(folder).provenance.get(RUN) == inputs:
            return folder
    except StorageError:
        pass
    job = {"graph": str(folder), "inputs": inputs, **_paths(data)}
    reason = _work(job, None, folder.with_suffix(".log"))
    if reason:
        raise InterestError(f"Data set {data.name!r}: {reason}")
    return folder


def execute(
    run: Run,
    graph: Path,
    out: Path,
    *,
    bootstrap: int = 1000,
    encoder: str,
    time_limit: float | None = None,
) -> Outcome:
    """Run, or take what an earlier benchmark with the same inputs has finished.

    The same inputs are: the bytes of the files, encoder, settings, seed, version of this package,
    and the source of the modules of `gnn` that the run had loaded.

    Parameters
    ----------
    run
        What to run.
    graph
        Folder of the data set's graph.
    out
        Folder of the benchmark.
    bootstrap
        Replicates of the intervals.
    encoder
        Text encoder that the graph was built with.
    time_limit
        Seconds after which the run is given up; None for no limit.
    """
    folder = out / run.folder
    inputs = _plain(
        {
            "files": run.data.digests,
            "encoder": encoder,
            "model": run.model,
            "ablation": run.ablation,
            "settings": dict(run.settings),
            "seed": run.seed,
            "bootstrap": bootstrap,
            "interest_version": package_version(),
        }
    )
    started = time.perf_counter()
    kept = _finished(folder, inputs)
    if kept is not None:
        return Outcome(run, kept, kept=True)
    job = {
        "graph": str(graph),
        "out": str(folder),
        "name": run.label,
        "inputs": inputs,
        **_paths(run.data),
    }
    reason = _work(job, time_limit, folder.with_suffix(".log"))
    seconds = time.perf_counter() - started
    result = None if reason else EvaluationResult.load(folder)
    return Outcome(run, result, reason, seconds=seconds)


def model_sources(names: set[str]) -> dict[str, str]:
    """Return the hash of each of these files of `gnn` (paths inside the package) that is there."""
    return {
        name: hashlib.sha256((GNN / name).read_bytes()).hexdigest()
        for name in sorted(names)
        if (GNN / name).is_file()
    }


def _finished(folder: Path, inputs: dict[str, Any]) -> EvaluationResult | None:
    try:
        result = EvaluationResult.load(folder)
        done = result.meta[RUN]
        same = done["inputs"] == inputs and model_sources(set(done["sources"])) == done["sources"]
    except (StorageError, KeyError, TypeError):
        return None
    return result if same else None


def _paths(data: DataSet) -> dict[str, Any]:
    return {"files": {part: str(path) for part, path in data.files.items()}}


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain


def _work(job: dict[str, Any], time_limit: float | None, log: Path) -> str:
    """Run a worker; return "" or why it failed. What a crash printed goes to `log`."""
    log.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(job, file)
        file.flush()
        try:
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
