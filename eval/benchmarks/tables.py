"""The tables of a benchmark of models, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from eval.benchmarks.ablations import ABLATED
from eval.benchmarks.datasets import DataSet
from eval.benchmarks.runs import ALONE, Outcome, mean_cost
from eval.comparison.comparison import Comparison
from eval.evaluation.cells import (
    TIED,
    by_system,
    column_title,
    interval,
    number,
    rows_by,
    slice_title,
)
from eval.evaluation.inputs import ALL
from eval.evaluation.result import MACRO, SLICE
from eval.reports.tables import legend, markdown_table, marked
from graphgen.errors import InputError, counted
from graphgen.schema import DOMAIN, SETTING

__all__ = [
    "DataSetBenchmark",
    "benchmark_markdown",
    "cost_cells",
    "difference",
    "heading",
    "introduction",
    "reason",
    "results_page",
]

COSTS: Final = ("fit s", "fit CPU s", "users/s", "peak GB")
# What decides whether the other domains help a group of users.
DECISIVE: Final = "ndcg@20"
GAIN: Final = "NDCG@20 minus alone"
LOST: Final = "‡"


@dataclass(frozen=True)
class DataSetBenchmark:
    """What was found on one data set.

    ``models`` and ``variants`` (of `interest-gnn`, and ``NAME alone``) hold the runs by name, one
    for each seed; ``ablation`` compares the variants with the full model. A comparison is None
    where no run finished that it needs; ``notes`` say which variants were left out, and why;
    ``alone`` compares models with themselves, trained in each domain alone.
    """

    data: DataSet
    about: str
    models: dict[str, list[Outcome]]
    variants: dict[str, list[Outcome]]
    comparison: Comparison | None
    ablation: Comparison | None
    notes: list[str] = field(default_factory=list)
    alone: dict[str, Comparison] = field(default_factory=dict)


def benchmark_markdown(data_sets: Sequence[DataSetBenchmark], meta: Mapping[str, Any]) -> str:
    """Return every table of a benchmark."""
    parts = [
        "# Models",
        introduction(
            meta,
            "Macro over domains, full ranking without items seen in training",
            "users/s are test users scored and ranked a second, once for each domain of theirs, "
            "with the exact AUC",
        ),
        f"Command: `{meta['command']}`",
    ]
    for part in data_sets:
        parts += _data_set(part)
    return "\n\n".join(parts)


def introduction(meta: Mapping[str, Any], values: str, speed: str) -> str:
    """Say how the `values` and the costs of a benchmark were measured, in a paragraph."""
    seeds, made = meta["config"]["seeds"], meta["provenance"]
    once = "; models that draw nothing at random run once" if len(seeds) > 1 else ""
    return (
        f"{counted(len(seeds), 'seed')} ({', '.join(map(str, seeds))}){once}. {values}. Each run "
        "has a process of its own: fit is wall and CPU time with the choice on validation rows; "
        f"{speed}; peak is the most memory resident, that of Python and its libraries included. "
        f"Times and speeds are means over seeds. {counted(made['cpus'], 'CPU')}, interest "
        f"{made['interest_version']}."
    )


def results_page(folders: Sequence[Path]) -> str:
    """Return the tables of several benchmarks, which `ModelBenchmark.save` wrote, as one page.

    Raises
    ------
    InputError
        If one of them has no tables.
    """
    parts = ["# Results", "Written by `interest bench report`; every table names its command."]
    for folder in folders:
        path = folder / "models.md"
        if not path.is_file():
            raise InputError(f"{folder} has no models.md; write it with `interest bench models`.")
        # The title of the page stands once.
        parts.append(path.read_text(encoding="utf-8").partition("\n\n")[2].strip())
    return "\n\n".join(parts) + "\n"


def _data_set(part: DataSetBenchmark) -> list[str]:
    lines = [f"## {part.data.name}", heading(part)]
    if part.comparison is None:
        rows = [[name, reason(outcomes)] for name, outcomes in part.models.items()]
        return [*lines, markdown_table(["system", "reason"], rows)]
    lines.append(legend(part.comparison))
    for name in _shown(part.comparison):
        table = _models_table(part, part.comparison, name)
        lines += [f"### {_title(part.comparison, name)}", table]
    lines += _other_domains(part)
    if part.ablation is not None:
        lines += [
            f"### Ablation of {ABLATED}",
            f"Differences to the full model on the same users, with 95 % intervals; {TIED} not "
            f"significant (Holm correction over {part.ablation.meta['n_tests']:,} tests).",
        ]
        for name in _shown(part.ablation):
            table = _ablation_table(part, part.ablation, name)
            lines += [f"#### {_title(part.ablation, name)}", table]
    partly = [
        f"{name}: {sum(not o.cost for o in outcomes)} of {len(outcomes)} seeds failed. "
        f"{reason(outcomes)}"
        for name, outcomes in {**part.models, **part.variants}.items()
        if not all(o.cost for o in outcomes)
        and (any(o.cost for o in outcomes) or outcomes[0].run.ablation == ALONE)
    ]
    notes = [*partly, *part.notes]
    return [*lines, "\n".join(f"- {note}" for note in notes)] if notes else lines


def heading(part: DataSetBenchmark) -> str:
    """Describe a data set and its files."""
    digests = ", ".join(f"{name} `{digest[:12]}`" for name, digest in part.data.digests.items())
    return f"{part.about}. SHA-256 of the files: {digests}."


def _shown(comparison: Comparison) -> list[str]:
    """List the settings, where the test rows have some, else all users and cold and warm ones."""
    settings = [name for name in comparison.slices if name.startswith(f"{SETTING}=")]
    return settings or [name for name in comparison.slices if name == ALL or "history=" in name]


def _title(comparison: Comparison, name: str) -> str:
    table = comparison.table
    users = table.loc[(table[SLICE] == name) & (table[DOMAIN] == MACRO), "n_users"].max()
    return f"{slice_title(name)} ({counted(int(users), 'user')})"


def reason(outcomes: Sequence[Outcome]) -> str:
    """Return why runs failed; of several reasons the first, which the others mostly repeat."""
    return next((" ".join(o.reason.split()) for o in outcomes if o.reason), "")


def cost_cells(outcomes: Sequence[Outcome]) -> list[str]:
    cost = mean_cost(outcomes)
    if not cost:
        return ["–"] * len(COSTS)
    return [
        f"{cost['fit_seconds']:,.1f}",
        f"{cost['fit_cpu_seconds']:,.1f}",
        f"{cost['users_per_second']:,.0f}",
        f"{cost['peak_gigabytes']:.2f}",
    ]


def _models_table(part: DataSetBenchmark, comparison: Comparison, name: str) -> str:
    header, found = by_system(comparison.table, comparison.metrics, name, MACRO)
    rows = {row[0][0]: [marked(cell) for cell in row[1:]] for row in found}
    gains = _gains(part, name)
    table = [
        [
            system,
            *_values(rows.get(system), outcomes, len(header) - 1),
            *([gains.get((system, MACRO), "–")] if part.alone else []),
            *cost_cells(outcomes),
        ]
        for system, outcomes in part.models.items()
    ]
    return markdown_table([*header, *([GAIN] if part.alone else []), *COSTS], table)


def _gains(part: DataSetBenchmark, name: str) -> dict[tuple[str, str], str]:
    """Write by model and domain what the other domains bring the users of a slice."""
    found = {}
    for model, comparison in part.alone.items():
        table = comparison.table
        mine = (table["system"] == model) & (table["metric"] == DECISIVE) & (table[SLICE] == name)
        for (domain,), row in rows_by(table[mine], DOMAIN).items():
            found[model, domain] = difference(row, losses=True)
    return found


def _values(cells: list[str] | None, outcomes: Sequence[Outcome], width: int) -> list[str]:
    return cells or [f"failed: {reason(outcomes)}", *["–"] * (width - 1)]


def _ablation_table(part: DataSetBenchmark, comparison: Comparison, name: str) -> str:
    table, metrics = comparison.table, comparison.metrics
    cells = rows_by(table[(table[SLICE] == name) & (table[DOMAIN] == MACRO)], "system", "metric")
    full = [cells.get((ABLATED, metric)) for metric in metrics]
    values = [
        f"{number(row['value'])} {interval(row['low'], row['high'])}".strip() if row else "–"
        for row in full
    ]
    rows = [[ABLATED, *values, *cost_cells(part.models[ABLATED])]]
    for variant, outcomes in part.variants.items():
        if outcomes[0].run.ablation == ALONE:
            continue
        found = None
        if any(outcome.cost for outcome in outcomes):
            found = [difference(cells.get((variant, metric))) for metric in metrics]
        rows.append([variant, *_values(found, outcomes, len(metrics)), *cost_cells(outcomes)])
    return markdown_table(["variant", *map(column_title, metrics), *COSTS], rows)


def difference(row: Mapping[str, Any] | None, *, losses: bool = False) -> str:
    """Write the difference to the reference; `losses` marks those that are significant."""
    if row is None or not np.isfinite(row["difference"]):
        return "–"
    value, low, high = (row[name] for name in ("difference", "difference_low", "difference_high"))
    mark = LOST if losses and row["separable"] and value < 0 else ""
    mark = mark if row["separable"] else TIED
    return f"{value:+.4f}{mark} [{low:+.4f}, {high:+.4f}]"


def _other_domains(part: DataSetBenchmark) -> list[str]:
    """Return what the other domains bring each model, by group of users and by domain."""
    if not part.alone or part.comparison is None:
        return []
    domains = part.comparison.domains
    lines = [
        "### What the other domains bring",
        f"{GAIN}: the model fitted once on all domains minus the same model fitted in each domain "
        f"on that domain's rows alone, on the same users, with 95 % intervals; {TIED} not "
        f"significant, {LOST} a significant loss (negative transfer).",
    ]
    for name in _shown(part.comparison):
        gains = _gains(part, name)
        rows = [[model, *(gains.get((model, d), "–") for d in domains)] for model in part.alone]
        lines += [
            f"#### {_title(part.comparison, name)}",
            markdown_table(["system", *domains], rows),
        ]
    return lines
