"""`interest abtest` and `interest power`: A/B tests, analysed and planned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.console import say
from eval.commands.options import (
    ColumnOption,
    OverwriteOption,
    check_outputs,
    parse_columns,
)

__all__ = ["abtest", "power"]


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
