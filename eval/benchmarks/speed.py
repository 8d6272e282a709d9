"""Speed of evaluation, ours and of other libraries, on one synthetic score problem."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import EvaluationResult
from eval.experiments.costs import PeakMemory
from eval.metrics import ranking
from eval.metrics.base import Array
from eval.reports.tables import markdown_table
from graphgen.allocation import HUGE_PAGES, KEEP_BYTES
from graphgen.errors import ConfigError, InterestError
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID
from graphgen.vocabulary import Vocabulary

__all__ = ["EvaluationSpeed", "FactorScorer", "make_problem", "measure_evaluation"]

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
# Items, and thousands of users, of the Amazon log of four domains that the targets are set on.
CATALOGUES: Final = {
    "beauty": (12_101, 22.4),
    "games": (7_676, 15.3),
    "sports": (18_357, 35.6),
    "toys": (11_924, 19.4),
}
USERS: Final = 86_139
DIM: Final = 64
# Places of a user's grid over the catalogue: candidates for relevant items, then seen ones.
GRID, CANDIDATES, MAX_SEEN = 64, 52, 12
# Shares of users with one, two and three relevant items, as in that log.
RELEVANT: Final = (0.57, 0.27, 0.16)


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
        agrees = {None: "", True: "yes", False: "NO"}
        header = "evaluator, what, users, s, users/s, peak GB, Recall@20, NDCG@20, agrees"
        rows = [
            [
                *(row.system, row.what, f"{row.users:,}", f"{row.seconds:.2f}"),
                *(f"{row.users_per_second:,.0f}", f"{row.peak_gigabytes:.2f}"),
                *(f"{row.recall:.5f}", f"{row.ndcg:.5f}", agrees[row.agrees]),
            ]
            for row in self.table.itertuples()
        ]
        return markdown_table(header.split(", "), rows)


def measure_evaluation(
    *,
    n_users: int = USERS,
    rivals: Mapping[str, str] | None = None,
    rival_users: int | None = None,
    repeats: int = 1,
    seed: int = 0,
) -> EvaluationSpeed:
    """Time full ranking with every ranking metric at k = 10, 20, 50, and rivals on the same.

    Scoring (the dot products), masking and ranking are part of every time.

    Parameters
    ----------
    n_users, seed
        Of the synthetic problem (`make_problem`).
    rivals
        Interpreter by rival (``pyg``, ``recbole``, ``lenskit``), in whose environment it is
        installed.
    rival_users
        Users for each rival; the default keeps the slow ones to about a minute.
    repeats
        Runs of ours; the fastest counts.

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
    rows = []
    for more, metrics, bootstrap in (
        ("", RANKING, 0),
        (", exact AUC", [*RANKING, "auc"], 0),
        (", exact AUC, intervals of 1,000 replicates", [*RANKING, "auc"], 1_000),
    ):
        seconds = []
        with PeakMemory() as peak:
            for _ in range(repeats):
                started = time.perf_counter()
                result = evaluate(problem, truth, k=KS, metrics=metrics, bootstrap=bootstrap)
                seconds.append(time.perf_counter() - started)
        found = {
            "version": "ours",
            "what": what + more,
            "users": len(result.per_user),
            "seconds": min(seconds),
            "peak_gigabytes": peak.megabytes / 1000,
            "metrics": result.per_user[list(CHECKED)].mean(),
        }
        rows.append(_row(found, None))
    for name, python in (rivals or {}).items():
        rows += [_rival(way, python, problem, result, rival_users) for way in RIVALS[name]]
    return EvaluationSpeed(pd.DataFrame(rows))


def _rival(
    way: str, python: str, problem: FactorScorer, ours: EvaluationResult, users: int | None
) -> dict[str, Any]:
    """Run a rival; return its row of the table."""
    arrays, chosen = problem.part(users or RIVAL_USERS.get(way))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        found = _run(way, python, path)
    mine = ours.per_user.merge(chosen, on=[USER_ID, DOMAIN])
    if len(mine) < len(ours.per_user):
        found["what"] += f"; {len(mine) / len(ours.per_user):.0%} of the users"
    if "auc_seconds" in found:
        rate = found["users"] / found["auc_seconds"]
        found["what"] += f"; {rate:,.0f} users/s with its AUC"
    return _row(found, all(abs(found["metrics"][c] - mine[c].mean()) <= AGREEMENT for c in CHECKED))


def _row(found: Mapping[str, Any], agrees: bool | None) -> dict[str, Any]:
    return {
        "system": found["version"],
        "what": found["what"],
        "users": found["users"],
        "seconds": found["seconds"],
        "users_per_second": found["users"] / found["seconds"],
        "peak_gigabytes": found["peak_gigabytes"],
        "recall": found["metrics"]["recall@20"],
        "ndcg": found["metrics"]["ndcg@20"],
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


@dataclass(frozen=True, eq=False)
class FactorScorer:
    """Scores that are products of user and item factors, float32 [users or items, dim] by domain.

    ``history`` and ``truth`` are bool CSR [users, items] by domain: masked and relevant items.
    Every user has a relevant item, and none that was seen.
    """

    users: Mapping[str, Vocabulary]
    catalogues: Mapping[str, Vocabulary]
    user_factors: Mapping[str, Array]
    item_factors: Mapping[str, Array]
    history: Mapping[str, sp.csr_matrix]
    truth: Mapping[str, sp.csr_matrix]

    @property
    def domains(self) -> list[str]:
        """Names of the domains."""
        return list(self.catalogues)

    def items(self, domain: str) -> Vocabulary:
        """Return the catalogue of a domain."""
        return self.catalogues[domain]

    def score(self, user_ids: Any, *, domain: str) -> Array:
        """Return float32 [users, items]."""
        rows = self.users[domain].encode(user_ids)
        scores: Array = self.user_factors[domain][rows] @ self._turned[domain]
        return scores

    def seen(self, user_ids: Any, *, domain: str) -> sp.csr_matrix:
        """Return bool CSR [users, items]."""
        return self.history[domain][self.users[domain].encode(user_ids)]

    @cached_property
    def _turned(self) -> dict[str, Array]:
        return {name: np.ascontiguousarray(f.T) for name, f in self.item_factors.items()}

    def truth_frame(self) -> pd.DataFrame:
        """Return user_id, domain and item_id of everything relevant."""
        parts = []
        for domain, matrix in self.truth.items():
            cells = matrix.tocoo()
            users, items = self.users[domain].ids[cells.row], self.items(domain).ids[cells.col]
            parts.append(pd.DataFrame({USER_ID: users, DOMAIN: domain, ITEM_ID: items}))
        return pd.concat(parts, ignore_index=True)

    def part(self, limit: int | None) -> tuple[dict[str, Array], pd.DataFrame]:
        """Lay the problem out as plain arrays for other libraries: the first users of each domain.

        They are `limit` in all, in proportion to each domain's; None for all. The arrays of a
        domain ``d`` are ``d/users`` and ``d/items`` (factors), and ``d/seen_ptr``, ``d/seen_col``,
        ``d/true_ptr``, ``d/true_col`` (CSR); the frame has user_id and domain of the users.
        """
        total = sum(len(users) for users in self.users.values())
        share = 1.0 if limit is None else min(1.0, limit / total)
        arrays: dict[str, Array] = {}
        chosen = []
        for name, users in self.users.items():
            count = max(1, int(share * len(users)))
            arrays[f"{name}/users"] = self.user_factors[name][:count]
            arrays[f"{name}/items"] = self.item_factors[name]
            for what, matrices in (("seen", self.history), ("true", self.truth)):
                matrix = matrices[name][:count]
                arrays[f"{name}/{what}_ptr"] = matrix.indptr.astype(np.int64)
                arrays[f"{name}/{what}_col"] = matrix.indices.astype(np.int64)
            chosen.append(pd.DataFrame({USER_ID: users.ids[:count], DOMAIN: name}))
        return arrays, pd.concat(chosen, ignore_index=True)


def make_problem(users: int = USERS, *, seed: int = 0) -> FactorScorer:
    """Make factors, seen and relevant items of the shape of the Amazon log of four domains.

    Relevant are the one to three best-scored of 52 items spread at random over the catalogue, so
    that metrics are far from 0 and from 1 and two evaluators that differ cannot agree by chance;
    up to 12 other items have been seen. Each user is in one domain.

    Raises
    ------
    ConfigError
        If there are fewer users than domains.

    Examples
    --------
    >>> problem = make_problem(200)
    >>> len(problem.domains), problem.truth_frame()["user_id"].nunique()
    (4, 200)
    """
    if users < len(CATALOGUES):
        raise ConfigError(f"`users` must be at least {len(CATALOGUES)}; got {users}.")
    generator = np.random.default_rng(seed)
    weight = np.array([share for _, share in CATALOGUES.values()])
    inner = np.cumsum(weight)[:-1] / weight.sum() * (users - len(CATALOGUES))
    ends = np.append(np.round(inner).astype(int) + np.arange(1, len(CATALOGUES)), users)
    made: dict[str, tuple[Any, ...]] = {}
    for (name, (n_items, _)), end, n in zip(
        CATALOGUES.items(), ends, np.diff(ends, prepend=0), strict=True
    ):
        known = Vocabulary(np.array([f"u{place:06d}" for place in range(end - n, end)], object))
        items = Vocabulary([f"{name}-{place:05d}" for place in range(n_items)])
        p = generator.standard_normal((n, DIM), dtype=np.float32)
        q = generator.standard_normal((n_items, DIM), dtype=np.float32)
        grid = generator.integers(0, n_items, (n, 1)) + np.arange(GRID) * (n_items // GRID)
        grid %= n_items
        scores = np.stack([np.einsum("nd,nd->n", p, q[column]) for column in grid.T[:CANDIDATES]])
        best = np.argsort(-scores, axis=0)[: len(RELEVANT)].T
        n_relevant = generator.choice(np.arange(1, len(RELEVANT) + 1), size=n, p=RELEVANT)
        relevant = _leading(np.take_along_axis(grid, best, axis=1), n_relevant, n_items)
        seen = _leading(grid[:, CANDIDATES:], generator.integers(1, MAX_SEEN + 1, n), n_items)
        made[name] = (known, items, p, q, seen, relevant)
    return FactorScorer(
        *(dict(zip(made, part, strict=True)) for part in zip(*made.values(), strict=True))
    )


def _leading(columns: Array, counts: Array, width: int) -> sp.csr_matrix:
    """Return bool CSR [rows, width] of the first `counts` of each row of `columns`."""
    row, place = np.nonzero(np.arange(columns.shape[1]) < counts[:, None])
    cells = np.ones(len(row), dtype=bool), (row, columns[row, place])
    return sp.csr_matrix(cells, shape=(len(columns), width))
