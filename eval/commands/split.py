"""`interest split`: train, valid and test from a log."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from eval.commands.console import next_step, say
from eval.commands.options import (
    ColumnOption,
    EventOption,
    NegativeOption,
    OutOption,
    OverwriteOption,
    PositiveOption,
    SeedOption,
    check_outputs,
    meaning_options,
    parse_columns,
    say_meaning,
)

__all__ = ["split"]


def split(
    context: typer.Context,
    sources: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="Interactions, as for `interest build`.")
    ],
    protocol: Annotated[
        str,
        typer.Option(help="random, leave-last-out, temporal, cold-user, cold-item or k-fold."),
    ],
    out: OutOption,
    event: EventOption = None,
    positive: PositiveOption = None,
    negative: NegativeOption = None,
    drop_twins: Annotated[
        bool, typer.Option("--drop-twins", help="Remove one of two ids of the same product.")
    ] = False,
    merge_twins: Annotated[
        bool, typer.Option("--merge-twins", help="Join two ids of the same product.")
    ] = False,
    share: Annotated[
        int | None,
        typer.Option(
            help="cold-user: percent of the overlap users to test on; they lose their history in "
            "the target domain. EMCDR and PTUPCDR are compared at 20, 50 and 80. A tenth of the "
            "others is held out for validation.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", help="Option of the protocol, NAME=VALUE; see below; repeatable."),
    ] = None,
    column: ColumnOption = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Split a log into train, valid and test, with a card of the checks.

    \b
    interest split log.csv --protocol temporal --out split/
    interest split log.csv --protocol cold-user --share 50 --drop-twins --out split/
    interest split log.csv --protocol cold-user --share 20 --set target=films --out split/
    """
    from eval.splits.data_card import write_split
    from eval.splits.protocols import make_split
    from graphgen.config import parse_assignments
    from graphgen.errors import ConfigError
    from graphgen.log import read_log

    made_from = check_outputs(
        out, context=context, kind="split", overwrite=overwrite, inputs=[sources]
    )
    if drop_twins and merge_twins:
        raise ConfigError("Give either --drop-twins or --merge-twins.")
    twins: Literal["keep", "drop", "merge"] = (
        "drop" if drop_twins else "merge" if merge_twins else "keep"
    )
    options = parse_assignments(option or [])
    if share is not None:
        if protocol != "cold-user" or "test" in options:
            raise ConfigError("--share is for --protocol cold-user, instead of --set test=….")
        options["test"] = share / 100
    log = read_log(
        *sources,
        columns=parse_columns(column),
        **meaning_options(event, positive, negative),
        progress=True,
    )
    say_meaning(log)
    parts = make_split(log, protocol, twins=twins, seed=seed, **options)
    write_split(parts, out, overwrite=overwrite, made_from=made_from)
    for card in sorted(out.rglob("card.txt")):
        say(card.read_text(encoding="utf-8"))
    first = out if len(parts) == 1 else out / "fold-1"
    next_step(
        f"interest compare --train {first}/train.csv --valid {first}/valid.csv "
        f"--test {first}/test.csv --out report/"
    )
