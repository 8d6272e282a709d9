"""Several systems side by side, and which of them can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from eval.metrics.registry import get_metric
from eval.result import (
    DOMAIN,
    MACRO,
    METRICS_FILE,
    PER_USER_FILE,
    SCHEMA_VERSION,
    SLICE,
    EvaluationResult,
    aligned,
    pool_seeds,
    slice_cells,
)
from eval.significance import holm, tests_by_group
from graphgen.errors import ConfigError, InputError, StorageError
from graphgen.schema import USER_ID
from graphgen.storage import provenance, read_json

__all__ = ["Comparison", "compare_results"]

ALPHA: Final = 0.05
SYSTEM = "system"
CELL = [SLICE, DOMAIN, "metric"]
TEST_COLUMNS = (
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "p_wilcoxon",
    "p_holm",
)


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
    meta
        Settings and provenance.
    """

    table: pd.DataFrame
    results: dict[str, EvaluationResult]
    meta: dict[str, Any] = field(default_factory=dict)

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

    def to_markdown(
        self,
        metrics: Sequence[str] | None = None,
        *,
        slices: Sequence[str] | None = None,
        domains: Sequence[str] | None = None,
    ) -> str:
        """Return tables in Markdown: bold is best, a dagger cannot be told from the best.

        Parameters
        ----------
        metrics
            Columns to show; default the headline ones.
        slices
            Slices to show; default all.
        domains
            Domains to show, ``macro`` for the mean over domains; default all.

        Raises
        ------
        ConfigError
            If nothing of this name was compared.
        """
        from eval.reports.tables import comparison_markdown

        known = {
            "metric": (metrics, self.metrics),
            "slice": (slices, self.slices),
            "domain": (domains, [MACRO, *self.domains]),
        }
        for what, (asked, there) in known.items():
            for name in asked or ():
                if name not in there:
                    raise ConfigError(f"No {what} {name!r} was compared; there is {there}.")
        return comparison_markdown(self, metrics, slices, domains)

    def save(self, path: str | Path) -> Path:
        """Write ``report.html``, ``report.md``, ``metrics.json``, ``metrics.csv`` and the users.

        The folder appears whole or not at all; an older report in it is replaced.
        """
        from eval.reports.writing import write_comparison

        return write_comparison(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        StorageError
            If the folder is no comparison, is damaged, or is of a newer version.
        """
        folder = Path(path)
        content = read_json(
            folder / METRICS_FILE, schema_version=SCHEMA_VERSION, what="a report of `interest`"
        )
        try:
            per_user = pd.read_parquet(folder / PER_USER_FILE)
            results = {}
            for name, saved in content["systems"].items():
                mine = per_user[per_user[SYSTEM] == name].drop(columns=SYSTEM)
                summary = pd.DataFrame(saved["summary"])
                results[name] = EvaluationResult(
                    name, mine.reset_index(drop=True), summary, saved["meta"]
                )
            return cls(pd.DataFrame(content["table"]), results, content["meta"])
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise StorageError(f"{folder} is damaged: {error!r}. Compare again.") from error


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
    permutations
        Sign patterns of the randomisation test.
    bootstrap
        Replicates of the interval of a difference.
    alpha
        Level of the Holm-corrected test.
    seed
        Seed of both.

    Returns
    -------
    Comparison

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
    pooled = {
        name: pool_seeds(
            [result] if isinstance(result, EvaluationResult) else list(result),
            name=name,
            bootstrap=bootstrap,
            seed=seed,
        )
        for name, result in results.items()
    }
    if baseline is not None and baseline not in pooled:
        raise ConfigError(f"There is no system {baseline!r} to be the baseline: {list(pooled)}.")
    first = next(iter(pooled.values()))
    frames = {name: aligned(result, first) for name, result in pooled.items()}
    columns = _chosen(pooled, metrics)
    table = pd.concat(
        [
            result.summary[result.summary["metric"].isin(columns)].assign(**{SYSTEM: name})
            for name, result in pooled.items()
        ],
        ignore_index=True,
    )
    table["best"] = _best(table)
    tests = _run_tests(table, frames, baseline, permutations, bootstrap, seed)
    table = pd.concat([table, _looked_up(table, tests, baseline, alpha)], axis=1)
    meta = {
        "baseline": baseline,
        "alpha": alpha,
        "permutations": permutations,
        "bootstrap": bootstrap,
        "seed": seed,
        "n_tests": len(tests),
        "provenance": provenance(),
    }
    return Comparison(table, pooled, meta)


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
    direction = table["metric"].map(
        {m: get_metric(m).higher_is_better for m in table["metric"].unique()}
    )
    sign = direction.map({True: 1.0, False: -1.0, None: np.nan}).astype(float)
    merit = table["value"] * sign
    top = merit.groupby([table[c] for c in CELL], sort=False).transform("max")
    return (merit == top) & merit.notna()


def _rivals(cell: pd.DataFrame, baseline: str | None) -> list[tuple[str, str]]:
    """List the pairs of systems to test in a cell: all against the best, and the baseline."""
    systems = cell[SYSTEM].tolist()
    anchors = cell.loc[cell["best"], SYSTEM].tolist()[:1]
    if baseline is not None and baseline in systems:
        anchors.append(baseline)
    pairs = {tuple(sorted((a, s))) for a in anchors for s in systems if s != a}
    return [(a, b) for a, b in sorted(pairs)]


def _run_tests(
    table: pd.DataFrame,
    frames: Mapping[str, pd.DataFrame],
    baseline: str | None,
    permutations: int,
    bootstrap: int,
    seed: int,
) -> dict[tuple[str, str, str, str, str], tuple[float, ...]]:
    """Test every pair that the table shows; key slice, domain, metric, first, second.

    Values are difference, low, high, p_value, p_wilcoxon, p_holm.
    """
    first = next(iter(frames.values()))
    cells, rows, row_cell = slice_cells(first)
    person = pd.factorize(first[USER_ID], sort=True)[0].astype(np.int64)
    groups: dict[tuple[str, str], list[int]] = {}
    for number, (name, domain) in enumerate(cells):
        groups.setdefault((name, MACRO), []).append(number)
        groups[name, domain] = [number]
    wanted: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for (in_slice, in_domain, metric), cell in table.groupby(CELL, sort=False):
        key = (str(in_slice), str(in_domain))
        only = key[1] != MACRO and len(groups.get((key[0], MACRO), [])) == 1
        if key in groups and not only:  # the only domain has the numbers of macro
            wanted.setdefault(key, []).extend(
                (str(metric), a, b)
                for a, b in _rivals(cell, baseline)
                if metric in frames[a].columns and metric in frames[b].columns
            )
    columns = list(dict.fromkeys(test for tests in wanted.values() for test in tests))
    if not columns:
        return {}
    difference = np.stack(
        [
            frames[a][m].to_numpy(np.float64) - frames[b][m].to_numpy(np.float64)
            for m, a, b in columns
        ],
        axis=1,
    )
    test = tests_by_group(
        difference[rows],
        person[rows],
        row_cell,
        [groups[key] for key in wanted],
        permutations=permutations,
        bootstrap=bootstrap,
        seed=seed,
    )
    place = {column: number for number, column in enumerate(columns)}
    found: dict[tuple[str, str, str, str, str], tuple[float, ...]] = {
        (*key, *asked): tuple(float(part[row, place[asked]]) for part in test)
        for row, (key, tests) in enumerate(wanted.items())
        for asked in tests
    }
    corrected = holm(np.array([values[3] for values in found.values()]))
    return {
        key: (*values, float(p)) for (key, values), p in zip(found.items(), corrected, strict=True)
    }


def _looked_up(
    table: pd.DataFrame,
    tests: Mapping[tuple[str, str, str, str, str], tuple[float, ...]],
    baseline: str | None,
    alpha: float,
) -> pd.DataFrame:
    """Write beside each row of the table the test that concerns it."""
    records: list[dict[str, Any]] = [{} for _ in range(len(table))]
    position = np.arange(len(table))
    single = {str(s): t[DOMAIN].nunique() == 2 for s, t in table.groupby(SLICE)}
    for (name, domain, metric), cell in table.assign(row=position).groupby(CELL, sort=False):
        key = (str(name), MACRO if single[str(name)] else str(domain), str(metric))
        lower = get_metric(str(metric)).higher_is_better is False
        ranked = cell.sort_values("value", ascending=lower)[SYSTEM].tolist()
        best = ranked[0] if cell["best"].any() else None
        for row, system in zip(cell["row"].tolist(), cell[SYSTEM].tolist(), strict=True):
            reference = baseline or best
            if reference == system and not baseline:
                reference = next((s for s in ranked if s != system), None)
            test = _oriented(tests, key, system, reference)
            if test is not None:
                records[row]["reference"] = reference
                records[row].update(zip(TEST_COLUMNS, test, strict=True))
            against_best = _oriented(tests, key, system, best)
            records[row]["tied"] = against_best is not None and not against_best[-1] < alpha
    columns = ["reference", *TEST_COLUMNS, "tied"]
    frame = pd.DataFrame(records, columns=columns, index=table.index)
    frame[list(TEST_COLUMNS)] = frame[list(TEST_COLUMNS)].astype(float)
    frame["separable"] = frame["p_holm"] < alpha
    frame["tied"] = frame["tied"].astype(bool)
    return frame


def _oriented(
    tests: Mapping[tuple[str, str, str, str, str], tuple[float, ...]],
    cell: tuple[str, str, str],
    system: str,
    reference: str | None,
) -> tuple[float, ...] | None:
    """Return the test of `system` minus `reference`, turning the stored one round if need be."""
    if reference is None or system == reference:
        return None
    if (*cell, system, reference) in tests:
        return tests[*cell, system, reference]
    turned = tests.get((*cell, reference, system))
    if turned is None:
        return None
    difference, low, high, *rest = turned
    return (-difference, -high, -low, *rest)
