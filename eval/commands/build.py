"""`interest build`: from logs to a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.console import next_step, say
from eval.commands.describe import show_description
from eval.commands.options import (
    ConfigOption,
    OutOption,
    OverwriteOption,
    SetOption,
    TableOptions,
    check_outputs,
    with_tables,
)

__all__ = ["build"]


@with_tables
def build(
    context: typer.Context,
    tables: TableOptions,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG...",
            help="Files or folders of interactions: PATH, DOMAIN=PATH, or PATH#column=value to "
            "keep only some rows. CSV, TSV, .gz, .zst, Parquet, or LightGCN lists (.txt).",
        ),
    ],
    out: OutOption,
    items: Annotated[
        list[str] | None,
        typer.Option(
            "--items", help="Items: item_id, domain, title, text, category (several: A|B)."
        ),
    ] = None,
    users: Annotated[
        list[str] | None, typer.Option("--users", help="Users: user_id, group.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="minilm, hashing, none, or a folder or hub name of a BERT model."),
    ] = None,
    topics: Annotated[
        int | None,
        typer.Option(
            help="Number of topics to find in the texts, 0 for none; the default grows with the "
            "number of texts. Categories are topics too: see category_items below.",
            show_default=False,
        ),
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option(help="File for the bad rows with --on-bad-rows quarantine.")
    ] = None,
    min_rating: Annotated[
        float | None, typer.Option(help="Keep interactions rated at least this.")
    ] = None,
    k_core: Annotated[
        int, typer.Option(help="Keep users and items with at least this many interactions.")
    ] = 0,
    cutoff: Annotated[
        str | None, typer.Option(help="Leave out interactions at or after this ISO time.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Build an interest graph from interaction logs.

    \b
    interest build train.csv --items items.csv --out graph/
    interest build books=books.csv films=films.csv.gz --out graph/
    interest build "log.csv.gz#split=train" --min-rating 4 --out graph/
    """
    from graphgen.build import BuildConfig, build_graph
    from graphgen.config import parse_assignments, read_toml
    from graphgen.description import describe as describe_graph
    from graphgen.log import read_log
    from graphgen.tables import read_items, read_users

    made_from = check_outputs(
        out,
        context=context,
        kind="graph",
        overwrite=overwrite,
        inputs=[sources, items, users, config],
        files=[quarantine],
    )
    given = {"encoder": encoder, "topics": topics, "cutoff": cutoff}
    settings = BuildConfig.make(
        {
            **(read_toml(config) if config else {}),
            **parse_assignments(set_ or []),
            **{name: value for name, value in given.items() if value is not None},
        }
    )
    log = read_log(
        *sources,
        quarantine=quarantine,
        min_rating=min_rating,
        k_core=k_core,
        progress=True,
        **tables.read,
    )
    if log.report.quarantine:
        say(f"{log.report.bad:,} bad rows were set aside in {log.report.quarantine}.")
    table = read_items(*items, **tables.read) if items else None
    user_table = read_users(*users, **tables.read) if users else None
    tables.check()
    for read in (log, table, user_table):
        for line in () if read is None else read.report.columns:
            say(line)
    graph = build_graph(log, table, user_table, config=settings, progress=True)
    graph.save(out, overwrite=overwrite, made_from=made_from)
    show_description(describe_graph(graph))
    say(f"\nThe graph is in {out}.")
    next_step(f"interest train {out} --out model/")
