"""Fairness: quality by user group, and exposure by provider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.comparison.extremes import (
    extreme_interval,
    gap_interval,
    ratio_interval,
    smallest_and_largest,
)
from eval.evaluation.inputs import read_table
from eval.evaluation.resampling import bootstrap_means, mean_over_cells, percentile_interval
from eval.evaluation.result import DOMAIN, MACRO, SLICE, EvaluationResult, metric_columns
from eval.metrics.base import Array
from eval.metrics.registry import get_metric
from graphgen.errors import ConfigError, InputError
from graphgen.schema import GROUP, ITEM_ID, RANK, USER_ID

__all__ = ["exposure_by_provider", "fairness_by_attribute", "group_fairness", "provider_fairness"]

HISTORY: Final = "history"
PROVIDER: Final = "provider"
# Slices that are about the user alone: each user has one value in all domains.
USER_SLICES: Final = ("activity", "domain_count")


def group_fairness(
    result: EvaluationResult,
    by: str | pd.Series = "group",
    *,
    metrics: Sequence[str] | None = None,
    min_users: int = 10,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare user groups: each group's value, the worst, the gap and the ratio, with intervals.

    Parameters
    ----------
    result
        What `evaluate` returned.
    by
        A column of ``result.per_user`` (``group``, ``history``), or a Series of groups indexed by
        user id.
    metrics
        Columns such as ``["ndcg@20"]``; default all with a value per user and a better direction.
    min_users
        Groups with fewer users in a domain are left out there: their extremes are noise.
    bootstrap
        Replicates; people are drawn, all their domains at once.
    seed
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        domain (or macro), metric, what, group, value, low, high, n_users. `what` is ``group`` (mean
        of the group), ``worst`` (the least served group), ``gap`` (best minus worst) or ``ratio``
        (worst over best; best over worst where lower is better; 1 is equal).

    Notes
    -----
    Worst, gap and ratio of a sample look worse than those of the population, since they pick
    extremes: read the interval, not the number alone. Their intervals allow for the picking
    (`extremes`): where all groups are equally served, that of the gap holds 0 at the
    nominal rate.

    Raises
    ------
    InputError
        If there is no such column, or fewer than two groups are large enough.
    ConfigError
        If a metric is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from eval import evaluate
    >>> truth = pd.DataFrame({"user_id": [f"u{n}" for n in range(40)], "domain": "d",
    ...                       "item_id": "x"})
    >>> recs = truth.assign(item_id=["x"] * 30 + ["y"] * 10, rank=1)
    >>> groups = pd.Series(["a"] * 20 + ["b"] * 20, index=truth["user_id"])
    >>> table = group_fairness(evaluate(recs, truth, k=1), groups, metrics=["recall@1"])
    >>> table.set_index("what").loc["gap", "value"].tolist()
    [0.5, 0.5]
    """
    frame = result.per_user[result.per_user["slice"] == "all"]
    labels = _labels(frame, by)
    columns = _columns(frame, metrics)
    known = labels.notna().to_numpy()
    if not known.any():
        raise InputError("No evaluated user belongs to a group.")
    values = frame[columns].to_numpy(np.float64)[known]
    person = pd.factorize(frame[USER_ID], sort=True)[0].astype(np.int64)[known]
    group, groups = pd.factorize(labels[known], sort=True)
    domain, domains = pd.factorize(frame[DOMAIN].astype(str)[known], sort=True)
    cell = (domain * len(groups) + group).astype(np.int64)
    n_cells = len(groups) * len(domains)
    n_users = np.bincount(cell, minlength=n_cells).reshape(len(domains), len(groups))
    draws = bootstrap_means(values, person, cell, n_cells, replicates=bootstrap, seed=seed)
    observed = _means(values, cell, n_cells)
    stacked = np.concatenate([observed[None], draws])
    stacked = stacked.reshape(-1, len(domains), len(groups), len(columns))
    stacked[:, n_users < min_users] = np.nan
    kept = (n_users >= min_users).any(axis=0)
    if kept.sum() < 2:
        raise InputError(
            f"Fewer than two groups have {min_users} users in a domain (groups: "
            f"{', '.join(f'{g} {n}' for g, n in zip(groups, n_users.sum(axis=0), strict=True))})."
        )
    parts = [
        _compare(stacked[:, d], [str(g) for g in groups], columns, str(name), n_users[d])
        for d, name in enumerate(domains)
    ]
    over_domains = mean_over_cells(stacked)
    # A person in two domains counts once here.
    people = np.bincount(np.unique(person * len(groups) + group) % len(groups))
    macro = _compare(over_domains, [str(g) for g in groups], columns, MACRO, people)
    return pd.concat([macro, *parts], ignore_index=True)


def _labels(frame: pd.DataFrame, by: str | pd.Series) -> pd.Series:
    if isinstance(by, pd.Series):
        groups = by.copy()
        groups.index = groups.index.astype(str)
        if groups.index.has_duplicates:
            raise InputError("The Series of groups holds a user more than once.")
        return pd.Series(groups.reindex(frame[USER_ID].astype(str)).to_numpy(), index=frame.index)
    if by not in frame.columns:
        raise InputError(
            f"The result has no column {by!r} to group users by; pass `users` (a table with a "
            "group) to `evaluate`, or a Series of groups here."
        )
    return frame[by].astype(object)


def _columns(frame: pd.DataFrame, metrics: Sequence[str] | None) -> list[str]:
    available = metric_columns(frame)
    if metrics is None:
        return [c for c in available if get_metric(c).higher_is_better is not None]
    for metric in metrics:
        if metric not in available:
            raise ConfigError(f"There is no metric {metric!r} per user; there is {available}.")
    return list(metrics)


def _means(values: Array, cell: Array, n_cells: int) -> Array:
    counted = ~np.isnan(values)
    size, total = np.zeros((2, n_cells, values.shape[1]))
    np.add.at(size, cell, counted)
    np.add.at(total, cell, np.where(counted, values, 0.0))
    return np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0)


def _compare(
    stacked: Array, groups: list[str], columns: list[str], domain: str, n_users: Array
) -> pd.DataFrame:
    """Turn [1 + replicates, groups, metrics] (observed first) into rows."""
    observed, draws, everyone = stacked[0], stacked[1:], int(n_users.sum())
    counted = np.isfinite(observed)
    defined = counted.any(axis=0)
    lower_is_better = np.array([get_metric(c).higher_is_better is False for c in columns])
    low, high = smallest_and_largest(observed)
    ratio = np.divide(low, high, out=np.full(low.shape, np.nan), where=high != 0)
    ratio = np.where(defined & (high == low), 1.0, ratio)
    values = {
        "worst": np.where(lower_is_better, high, low),
        "gap": high - low,
        "ratio": ratio,
    }
    merit = np.where(lower_is_better, -observed, observed)
    least = np.where(np.isnan(merit), np.inf, merit).argmin(axis=0)
    unknown = (np.full(observed.shape, np.nan),) * 2
    bounds = {"group": unknown, **dict.fromkeys(values, (unknown[0][0],) * 2)}
    if len(draws):
        bounds = {
            "group": percentile_interval(draws),
            "worst": extreme_interval(observed, draws, everyone, largest=lower_is_better),
            "gap": gap_interval(observed, draws, everyone),
            "ratio": ratio_interval(observed, draws, everyone),
        }
    records: list[dict[str, Any]] = []

    def add(what: str, group: str, value: float, place: Any, column: int, size: int) -> None:
        records.append(
            {
                DOMAIN: domain,
                "metric": columns[column],
                "what": what,
                "group": group,
                "value": float(value),
                "low": float(bounds[what][0][place]),
                "high": float(bounds[what][1][place]),
                "n_users": size,
            }
        )

    for column in range(len(columns)):
        for number in np.flatnonzero(counted[:, column]):
            value, size = observed[number, column], int(n_users[number])
            add("group", groups[number], value, (number, column), column, size)
        for what, value in values.items():
            name = groups[least[column]] if what == "worst" and defined[column] else ""
            add(what, name, value[column], column, column, everyone)
    return pd.DataFrame(records)


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


def provider_fairness(
    recommendations: pd.DataFrame,
    truth: pd.DataFrame,
    providers: pd.DataFrame,
    *,
    column: str = "category",
    k: int = 20,
) -> pd.DataFrame:
    """Set the exposure that providers of items get against what they merit.

    Exposure of a place is ``1 / log2(1 + rank)``, summed over the first k of all lists; merit is
    the number of relevant (user, item) pairs. Both are shares within a domain.

    Parameters
    ----------
    recommendations
        user_id, domain, item_id, rank.
    truth
        user_id, domain, item_id.
    providers
        domain, item_id and `column`: who offers the item (brand, seller, publisher, category).
    column
        Name of that column.
    k
        How many places of a list are seen.

    Returns
    -------
    pandas.DataFrame
        domain, provider, items, exposure, merit (shares that sum to 1 per domain), ratio
        (exposure over merit; 1 is proportional, NaN without merit), sorted by domain and exposure.

    References
    ----------
    Singh and Joachims, "Fairness of exposure in rankings", KDD 2018.

    Raises
    ------
    InputError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> items = pd.DataFrame({"domain": "d", "item_id": ["x", "y"], "brand": ["big", "small"]})
    >>> recs = pd.DataFrame({"user_id": ["u", "v"], "domain": "d", "item_id": "x", "rank": 1})
    >>> truth = pd.DataFrame({"user_id": ["u", "v"], "domain": "d", "item_id": ["x", "y"]})
    >>> provider_fairness(recs, truth, items, column="brand")["ratio"].tolist()
    [2.0, 0.0]
    """
    for what, frame, needed in (
        ("recommendations", recommendations, (DOMAIN, ITEM_ID, RANK)),
        ("truth", truth, (DOMAIN, ITEM_ID)),
        ("providers", providers, (DOMAIN, ITEM_ID, column)),
    ):
        missing = [name for name in needed if name not in frame.columns]
        if missing:
            raise InputError(f"The {what} have no column {', '.join(map(repr, missing))}.")
    key = [DOMAIN, ITEM_ID]
    shown = recommendations[recommendations[RANK] <= k]
    shown = shown[key].astype(str).assign(exposure=1.0 / np.log2(1.0 + shown[RANK].to_numpy()))
    wanted = truth[key].astype(str).assign(merit=1.0)
    sums = (frame.groupby(key, as_index=False).sum() for frame in (shown, wanted))
    per_item = pd.merge(*sums, how="outer", on=key)
    return _shares(per_item, providers.rename(columns={column: PROVIDER}))


def exposure_by_provider(result: EvaluationResult, providers: Any) -> pd.DataFrame:
    """Set exposure against merit, as `provider_fairness` does, over the lists of an evaluation.

    Parameters
    ----------
    result
        What `evaluate` returned; exposure is over the longest k.
    providers
        DataFrame or path with domain, item_id and ``provider`` (brand, seller, publisher,
        category); items without one do not count.

    Raises
    ------
    InputError
        If a column is missing, no item is known, or the result was loaded from a folder, which
        does not keep the exposure of items.
    """
    if result.exposure is None:
        raise InputError("A result that was loaded has no exposure of items; evaluate again.")
    table = read_table(providers, (DOMAIN, ITEM_ID, PROVIDER), "The providers")
    table = table[table[DOMAIN].astype(str).isin(result.domains)]
    if not len(table[[DOMAIN, ITEM_ID]].astype(str).merge(result.exposure)):
        raise InputError("No item of the providers table was shown or wanted: do ids match?")
    return _shares(result.exposure, table.fillna({PROVIDER: ""}))


def _shares(per_item: pd.DataFrame, providers: pd.DataFrame) -> pd.DataFrame:
    """Sum exposure and merit of items by domain and provider, and turn both into shares."""
    key = [DOMAIN, ITEM_ID]
    table = providers[[*key, PROVIDER]].astype(str)
    table = table[table[PROVIDER] != ""].drop_duplicates(key)
    per_item = table.merge(per_item, how="left", on=key).fillna({"exposure": 0.0, "merit": 0.0})
    summed = per_item.groupby([DOMAIN, PROVIDER], as_index=False).agg(
        items=(ITEM_ID, "size"), exposure=("exposure", "sum"), merit=("merit", "sum")
    )
    for name in ("exposure", "merit"):
        total = summed.groupby(DOMAIN)[name].transform("sum")
        summed[name] = np.where(total > 0, summed[name] / total.where(total > 0, 1.0), 0.0)
    merit = summed["merit"].to_numpy()
    summed["ratio"] = np.divide(
        summed["exposure"].to_numpy(), merit, out=np.full(len(merit), np.nan), where=merit > 0
    )
    return summed.sort_values(
        [DOMAIN, "exposure", PROVIDER], ascending=[True, False, True], ignore_index=True
    )
