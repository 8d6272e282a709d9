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
from eval.evaluation.resampling import (
    bootstrap_means,
    cell_means,
    mean_over_cells,
    percentile_interval,
)
from eval.evaluation.result import DOMAIN, MACRO, SLICE, EvaluationResult, metric_columns
from eval.metrics.base import Array
from eval.metrics.registry import get_metric
from graphgen.errors import ConfigError, InputError
from graphgen.joins import check_items
from graphgen.schema import GROUP, ITEM_ID, PROVIDER, RANK, USER_ID
from graphgen.vocabulary import Vocabulary

__all__ = [
    "exposure_by_provider",
    "fairness_by_attribute",
    "group_fairness",
    "provider_fairness",
    "read_providers",
]

HISTORY: Final = "history"
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
    bootstrap, seed
        Replicates (users are drawn, all their domains at once), and the seed.

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
    observed, _ = cell_means(values, cell, n_cells)
    stacked = np.concatenate([observed[None], draws])
    stacked = stacked.reshape(-1, len(domains), len(groups), len(columns))
    stacked[:, n_users < min_users] = np.nan
    kept = (n_users >= min_users).any(axis=0)
    if kept.sum() < 2:
        raise InputError(
            f"Fewer than two groups have {min_users} users in a domain (groups: "
            f"{', '.join(f'{g} {n}' for g, n in zip(groups, n_users.sum(axis=0), strict=True))})."
        )
    names = [str(name) for name in groups]
    # A user in two domains counts once here.
    distinct = np.bincount(np.unique(person * len(groups) + group) % len(groups))
    parts = [_compare(mean_over_cells(stacked), names, columns, MACRO, distinct)]
    for d, name in enumerate(domains):
        parts.append(_compare(stacked[:, d], names, columns, str(name), n_users[d]))
    return pd.concat(parts, ignore_index=True)


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
    worst = np.where(lower_is_better, high, low)
    value = np.vstack([observed, worst, high - low, ratio])
    lower = upper = np.full(value.shape, np.nan)
    if len(draws):
        bounds = [
            percentile_interval(draws),
            extreme_interval(observed, draws, everyone, largest=lower_is_better),
            gap_interval(observed, draws, everyone),
            ratio_interval(observed, draws, everyone),
        ]
        lower, upper = (np.vstack(part) for part in zip(*bounds, strict=True))
    merit = np.where(lower_is_better, -observed, observed)
    least = np.where(np.isnan(merit), np.inf, merit).argmin(axis=0)
    # A row for each group, then the three that compare them, metric by metric.
    name = np.full(value.shape, "", dtype=object)
    name[: len(groups)] = np.array(groups, dtype=object)[:, None]
    name[len(groups)] = np.where(defined, np.array(groups, dtype=object)[least], "")
    column, row = np.nonzero(np.vstack([counted, np.ones((3, len(columns)), bool)]).T)
    return pd.DataFrame(
        {
            DOMAIN: domain,
            "metric": np.array(columns, dtype=object)[column],
            "what": np.array(["group"] * len(groups) + ["worst", "gap", "ratio"], object)[row],
            "group": name[row, column],
            "value": value[row, column],
            "low": lower[row, column],
            "high": upper[row, column],
            "n_users": np.array([*n_users, *[everyone] * 3])[row],
        }
    )


def fairness_by_attribute(
    result: EvaluationResult, metrics: list[str], *, bootstrap: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, list[str]]:
    """Compare user groups by each attribute that the result knows.

    Attributes are ``group`` (of the user table), ``history`` (cold or warm in the domain), and the
    slices ``activity`` and ``domain_count`` where they were asked for.

    Returns a table (attribute, and the columns of `group_fairness`) and notes: attributes that
    could not be compared, and why.
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
    recommendations, truth
        user_id, domain, item_id; and the rank of recommendations.
    providers, column
        domain, item_id and the named `column`: brand, seller, publisher or category of the item.
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


def read_providers(source: Any, **options: Any) -> pd.DataFrame:
    """Read domain, item_id and provider; `options` as of `graphgen.log_files.read_log`."""
    return read_table(source, (DOMAIN, ITEM_ID, PROVIDER), "The providers", **options)


def exposure_by_provider(result: EvaluationResult, providers: Any) -> pd.DataFrame:
    """Set exposure against merit, as `provider_fairness` does, over the lists of an evaluation.

    Exposure is over the longest k. `providers` is a DataFrame or path with domain, item_id and
    ``provider`` (brand, seller, publisher, category); items without one do not count.

    Raises
    ------
    InputError
        If a column is missing, no item is known, or the result was loaded from a folder, which
        does not keep the exposure of items.
    """
    if result.exposure is None:
        raise InputError("A result that was loaded has no exposure of items; evaluate again.")
    table = read_providers(providers)
    table = table[table[DOMAIN].astype(str).isin(result.domains)]
    known = {str(d): Vocabulary.from_values(part[ITEM_ID]) for d, part in table.groupby(DOMAIN)}
    used = "the items shown or wanted"
    effect = "They have no provider and do not count."
    check_items(used, result.exposure, known, "the table of providers", effect=effect)
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
