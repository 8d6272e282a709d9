"""What other domains bring: the gain over the best system that sees one domain only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from eval.comparison.comparison import compare_results
from eval.comparison.table_tests import CELL
from eval.evaluation.result import EvaluationResult, headline
from eval.metrics.registry import get_metric
from graphgen.errors import InputError

__all__ = ["migration_gain", "migration_table"]

GAIN_METRICS: Final = ("recall", "ndcg")


def migration_gain(
    result: EvaluationResult,
    single_domain: Mapping[str, EvaluationResult],
    *,
    metrics: Sequence[str] | None = None,
    permutations: int = 2_000,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare a cross-domain system with the best single-domain one, on the same users.

    For each slice, domain and metric the best of the single-domain systems is chosen, on these same
    users: that favours it, so a gain is not an artefact of the choice.

    Parameters
    ----------
    result
        Of the system that uses other domains.
    single_domain
        Name to result, of systems that see the target domain only (trained per domain).
    metrics, permutations, bootstrap, seed
        As in `compare_results`.

    Returns
    -------
    pandas.DataFrame
        slice, domain, metric, value, best_single, single_value, gain (value minus single_value),
        low, high, relative (gain over single_value), p_holm (over the whole table).

    Raises
    ------
    InputError
        If there is no single-domain system, or users differ.

    Examples
    --------
    >>> import pandas as pd
    >>> from eval import evaluate
    >>> truth = pd.DataFrame({"user_id": list("abcdefgh"), "domain": "d", "item_id": "x"})
    >>> ours = evaluate(truth.assign(rank=1), truth, k=1)
    >>> theirs = evaluate(truth.assign(item_id="y", rank=1), truth, k=1)
    >>> migration_gain(ours, {"alone": theirs}, metrics=["recall@1"])["gain"].tolist()
    [1.0, 1.0]
    """
    if not single_domain:
        raise InputError("`single_domain` is empty; there is nothing to compare with.")
    own = "the cross-domain system"
    comparison = compare_results(
        {own: result, **single_domain},
        baseline=own,
        metrics=metrics,
        permutations=permutations,
        bootstrap=bootstrap,
        seed=seed,
    )
    table = comparison.table
    keys = CELL
    singles = table[(table["system"] != own) & table["value"].notna()]
    lower = singles["metric"].map(lambda m: get_metric(m).higher_is_better is False)
    merit = singles["value"].where(~lower, -singles["value"])
    best = singles.loc[merit.groupby([singles[c] for c in keys], sort=False).idxmax()]
    mine = table[table["system"] == own].set_index(keys)["value"]
    value = mine.reindex(pd.MultiIndex.from_frame(best[keys])).to_numpy()
    single = best["value"].to_numpy()
    gain = value - single
    return pd.DataFrame(
        {
            **{key: best[key].to_numpy() for key in keys},
            "value": value,
            "best_single": best["system"].to_numpy(),
            "single_value": single,
            "gain": gain,
            "low": -best["difference_high"].to_numpy(),
            "high": -best["difference_low"].to_numpy(),
            "relative": np.divide(gain, single, out=np.full(len(gain), np.nan), where=single != 0),
            "p_holm": best["p_holm"].to_numpy(),
        }
    )


def migration_table(
    results: Mapping[str, EvaluationResult], single_domain: Sequence[str], *, seed: int = 0
) -> pd.DataFrame:
    """Set every system against the best of those that see one domain only, the `single_domain`.

    Returns the columns of `migration_gain`, for recall and NDCG at the main k, after ``system``.
    """
    alone = {name: results[name] for name in single_domain}
    metrics = headline(next(iter(results.values())).metrics, GAIN_METRICS)
    parts = []
    for name, result in results.items():
        if name not in alone:
            table = migration_gain(result, alone, metrics=metrics, seed=seed)
            table.insert(0, "system", name)
            parts.append(table)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
