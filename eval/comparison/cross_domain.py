"""Cross-domain analyses: reach over a user's domains, and gain over models of one domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from eval.comparison.significance import bootstrap_means, percentile_interval
from eval.metrics.registry import get_metric
from graphgen.errors import ConfigError, InputError
from graphgen.schema import DOMAIN, USER_ID

if TYPE_CHECKING:
    from eval.evaluation.result import EvaluationResult

__all__ = ["domain_reach", "migration_gain"]

SLICE: Final = "slice"
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
    metrics
        Columns such as ``["ndcg@20"]``; default all.
    permutations, bootstrap, seed
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
    from eval.comparison.comparison import compare_results

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
    keys = [SLICE, DOMAIN, METRIC]
    singles = table[(table["system"] != own) & table["value"].notna()]
    lower = singles[METRIC].map(lambda m: get_metric(m).higher_is_better is False)
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
