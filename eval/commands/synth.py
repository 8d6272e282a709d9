"""`interest synth`: a synthetic log."""

from __future__ import annotations

from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import next_step, say


def synth(
    context: Context,
    out: options.Out,
    users: Annotated[int, Option(help="Number of users.")] = 4000,
    seed: options.Seed = 0,
    drift: Annotated[
        float | None,
        Option(
            help="Share of the users who replace their themes at one moment, while all others stay "
            "as they are. The planted themes and moments are written to truth_users.csv and "
            "truth_items.csv.",
            show_default=False,
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a synthetic multi-domain log: books, films, music, games.

    \b
    interest synth --out data/
    interest compare --train data/train.csv --valid data/valid.csv --test data/test.csv \\
        --items data/items.csv --models popularity,interest-gnn --out report/
    interest synth --drift 0.3 --out drift/
    """
    from graphgen.synthetic.generator import write_synthetic

    made_from = options.check_outputs(context, kind="synthetic log")
    write_synthetic(
        out, n_users=users, seed=seed, drift_share=drift, overwrite=overwrite, made_from=made_from
    )
    truth = "" if drift is None else "; the planted themes are in truth_users.csv"
    say(f"train.csv, valid.csv, test.csv, items.csv and users.csv are in {out}{truth}.")
    next_step(f"interest build {out}/train.csv --items {out}/items.csv --out graph/")
