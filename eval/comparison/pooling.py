"""Several runs of one system, with different seeds, as one result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from eval.comparison.table_tests import CELL
from eval.evaluation.resampling import mean_over_cells
from eval.evaluation.result import (
    DOMAIN,
    MACRO,
    EvaluationResult,
    aligned,
    metric_columns,
    summarise,
)
from graphgen.errors import InputError

__all__ = ["pool_seeds"]


def pool_seeds(
    results: list[EvaluationResult],
    *,
    name: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> EvaluationResult:
    """Pool runs of one system with different seeds.

    Each user's value is the mean over runs, so intervals and tests are over users; the spread
    over runs is reported beside them as ``sd_seeds`` (standard deviation of the runs' values,
    with one degree of freedom taken off), and never mixed into them.

    Parameters
    ----------
    results, name
        One per seed, on the same truth; and the name of all, by default that of the first.
    bootstrap, seed
        As in `evaluate`.

    Returns
    -------
    EvaluationResult
        Notes, curves, exposure and seconds are those of the first run.

    Raises
    ------
    InputError
        If there is none, or they are not on the same users.
    """
    if not results:
        raise InputError("There is no result to pool.")
    name = name or results[0].name
    if len(results) == 1:
        return replace(results[0], name=name)
    columns = metric_columns(results[0].per_user)
    frames = [aligned(result, results[0]) for result in results]
    per_user = results[0].per_user.copy()
    stacked = np.stack([frame[columns].to_numpy(np.float64) for frame in frames])
    per_user[columns] = mean_over_cells(stacked.swapaxes(1, 0))
    all_runs = pd.concat([result.summary for result in results])
    spread = all_runs.groupby(CELL, sort=False)["value"].agg(["mean", "std", "count"])
    whole = results[0].summary
    catalogue = whole[~whole["metric"].isin(columns) & (whole[DOMAIN] != MACRO)]
    catalogue = catalogue[[*CELL, "value", "n_users"]].copy()
    where = pd.MultiIndex.from_frame(catalogue[CELL])
    catalogue["value"] = spread["mean"].reindex(where).to_numpy()
    summary = summarise(per_user, columns, catalogue, bootstrap=bootstrap, seed=seed)
    where = pd.MultiIndex.from_frame(summary[CELL])
    summary["sd_seeds"] = spread["std"].reindex(where).to_numpy()
    summary["n_seeds"] = len(results)
    meta = {**results[0].meta, "n_seeds": len(results), "bootstrap": bootstrap}
    return replace(results[0], name=name, per_user=per_user, summary=summary, meta=meta)
