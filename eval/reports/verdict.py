"""The outcome of an evaluation in plain sentences, made from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from eval.comparison.comparison import Comparison
from eval.comparison.table_tests import SYSTEM
from eval.evaluation.cells import (
    MACRO,
    MIN_USERS,
    SLICE,
    column_title,
    interval,
    number,
    slice_title,
)
from eval.evaluation.inputs import ALL
from eval.evaluation.result import EvaluationResult, headline
from eval.metrics.registry import get_metric
from graphgen.errors import counted
from graphgen.schema import DOMAIN

__all__ = ["comparison_verdict", "data_line", "result_verdict", "verdict"]

PRIMARY: Final = ("ndcg", "recall", "hit-rate", "auc")
NAMED: Final = 3


def verdict(found: Comparison | EvaluationResult) -> str:
    """Say the outcome of a comparison or an evaluation in plain sentences.

    Examples
    --------
    >>> import pandas as pd
    >>> from eval import evaluate
    >>> truth = pd.DataFrame({"user_id": list("abcd"), "domain": "d", "item_id": "x"})
    >>> verdict(evaluate(truth.assign(rank=1), truth, k=1, metrics=["ndcg"]))
    'NDCG@1 is 1.0000 [1.0000, 1.0000], over 4 users.'
    """
    if isinstance(found, Comparison):
        return comparison_verdict(found)
    return result_verdict(found)


def comparison_verdict(comparison: Comparison) -> str:
    """Say which system is best, by how much, whether that is significant, and where it is not.

    By the first headline metric, macro over domains.
    """
    metric = headline(comparison.metrics, PRIMARY)[0]
    table = comparison.table[(comparison.table["metric"] == metric)]
    table = table[table["value"].notna()]
    overall = table[(table[SLICE] == ALL) & (table[DOMAIN] == MACRO)]
    ordered = overall.sort_values("value", ascending=get_metric(metric).higher_is_better is False)
    if len(ordered) < 2 or ordered["value"].nunique() == 1:
        return "No system is ahead of another."
    best, second = ordered.iloc[0], ordered.iloc[1]
    name, title = str(best[SYSTEM]), column_title(metric)
    tied = ordered[ordered["tied"].astype(bool) & (ordered[SYSTEM] != name)][SYSTEM].tolist()
    gain = ""
    if second["value"] > 0 and best["value"] > second["value"]:
        percent = 100 * (best["value"] / second["value"] - 1)
        gain = f", {percent:.0f} % above {second[SYSTEM]}"
    sure = (
        f", though not significantly different from {_listed(tied)}"
        if tied
        else ", a significant difference"
    )
    text = f"{name} ranks best: {title} {number(best['value'])}{gain}{sure}."
    for what, column, part in (
        ("domains", DOMAIN, table[(table[SLICE] == ALL) & (table[DOMAIN] != MACRO)]),
        ("groups of users", SLICE, table[(table[SLICE] != ALL) & (table[DOMAIN] == MACRO)]),
    ):
        text += _won(part, column, what, name)
    return text


def _won(part: pd.DataFrame, column: str, what: str, name: str) -> str:
    """Say in how many cells a system is best, and who is where it is not."""
    part = part[part["n_users"] >= MIN_USERS]
    cells = list(dict.fromkeys(part[column]))
    if len(cells) < 2:
        return ""
    winners = part[part["best"]].groupby(column, sort=False)[SYSTEM].agg(list)
    lost = [cell for cell in cells if name not in winners.get(cell, [name])]
    text = f" It is best in {len(cells) - len(lost)} of {len(cells)} {what}"
    others = [f"{winners[cell][0]} in {slice_title(str(cell))}" for cell in lost[:NAMED]]
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return f"{text}{f' (else {_listed(others)}{more})' if lost else ''}."


def result_verdict(result: EvaluationResult) -> str:
    """Say how good a system is, and where it is best and worst; as `comparison_verdict`."""
    metric = headline(result.metrics, PRIMARY)[0]
    table = result.summary[(result.summary["metric"] == metric) & result.summary["value"].notna()]
    overall = table[(table[SLICE] == ALL) & (table[DOMAIN] == MACRO)]
    if not len(overall):
        return "Nothing could be measured."
    row, title = overall.iloc[0], column_title(metric)
    bounds = interval(row["low"], row["high"])
    text = f"{title} is {number(row['value'])}{' ' + bounds if bounds else ''}, over "
    text += f"{counted(int(row['n_users']), 'user')}."
    for column, part in (
        (DOMAIN, table[(table[SLICE] == ALL) & (table[DOMAIN] != MACRO)]),
        (SLICE, table[(table[SLICE] != ALL) & (table[DOMAIN] == MACRO)]),
    ):
        part = part[part["n_users"] >= MIN_USERS].sort_values("value")
        if len(part) > 1:
            low, high = part.iloc[0], part.iloc[-1]
            text += f" It is highest in {slice_title(str(high[column]))} ({number(high['value'])})"
            text += f" and lowest in {slice_title(str(low[column]))} ({number(low['value'])})."
    return text


def data_line(meta: Mapping[str, Any], made: Mapping[str, Any] | None) -> str:
    """Say what was tested, on which rows, and when, from the meta of a result."""
    users = counted(int(meta.get("n_people", 0)), "user")
    rows = counted(int(meta.get("n_truth_rows", 0)), "test row")
    files = _listed(meta.get("files", {}).get("test", []))
    trained = _listed(meta.get("files", {}).get("train", []))
    text = f"{rows} of {users}{f' in {files}' if files else ''}"
    text += f", training rows in {trained}" if trained else ""
    return text + (f". Evaluated on {made['created'][:10]}." if made else ".")


def _listed(names: Sequence[str]) -> str:
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
