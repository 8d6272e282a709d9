"""The result of an evaluation: values per user, summary, provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from eval.evaluation.cells import MACRO, SLICE, by_domain, by_slice
from eval.evaluation.inputs import ALL
from eval.evaluation.resampling import (
    bootstrap_means,
    cell_means,
    mean_over_cells,
    percentile_interval,
)
from eval.metrics.base import Array
from graphgen.errors import ConfigError, InputError, StorageError, counted
from graphgen.html_tables import html_table
from graphgen.schema import DOMAIN, USER_ID
from graphgen.storage import atomic_directory, read_json, write_json

__all__ = ["MACRO", "Curve", "EvaluationResult", "headline", "records"]

Curve = dict[str, list[float]]

SCHEMA_VERSION = 2
METRICS_FILE = "metrics.json"
PER_USER_FILE = "per_user.parquet"
# Columns of `per_user` that are no metric.
KEYS = (SLICE, USER_ID, DOMAIN)
COUNTS = ("n_relevant", "answered")
ATTRIBUTES = ("history", "group")
MAIN_K = 20
HEADLINE = ("recall", "ndcg", "hit-rate", "auc", "ild", "coverage", "novelty")
# So many columns every table has room for.
FEW = 3
SUMMARY_COLUMNS = (SLICE, DOMAIN, "metric", "value", "low", "high", "n_users")


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Metrics of one system on one truth.

    Attributes
    ----------
    name
        What the system is called in tables.
    per_user
        One row per (slice, user, domain) with relevant items: slice, user_id, domain, ``history``
        (cold or warm, where known), ``group`` (where given), n_relevant, answered, and a column per
        metric such as ``ndcg@20``. NaN: the metric has no meaning for the user.
    summary
        slice, domain (or ``macro``), metric, value, low, high, n_users. `value` is the mean over
        users; macro is the plain mean over domains. `low` and `high` bound the 95 % bootstrap
        interval over users; NaN for metrics of the whole catalogue, which have no value per user.
        A pooled result (`eval.comparison.pooling`) also has ``sd_seeds`` and ``n_seeds``.
    meta
        Settings, counts, notes, what was not computed and why, seconds, provenance.
    curves
        ``fpr`` and ``tpr`` of the ROC curve of all links, by domain, where ``roc-auc`` or
        ``pr-auc`` was asked for.
    exposure
        domain, item_id, exposure (the sum of ``1 / log2(1 + place)`` over all lists) and merit
        (users to whom the item is relevant) of items that have either; it is not saved.
    """

    name: str
    per_user: pd.DataFrame
    summary: pd.DataFrame
    meta: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    exposure: pd.DataFrame | None = None

    @property
    def metrics(self) -> list[str]:
        """Metric columns, in the order of the summary."""
        return list(dict.fromkeys(self.summary["metric"]))

    @property
    def domains(self) -> list[str]:
        """Domains evaluated, sorted."""
        return sorted(set(self.summary[DOMAIN]) - {MACRO})

    @property
    def slices(self) -> list[str]:
        """Slices, ``all`` first."""
        return list(dict.fromkeys(self.summary[SLICE]))

    def value(self, metric: str, *, domain: str = MACRO, slice: str = ALL) -> float:
        """Return one number of the summary.

        Raises
        ------
        ConfigError
            If there is no such metric, domain or slice; the message lists those there are.
        """
        for what, asked, known in (
            ("metric", metric, self.metrics),
            ("domain", domain, [MACRO, *self.domains]),
            ("slice", slice, self.slices),
        ):
            if asked not in known:
                raise ConfigError(
                    f"There is no {what} {asked!r} in this result; it has {', '.join(known)}."
                )
        summary = self.summary
        row = summary[
            (summary["metric"] == metric) & (summary[DOMAIN] == domain) & (summary[SLICE] == slice)
        ]
        return float(row["value"].iloc[0]) if len(row) else float("nan")

    def __repr__(self) -> str:
        values = [f"{name} {self.value(name):.4f}" for name in headline(self.metrics)]
        users = counted(self.per_user[USER_ID].nunique(), "user")
        return f"EvaluationResult({self.name}, {users}: {', '.join(values)})"

    def _repr_html_(self) -> str:
        head, n_users = headline(self.metrics), self.per_user[USER_ID].nunique()
        tables = [
            html_table(*by_domain(self.summary, head, ALL), title=f"{self.name}: {n_users:,} users")
        ]
        if len(self.slices) > 1:
            tables.append(
                html_table(
                    *by_slice(self.summary, head), title="By group of users, macro over domains"
                )
            )
        return "".join(tables) + "<p>With 95 % bootstrap intervals over users.</p>"

    def to_dict(self) -> dict[str, Any]:
        """Return what ``metrics.json`` holds."""
        return {
            "name": self.name,
            "summary": records(self.summary),
            "curves": self.curves,
            "meta": self.meta,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], per_user: pd.DataFrame) -> Self:
        """Take back what `to_dict` gave, with the values of users."""
        summary = pd.DataFrame(content["summary"])
        for column in ("value", "low", "high"):
            summary[column] = summary[column].astype(float)
        return cls(content["name"], per_user, summary, content["meta"], content["curves"])

    def write(self, folder: Path, **more: Any) -> None:
        """Write ``metrics.json`` (with `more` in it), ``metrics.csv`` and ``per_user.parquet``."""
        self.summary.to_csv(folder / "metrics.csv", index=False)
        self.per_user.to_parquet(folder / PER_USER_FILE, index=False)
        write_json(folder / METRICS_FILE, {**self.to_dict(), **more}, schema_version=SCHEMA_VERSION)

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write its figures to a folder that appears whole; `eval.write_report` adds pages.

        For the parameters see `graphgen.storage.atomic_directory`.
        """
        with atomic_directory(
            path, kind="report", overwrite=overwrite, made_from=made_from
        ) as folder:
            self.write(folder)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` or `eval.write_report` wrote.

        Raises
        ------
        StorageError
            If the folder is no report of one system, is damaged, or is of a newer version.
        """
        return load_report(path, cls.from_dict, "Evaluate")


def load_report(
    path: str | Path, build: Callable[[dict[str, Any], pd.DataFrame], Any], verb: str
) -> Any:
    """Read ``metrics.json`` and the users of a folder, and `build` a result of them."""
    folder = Path(path)
    content = read_json(
        folder / METRICS_FILE, schema_version=SCHEMA_VERSION, what="a report of `interest`"
    )
    try:
        return build(content, pd.read_parquet(folder / PER_USER_FILE))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise StorageError(f"{folder} is damaged: {error!r}. {verb} again.") from error


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON types; NaN and infinity become null.

    Examples
    --------
    >>> records(pd.DataFrame({"metric": ["auc"], "low": [float("nan")]}))
    [{'metric': 'auc', 'low': None}]
    """
    known = frame.notna() & ~frame.isin([np.inf, -np.inf])
    return frame.astype(object).where(known, None).to_dict("records")


def headline(columns: Sequence[str], names: Iterable[str] = HEADLINE) -> list[str]:
    """Choose the few metrics that a table by domain has room for.

    Examples
    --------
    >>> headline(["recall@10", "recall@20", "f1@10", "ndcg@10", "ndcg@20", "auc"])
    ['recall@20', 'ndcg@20', 'auc']
    >>> headline(["hit-rate@1", "hit-rate@3"])
    ['hit-rate@1', 'hit-rate@3']
    """
    if len(columns) <= FEW:
        return list(columns)
    lengths = sorted({int(c.split("@")[1]) for c in columns if "@" in c})
    main = MAIN_K if MAIN_K in lengths else (lengths or [0])[-1]
    wanted = [w for name in names for w in (name, f"{name}@{main}")]
    return [c for c in wanted if c in columns] or list(columns)[:6]


def metric_columns(per_user: pd.DataFrame) -> list[str]:
    """Return the metric columns of a per-user table."""
    return [c for c in per_user.columns if c not in (*KEYS, *COUNTS, *ATTRIBUTES)]


def summarise(
    per_user: pd.DataFrame,
    columns: list[str],
    catalogue_values: pd.DataFrame | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Average the metric `columns` per user into the summary, with intervals over users.

    `catalogue_values` (slice, domain, metric, value, n_users) are those without a value per user.
    """
    cells, rows, row_cell = slice_cells(per_user)
    values = per_user[columns].to_numpy(np.float64)[rows]
    person = pd.factorize(per_user[USER_ID], sort=True)[0].astype(np.int64)[rows]
    counted = ~np.isnan(values)
    means, size = cell_means(values, row_cell, len(cells))
    if bootstrap:
        draws = bootstrap_means(
            values, person, row_cell, len(cells), replicates=bootstrap, seed=seed
        )
        low, high = percentile_interval(draws)
    else:
        low = high = np.full(means.shape, np.nan)

    parts = []
    for name in dict.fromkeys(name for name, _ in cells):
        here = [i for i, cell in enumerate(cells) if cell[0] == name]
        parts += [
            _part(name, cells[i][1], columns, means[i], low[i], high[i], size[i]) for i in here
        ]
        macro = mean_over_cells(means[None, here])[0]
        bounds = (low[0] * np.nan,) * 2
        if bootstrap:
            bounds = percentile_interval(mean_over_cells(draws[:, here]))
        # A user in two domains counts once here.
        mine = np.isin(row_cell, here)
        users = _distinct(person[mine], counted[mine])
        parts.append(_part(name, MACRO, columns, macro, *bounds, users))
    summary = pd.concat(parts, ignore_index=True)
    if catalogue_values is not None and len(catalogue_values):
        per_slice = summary[summary[DOMAIN] == MACRO].groupby(SLICE)["n_users"].max()
        whole = _with_macro(catalogue_values, per_slice)
        summary = pd.concat([summary, whole], ignore_index=True)
    return _ordered(summary, columns)


def _distinct(person: Array, counted: Array) -> Array:
    """Count the users with a value, per metric."""
    everybody = len(np.unique(person))
    return np.array([everybody if c.all() else len(np.unique(person[c])) for c in counted.T])


def slice_cells(per_user: pd.DataFrame) -> tuple[list[tuple[str, str]], Array, Array]:
    """List (slice, domain) cells, and the rows of each; attribute columns make slices too."""
    labels = [per_user[SLICE].astype(str).to_numpy(object)]
    in_all = np.flatnonzero(labels[0] == ALL)
    row_sets, names = [np.arange(len(per_user))], [labels[0]]
    for column in ATTRIBUTES:
        if column in per_user.columns:
            known = in_all[per_user[column].notna().to_numpy()[in_all]]
            if len(known) == len(in_all) and per_user[column].iloc[known].nunique() == 1:
                continue  # everybody is the same: the slice would repeat "all"
            row_sets.append(known)
            names.append(np.array([f"{column}={v}" for v in per_user[column].iloc[known]], object))
    rows, name = np.concatenate(row_sets), np.concatenate(names)
    domain = per_user[DOMAIN].astype(str).to_numpy(object)[rows]
    name_code, name_values = pd.factorize(name)
    domain_code, domain_values = pd.factorize(domain, sort=True)
    pair = name_code * len(domain_values) + domain_code
    used, row_cell = np.unique(pair, return_inverse=True)
    cells = [
        (str(name_values[p // len(domain_values)]), str(domain_values[p % len(domain_values)]))
        for p in used
    ]
    return cells, rows, row_cell.astype(np.int64)


def _part(
    name: str, domain: str, columns: list[str], value: Array, low: Array, high: Array, size: Array
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            SLICE: name,
            DOMAIN: domain,
            "metric": columns,
            "value": value,
            "low": low,
            "high": high,
            "n_users": np.asarray(size, np.int64),
        }
    )


def _with_macro(values: pd.DataFrame, n_users: pd.Series) -> pd.DataFrame:
    macro = values.groupby([SLICE, "metric"], as_index=False, sort=False)[["value"]].mean()
    macro["n_users"] = macro[SLICE].map(n_users).to_numpy()
    both = pd.concat([values, macro.assign(**{DOMAIN: MACRO})], ignore_index=True)
    return both.assign(low=np.nan, high=np.nan)[list(SUMMARY_COLUMNS)]


def _ordered(summary: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    slices, metrics = (
        {name: place for place, name in enumerate(dict.fromkeys(names))}
        for names in (summary[SLICE], [*columns, *summary["metric"]])
    )
    domain = summary[DOMAIN].astype(str).where(summary[DOMAIN] != MACRO, "")
    keys = (summary["metric"].map(metrics), domain, summary[SLICE].map(slices))
    return summary.iloc[np.lexsort(keys)].reset_index(drop=True)


def aligned(result: EvaluationResult, reference: EvaluationResult) -> pd.DataFrame:
    """Return the per-user rows of `result` in the order of `reference`.

    Raises
    ------
    InputError
        If the two were not evaluated on the same users, domains and slices.
    """
    keys = list(KEYS)
    wanted = pd.MultiIndex.from_frame(reference.per_user[keys].astype(str))
    found = pd.MultiIndex.from_frame(result.per_user[keys].astype(str))
    if wanted.equals(found):
        frame = result.per_user
    else:
        place = found.get_indexer(wanted)
        if (place < 0).any() or len(found) != len(wanted):
            raise InputError(
                f"{result.name!r} and {reference.name!r} were not evaluated on the same users: "
                f"{int((place < 0).sum())} of {len(wanted)} rows are missing and "
                f"{len(found) - int((place >= 0).sum())} are extra. Use the same truth for both."
            )
        frame = result.per_user.iloc[place]
    counts = frame["n_relevant"].to_numpy() != reference.per_user["n_relevant"].to_numpy()
    if counts.any():
        raise InputError(
            f"{result.name!r} and {reference.name!r} were not evaluated on the same relevant "
            f"items, for {counted(int(counts.sum()), 'user')}. Use the same truth for both."
        )
    return frame.reset_index(drop=True)
