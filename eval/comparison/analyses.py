"""What a result tells beyond its summary: groups compared, domains reached, providers, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import pandas as pd

from eval.comparison.fairness import exposure_by_provider, fairness_by_attribute
from eval.comparison.links import LinkEvaluation
from eval.comparison.reach import domain_reach
from eval.evaluation.records import records
from eval.evaluation.result import EvaluationResult, headline

__all__ = ["Analyses", "analyse"]

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
