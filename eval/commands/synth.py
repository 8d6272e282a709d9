"""`interest synth`: a synthetic log."""

from __future__ import annotations

from typing import Annotated

import typer

from eval.commands.console import next_step, say
from eval.commands.options import (
    OutOption,
    OverwriteOption,
    SeedOption,
    check_outputs,
)

__all__ = ["synth"]


def synth(
    context: typer.Context,
    out: OutOption,
    users: Annotated[int, typer.Option(help="Number of users.")] = 4000,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a synthetic multi-domain log: books, films, music, games.

    \b
    interest synth --out data/
    interest compare --train data/train.csv --valid data/valid.csv --test data/test.csv \\
        --items data/items.csv --models popularity,interest-gnn --out report/
    """
    from graphgen.synthetic.generator import write_synthetic

    made_from = check_outputs(
        out,
        context=context,
        kind="synthetic log",
        overwrite=overwrite,
    )
    write_synthetic(out, n_users=users, seed=seed, overwrite=overwrite, made_from=made_from)
    say(f"train.csv, valid.csv, test.csv, items.csv and users.csv are in {out}.")
    next_step(f"interest build {out}/train.csv --items {out}/items.csv --out graph/")
