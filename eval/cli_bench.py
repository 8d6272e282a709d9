"""Commands that measure: bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphgen.console import SeedOption, say

__all__ = ["app"]

app = typer.Typer(help="Measure speed, side by side with other libraries.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure; timings are printed, never asserted."""


@app.command("eval")
def bench_eval(
    users: Annotated[int, typer.Option(help="Users of the made-up score problem.")] = 86_139,
    rival: Annotated[
        list[str] | None,
        typer.Option(
            "--rival",
            help="NAME=PYTHON, the interpreter that has it installed: pyg, recbole or lenskit.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table as CSV.")] = None,
    seed: SeedOption = 0,
) -> None:
    r"""Time full ranking with every ranking metric at k = 10, 20, 50.

    \b
    interest bench eval
    interest bench eval --rival pyg=.venv/bin/python --rival recbole=recbole-venv/bin/python
    """
    from eval.benchmark import measure_evaluation

    rivals = dict(entry.partition("=")[::2] for entry in rival or [])
    speed = measure_evaluation(n_users=users, rivals=rivals, seed=seed)
    say(speed.to_markdown())
    if out is not None:
        speed.table.to_csv(out, index=False)
