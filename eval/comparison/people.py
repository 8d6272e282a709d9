"""Analyses by user beyond means: groups compared, and domains reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from eval.comparison.cross_domain import domain_reach
from eval.comparison.equity import fairness_by_attribute
from eval.evaluation.records import records
from eval.reports.tables import headline

if TYPE_CHECKING:
    from eval.evaluation.result import EvaluationResult

__all__ = ["people_tables"]

# What user groups are compared in.
FAIRNESS: Final = ("recall", "ndcg", "auc")
SERVED: Final = "hit-rate@"


def people_tables(
    result: EvaluationResult,
    *,
    runs: Sequence[EvaluationResult] | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, Any], list[str]]:
    """Compare user groups, and count the domains that people are served in.

    Parameters
    ----------
    result
        Of `evaluate`.
    runs
        The runs it was pooled from, if it was.
    bootstrap, seed
        As in `evaluate`.

    Returns
    -------
    tables
        ``fairness`` (rows of `fairness_by_attribute`) and ``reach`` (rows of `domain_reach`, at
        every k; empty unless people have relevant items in several domains).
    notes
        What could not be compared, and why.
    """
    compared = headline(result.metrics, FAIRNESS)
    fairness, notes = fairness_by_attribute(result, compared, bootstrap=bootstrap, seed=seed)
    lengths = [int(m[len(SERVED) :]) for m in result.metrics if m.startswith(SERVED)]
    reach = [domain_reach(runs or result, k=k, bootstrap=bootstrap, seed=seed) for k in lengths]
    reached = records(pd.concat(reach)) if reach else []
    return {"fairness": records(fairness), "reach": reached}, notes
