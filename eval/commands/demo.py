"""`interest demo`: the full pipeline on a built-in example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.console import next_step, say
from eval.commands.options import (
    OverwriteOption,
    SeedOption,
)

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("demo"),
    users: Annotated[int, typer.Option(help="Number of users.")] = 4000,
    encoder: Annotated[str, typer.Option(help="Text encoder of the graph.")] = "minilm",
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Run the full pipeline on a built-in example: log, graph, training, comparison, a picture.

    \b
    interest demo
    interest demo --users 1000 --encoder hashing --out /tmp/demo
    """
    from eval.experiments.demo import run_demo

    run_demo(out, n_users=users, encoder=encoder, seed=seed, say=say, overwrite=overwrite)
    next_step(f"interest build your_log.csv --items your_items.csv --out {out}/yours")
