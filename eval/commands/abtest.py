"""`interest abtest` and `interest power`: A/B tests, analysed and planned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


@options.with_tables
def abtest(
    context: Context,
    tables: options.TableOptions,
    sources: Annotated[
        list[str],
        Argument(
            metavar="LOG...",
            help="user_id and the variant column; optional event and timestamp; or the folder of "
            "`interest serve --state`.",
        ),
    ],
    variant: Annotated[str, Option(help="Column that names the variant.")] = "variant",
    control: Annotated[
        str | None,
        Option(help="The control variant; may be left out where one is called control or A."),
    ] = None,
    conversion: Annotated[
        list[str] | None, Option(help="Event that counts as a conversion; repeatable.")
    ] = None,
    start: Annotated[
        str | None, Option(help="Start of the test; earlier events are used to reduce variance.")
    ] = None,
    segment: Annotated[
        str | None, Option(help="Column whose values are analysed separately.")
    ] = None,
    sequential: Annotated[
        bool,
        Option("--sequential", help="Anytime-valid intervals: they hold under repeated looks."),
    ] = False,
    alpha: Annotated[float, Option(help="Significance level.")] = 0.05,
    out: Annotated[Path | None, Option(help="Write the result as JSON.")] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Analyse an A/B test from its log: exposure, difference, interval, variance reduction.

    \b
    interest abtest log.csv --conversion purchase --start 2026-03-01
    interest abtest log.csv --conversion purchase --sequential --segment country
    """
    from eval.abtests.analysis import analyse_abtest, read_events
    from gnn.live.exposures import with_states

    made_from = options.check_outputs(context, sources, kind="A/B test")
    result = analyse_abtest(
        read_events(*with_states(sources), **tables.read, progress=True),
        variant=variant,
        control=control,
        conversion=conversion,
        start=start,
        segments=segment,
        alpha=alpha,
        sequential=sequential,
    )
    tables.check()
    say(result.to_markdown())
    if out is not None:
        result.save(out, overwrite=overwrite, made_from=made_from)
        say(f"\nThe result is in {out}.")


def power(
    baseline: Annotated[float, Option(help="Rate or mean of the control.")],
    effect: Annotated[float, Option(help="Smallest absolute difference to detect.")],
    users: Annotated[
        int | None, Option(help="Users in each group; if given, the power is computed.")
    ] = None,
    sd: Annotated[
        float | None, Option(help="Standard deviation of the metric, if it is not a rate.")
    ] = None,
    alpha: Annotated[float, Option(help="Significance level.")] = 0.05,
    wanted: Annotated[float, Option("--power", help="Power to reach.")] = 0.8,
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
        reached = power_of(baseline, effect, users, **shared)
        say(f"{users:,} users in each group give a power of {reached:.1%}.")
