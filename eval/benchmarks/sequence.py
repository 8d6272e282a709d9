"""The next item of each user in a leave-last-out split, under both protocols, beside published
figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.benchmarks.datasets import DataSet
from eval.benchmarks.models import ModelBenchmark, measure_models
from eval.benchmarks.next_item import NEW_ITEMS, SHARED_USERS
from eval.benchmarks.runs import ALONE, RUN
from eval.benchmarks.tables import (
    DataSetBenchmark,
    cost_cells,
    difference,
    heading,
    introduction,
    reason,
)
from eval.evaluation.cells import TIED, by_system, number, rows_by
from eval.evaluation.inputs import ALL
from eval.evaluation.result import MACRO, SLICE
from eval.reports.tables import legend, markdown_table, marked
from graphgen.errors import InputError, counted
from graphgen.schema import DOMAIN

__all__ = ["DEFAULT_MODELS", "SequenceBenchmark", "measure_sequence", "protocols"]

DEFAULT_MODELS: Final = (
    "popularity", "item-knn", "cgsp", "transition-graph", "sasrec", "interest-gnn",
)  # fmt: skip
# Of these, the ones whose gain from the other domains is measured.
DEFAULT_ALONE: Final = ("transition-graph", "interest-gnn")
STRICT, REFITTED = "strict", "refitted"
K: Final = 10
METRICS: Final = (f"recall@{K}", f"ndcg@{K}")
JUDGING: Final = {"k": K, "metrics": ["recall", "ndcg"], "next_item": True}
# system, domain, users (of the test rows), recall and ndcg at 10, source.
PUBLISHED: Final = Path(__file__).with_name("published_next_item.csv")
PROTOCOLS: Final = (
    "**strict**: models learn from the training rows; the validation rows are known at test time, "
    "as history, and nothing is learned from them. **refitted**: models learn from training and "
    "validation rows. Settings are chosen on rows that a model holds out of those it learns from. "
    "Published figures are strict: they learn from all but the last two items of a user, and put "
    "the last but one into the history at test time. Leave-last-out lets later events of other "
    "users into training."
)


class SequenceBenchmark(ModelBenchmark):
    """What `measure_sequence` found; two parts, of the strict and of the refitted protocol."""

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        strict = self.parts[0]
        lines = [
            introduction(
                self.meta,
                f"R is Recall@{K} (the hit rate: one test item for each user in a domain) and N is "
                f"NDCG@{K}, means over the users of a domain; one fit for all domains; full "
                "ranking without the items of a user's training and validation rows",
                "lists/s are ranked lists a second",
            ),
            f"Command: `{self.meta['command']}`",
            f"## {strict.data.name.removesuffix(f'-{STRICT}')}, next item",
            heading(strict),
            PROTOCOLS,
        ]
        for comparison in [part.comparison for part in self.parts if part.comparison][:1]:
            marks = legend(comparison, intervals=False)
            lines.append(f"Marks compare models within a protocol. {marks} Intervals: models.csv.")
        published = pd.read_csv(PUBLISHED)
        lines += [
            _accuracy(self.parts, published),
            *_sources(self.parts, published),
            *_joining(self.parts),
            *_checks(self.parts),
            *_failures(self.parts),
        ]
        return "\n\n".join(["# Models", *lines])


def protocols(data: DataSet) -> list[DataSet]:
    """Return a data set for each protocol: strict, and refitted.

    Raises
    ------
    InputError
        If there are no validation rows.
    """
    if "valid" not in data.files:
        raise InputError(
            f"Data set {data.name!r} has no validation rows, the last but one of each user; "
            "`interest split --protocol leave-last-out` writes them."
        )
    return [_renamed(data, STRICT, "history"), _renamed(data, REFITTED, "more")]


def measure_sequence(
    data: DataSet,
    models: Sequence[str] = DEFAULT_MODELS,
    *,
    out: str | Path,
    alone: Sequence[str] | None = None,
    **options: Any,
) -> SequenceBenchmark:
    """Fit and evaluate models under both protocols; see `eval.benchmarks.models.measure_models`.

    Parameters
    ----------
    data
        One test row and at most one validation row for each user in a domain.
    models, out
        Registered names, and the folder of graphs and runs.
    alone
        Models that are also trained in each domain on that domain alone, under the strict protocol;
        default: those of `DEFAULT_ALONE` that are among `models`.
    **options
        Others of `measure_models`: seeds, settings, encoder, meaning, bootstrap, time_limit,
        command, on_run.

    Raises
    ------
    ConfigError, InputError
        As `measure_models`; as `protocols`.
    """
    chosen = [name for name in DEFAULT_ALONE if name in models] if alone is None else list(alone)
    parts = protocols(data)
    options |= {"judging": JUDGING, "alone": {parts[0].name: chosen}}
    found = measure_models(parts, models, out, **options)
    return SequenceBenchmark(found.parts, found.meta)


def _renamed(data: DataSet, protocol: str, valid: str) -> DataSet:
    def named(of: Mapping[str, Any]) -> dict[str, Any]:
        return {valid if part == "valid" else part: value for part, value in of.items()}

    return DataSet(f"{data.name}-{protocol}", named(data.files), named(data.digests))


def _protocol(part: DataSetBenchmark) -> str:
    return part.data.name.rpartition("-")[2]


def _users(parts: Sequence[DataSetBenchmark], name: str = ALL) -> dict[str, int]:
    """Return the number of users of a slice by domain, and last, as `MACRO`, over all domains."""
    for comparison in [part.comparison for part in parts if part.comparison][:1]:
        table = comparison.table[comparison.table[SLICE] == name]
        found = {str(d): int(n) for d, n in table.groupby(DOMAIN)["n_users"].max().items()}
        return {name: found[name] for name in sorted(found, key=lambda d: (d == MACRO, d))}
    return {}


def _comparable(parts: Sequence[DataSetBenchmark], published: pd.DataFrame) -> pd.DataFrame:
    """Keep published figures of the same domains with as many users; others are another split."""
    users = _users(parts)
    return published[published[DOMAIN].map(users) == published["users"]]


def _accuracy(parts: Sequence[DataSetBenchmark], published: pd.DataFrame) -> str:
    users = _users(parts)
    domains = [name for name in users if name != MACRO]
    rows = []
    figures = _comparable(parts, published)
    for system, mine in figures.groupby("system", sort=False):
        of = rows_by(mine, DOMAIN)
        cells = [
            f"{number(of[d,]['recall'])} / {number(of[d,]['ndcg'])}" if (d,) in of else "–"
            for d in domains
        ]
        rows.append([f"{system} (published)", STRICT, *cells, *["–"] * 3])
    for part in parts:
        found = _cells(part, domains)
        for system, outcomes in part.models.items():
            cells = [f"failed: {reason(outcomes)}", *["–"] * (len(domains) - 1)]
            if any((system, domain) in found for domain in domains):
                cells = [found.get((system, domain), "–") for domain in domains]
            rows.append([system, _protocol(part), *cells, *cost_cells(outcomes)])
    titles = [f"{d} R / N ({counted(users[d], 'user')})" for d in domains] or ["R / N"]
    return markdown_table(["system", "protocol", *titles, "fit s", "lists/s", "peak GB"], rows)


def _cells(part: DataSetBenchmark, domains: Iterable[str]) -> dict[tuple[str, str], str]:
    """Write recall and NDCG of each system in each domain, with marks."""
    if part.comparison is None:
        return {}
    return {
        (name[0], domain): " / ".join(marked((cell[0], "", *cell[2:])) for cell in cells)
        for domain in domains
        for name, *cells in by_system(part.comparison.table, METRICS, ALL, domain)[1]
    }


def _sources(parts: Sequence[DataSetBenchmark], published: pd.DataFrame) -> list[str]:
    found = _comparable(parts, published).drop_duplicates("system")
    lines = [f"{row.system}: {row.source}" for row in found.itertuples()]
    return [f"Published figures: {'; '.join(lines)}."] if lines else []


def _joining(parts: Sequence[DataSetBenchmark]) -> list[str]:
    """Return the gain of one model of all domains over one of each domain alone."""
    users, rows = _users(parts, SHARED_USERS), []
    for part in parts:
        for model, comparison in part.alone.items():
            table = comparison.table
            mine = table[(table[SLICE] == SHARED_USERS) & (table["system"] == model)]
            cells = rows_by(mine, "metric", DOMAIN)
            for metric in METRICS:
                cost = cost_cells(part.variants[f"{model} {ALONE}"])[0]
                values = [difference(cells.get((metric, domain))) for domain in users]
                rows.append([model, _protocol(part), metric, *values, cost])
    if not rows or not users:
        return []
    titles = [f"{domain} ({counted(n, 'user')})" for domain, n in users.items()]
    return [
        "### What joining the domains adds",
        "Users with test rows in two or more domains: the model fitted once on all domains minus "
        "the same model fitted in each domain on that domain's rows and history alone, on the "
        f"same users, with 95 % intervals; {TIED} not significant.",
        markdown_table(["system", "protocol", "metric", *titles, "fit s alone"], rows),
    ]


def _checks(parts: Sequence[DataSetBenchmark]) -> list[str]:
    rows, seen = [], 0
    for part in parts:
        if part.comparison is None:
            continue
        new = counted(_users([part], NEW_ITEMS).get(MACRO, 0), "user")
        found = rows_by(part.comparison.table, SLICE, DOMAIN, "metric", "system")
        for system, outcomes in part.models.items():
            checks = [o.result.meta[RUN]["checks"] for o in outcomes if o.result is not None]
            if not checks:
                continue
            seen = max(seen, *(check["test_rows_seen"] for check in checks))
            values = [found.get((name, MACRO, METRICS[0], system)) for name in (ALL, NEW_ITEMS)]
            real, of_new = (number(None if row is None else row["value"]) for row in values)
            shuffled, chance = (_mean(checks, name) for name in ("shuffled", "chance"))
            rows.append([system, _protocol(part), real, shuffled, chance, f"{of_new} ({new})"])
    if not rows:
        return []
    return [
        "### Checks",
        f"Test rows among the rows learned from and the history: {seen:,}. Shuffled: Recall@{K} of "
        "the same lists, macro over domains, after the test items of a domain were shuffled among "
        "its users; chance is its expectation over all orders. New items: test rows whose item has "
        "no training interaction; a model that does not use texts cannot find them but by chance.",
        markdown_table(["system", "protocol", "R", "R shuffled", "chance", "R new items"], rows),
    ]


def _failures(parts: Iterable[DataSetBenchmark]) -> list[str]:
    failed = [
        f"- {o.run.label}, {_protocol(part)}, seed {o.run.seed} failed: {reason([o])}"
        for part in parts
        for outcomes in (*part.models.values(), *part.variants.values())
        for o in outcomes
        if o.reason
    ]
    return ["\n".join(failed)] if failed else []


def _mean(checks: Iterable[Mapping[str, Any]], name: str) -> str:
    """Write the mean over seeds and domains."""
    return number(float(np.mean([np.mean([*check[name].values()]) for check in checks])))
