"""In how many of their domains users are served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from eval.evaluation.resampling import bootstrap_means, percentile_interval
from eval.evaluation.result import SLICE, EvaluationResult
from graphgen.errors import ConfigError
from graphgen.schema import USER_ID

__all__ = ["domain_reach"]

METRIC: Final = "metric"


def domain_reach(
    result: EvaluationResult | Sequence[EvaluationResult],
    *,
    k: int = 20,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure in how many of their domains people are served.

    Counted are people with relevant items in two domains or more; a domain serves a person when
    at least one relevant item stands among the first k.

    Parameters
    ----------
    result
        With the column ``hit-rate@k``; or several runs of one system, on the same rows: then each
        person's value is the mean over runs.
    k
        Length of the list.
    bootstrap
        Replicates of the intervals.
    seed
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        slice, metric (``reach``: mean share of a person's domains that serve them; ``all-served``:
        share of people served in all), value, low, high, n_users. Empty without such people.

    Raises
    ------
    ConfigError
        If the result has no ``hit-rate@k``.

    Examples
    --------
    >>> import pandas as pd
    >>> from eval import evaluate
    >>> truth = pd.DataFrame({"user_id": ["u", "u"], "domain": ["a", "b"], "item_id": "x"})
    >>> recs = truth.assign(item_id=["x", "y"], rank=1)
    >>> domain_reach(evaluate(recs, truth, k=1), k=1)["value"].tolist()
    [0.5, 0.0]
    """
    runs = list(result) if isinstance(result, Sequence) else [result]
    served = [_served(run, f"hit-rate@{k}") for run in runs]
    parts = []
    for name, first in served[0].items():
        values = np.mean([run[name].to_numpy() for run in served], axis=0)
        draws = bootstrap_means(
            values,
            np.arange(len(first)),
            np.zeros(len(first), np.int64),
            1,
            replicates=bootstrap,
            seed=seed,
        )[:, 0]
        low, high = percentile_interval(draws)
        metrics = [f"reach@{k}", f"all-served@{k}"]
        value = values.mean(axis=0)
        parts.append(
            pd.DataFrame({SLICE: name, METRIC: metrics, "value": value, "low": low, "high": high})
        )
        parts[-1]["n_users"] = len(first)
    columns = [SLICE, METRIC, "value", "low", "high", "n_users"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _served(result: EvaluationResult, column: str) -> dict[str, pd.DataFrame]:
    """Return by slice the mean and the least of a column over each person's (several) domains."""
    frame = result.per_user
    if column not in frame.columns:
        raise ConfigError(
            f"The result has no {column!r}; it has {', '.join(result.metrics)}. "
            "Evaluate with this k."
        )
    code = pd.factorize(frame[USER_ID], sort=True)[0]
    served = {}
    for name, rows in frame.groupby(SLICE, observed=True, sort=False).indices.items():
        size = np.bincount(code[rows])
        several = rows[size[code[rows]] >= 2]
        if len(several):
            values = frame[column].iloc[several].groupby(code[several])
            served[str(name)] = values.agg(["mean", "min"])
    return served
