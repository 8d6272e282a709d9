"""Commands that need a log and no model: split, abtest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from graphgen.console import (
    ColumnOption,
    OutOption,
    OverwriteOption,
    SeedOption,
    check_outputs,
    next_step,
    parse_columns,
    say,
)

__all__ = ["app"]

app = typer.Typer()


@app.command()
def split(
    context: typer.Context,
    sources: Annotated[list[str], typer.Argument(metavar="LOG...", help="As `interest build`.")],
    protocol: Annotated[
        str,
        typer.Option(help="random, leave-last-out, temporal, cold-user, cold-item or k-fold."),
    ],
    out: OutOption,
    min_rating: Annotated[
        float | None, typer.Option(help="Keep interactions rated at least this.")
    ] = None,
    drop_twins: Annotated[
        bool, typer.Option("--drop-twins", help="Remove one of two ids of the same product.")
    ] = False,
    merge_twins: Annotated[
        bool, typer.Option("--merge-twins", help="Join two ids of the same product.")
    ] = False,
    share: Annotated[
        int | None,
        typer.Option(
            help="cold-user: percent of the overlap users that lose the target and are tested on; "
            "EMCDR and PTUPCDR are compared at 20, 50 and 80. Of the others a tenth is chosen on.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the protocol, NAME=VALUE; repeatable."),
    ] = None,
    column: ColumnOption = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Split a log into train, valid and test, with a card of what was checked.

    \b
    interest split log.csv --protocol temporal --out split/
    interest split log.csv --protocol cold-user --share 50 --drop-twins --out split/
    interest split log.csv --protocol cold-user --share 20 --set target=films --out split/
    """
    from eval.splits.card import write_split
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
            raise ConfigError("--share is for --protocol cold-user, in the place of --set test=….")
        options["test"] = share / 100
    log = read_log(*sources, columns=parse_columns(column), min_rating=min_rating, progress=True)
    parts = make_split(log, protocol, twins=twins, seed=seed, **options)
    write_split(parts, out, overwrite=overwrite, made_from=made_from)
    for card in sorted(out.rglob("card.txt")):
        say(card.read_text(encoding="utf-8"))
    first = out if len(parts) == 1 else out / "fold-1"
    next_step(
        f"interest compare --train {first}/train.csv --valid {first}/valid.csv "
        f"--test {first}/test.csv --out report/"
    )


@app.command()
def abtest(
    context: typer.Context,
    sources: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="user_id, variant, event, timestamp.")
    ],
    variant: Annotated[str, typer.Option(help="Column that names the variant.")] = "variant",
    control: Annotated[str | None, typer.Option(help="The variant to compare with.")] = None,
    conversion: Annotated[
        list[str] | None, typer.Option("--conversion", help="An event that counts; repeatable.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="When the test began; what lies before reduces variance.")
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Column: the test is repeated in each of its values.")
    ] = None,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Intervals that hold however often one looks.")
    ] = False,
    alpha: Annotated[float, typer.Option(help="Level.")] = 0.05,
    out: Annotated[Path | None, typer.Option("--out", help="Write the result as JSON.")] = None,
    column: ColumnOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Analyse an A/B test from its log: exposure, difference, interval, variance reduction.

    \b
    interest abtest log.csv --conversion purchase --start 2026-03-01
    interest abtest log.csv --conversion purchase --sequential --segment country
    """
    from eval.abtests.analysis import analyse_abtest
    from graphgen.log import read_log

    made_from = check_outputs(
        out, context=context, kind="A/B test", overwrite=overwrite, inputs=[sources]
    )
    log = read_log(*sources, columns=parse_columns(column), deduplicate=False, progress=True)
    result = analyse_abtest(
        log,
        variant=variant,
        control=control,
        conversion=conversion,
        start=start,
        segments=segment,
        alpha=alpha,
        sequential=sequential,
    )
    say(result.to_markdown())
    if out is not None:
        result.save(out, overwrite=overwrite, made_from=made_from)
        say(f"\nThe result is in {out}.")


@app.command()
def power(
    baseline: Annotated[float, typer.Option(help="Rate or mean of the control.")],
    effect: Annotated[float, typer.Option(help="Absolute difference to detect.")],
    users: Annotated[
        int | None, typer.Option(help="Users in the control group; gives the power.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation, where it is no rate.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Level.")] = 0.05,
    wanted: Annotated[float, typer.Option("--power", help="Power to reach.")] = 0.8,
) -> None:
    """Say how many users a test needs, or what power so many users give.

    \b
    interest power --baseline 0.05 --effect 0.005
    interest power --baseline 0.05 --effect 0.005 --users 20000
    """
    from eval.abtests.design import power as power_of
    from eval.abtests.design import sample_size

    shared: dict[str, Any] = {"sd": sd, "alpha": alpha}
    if users is None:
        needed = sample_size(baseline, effect, power=wanted, **shared)
        say(f"{needed:,} users in each group detect {effect:g} with a power of {wanted:.0%}.")
    else:
        say(
            f"{users:,} users in each group give a power of "
            f"{power_of(baseline, effect, users, **shared):.1%}."
        )
