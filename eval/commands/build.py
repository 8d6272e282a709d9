"""`interest build`: from logs to a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.console import next_step, say
from eval.commands.describe import show_description
from eval.commands.options import (
    ColumnOption,
    ConfigOption,
    EventOption,
    NegativeOption,
    OnBadRowsOption,
    OutOption,
    OverwriteOption,
    PositiveOption,
    SetOption,
    check_outputs,
    meaning_options,
    parse_columns,
    say_meaning,
)

__all__ = ["build"]


def build(
    context: typer.Context,
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
    column: ColumnOption = None,
    on_bad_rows: OnBadRowsOption = "error",
    quarantine: Annotated[
        Path | None, typer.Option(help="File for the bad rows with --on-bad-rows quarantine.")
    ] = None,
    event: EventOption = None,
    positive: PositiveOption = None,
    negative: NegativeOption = None,
    k_core: Annotated[
        int, typer.Option(help="Keep users and items with at least this many interactions.")
    ] = 0,
    delimiter: Annotated[
        str | None, typer.Option(help="Column separator; detected automatically.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding, such as gb18030.")] = None,
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
    interest build "log.csv.gz#split=train" --positive "rating>=4" --out graph/
    interest build music=plays.csv --event play=0.3 --event skip=negative --out graph/
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
    columns = parse_columns(column)
    log = read_log(
        *sources,
        columns=columns,
        on_bad_rows=on_bad_rows,
        quarantine=quarantine,
        **meaning_options(event, positive, negative),
        k_core=k_core,
        delimiter=delimiter,
        encoding=encoding,
        progress=True,
    )
    if log.report.quarantine:
        say(f"{log.report.bad:,} bad rows were set aside in {log.report.quarantine}.")
    say_meaning(log, always=True)
    table = read_items(*items, on_bad_rows=on_bad_rows, encoding=encoding) if items else None
    user_table = read_users(*users, on_bad_rows=on_bad_rows, encoding=encoding) if users else None
    graph = build_graph(log, table, user_table, config=settings, progress=True)
    graph.save(out, overwrite=overwrite, made_from=made_from)
    show_description(describe_graph(graph))
    say(f"\nThe graph is in {out}.")
    next_step(f"interest train {out} --out model/")
