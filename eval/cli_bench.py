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
            help="NAME=PYTHON, the interpreter that has it installed: pyg, recbole or lenskit; "
            "repeatable.",
        ),
    ] = None,
    rival_users: Annotated[
        int | None,
        typer.Option(help="Users a rival is given; default: all, fewer for the slow ones."),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Runs of ours; the fastest counts.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table as CSV.")] = None,
    seed: SeedOption = 0,
) -> None:
    r"""Time full ranking with every ranking metric at k = 10, 20, 50 on four catalogues.

    Scoring counts, and so do masking and ranking; making the problem does not. Other libraries
    are given the same factors; the exit code is 1 if their figures differ from ours.

    \b
    interest bench eval
    interest bench eval --rival pyg=.venv/bin/python --rival recbole=recbole-venv/bin/python
    """
    import torch

    from eval.benchmark import measure_evaluation
    from graphgen.errors import ConfigError

    pairs = [entry.partition("=")[::2] for entry in rival or []]
    for name, python in pairs:
        if not python:
            raise ConfigError(f"--rival is written NAME=PYTHON; got {name!r}.")
    speed = measure_evaluation(
        n_users=users, rivals=dict(pairs), rival_users=rival_users, repeats=repeats, seed=seed
    )
    say(speed.to_markdown())
    say(f"\n{torch.get_num_threads()} thread(s); a user counts once in each domain.")
    if out is not None:
        speed.table.to_csv(out, index=False)
    if speed.strange:
        say(f"These find other figures on the same problem: {', '.join(speed.strange)}.")
        raise typer.Exit(1)
