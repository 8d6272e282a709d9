"""Speed of evaluation, ours and of other libraries, on the same score problem."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from eval.benchmarks.speed_problem import USERS, FactorScorer, make_problem
from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import EvaluationResult
from eval.experiments.costs import PeakMemory
from eval.metrics import ranking
from graphgen.allocation import HUGE_PAGES, KEEP_BYTES
from graphgen.errors import ConfigError, InterestError
from graphgen.schema import DOMAIN, USER_ID

__all__ = ["EvaluationSpeed", "measure_evaluation"]

SCRIPT: Final = Path(__file__).with_name("rivals") / "evaluators.py"
KS: Final = (10, 20, 50)
RANKING: Final = [getattr(ranking, name).name for name in ranking.__all__]
# The ways of running each rival.
RIVALS: Final = {"pyg": ("pyg",), "recbole": ("recbole", "recbole-wide"), "lenskit": ("lenskit",)}
# Users given to those that would take minutes for all.
RIVAL_USERS: Final = {"recbole": 4_000, "recbole-wide": 10_000, "lenskit": 4_000}
WARM_UP_USERS: Final = 200
# Metrics on which all must agree, and how far sums in float32 may lie apart.
CHECKED: Final = ("recall@20", "ndcg@20")
AGREEMENT: Final = 1e-4


@dataclass(frozen=True)
class EvaluationSpeed:
    """What each evaluator took.

    Attributes
    ----------
    table
        A row each: system, what (was computed, and how), users (pairs of user and domain), seconds
        (wall time from factors to averages), users_per_second, peak_gigabytes (of the process),
        recall and ndcg at 20, ``agrees`` (both equal ours on the same users; None for ourselves).
    """

    table: pd.DataFrame

    @property
    def strange(self) -> list[str]:
        """Systems whose figures differ from ours."""
        return self.table.loc[self.table["agrees"].eq(False), "system"].tolist()

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [
            "| evaluator | what | users | s | users/s | peak GB | Recall@20 | NDCG@20 | agrees |",
            "|:--|:--|--:|--:|--:|--:|--:|--:|:--|",
        ]
        for row in self.table.itertuples():
            agrees = {None: "", True: "yes", False: "NO"}[row.agrees]
            lines.append(
                f"| {row.system} | {row.what} | {row.users:,} | {row.seconds:.2f} | "
                f"{row.users_per_second:,.0f} | {row.peak_gigabytes:.2f} | {row.recall:.5f} | "
                f"{row.ndcg:.5f} | {agrees} |"
            )
        return "\n".join(lines)


def measure_evaluation(
    *,
    n_users: int = USERS,
    rivals: Mapping[str, str] | None = None,
    rival_users: int | None = None,
    repeats: int = 1,
    seed: int = 0,
) -> EvaluationSpeed:
    """Time full ranking with every ranking metric at k = 10, 20, 50, and rivals on the same.

    Parameters
    ----------
    n_users
        Users of the made-up problem (`eval.benchmarks.speed_problem.make_problem`).
    rivals
        Interpreter by rival (``pyg``, ``recbole``, ``lenskit``), in whose environment it is
        installed.
    rival_users
        Users for each rival; the default keeps the slow ones to about a minute.
    repeats
        Runs of ours; the fastest counts.
    seed
        Of the problem.

    Returns
    -------
    EvaluationSpeed
        Scoring (the dot products), masking and ranking are part of every time.

    Raises
    ------
    ConfigError
        For an unknown rival, or less than one repeat.
    InterestError
        If a rival fails; its own words are in the message.
    """
    for name in rivals or {}:
        if name not in RIVALS:
            raise ConfigError(f"There is no rival {name!r}; there are {', '.join(RIVALS)}.")
    if repeats < 1:
        raise ConfigError(f"`repeats` must be at least 1; got {repeats}.")
    problem = make_problem(n_users, seed=seed)
    truth = problem.truth_frame()
    # Imports and first calls are not measured, neither here nor in the rivals.
    evaluate(problem, truth[:WARM_UP_USERS], k=KS, metrics=[*RANKING, "auc"], bootstrap=2)
    what = f"{len(RANKING)} ranking metrics at k = {', '.join(map(str, KS))}"
    wanted = (
        (what, RANKING, 0),
        (f"{what}, exact AUC", [*RANKING, "auc"], 0),
        (f"{what}, exact AUC, intervals of 1,000 replicates", [*RANKING, "auc"], 1_000),
    )
    rows = []
    for told, metrics, bootstrap in wanted:
        row, result = _ours(problem, truth, told, metrics, bootstrap, repeats)
        rows.append(row)
    for name, python in (rivals or {}).items():
        rows += [_rival(way, python, problem, result, rival_users) for way in RIVALS[name]]
    return EvaluationSpeed(pd.DataFrame(rows))


def _ours(
    problem: FactorScorer,
    truth: pd.DataFrame,
    what: str,
    metrics: list[str],
    bootstrap: int,
    repeats: int,
) -> tuple[dict[str, Any], EvaluationResult]:
    seconds = []
    with PeakMemory() as peak:
        for _ in range(repeats):
            started = time.perf_counter()
            result = evaluate(problem, truth, k=KS, metrics=metrics, bootstrap=bootstrap)
            seconds.append(time.perf_counter() - started)
    found = {column: float(result.per_user[column].mean()) for column in CHECKED}
    users = len(result.per_user)
    row = _row("ours", what, users, min(seconds), peak.megabytes / 1000, found, None)
    return row, result


def _rival(
    way: str, python: str, problem: FactorScorer, ours: EvaluationResult, users: int | None
) -> dict[str, Any]:
    arrays, chosen = problem.part(users or RIVAL_USERS.get(way))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        found = _run(way, python, path)
    mine = ours.per_user.merge(chosen, on=[USER_ID, DOMAIN])
    agrees = all(abs(found["metrics"][c] - mine[c].mean()) <= AGREEMENT for c in CHECKED)
    what = found["what"]
    if len(mine) < len(ours.per_user):
        what += f"; {len(mine) / len(ours.per_user):.0%} of the users"
    if "auc_seconds" in found:
        what += f"; {found['users'] / found['auc_seconds']:,.0f} users/s with its AUC"
    return _row(
        found["version"],
        what,
        found["users"],
        found["seconds"],
        found["peak_gigabytes"],
        found["metrics"],
        agrees,
    )


def _row(
    system: str,
    what: str,
    users: int,
    seconds: float,
    peak: float,
    found: Mapping[str, float],
    agrees: bool | None,
) -> dict[str, Any]:
    return {
        "system": system,
        "what": what,
        "users": users,
        "seconds": seconds,
        "users_per_second": users / seconds,
        "peak_gigabytes": peak,
        "recall": found["recall@20"],
        "ndcg": found["ndcg@20"],
        "agrees": agrees,
    }


def _run(way: str, python: str, problem: Path) -> dict[str, Any]:
    """Run the rivals' script in its interpreter, with our threads and allocator."""
    environment = {
        **os.environ,
        # RecBole 1.2.1 loads its checkpoints the way PyTorch did before 2.6.
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
        "MALLOC_MMAP_THRESHOLD_": str(KEEP_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(8 * KEEP_BYTES),
        HUGE_PAGES: "1",
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    try:
        done = subprocess.run(
            [python, str(SCRIPT), way, str(problem)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    except OSError as error:
        raise InterestError(f"{python}, of the rival {way!r}, cannot be run: {error}") from error
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise InterestError(f"The rival {way!r} failed under {python}:\n{last}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
