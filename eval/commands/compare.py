"""`interest compare`: several systems on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.commands.console import say
from eval.commands.options import (
    ColumnOption,
    ConfigOption,
    CurvesOption,
    EventOption,
    MetricsOption,
    NegativeOption,
    OutOption,
    OverwriteOption,
    PositiveOption,
    SeedOption,
    check_outputs,
    chosen_metrics,
    meaning_options,
    model_settings,
    parse_columns,
    say_meaning,
    seed_numbers,
)

if TYPE_CHECKING:
    from eval.experiments.costs import SystemRun

__all__ = ["compare"]

DEFAULT_MODELS = "popularity,item-knn,lightgcn,interest-gnn"


def compare(
    context: typer.Context,
    train: Annotated[list[str], typer.Option("--train", help="Training rows; repeatable.")],
    test: Annotated[list[str], typer.Option("--test", help="Test rows; repeatable.")],
    out: OutOption,
    valid: Annotated[
        list[str] | None, typer.Option("--valid", help="Validation rows; repeatable.")
    ] = None,
    items: Annotated[
        list[str] | None, typer.Option("--items", help="Items: item_id, domain, title, text.")
    ] = None,
    models: Annotated[
        str, typer.Option(help="Comma-separated; as `interest models` lists them.")
    ] = DEFAULT_MODELS,
    recs: Annotated[
        list[str] | None,
        typer.Option("--recs", help="Another system's recommendations, NAME=PATH; repeatable."),
    ] = None,
    k: Annotated[list[int] | None, typer.Option("-k", help="Length of a list; repeatable.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="Column of the test rows to slice by (default: setting), or activity, "
            "popularity, source_domain, domain_count, overlap_share; repeatable.",
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="System to test the others against; default: the best.")
    ] = None,
    single_domain: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: models to fit again on each domain alone, or names of --recs "
            "that were. The gain of the other models over the best of them is reported."
        ),
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option("--users", help="User table with a group: groups are compared (fairness)."),
    ] = None,
    metrics: MetricsOption = None,
    curves: CurvesOption = False,
    encoder: Annotated[str, typer.Option(help="Text encoder of the graph.")] = "minilm",
    event: EventOption = None,
    positive: PositiveOption = None,
    negative: NegativeOption = None,
    column: ColumnOption = None,
    config: ConfigOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A model's setting, MODEL.NAME=VALUE; see below; repeatable."),
    ] = None,
    seed: SeedOption = 0,
    seeds: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: fit each model with each of these seeds and pool the runs; "
            "--seed is then used for ties and intervals only."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train several models on the same rows and compare them, with intervals and tests.

    \b
    interest compare --train train.csv --valid valid.csv --test test.csv --items items.csv \\
        --models popularity,item-knn,interest-gnn --out report/
    interest compare --train log.csv#split=train --test log.csv#split=test \\
        --recs theirs=recs.csv --models interest-gnn --out report/
    interest compare --train train.csv --test test.csv --models interest-gnn \\
        --single-domain item-knn,ease --out report/
    interest compare --train train.csv --test test.csv --seeds 0,1,2 --out report/
    """
    from eval.experiments.experiment import compare as run_comparison
    from graphgen.build import build_graph
    from graphgen.errors import ConfigError
    from graphgen.log import read_log
    from graphgen.tables import read_items, read_users

    made_from = check_outputs(
        out,
        context=context,
        kind="report",
        overwrite=overwrite,
        inputs=[train, valid, test, items, users, recs, config],
    )
    names = [name.strip() for name in models.split(",") if name.strip()]
    others = dict(entry.partition("=")[::2] for entry in recs or [])
    if not names and not others:
        raise ConfigError("Name at least one of --models or --recs NAME=PATH.")
    alone = [name.strip() for name in (single_domain or "").split(",") if name.strip()]
    trained = [*names, *(name for name in alone if name not in others)]
    settings = model_settings(config, set_, trained)
    columns = parse_columns(column)

    rows = read_log(
        *train, columns=columns, **meaning_options(event, positive, negative), progress=True
    )
    say_meaning(rows)

    def read(sources: list[str]) -> Any:
        return read_log(*sources, columns=columns, as_in=rows.report.taken, progress=True)

    graph = build_graph(rows, read_items(*items) if items else None, encoder=encoder, progress=True)
    experiment = run_comparison(
        graph,
        read(test),
        names,
        valid=read(valid) if valid else None,
        recommendations=others,
        settings=settings,
        k=k or [20],
        by=by,
        baseline=baseline,
        single_domain=alone,
        users=read_users(*users) if users else None,
        metrics=chosen_metrics(metrics, curves),
        seed=seed,
        seeds=seed_numbers(seeds),
        progress=True,
        on_run=_say_run,
    )
    experiment.save(out, overwrite=overwrite, made_from=made_from)
    say(experiment.to_markdown())
    say(f"\nThe report is in {out}; open {out / 'report.html'}.")


def _say_run(name: str, run: SystemRun, system: Any) -> None:
    seed = "" if run.seed is None else f" (seed {run.seed})"
    say(
        f"{name}{seed}: fitted in {run.fit_seconds:,.1f} s, ranked in {run.score_seconds:,.1f} s, "
        f"peak memory {run.peak_megabytes / 1000:,.2f} GB"
    )
