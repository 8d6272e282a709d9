"""`interest demo`: the full pipeline on a built-in example."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from eval.commands import options
from eval.commands.console import next_step, say


def demo(
    out: Annotated[Path, Option(help="Folder to write.")] = Path("demo"),
    users: Annotated[int, Option(help="Number of users.")] = 4000,
    encoder: Annotated[str, Option(help="Text encoder of the graph.")] = "minilm",
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Run the full pipeline on a built-in example: log, graph, training, comparison, a picture.

    \b
    interest demo
    interest demo --users 1000 --encoder hashing --out /tmp/demo
    """
    from eval.experiments.demo import run_demo

    run_demo(out, n_users=users, encoder=encoder, seed=seed, say=say, overwrite=overwrite)
    next_step(f"interest build your_log.csv --items your_items.csv --out {out}/yours")
