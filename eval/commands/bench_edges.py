"""`interest bench edges`: what edges on request are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


def bench_edges(
    context: Context,
    data: Annotated[
        str,
        Argument(
            metavar="NAME=DIR",
            help="Folder with train, test and valid, optionally items, as `interest split` writes.",
            show_default=False,
        ),
    ],
    relation: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="Column of the items whose values link items; repeatable."),
    ] = None,
    social: Annotated[
        str | None, Option(help="Friendships between users: user_id, friend_id.")
    ] = None,
    model: Annotated[str, Option(help="The model.")] = "interest-gnn",
    seeds: Annotated[str, Option(help="Comma-separated; one fit for each.")] = "0",
    encoder: Annotated[str, Option(help="Text encoder of the graph.")] = "minilm",
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    config: options.Config = None,
    set_: options.ModelSet = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
) -> None:
    """Measure a model with and without each kind of edges on request, on validation rows.

    \b
    interest bench edges films=split/ --relation director --seeds 0,1,2 --out edges.csv
    interest bench edges music=split/ --social friends.csv --encoder none
    """
    from eval.benchmarks.datasets import find_data_set
    from eval.benchmarks.edges import edge_gains
    from eval.commands.console import show_differences
    from graphgen.progress import show_progress
    from graphgen.storage import write_table

    options.check_outputs(context, data.partition("=")[2] or data, social, suffixes=(".csv",))
    with show_progress():
        table = edge_gains(
            find_data_set(data),
            relations=relation or (),
            friends=social,
            model=model,
            settings=options.model_settings(config, set_, [model]).get(model),
            encoder=encoder,
            meaning=options.meaning_options(event, positive, negative),
            seeds=options.seed_numbers(seeds) or [0],
            on_row=say,
        ).table
    show_differences(table, "gain")
    if out is not None:
        write_table(table, out)
