"""The interest or domain that comes next: experts compared on the next held-out interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.evaluation.resampling import bootstrap_means, percentile_interval
from gnn.data import TrainingData
from gnn.interests.interests import Interests, domain_targets
from gnn.interests.prediction import EXPERTS, NextTargets, fit_pool, pooled
from gnn.registry import make_model
from gnn.users import user_batch
from graphgen.errors import ConfigError, InputError
from graphgen.graph import InterestGraph
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID
from graphgen.storage import atomic_directory, write_json

__all__ = ["METRICS", "TASKS", "NextComparison", "compare_next"]

TASKS: Final = ("next-domain", "next-interest")
METRICS: Final = ("hit@1", "hit@3", "log-loss")
SLICES: Final = ("all", "repetition", "exploration")
POOL: Final = "pool"


@dataclass(frozen=True)
class NextComparison:
    """Figures of experts on the next interaction of each user.

    `table` has system, slice, metric, value, low, high (95 % bootstrap over users) and users;
    `weights` are those of the experts in the pool, chosen on validation rows.
    """

    task: str
    table: pd.DataFrame
    weights: Mapping[str, float]

    def rows(self, slice_name: str) -> tuple[list[str], list[list[str]]]:
        """Return the header and the lines of a slice, a system each, with intervals."""
        part = self.table[self.table["slice"] == slice_name]
        lines: dict[str, list[str]] = {}
        for row in part.itertuples():
            cell = f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
            lines.setdefault(row.system, [row.system]).append(cell)
        return ["system", *METRICS], [*lines.values()]

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> None:
        """Write ``next.csv`` and ``next.json`` to a folder, whole or not at all."""
        with atomic_directory(
            path, kind="report", overwrite=overwrite, made_from=made_from
        ) as folder:
            self.table.to_csv(folder / "next.csv", index=False)
            meta = {"task": self.task, "weights": dict(self.weights)}
            write_json(folder / "next.json", meta, schema_version=1)


def compare_next(
    graph: InterestGraph,
    valid: InteractionLog | None,
    test: InteractionLog,
    *,
    task: str,
    models: Sequence[str] = ("interest-gnn",),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> NextComparison:
    """Compare experts on the target of each user's first test interaction.

    Users without training interactions are left out, and so are interactions with items without
    known interests (next-interest) and in unknown domains. The target of an item with several
    interests is the one it belongs to most. In the slice
    ``repetition`` the user has met the target before, in ``exploration`` never.

    Parameters
    ----------
    graph
        Graph of the training rows, with times or positions.
    valid
        Rows between training and test: the pool is fitted on the first of each user, and they are
        part of the history at test time. None for equal weights.
    test
        Test rows; the first of each user counts.
    task
        "next-domain" or "next-interest".
    models, settings
        Recommenders whose lists are turned into targets, and their settings by name.
    seed
        Seed of the fits and of the bootstrap.
    progress
        Show progress bars.

    Raises
    ------
    ConfigError, InputError
        For an unknown task, a graph without order, topics or a second domain; if no row is left.
    """
    if task not in TASKS:
        raise ConfigError(f"`task` must be one of {', '.join(TASKS)}; got {task!r}.")
    data = TrainingData.from_graph(graph)
    if task == "next-domain" and len(data.domains) < 2:
        raise ConfigError("next-domain needs at least two domains; this log has one.")
    targets = domain_targets(data) if task == "next-domain" else Interests.of(data).joint
    experts = NextTargets(data, targets)
    fitted = {
        name: make_model(name, **(settings or {}).get(name, {})).fit(
            graph, valid=valid, seed=seed, progress=progress
        )
        for name in models
    }

    def judged(
        rows: InteractionLog, history: InteractionLog | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Return probabilities by expert, the truth, and whether it is new to the user."""
        ids, truth = _first(data, targets if task == TASKS[1] else None, rows)
        users = user_batch(data, ids, history)
        kept = np.diff(users.history.indptr) > 0
        users, truth = users.rows_of(kept), truth[kept]
        if not len(truth):
            raise InputError("No held-out row is of a user with training rows and a known item.")
        found = {name: experts.probabilities(name, users) for name in EXPERTS}
        found |= {name: experts.of_model(model, users) for name, model in fitted.items()}
        met = np.asarray((users.history @ targets)[np.arange(len(truth)), truth]).ravel()
        return found, truth, met == 0

    weights = dict.fromkeys([*EXPERTS, *fitted], 1 / (len(EXPERTS) + len(fitted)))
    if valid is not None:
        found, truth, _ = judged(valid, None)
        weights = fit_pool(found, truth)
    found, truth, new = judged(test, valid)
    found[POOL] = pooled(found, weights)
    table = pd.concat(
        [_figures(name, p, truth, new, seed) for name, p in found.items()], ignore_index=True
    )
    return NextComparison(task, table, weights)


def _first(data: TrainingData, targets: Any, rows: InteractionLog) -> tuple[np.ndarray, np.ndarray]:
    """Return the users of held-out rows, and the target of the first row of each that has one.

    The target is the domain, or the item's largest of `targets`.
    """
    order = np.zeros(len(rows)) if rows.order is None else rows.order
    frame = rows.frame.assign(order=order)[rows.liked].reset_index(drop=True)
    target = pd.Index(data.domains).get_indexer(frame[DOMAIN].astype(str))
    if targets is not None:
        best = np.asarray(targets.argmax(axis=1)).ravel()
        best = np.where(np.diff(targets.indptr) > 0, best, -1)
        target[:] = -1
        for domain, part in frame.groupby(DOMAIN, observed=True):
            if domain in data.items:
                item = data.items[domain].encode(part[ITEM_ID], missing="mark")
                known = item >= 0
                target[part.index[known]] = best[item[known] + data.span(domain).start]
    first = frame.assign(target=target)[target >= 0]
    first = first.sort_values("order", kind="stable").drop_duplicates(USER_ID)
    return first[USER_ID].to_numpy(object), first["target"].to_numpy()


def _figures(
    name: str, p: np.ndarray, truth: np.ndarray, new: np.ndarray, seed: int
) -> pd.DataFrame:
    own = p[np.arange(len(truth)), truth][:, None]
    above, equal = (p > own).sum(axis=1), (p == own).sum(axis=1)
    # Ties are broken at random, and this is the expectation.
    hits = [np.clip((k - above) / equal, 0, 1) for k in (1, 3)]
    values = np.column_stack([*hits, -np.log(own)])
    parts = []
    for slice_name, kept in zip(SLICES, (new | True, ~new, new), strict=True):
        if not kept.any():
            continue
        n = int(kept.sum())
        means = bootstrap_means(values[kept], np.arange(n), np.zeros(n, int), 1, seed=seed)
        low, high = percentile_interval(means[:, 0])
        parts.append(
            pd.DataFrame(
                {
                    "system": name, "slice": slice_name, "metric": METRICS,
                    "value": values[kept].mean(axis=0), "low": low, "high": high, "users": n,
                }
            )
        )  # fmt: skip
    return pd.concat(parts)
