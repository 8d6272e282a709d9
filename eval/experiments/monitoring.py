"""Validation while a model trains: a figure to raise, from rows that are never trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from eval.evaluation.evaluator import evaluate
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, SETTING, USER_ID

__all__ = ["ValidationMonitor"]

# Users looked at over all domains and settings, and in each of them at least.
MAX_USERS, MIN_GROUP_USERS = 2000, 500


class ValidationMonitor:
    """NDCG@20 on a fixed sample of held-out users, the plain mean over settings and domains.

    Parameters
    ----------
    truth
        Held-out interactions; a ``setting`` column makes groups that count equally.
    max_users
        Users looked at in each domain and setting: validation must cost less than training. None
        takes 2,000 in all, but at least 500 each.
    metric
        A metric at a length of list, such as ``ndcg@20``.
    seed
        Draws the sample.
    """

    def __init__(
        self,
        truth: InteractionLog,
        *,
        max_users: int | None = None,
        metric: str = "ndcg@20",
        seed: int = 0,
    ) -> None:
        self.truth = truth
        self.metric = metric
        self._sample = _sample(truth.frame, max_users, np.random.default_rng(seed))

    def __call__(self, model: Any) -> float:
        """Return the metric of a scorer as it stands; O(sampled users · items)."""
        name, _, length = self.metric.partition("@")
        result = evaluate(model, self._sample, k=int(length), metrics=[name], bootstrap=0)
        frame = result.per_user
        by_domain = frame.groupby(["slice", DOMAIN], observed=True)[self.metric].mean()
        macro = by_domain.groupby("slice", observed=True).mean()
        settings = macro.drop("all") if len(macro) > 1 and "all" in macro else macro
        return float(settings.mean())


def _sample(
    frame: pd.DataFrame, max_users: int | None, generator: np.random.Generator
) -> pd.DataFrame:
    """Keep all rows of some users in each domain and setting, as `ValidationMonitor` says."""
    groups = [DOMAIN, SETTING] if SETTING in frame else [DOMAIN]
    units = frame[[USER_ID, *groups]].drop_duplicates()
    units = units.assign(order=generator.permutation(len(units)))
    if max_users is None:
        n_groups = len(units[groups].drop_duplicates())
        max_users = max(MIN_GROUP_USERS, MAX_USERS // max(1, n_groups))
    place = units.sort_values("order").groupby(groups, observed=True).cumcount()
    chosen = units[(place < max_users).reindex(units.index)].drop(columns="order")
    return frame.merge(chosen, on=[USER_ID, *groups], how="inner")
