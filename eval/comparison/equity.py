"""Fairness of an evaluation: user groups compared, and exposure and merit of providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from eval.comparison.fairness import group_fairness, provider_shares
from eval.evaluation.inputs import read_table
from eval.evaluation.result import DOMAIN, SLICE, metric_columns
from eval.metrics.base import Array
from graphgen.errors import InputError
from graphgen.schema import GROUP, ITEM_ID, USER_ID

if TYPE_CHECKING:
    from eval.evaluation.result import EvaluationResult
    from graphgen.vocabulary import Vocabulary

__all__ = ["ExposureTally", "fairness_by_attribute"]

HISTORY: Final = "history"
PROVIDER: Final = "provider"
# Slices that are about the user alone: each user has one value in all domains.
USER_SLICES: Final = ("activity", "domain_count")


def fairness_by_attribute(
    result: EvaluationResult, metrics: list[str], *, bootstrap: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    """Compare user groups by each attribute that the result knows.

    Attributes are ``group`` (of the user table), ``history`` (cold or warm in the domain), and the
    slices ``activity`` and ``domain_count`` where they were asked for.

    Parameters
    ----------
    result
        Of `evaluate`.
    metrics
        Columns to compare.
    bootstrap, seed
        As in `group_fairness`.

    Returns
    -------
    table
        attribute, and the columns of `group_fairness`.
    notes
        Attributes that could not be compared, and why.
    """
    frame = result.per_user
    columns = [m for m in metrics if m in metric_columns(frame)]
    attributes: dict[str, str | pd.Series] = {
        name: name for name in (GROUP, HISTORY) if name in frame and frame[name].nunique() > 1
    }
    for name in USER_SLICES:
        if any(label.startswith(f"{name}=") for label in result.slices):
            attributes[name] = _from_slices(frame, name)
    parts, notes = [], []
    for name, by in attributes.items() if columns else ():
        try:
            table = group_fairness(result, by, metrics=columns, bootstrap=bootstrap, seed=seed)
        except InputError as error:
            notes.append(f"Fairness by {name}: {error}")
            continue
        table.insert(0, "attribute", name)
        parts.append(table)
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()), notes


def _from_slices(frame: pd.DataFrame, name: str) -> pd.Series:
    label = frame[SLICE].astype(str)
    mine = frame[label.str.startswith(f"{name}=").to_numpy()]
    values = mine[SLICE].astype(str).str.partition("=")[2]
    groups = pd.Series(values.to_numpy(), index=mine[USER_ID].astype(str))
    return groups[~groups.index.duplicated()]


class ExposureTally:
    """Sums, block by block, how much each item is shown and how often it is wanted.

    Exposure of a place is ``1 / log2(1 + place)`` over the first k; merit is the number of users
    to whom the item is relevant.

    Parameters
    ----------
    providers
        DataFrame or path with domain, item_id and ``provider`` (brand, seller, publisher,
        category); items without one do not count.
    k
        How many places of a list are seen.

    Raises
    ------
    InputError
        If a column is missing.
    """

    def __init__(self, providers: Any, k: int) -> None:
        frame = read_table(providers, (DOMAIN, ITEM_ID, PROVIDER), "The providers")
        frame = frame[[DOMAIN, ITEM_ID, PROVIDER]].fillna({PROVIDER: ""}).astype(str)
        self.providers = frame[frame[PROVIDER] != ""].drop_duplicates([DOMAIN, ITEM_ID])
        self.discounts = 1.0 / np.log2(np.arange(2, k + 2))
        self.exposure: dict[str, Array] = {}
        self.merit: dict[str, Array] = {}
        self.ids: dict[str, Array] = {}

    def open(self, domain: str, items: Vocabulary, codes: Array) -> None:
        """Start a domain: its catalogue, and the code of every relevant item (-1: has none)."""
        self.ids[domain] = items.ids
        self.exposure[domain] = np.zeros(len(items))
        inside = codes[(codes >= 0) & (codes < len(items))]
        self.merit[domain] = np.bincount(inside, minlength=len(items)).astype(np.float64)

    def add(self, domain: str, ranked: Array) -> None:
        """Count a block of ranked lists, int64 [users, length]."""
        size = len(self.exposure[domain])
        shown = ranked[:, : len(self.discounts)]
        known = (shown >= 0) & (shown < size)
        weight = np.broadcast_to(self.discounts[: shown.shape[1]], shown.shape)[known]
        self.exposure[domain] += np.bincount(shown[known], weights=weight, minlength=size)

    def table(self) -> pd.DataFrame:
        """Return domain, provider, items, exposure, merit and ratio, as `provider_fairness`."""
        counted = [
            pd.DataFrame(
                {
                    DOMAIN: domain,
                    ITEM_ID: self.ids[domain].astype(str),
                    "exposure": exposure,
                    "merit": self.merit[domain],
                }
            )
            for domain, exposure in self.exposure.items()
        ]
        per_item = self.providers.merge(pd.concat(counted), on=[DOMAIN, ITEM_ID])
        if not len(per_item):
            raise InputError("No item of the providers table is in the catalogue: do ids match?")
        return provider_shares(per_item)
