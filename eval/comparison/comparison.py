"""Several systems side by side, tests of their differences, and the gain by other domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from eval.comparison.analyses import Analyses, analyse
from eval.comparison.pooling import pool_seeds
from eval.comparison.table_tests import CELL, SYSTEM, looked_up, run_tests
from eval.evaluation.cells import (
    MIN_USERS,
    TIED,
    by_system,
    slice_heading,
    slice_title,
    slice_users,
)
from eval.evaluation.inputs import ALL
from eval.evaluation.result import (
    DOMAIN,
    MACRO,
    METRICS_FILE,
    PER_USER_FILE,
    SCHEMA_VERSION,
    SLICE,
    EvaluationResult,
    aligned,
    headline,
    load_report,
    records,
)
from eval.metrics.registry import get_metric
from graphgen.errors import ConfigError, InputError
from graphgen.html_tables import html_table
from graphgen.storage import provenance, write_json

__all__ = ["Comparison", "compare_results", "migration_gain", "migration_table"]

ALPHA: Final = 0.05
GAIN_METRICS: Final = ("recall", "ndcg")
# In a notebook.
SHOWN: Final = ("recall", "ndcg", "hit-rate", "auc")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Metrics of several systems on the same users, with paired tests.

    Attributes
    ----------
    table
        One row per slice, domain (or ``macro``), metric and system: value, low, high, n_users;
        sd_seeds and n_seeds where seeds were pooled; ``best`` (highest, or lowest where lower is
        better); ``reference``, the system it was tested against (the baseline, else the best of the
        cell; for the best itself the runner-up); difference, difference_low, difference_high,
        p_value (sign-flip randomisation), p_wilcoxon, p_holm (p_value corrected over the whole
        table); ``separable`` (p_holm below alpha); ``tied`` (not separable from the best).
    results
        The pooled result of each system, in the order given.
    migration
        Rows of `migration_table`; empty where nothing was trained in one domain alone.
    """

    table: pd.DataFrame
    results: dict[str, EvaluationResult]
    meta: dict[str, Any] = field(default_factory=dict)
    analyses: dict[str, Analyses] = field(default_factory=dict)
    migration: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def systems(self) -> list[str]:
        """Names, in the order given."""
        return list(self.results)

    @property
    def metrics(self) -> list[str]:
        """Metric columns, in the order of the table."""
        return list(dict.fromkeys(self.table["metric"]))

    @property
    def slices(self) -> list[str]:
        """Slices, ``all`` first."""
        return list(dict.fromkeys(self.table[SLICE]))

    @property
    def domains(self) -> list[str]:
        """Domains evaluated, sorted."""
        return sorted(set(self.table[DOMAIN]) - {MACRO})

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.systems)}; {self.meta['n_tests']:,} tests)"

    def _repr_html_(self) -> str:
        head, sizes = headline(self.metrics, SHOWN), slice_users(self.table)
        small = [slice_title(name) for name in self.slices if sizes[name] < MIN_USERS]
        tables = (
            html_table(
                *by_system(self.table, head, name, MACRO),
                title=f"{slice_heading(self.table, name)}, macro over domains",
            )
            for name in self.slices
            if name == ALL or sizes[name] >= MIN_USERS
        )
        note = f"Bold is best, {TIED} not significantly different from the best; with 95 % "
        note += "bootstrap intervals over users."
        if small:
            note += f" Not shown, with fewer than {MIN_USERS} users: {', '.join(small)}."
        return f"{''.join(tables)}<p>{escape(note)}</p>"

    def write(self, folder: Path, **more: Any) -> None:
        """Write ``metrics.json`` (with `more` in its meta), ``metrics.csv`` and the users."""
        self.table.to_csv(folder / "metrics.csv", index=False)
        frames = [r.per_user.assign(**{SYSTEM: n}) for n, r in self.results.items()]
        pd.concat(frames, ignore_index=True).to_parquet(folder / PER_USER_FILE, index=False)
        content = {
            "table": records(self.table),
            "systems": {name: result.to_dict() for name, result in self.results.items()},
            "analyses": {name: found.to_dict() for name, found in self.analyses.items()},
            "migration": records(self.migration),
            "meta": {**self.meta, **more},
        }
        write_json(folder / METRICS_FILE, content, schema_version=SCHEMA_VERSION)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `eval.write_report` wrote; errors as of `EvaluationResult.load`."""
        return load_report(path, cls._from_dict, "Compare")

    @classmethod
    def _from_dict(cls, content: Mapping[str, Any], per_user: pd.DataFrame) -> Self:
        results = {}
        for name, saved in content["systems"].items():
            mine = per_user[per_user[SYSTEM] == name].drop(columns=SYSTEM).reset_index(drop=True)
            results[name] = EvaluationResult.from_dict(saved, mine)
        analyses = {n: Analyses.from_dict(found) for n, found in content["analyses"].items()}
        table, migration = (pd.DataFrame(content[name]) for name in ("table", "migration"))
        return cls(table, results, content["meta"], analyses, migration)


def compare_results(
    results: Mapping[str, EvaluationResult | Sequence[EvaluationResult]],
    *,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    permutations: int = 2_000,
    bootstrap: int = 1000,
    alpha: float = ALPHA,
    seed: int = 0,
) -> Comparison:
    """Put systems side by side and test their differences on the same users.

    Parameters
    ----------
    results
        Name to result; a sequence of results is one system run with several seeds.
    baseline
        Name of the system to test all others against; default the best of each cell.
    metrics
        Columns such as ``["ndcg@20"]`` (or names: all k); default all.
    permutations, alpha
        Sign patterns of the randomisation test, and its level after Holm's correction.
    bootstrap, seed
        Replicates of the interval of a difference, and the seed of both.

    Raises
    ------
    InputError
        If there is no system, or two were not evaluated on the same users and relevant items.
    ConfigError
        If the baseline or a metric is unknown.

    Notes
    -----
    The best of a cell is chosen on the same users it is tested on. Holm's correction over all tests
    of the table covers that choice, since the best is tested against every other.

    Examples
    --------
    >>> import pandas as pd
    >>> from eval import evaluate
    >>> truth = pd.DataFrame({"user_id": list("abcdefgh"), "domain": "d", "item_id": "x"})
    >>> good = truth.assign(rank=1)
    >>> bad = good.assign(item_id="y")
    >>> both = {"good": evaluate(good, truth, k=1), "bad": evaluate(bad, truth, k=1)}
    >>> table = compare_results(both, metrics=["recall@1"]).table
    >>> table.loc[table["best"], "system"].unique().tolist()
    ['good']
    """
    if not results:
        raise InputError("There is no system to compare.")
    runs = {n: [r] if isinstance(r, EvaluationResult) else list(r) for n, r in results.items()}
    pooled = {
        n: pool_seeds(each, name=n, bootstrap=bootstrap, seed=seed) for n, each in runs.items()
    }
    if baseline is not None and baseline not in pooled:
        raise ConfigError(f"There is no system {baseline!r} to be the baseline: {list(pooled)}.")
    first = next(iter(pooled.values()))
    frames = {name: aligned(result, first) for name, result in pooled.items()}
    columns = _chosen(pooled, metrics)
    summaries = [result.summary.assign(**{SYSTEM: name}) for name, result in pooled.items()]
    table = pd.concat(summaries, ignore_index=True)
    table = table[table["metric"].isin(columns)].reset_index(drop=True)
    table["best"] = _best(table)
    tests = run_tests(table, frames, baseline, permutations, bootstrap, seed)
    table = pd.concat([table, looked_up(table, tests, baseline, alpha)], axis=1)
    meta = {
        "baseline": baseline,
        "alpha": alpha,
        "permutations": permutations,
        "bootstrap": bootstrap,
        "seed": seed,
        "n_tests": len(tests) // 2,  # each pair has an entry in both directions
        "provenance": provenance(),
    }
    analyses = {name: analyse(result, runs=runs[name]) for name, result in pooled.items()}
    return Comparison(table, pooled, meta, analyses)


def _chosen(results: Mapping[str, EvaluationResult], metrics: Sequence[str] | None) -> list[str]:
    available = list(dict.fromkeys(m for result in results.values() for m in result.metrics))
    if metrics is None:
        return available
    chosen: list[str] = []
    for asked in [metrics] if isinstance(metrics, str) else metrics:
        name = get_metric(asked).name
        matching = [c for c in available if c == asked or c.partition("@")[0] == name]
        exact = [c for c in matching if "@" not in asked or c == asked]
        if not exact:
            raise ConfigError(
                f"There is no metric {asked!r} in these results; they have {', '.join(available)}."
            )
        chosen += [c for c in exact if c not in chosen]
    return chosen


def _best(table: pd.DataFrame) -> pd.Series:
    """Mark the best value of every cell; nothing where no direction is better."""
    signs = {True: 1.0, False: -1.0, None: np.nan}
    sign = {m: signs[get_metric(m).higher_is_better] for m in table["metric"].unique()}
    merit = table["value"] * table["metric"].map(sign).astype(float)
    top = merit.groupby([table[c] for c in CELL], sort=False).transform("max")
    return (merit == top) & merit.notna()


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
