"""What a result tells beyond its summary: groups compared, domains reached, providers, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from eval.comparison.fairness import exposure_by_provider, fairness_by_attribute
from eval.comparison.links import LinkEvaluation
from eval.evaluation.resampling import bootstrap_means, percentile_interval
from eval.evaluation.result import SLICE, EvaluationResult, headline, records
from graphgen.errors import ConfigError
from graphgen.schema import USER_ID

__all__ = ["Analyses", "analyse", "domain_reach"]

# What user groups are compared in.
FAIRNESS: Final = ("recall", "ndcg", "auc")
SERVED: Final = "hit-rate@"


@dataclass(frozen=True, eq=False)
class Analyses:
    """What is known of one result beyond its summary.

    Attributes
    ----------
    fairness
        Rows of `fairness_by_attribute`; empty where there are no groups to compare.
    reach
        Rows of `domain_reach` at every k; empty unless users have relevant items in several
        domains.
    providers
        Rows of `exposure_by_provider`; empty without a table of providers.
    links
        `evaluate_scorer_links`: by domain, None where there was too little.
    notes
        What could not be compared, and why.
    """

    fairness: pd.DataFrame = field(default_factory=pd.DataFrame)
    reach: pd.DataFrame = field(default_factory=pd.DataFrame)
    providers: pd.DataFrame = field(default_factory=pd.DataFrame)
    links: dict[str, LinkEvaluation | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "fairness": records(self.fairness),
            "reach": records(self.reach),
            "providers": records(self.providers),
            "links": {d: links and links.to_dict() for d, links in self.links.items()},
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take back what `to_dict` gave."""
        fairness, reach, providers = (
            pd.DataFrame(content[name]) for name in ("fairness", "reach", "providers")
        )
        links = {
            d: found and LinkEvaluation.from_dict(found) for d, found in content["links"].items()
        }
        return cls(fairness, reach, providers, links, content["notes"])


def analyse(
    result: EvaluationResult,
    *,
    runs: Sequence[EvaluationResult] | None = None,
    providers: Any = None,
    links: Mapping[str, LinkEvaluation | None] | None = None,
) -> Analyses:
    """Compare user groups, count the domains that users are served in, and weigh providers.

    Parameters
    ----------
    result
        Of `evaluate`. Replicates and seed are those that it was made with; without replicates
        groups are not compared and reach is not measured.
    runs
        The runs it was pooled from, if it was.
    providers
        DataFrame or path with domain, item_id and ``provider``.
    links
        Of `evaluate_scorer_links`, to go with the rest.

    Examples
    --------
    >>> from eval import evaluate
    >>> truth = pd.DataFrame({"user_id": ["u", "u"], "domain": ["a", "b"], "item_id": "x"})
    >>> analyse(evaluate(truth.assign(rank=1), truth, k=1)).reach["value"].tolist()
    [1.0, 1.0]
    """
    bootstrap, seed = result.meta["bootstrap"], result.meta["seed"]
    fairness, reach = pd.DataFrame(), pd.DataFrame()
    notes: list[str] = []
    if bootstrap:
        compared = headline(result.metrics, FAIRNESS)
        fairness, notes = fairness_by_attribute(result, compared, bootstrap=bootstrap, seed=seed)
        lengths = [int(m[len(SERVED) :]) for m in result.metrics if m.startswith(SERVED)]
        reached = [
            domain_reach(runs or result, k=k, bootstrap=bootstrap, seed=seed) for k in lengths
        ]
        reach = pd.concat(reached, ignore_index=True) if reached else reach
    shown = pd.DataFrame() if providers is None else exposure_by_provider(result, providers)
    return Analyses(fairness, reach, shown, dict(links or {}), notes)


def domain_reach(
    result: EvaluationResult | Sequence[EvaluationResult],
    *,
    k: int = 20,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure in how many of their domains users are served.

    Counted are users with relevant items in two domains or more; a domain serves a user when at
    least one relevant item stands among the first k.

    Parameters
    ----------
    result
        With the column ``hit-rate@k``; or several runs of one system, on the same rows: then each
        user's value is the mean over runs.
    k, bootstrap, seed
        Length of the list; replicates and seed of the intervals.

    Returns
    -------
    pandas.DataFrame
        slice, metric (``reach``: mean share of a user's domains that serve the user;
        ``all-served``: share of users served in all), value, low, high, n_users. Empty without
        such users.

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
        one = np.zeros(len(first), np.int64)
        draws = bootstrap_means(
            values, np.arange(len(first)), one, 1, replicates=bootstrap, seed=seed
        )
        low, high = percentile_interval(draws[:, 0])
        parts.append(
            pd.DataFrame(
                {
                    SLICE: name,
                    "metric": [f"reach@{k}", f"all-served@{k}"],
                    "value": values.mean(axis=0),
                    "low": low,
                    "high": high,
                    "n_users": len(first),
                }
            )
        )
    columns = [SLICE, "metric", "value", "low", "high", "n_users"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _served(result: EvaluationResult, column: str) -> dict[str, pd.DataFrame]:
    """Return by slice the mean and the least of a column over each user's (several) domains."""
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
