"""The paired tests of a comparison table, and their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from eval.comparison.significance import holm, tests_by_group
from eval.evaluation.result import DOMAIN, MACRO, SLICE, slice_cells
from eval.metrics.registry import get_metric
from graphgen.schema import USER_ID

__all__ = ["CELL", "SYSTEM", "looked_up", "run_tests"]

SYSTEM = "system"
CELL = [SLICE, DOMAIN, "metric"]
Tests = dict[tuple[str, ...], tuple[float, ...]]
TEST_COLUMNS = (
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "p_wilcoxon",
    "p_holm",
)


def _rivals(cell: pd.DataFrame, baseline: str | None) -> list[tuple[str, str]]:
    """List the pairs of systems to test in a cell: all against the best, and the baseline."""
    systems = cell[SYSTEM].tolist()
    anchors = cell.loc[cell["best"], SYSTEM].tolist()[:1]
    if baseline is not None and baseline in systems:
        anchors.append(baseline)
    pairs = {tuple(sorted((a, s))) for a in anchors for s in systems if s != a}
    return [(a, b) for a, b in sorted(pairs)]


def run_tests(
    table: pd.DataFrame,
    frames: Mapping[str, pd.DataFrame],
    baseline: str | None,
    permutations: int,
    bootstrap: int,
    seed: int,
) -> Tests:
    """Test every pair that the table shows; key slice, domain, metric, first, second.

    Each pair has an entry in both directions. Values are in the order of `TEST_COLUMNS`.
    """
    first = next(iter(frames.values()))
    cells, rows, row_cell = slice_cells(first)
    user = pd.factorize(first[USER_ID], sort=True)[0].astype(np.int64)
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
        user[rows],
        row_cell,
        [groups[key] for key in wanted],
        permutations=permutations,
        bootstrap=bootstrap,
        seed=seed,
    )
    place = {column: number for number, column in enumerate(columns)}
    found: Tests = {
        (*key, *asked): tuple(float(part[row, place[asked]]) for part in test)
        for row, (key, tests) in enumerate(wanted.items())
        for asked in tests
    }
    corrected = holm(np.array([values[3] for values in found.values()]))
    both: Tests = {}
    for (pair, values), p_holm in zip(found.items(), corrected.tolist(), strict=True):
        *place_in_table, a, b = pair
        mean, low, high, *p_values = values
        both[*place_in_table, a, b] = (mean, low, high, *p_values, p_holm)
        both[*place_in_table, b, a] = (-mean, -high, -low, *p_values, p_holm)
    return both


def looked_up(
    table: pd.DataFrame, tests: Tests, baseline: str | None, alpha: float
) -> pd.DataFrame:
    """Write beside each row of the table the test that concerns it."""
    records: list[dict[str, Any]] = [{} for _ in range(len(table))]
    single = {str(s): t[DOMAIN].nunique() == 2 for s, t in table.groupby(SLICE)}
    for (name, domain, metric), cell in table.assign(row=np.arange(len(table))).groupby(
        CELL, sort=False
    ):
        key = (str(name), MACRO if single[str(name)] else str(domain), str(metric))
        lower = get_metric(str(metric)).higher_is_better is False
        # Of equal values the first in the table, as in `_rivals`.
        ranked = cell.sort_values("value", ascending=lower, kind="stable")[SYSTEM].tolist()
        best = ranked[0] if cell["best"].any() else None
        for row, system in zip(cell["row"].tolist(), cell[SYSTEM].tolist(), strict=True):
            reference = baseline or best
            if reference == system and not baseline:
                reference = next((s for s in ranked if s != system), None)
            if (*key, system, reference) in tests:
                test = tests[*key, system, str(reference)]
                records[row] = {
                    "reference": reference,
                    **dict(zip(TEST_COLUMNS, test, strict=True)),
                }
            against_best = tests.get((*key, system, str(best)))
            records[row]["tied"] = against_best is not None and not against_best[-1] < alpha
    columns = ["reference", *TEST_COLUMNS, "tied"]
    frame = pd.DataFrame(records, columns=columns, index=table.index)
    frame[list(TEST_COLUMNS)] = frame[list(TEST_COLUMNS)].astype(float)
    frame["separable"] = frame["p_holm"] < alpha
    frame["tied"] = frame["tied"].astype(bool)
    return frame
