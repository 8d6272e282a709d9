"""How fast evaluation is: ours and other libraries', on one and the same score problem."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.evaluator import evaluate
from eval.memory import PeakMemory
from graphgen.errors import ConfigError, InterestError
from graphgen.vocabulary import Vocabulary

__all__ = ["EvaluationSpeed", "FactorScorer", "measure_evaluation"]

RIVALS: Final = ("pyg", "recbole", "lenskit")
SCRIPT: Final = Path(__file__).with_name("rivals") / "evaluators.py"
KS: Final = (10, 20, 50)
RANKING: Final = ("recall", "precision", "f1", "hit-rate", "ndcg", "mrr", "map", "r-precision")
# The shape of a real problem: Amazon beauty, games, sports and toys.
CATALOGUES: Final = {"beauty": 12_101, "games": 7_676, "sports": 18_357, "toys": 11_924}
USERS: Final = 86_139
DIM: Final = 64
MEAN_SEEN, MEAN_RELEVANT = 7.0, 1.5
# RecBole ranks one user at a time here: it gets a part of the users, and says how many.
RIVAL_USERS: Final = {"pyg": 20_000, "recbole": 2_000, "lenskit": 2_000}


class FactorScorer:
    """Dot products of random factors, with random seen items: all that an evaluator must handle."""

    def __init__(self, catalogues: Mapping[str, int], n_users: int, dim: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.domains = sorted(catalogues)
        self.ids = np.array([f"u{number:07d}" for number in range(n_users)], dtype=object)
        self._place = Vocabulary(self.ids)
        self.users = generator.standard_normal((n_users, dim), dtype=np.float32)
        self.factors, self._items, self._seen = {}, {}, {}
        self.truth: dict[str, sp.csr_matrix] = {}
        shares = generator.dirichlet(np.full(len(self.domains), 5.0))
        member = generator.choice(len(self.domains), n_users, p=shares)
        for number, domain in enumerate(self.domains):
            size = catalogues[domain]
            self.factors[domain] = generator.standard_normal((size, dim), dtype=np.float32)
            self._items[domain] = Vocabulary(f"i{item:06d}" for item in range(size))
            seen = _random_rows(n_users, size, MEAN_SEEN, generator)
            own = sp.diags((member == number).astype(np.float32))
            truth = own @ _random_rows(n_users, size, MEAN_RELEVANT, generator)
            truth = sp.csr_matrix(truth - truth.multiply(seen))
            truth.eliminate_zeros()
            self._seen[domain], self.truth[domain] = seen, truth

    def items(self, domain: str) -> Vocabulary:
        """Return the catalogue of a domain."""
        return self._items[domain]

    def score(self, user_ids: Any, *, domain: str) -> np.ndarray:
        """Return float32 [users, items]."""
        scores: np.ndarray = self.users[self._place.encode(user_ids)] @ self.factors[domain].T
        return scores

    def seen(self, user_ids: Any, *, domain: str) -> sp.csr_matrix:
        """Return what is to be masked, of the same shape."""
        return self._seen[domain][self._place.encode(user_ids)]

    def truth_frame(self) -> pd.DataFrame:
        """Return the relevant items as a table."""
        parts = []
        for domain in self.domains:
            cells = self.truth[domain].tocoo()
            parts.append(
                pd.DataFrame(
                    {
                        "user_id": self.ids[cells.row],
                        "domain": domain,
                        "item_id": self._items[domain].decode(cells.col),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def save(self, path: Path, domain: str) -> None:
        """Write one domain's problem, of the users with relevant items, for a rival to read."""
        truth = self.truth[domain]
        rows = np.flatnonzero(np.diff(truth.indptr))
        truth, seen = truth[rows], self._seen[domain][rows]
        np.savez(
            path,
            users=self.users[rows],
            items=self.factors[domain],
            seen_start=seen.indptr.astype(np.int64),
            seen=seen.indices.astype(np.int64),
            truth_start=truth.indptr.astype(np.int64),
            truth=truth.indices.astype(np.int64),
        )


def _random_rows(
    n_users: int, n_items: int, mean: float, generator: np.random.Generator
) -> sp.csr_matrix:
    """Return a binary CSR with 1 + Poisson(mean - 1) items a row, popular ones more often."""
    counts = 1 + generator.poisson(mean - 1, n_users)
    rows = np.repeat(np.arange(n_users), counts)
    columns = (n_items * generator.random(len(rows)) ** 2).astype(np.int64)
    matrix = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (n_users, n_items))
    matrix.data[:] = 1.0
    return matrix


@dataclass(frozen=True)
class EvaluationSpeed:
    """Rows of ``system``, ``users``, ``seconds``, ``users_per_second``, ``peak_gigabytes`` and the
    values of recall@20 and ndcg@20 on the problem that all share.
    """

    table: pd.DataFrame

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [
            "| system | users | seconds | users a second | peak GB | Recall@20 | NDCG@20 |",
            "|:--|--:|--:|--:|--:|--:|--:|",
        ]
        for row in self.table.itertuples():
            peak = f"{row.peak_gigabytes:.2f}" if np.isfinite(row.peak_gigabytes) else "–"
            lines.append(
                f"| {row.system} | {row.users:,} | {row.seconds:.2f} | "
                f"{row.users / row.seconds:,.0f} | {peak} | {row.recall:.6f} | {row.ndcg:.6f} |"
            )
        return "\n".join(lines)


def measure_evaluation(
    *,
    n_users: int = USERS,
    rivals: Mapping[str, str] | None = None,
    rival_users: Mapping[str, int] | None = None,
    seed: int = 0,
) -> EvaluationSpeed:
    """Time full ranking with every ranking metric at k = 10, 20, 50.

    Parameters
    ----------
    n_users
        Users over four catalogues of 7.7 k to 18 k items, vectors of width 64.
    rivals
        Interpreter by rival (``pyg``, ``recbole``, ``lenskit``), in whose environment it is
        installed. They and we then also judge one catalogue on its own.
    rival_users
        Users that each rival judges; the default keeps the slow ones to half a minute.
    seed
        Of the problem.

    Returns
    -------
    EvaluationSpeed
        Scoring (the dot products), masking and ranking are part of every time.

    Raises
    ------
    ConfigError
        For an unknown rival.
    InterestError
        If a rival fails; its own words are in the message.
    """
    for name in rivals or {}:
        if name not in RIVALS:
            raise ConfigError(f"There is no rival {name!r}; there are {', '.join(RIVALS)}.")
    scorer = FactorScorer(CATALOGUES, n_users, DIM, seed)
    truth = scorer.truth_frame()
    rows = [
        _ours("interest, four catalogues", scorer, truth, list(RANKING)),
        _ours("interest, four catalogues, with exact AUC", scorer, truth, [*RANKING, "auc"]),
    ]
    if rivals:
        domain = scorer.domains[0]
        with tempfile.TemporaryDirectory() as folder:
            problem = Path(folder) / "problem.npz"
            scorer.save(problem, domain)
            own = truth[truth["domain"] == domain]
            users = own["user_id"].unique()
            for name, python in rivals.items():
                count = min(len(users), {**RIVAL_USERS, **(rival_users or {})}[name])
                part = own[own["user_id"].isin(users[:count])]
                rows.append(_ours(f"interest, as {name}", scorer, part, list(RANKING)))
                rows.append(_rival(name, python, problem, count))
    return EvaluationSpeed(pd.DataFrame(rows))


def _ours(
    name: str, scorer: FactorScorer, truth: pd.DataFrame, metrics: list[str]
) -> dict[str, Any]:
    with PeakMemory() as peak:
        started = time.perf_counter()
        result = evaluate(scorer, truth, k=KS, metrics=metrics, bootstrap=0, name=name)
        seconds = time.perf_counter() - started
    return {
        "system": name,
        "users": len(truth[["user_id", "domain"]].drop_duplicates()),
        "seconds": seconds,
        "peak_gigabytes": peak.megabytes / 1000,
        "recall": float(result.value("recall@20")),
        "ndcg": float(result.value("ndcg@20")),
    }


def _rival(name: str, python: str, problem: Path, users: int) -> dict[str, Any]:
    done = subprocess.run(
        [python, str(SCRIPT), name, str(problem), str(users)],
        capture_output=True,
        text=True,
        # RecBole 1.2.1 loads its checkpoints the way PyTorch did before 2.6.
        env={**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise InterestError(f"The rival {name!r} failed under {python}:\n{last}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "system": name,
        "users": found["users"],
        "seconds": found["seconds"],
        "peak_gigabytes": float("nan"),
        "recall": found["recall@20"],
        "ndcg": found["ndcg@20"],
    }
