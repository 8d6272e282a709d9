"""`interest inspect`: what unknown files hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from eval.commands.console import next_step, say, show_rows


def inspect(
    paths: Annotated[
        list[Path], Argument(metavar="FILE...", help="CSV, JSON, Parquet or Excel files, folders.")
    ],
    encoding: Annotated[str | None, Option(help="Text encoding, such as gb18030.")] = None,
) -> None:
    """Look at unknown files: which column is the user, the item, the time, the rating, and why.

    \b
    interest inspect events.csv products.json
    """
    from graphgen.inspection import inspect_files

    found = inspect_files(*paths, encoding=encoding)
    if found.kind:
        say(f"The files have the layout of {found.kind}.")
    for look in found.looks:
        if look.table:
            rows = [(guess.role, guess.column, guess.why) for guess in look.guesses]
            show_rows(["role", "column", "why"], rows, title=f"{look.file}: {look.table}")
            if look.others:
                say(f"Other columns: {', '.join(look.others)}.")
        else:
            say(f"{look.file}: not used")
        if look.note:
            say(f"{look.file}: {look.note}.".replace("..", "."))
    if found.command:
        next_step(found.command)
    else:
        say("No file is a log: a table with a column of users and one of items.")
