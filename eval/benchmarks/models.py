"""Every model on every data set, and `interest-gnn` without each of its parts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from eval.benchmarks.ablations import ABLATED, ablations
from eval.benchmarks.datasets import DataSet
from eval.benchmarks.runs import (
    ALONE,
    JUDGING,
    RUN,
    Outcome,
    Run,
    execute,
    mean_cost,
    prepare_graph,
)
from eval.benchmarks.tables import DataSetBenchmark, benchmark_markdown
from eval.comparison.comparison import compare_results
from eval.evaluation.result import records
from gnn.registry import model_class
from graphgen.errors import ConfigError
from graphgen.graph import load_graph
from graphgen.storage import atomic_file, provenance, write_json

__all__ = ["ModelBenchmark", "measure_models"]

SCHEMA_VERSION: Final = 1
CLAIM: Final = {
    "kind": "benchmark",
    "made_from": "",
    "files": ["models.csv", "models.json", "models.md"],
}


@dataclass(frozen=True)
class ModelBenchmark:
    """What `measure_models` found on each data set, and its configuration and provenance."""

    parts: list[DataSetBenchmark]
    meta: dict[str, Any]

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        return benchmark_markdown(self.parts, self.meta)

    @property
    def table(self) -> pd.DataFrame:
        """Every value with its interval, test and cost.

        The columns of `Comparison.table` behind data_set and table (``models``, ``ablation``, or
        ``alone`` for a model against itself trained in each domain alone), before fit_seconds,
        fit_cpu_seconds, users_per_second (means over seeds) and peak_gigabytes (the most).
        """
        frames = []
        for part in self.parts:
            runs = {**part.models, **part.variants}
            costs = pd.DataFrame([{"system": name, **mean_cost(o)} for name, o in runs.items()])
            alone = [("alone", comparison) for comparison in part.alone.values()]
            for kind, comparison in (
                ("models", part.comparison),
                ("ablation", part.ablation),
                *alone,
            ):
                if comparison is not None:
                    frame = comparison.table.merge(costs, on="system", how="left")
                    frame.insert(0, "data_set", part.data.name)
                    frame.insert(1, "table", kind)
                    frames.append(frame)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def save(self, path: str | Path) -> None:
        """Write ``models.md``, ``models.csv`` and ``models.json`` to a folder.

        All three are written before the first takes its place.
        """
        folder = Path(path)
        content = {
            **CLAIM,
            **self.meta,
            "data_sets": {
                part.data.name: {
                    "about": part.about,
                    "files": part.data.digests,
                    "runs": [
                        _run_record(outcome)
                        for outcomes in [*part.models.values(), *part.variants.values()]
                        for outcome in outcomes
                    ],
                    "notes": part.notes,
                }
                for part in self.parts
            },
            "table": records(self.table),
        }
        with (
            atomic_file(folder / "models.json") as as_json,
            atomic_file(folder / "models.csv") as as_csv,
            atomic_file(folder / "models.md") as as_markdown,
        ):
            as_markdown.write_text(self.to_markdown() + "\n", encoding="utf-8")
            self.table.to_csv(as_csv, index=False)
            write_json(as_json, content, schema_version=SCHEMA_VERSION)


def measure_models(
    data: Sequence[DataSet],
    models: Sequence[str],
    out: str | Path,
    *,
    seeds: Sequence[int] = (0,),
    ablation: bool = False,
    alone: Mapping[str, Sequence[str]] | None = None,
    judging: Mapping[str, Any] = JUDGING,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    encoder: str = "minilm",
    meaning: Mapping[str, Any] | None = None,
    bootstrap: int = 1000,
    time_limit: float | None = None,
    command: str = "",
    on_run: Callable[[str], None] | None = None,
) -> ModelBenchmark:
    """Fit and evaluate models on data sets, each with each seed in a separate process.

    A run that fails, refuses or is killed for memory gives its reason in the place of its figures
    and ends nothing else. What is finished is kept in `out`, and taken from there the next time
    (see `eval.benchmarks.runs.execute`); failed runs are tried again.

    Parameters
    ----------
    data, models
        Data sets, and registered names in the order of the table.
    out
        Folder for graphs and runs.
    seeds
        One run for each; one run in all of a model that is not `random`. Users' values are means
        over them; see `pool_seeds`.
    ablation
        Also measure the variants of `interest-gnn`.
    alone
        By name of a data set with several domains, models that are also trained in each domain on
        that domain alone: what the other domains bring, or cost.
    judging
        ``k`` and ``metrics`` as in `eval.evaluate`, and ``next_item`` for
        `eval.benchmarks.next_item.measure_lists`.
    settings
        Fields of the models' configs, by model.
    encoder, bootstrap
        Text encoder of the graphs, and replicates of the intervals.
    meaning
        Options ``events``, ``positive`` and ``negative`` of `graphgen.read_log`.
    time_limit
        Seconds after which a run is stopped; None for no limit.
    command
        The command line that the tables name.
    on_run
        Called with a line on each run, as soon as it is done.

    Raises
    ------
    ConfigError
        For unknown models or settings, a model in `alone` that is not in `models`, or an ablation
        without `interest-gnn`.
    InterestError
        If a graph cannot be built.
    """
    out, settings, alone = Path(out), settings or {}, alone or {}
    _check(models, seeds, ablation, settings, alone)
    if not (out / "models.json").exists():  # From now on the folder is known as a benchmark.
        write_json(out / "models.json", CLAIM, schema_version=SCHEMA_VERSION)
    started = time.perf_counter()

    def tell(line: str) -> None:
        if on_run is not None:
            minutes, rest = divmod(int(time.perf_counter() - started), 60)
            on_run(f"{minutes:3d}:{rest:02d}  {line}")

    graphs = {}
    for each in data:
        tell(f"{each.name}: graph")
        graphs[each.name] = prepare_graph(each, out, encoder=encoder, meaning=meaning or {})
    plans, notes, about = [], {}, {}
    for each in data:
        graph = load_graph(graphs[each.name].folder)
        about[each.name] = repr(graph).removeprefix("InterestGraph(").removesuffix(")")
        mine = settings.get(ABLATED, {})
        variants, notes[each.name] = ablations(graph, mine) if ablation else ({}, [])
        wanted, separate = [(model, "") for model in models], alone.get(each.name, ())
        if len(graph.domains) > 1:
            wanted += [(model, ALONE) for model in separate]
        elif separate:
            notes[each.name].append("No model was fitted alone: there is one domain.")
        del graph
        for model, variant in wanted:
            drawn = seeds if model_class(model).random else seeds[:1]
            plans += [Run(each, model, variant, seed, settings.get(model, {})) for seed in drawn]
        for name in variants:
            plans += [Run(each, ABLATED, name, seed, mine) for seed in seeds]
    outcomes = []
    for number, run in enumerate(plans, start=1):
        known = graphs[run.data.name]
        outcome = execute(
            run, known, out, bootstrap=bootstrap, time_limit=time_limit, judging=judging
        )
        outcomes.append(outcome)
        tell(f"{number}/{len(plans)}  {_line(outcome)}")
    parts = []
    for each in data:
        found = [outcome for outcome in outcomes if outcome.run.data is each]
        parts.append(_summarised(each, about[each.name], found, notes[each.name], bootstrap))
    meta = {
        "command": command,
        "config": {
            "models": list(models),
            "seeds": list(seeds),
            "ablation": ablation,
            "alone": {name: list(chosen) for name, chosen in alone.items()},
            "judging": dict(judging),
            "settings": {name: dict(values) for name, values in settings.items()},
            "encoder": encoder,
            "meaning": dict(meaning or {}),
            "bootstrap": bootstrap,
            "time_limit": time_limit,
        },
        "provenance": {
            **provenance(),
            "cpus": os.cpu_count(),
            "threads": os.environ.get("OMP_NUM_THREADS"),
        },
    }
    return ModelBenchmark(parts, meta)


def _check(
    models: Sequence[str],
    seeds: Sequence[int],
    ablation: bool,
    settings: Mapping[str, Any],
    alone: Mapping[str, Sequence[str]],
) -> None:
    for what, values in (("models", models), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"`{what}` must name at least one, each once; got {list(values)}.")
    for model in models:
        model_class(model).Config.make(settings.get(model))
    for model in (name for names in alone.values() for name in names):
        if model not in models:
            raise ConfigError(f"`alone` names {model!r}, which is not among `models`.")
    if ablation and ABLATED not in models:
        raise ConfigError(f"An ablation takes parts from {ABLATED}; name it among `models`.")


def _summarised(
    data: DataSet, about: str, outcomes: Sequence[Outcome], notes: list[str], bootstrap: int
) -> DataSetBenchmark:
    models: dict[str, list[Outcome]] = {}
    variants: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        group = variants if outcome.run.ablation else models
        group.setdefault(outcome.run.label, []).append(outcome)
    results = _results(models)
    comparison = compare_results(results, bootstrap=bootstrap) if results else None
    parts, alone = _results({ABLATED: models.get(ABLATED, []), **variants}), {}
    for model in models:
        name = f"{model} {ALONE}"
        separate = parts.pop(name, None)
        if separate and model in results:
            pair = {model: results[model], name: separate}
            alone[model] = compare_results(pair, baseline=name, bootstrap=bootstrap)
    ablation = None
    if ABLATED in parts and len(parts) > 1:
        ablation = compare_results(parts, baseline=ABLATED, bootstrap=bootstrap)
    return DataSetBenchmark(data, about, models, variants, comparison, ablation, notes, alone)


def _results(groups: Mapping[str, Sequence[Outcome]]) -> dict[str, list[Any]]:
    found = {
        name: [o.result for o in group if o.result is not None] for name, group in groups.items()
    }
    return {name: results for name, results in found.items() if results}


def _run_record(outcome: Outcome) -> dict[str, Any]:
    run = outcome.run
    told = {"model": run.model, "ablation": run.ablation, "seed": run.seed}
    if outcome.result is None:
        return {**told, "reason": outcome.reason}
    done = outcome.result.meta[RUN]
    made = outcome.result.meta["provenance"]
    return {**told, **{key: done[key] for key in ("cost", "config", "chosen")}, "provenance": made}


def _line(outcome: Outcome) -> str:
    run, cost = outcome.run, outcome.cost
    what = f"{run.data.name}, {run.model}" + (f" {run.ablation}" if run.ablation else "")
    if not cost:
        return f"{what}, seed {run.seed}: failed after {outcome.seconds:,.1f} s. {outcome.reason}"
    return (
        f"{what}, seed {run.seed}: fitted in {cost['fit_seconds']:,.1f} s, "
        f"{cost['users_per_second']:,.0f} users/s, {cost['peak_gigabytes']:.2f} GB"
        + (" (kept)" if outcome.kept else f" ({outcome.seconds:,.1f} s in all)")
    )
