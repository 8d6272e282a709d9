"""`interest bench build`: rows a second from logs to a graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say


def bench_build(
    context: Context,
    rows: Annotated[float, Option(help="Rows of the generated log, such as 10e6.", min=100)] = 10e6,
    files: Annotated[int, Option(help="Number of files of the log.", min=1)] = 1,
    shuffled: Annotated[
        bool, Option("--shuffled", help="Rows in a random order; default: in order of time.")
    ] = False,
    rival: Annotated[
        list[str] | None,
        Option(
            help="NAME or NAME=PYTHON, the interpreter that has it installed: pandas, polars, "
            "duckdb or recbole; repeatable. Default: pandas.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        Option(
            help="Folder for the log and the graph, about 90 bytes a row; default: a temporary "
            "one.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Time `interest build` on a generated log, beside the readers of other libraries.

    The log has a user for 5 rows, an item for 20, 5 domains and ids of 14 characters. Ours goes
    from CSV to a saved graph without text features; the others only read the files and number
    users and items. Each is a process of its own, and its start counts.

    \b
    interest bench build --rows 10e6
    interest bench build --rows 1e6 --files 1000 --shuffled --rival polars --rival duckdb
    """
    from tempfile import TemporaryDirectory

    from eval.benchmarks.building import measure_building
    from graphgen.progress import progress_bar
    from graphgen.storage import atomic_file

    options.check_outputs(context, suffixes=(".csv",))
    pairs = (entry.partition("=") for entry in rival or ["pandas"])
    with (
        TemporaryDirectory(dir=folder) as temporary,
        progress_bar("Writing the log", int(rows), enabled=True) as advance,
    ):
        speed = measure_building(
            Path(temporary),
            int(rows),
            files=files,
            shuffled=shuffled,
            rivals={name: python or sys.executable for name, _, python in pairs},
            seed=seed,
            on_progress=advance,
            on_run=lambda name: advance(0, note=f"running {name}"),
        )
    say(speed.to_markdown())
    if out is not None:
        with atomic_file(out) as target:
            speed.table.to_csv(target, index=False)
