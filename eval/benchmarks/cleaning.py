"""The effect of each cleaning step on held-out rows: models fitted on a log cleaned by it alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.comparison.comparison import compare_results
from eval.evaluation.cells import MACRO
from eval.evaluation.evaluator import evaluate
from eval.evaluation.inputs import ALL
from eval.evaluation.result import EvaluationResult
from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.cleaning.pipeline import clean_log
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, RATING, TIMESTAMP, USER_ID

__all__ = ["AS_GIVEN", "default_steps", "measure_cleaning"]

AS_GIVEN: Final = "as given"
# The most suspicious users that the default limits take out.
SUSPICIOUS: Final = "99 %"


def default_steps(log: InteractionLog) -> dict[str, dict[str, Any]]:
    """Return the settings of each step that applies to a log, by what they say.

    Limits of behaviour are those of the most suspicious hundredth of the users.
    """
    found: list[dict[str, Any]] = [{"min_user": 5, "min_item": 5}]
    limits = {name: row[SUSPICIOUS] for name, row in clean_log(log).to_dict()["users"].items()}
    if "max_rate" in limits:
        rate = max(1, round(limits["max_rate"]))
        first = log.frame[TIMESTAMP].quantile(0.25)
        found += [{"max_rate": rate}, {"max_burst": rate}]
        found += [{"since": f"{first:%Y-%m-%d}"}, {"half_life": 365.0}]
        found += [{"half_life": 365.0, "min_weight": 0.1}]
    if "min_gap_entropy" in limits:
        found.append({"min_gap_entropy": limits["min_gap_entropy"]})
    if limits.get("max_repetition"):
        found += [{"max_repetition": limits["max_repetition"]}, {"repeats": "count"}]
    if any(row["signal"] == RATING for row in log.report.taken.rows):
        found += [{"ratings": "centered"}, {"ratings": "standardised"}]
    return {", ".join(f"{k}={v}" for k, v in one.items()): one for one in found}


def measure_cleaning(
    train: InteractionLog,
    rows: Any,
    models: Sequence[str],
    *,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    metric: str = "recall",
    k: int = 20,
    seeds: Sequence[int] = (0,),
    on_run: Callable[[str, str, float], None] | None = None,
) -> pd.DataFrame:
    """Fit models on a log as given, and cleaned by one step at a time.

    Users and items are the same in all graphs: those who lose their rows are new ones then, and
    the catalogue does not shrink. No text is used.

    Parameters
    ----------
    train
        Training rows, read with ``deduplicate=False``.
    rows
        Validation rows, as `eval.evaluate` takes them.
    models, settings
        Names of models, and what differs from their defaults, by name.
    steps
        Settings of `CleanConfig` by name; default `default_steps`.
    metric, k
        Of the comparison.
    seeds
        Of the models; values of a user are means over them.
    on_run
        Called with step, model and value.

    Returns
    -------
    pandas.DataFrame
        A row for each step and model: ``rows_left_out``, ``value``, and, of those but `AS_GIVEN`,
        ``difference`` with ``low`` and ``high`` (95 %, paired over users) and ``significant``
        (Holm's correction over the steps of a model).
    """
    variants: dict[str, Mapping[str, Any]] = {AS_GIVEN: {}}
    variants |= default_steps(train) if steps is None else steps
    items = train.frame[[DOMAIN, ITEM_ID]].drop_duplicates()
    users = train.frame[[USER_ID]].drop_duplicates()
    results: dict[str, dict[str, list[EvaluationResult]]] = {name: {} for name in models}
    left_out = {}
    column = f"{metric}@{k}"
    for step, chosen in variants.items():
        cleaned = clean_log(train, **chosen)
        left_out[step] = len(cleaned.removed)
        graph = build_graph(cleaned.log.deduplicate(), items, users, encoder="none", topics=0)
        for name in models:
            of_name = (settings or {}).get(name, {})
            runs = [
                evaluate(
                    make_model(name, **of_name).fit(graph, seed=seed),
                    rows, k=k, graph=graph, by=[], metrics=[metric], bootstrap=0, seed=0,
                )
                for seed in seeds
            ]  # fmt: skip
            results[name][step] = runs
            if on_run is not None:
                on_run(step, name, float(np.mean([run.value(column) for run in runs])))
    tables = []
    for name, by_step in results.items():
        table = compare_results(by_step, baseline=AS_GIVEN, metrics=[column]).table
        table = table[(table["slice"] == ALL) & (table[DOMAIN] == MACRO)]
        tables.append(
            pd.DataFrame(
                {
                    "step": table["system"],
                    "rows_left_out": table["system"].map(left_out),
                    "model": name,
                    "value": table["value"],
                    "difference": table["difference"],
                    "low": table["difference_low"],
                    "high": table["difference_high"],
                    "significant": table["separable"] & (table["system"] != AS_GIVEN),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
