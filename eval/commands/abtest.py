"""`interest abtest` and `interest power`: A/B tests, analysed and planned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.console import say
from eval.commands.options import (
    OverwriteOption,
    TableOptions,
    check_outputs,
    with_tables,
)

__all__ = ["abtest", "power"]


@with_tables
def abtest(
    context: typer.Context,
    tables: TableOptions,
    sources: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="user_id, variant, event, timestamp.")
    ],
    variant: Annotated[str, typer.Option(help="Column that names the variant.")] = "variant",
    control: Annotated[str | None, typer.Option(help="The control variant.")] = None,
    conversion: Annotated[
        list[str] | None,
        typer.Option("--conversion", help="Event that counts as a conversion; repeatable."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Start of the test; earlier events are used to reduce variance."),
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="Column whose values are analysed separately.")
    ] = None,
    sequential: Annotated[
        bool,
        typer.Option(
            "--sequential", help="Anytime-valid intervals: they hold under repeated looks."
        ),
    ] = False,
    alpha: Annotated[float, typer.Option(help="Significance level.")] = 0.05,
    out: Annotated[Path | None, typer.Option("--out", help="Write the result as JSON.")] = None,
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
    log = read_log(*sources, **tables.read, deduplicate=False, progress=True)
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
    effect: Annotated[float, typer.Option(help="Smallest absolute difference to detect.")],
    users: Annotated[
        int | None, typer.Option(help="Users in each group; if given, the power is computed.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation of the metric, if it is not a rate.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Significance level.")] = 0.05,
    wanted: Annotated[float, typer.Option("--power", help="Power to reach.")] = 0.8,
) -> None:
    """Compute the users that a test needs, or the power of a number of users.

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
