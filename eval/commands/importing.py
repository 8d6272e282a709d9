"""`interest import`: from a public data set to tables that `interest build` reads."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import next_step, say, show_rows


def import_(
    context: Context,
    kind: Annotated[
        str,
        Argument(
            metavar="KIND",
            help="amazon, movielens, recbole, goodreads, yelp, lastfm, douban, ciao, lightgcn, "
            "graphstorm, or table: tables with usual names of columns.",
        ),
    ],
    paths: Annotated[
        list[str],
        Argument(metavar="PATH...", help="Files, folders (searched whole), or DOMAIN=PATH."),
    ],
    out: options.Out,
    only_in_log: Annotated[
        bool,
        Option("--only-in-log", help="Leave out items and users without an interaction."),
    ] = False,
    on_bad_rows: Annotated[
        Literal["error", "quarantine"],
        Option("--on-bad-rows", help="error: stop at bad rows; quarantine: OUT/bad_rows.csv."),
    ] = "error",
    encoding: Annotated[str | None, Option(help="Text encoding, such as gb18030.")] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write log.csv, items.csv, users.csv and social.csv from a public data set.

    \b
    interest import movielens ml-25m/ --out data/
    interest import amazon reviews_Books_5.json.gz meta_Books.json.gz --only-in-log --out books/
    interest import yelp yelp_dataset/ --out yelp/
    """
    from graphgen.errors import counted
    from graphgen.importing import import_data

    made_from = options.check_outputs(context, paths, kind="imported data")
    report = import_data(
        kind,
        *paths,
        out=out,
        on_bad_rows=on_bad_rows,
        only_in_log=only_in_log,
        encoding=encoding,
        overwrite=overwrite,
        made_from=made_from,
        progress=True,
    )
    rows = [
        (f"{t}.csv", f"{n:,}", f"{report.left_out.get(t, 0):,}") for t, n in report.rows.items()
    ]
    show_rows(["table", "rows", "left out"], rows, right=["rows", "left out"])
    say(f"The log has {counted(report.users, 'user')} and {counted(report.items, 'item')}.")
    for sentence in report.published:
        say(sentence)
    for name, number in report.bad.items():
        say(f"{name}: {counted(number, 'bad row')}, in {out / 'bad_rows.csv'}.")
    if report.unused:
        say(f"Not used: {', '.join(report.unused)}.")
    tables = [
        f"--{table} {out}/{table}.csv" for table in ("items", "users") if table in report.rows
    ]
    next_step(" ".join([f"interest build {out}/log.csv", *tables, "--out graph/"]))
