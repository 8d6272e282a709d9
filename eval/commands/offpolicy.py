"""`interest offpolicy`: the value of other policies, from a log with propensities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


@options.with_tables
def offpolicy(
    context: Context,
    tables: options.TableOptions,
    sources: Annotated[
        list[str],
        Argument(
            metavar="LOG...",
            help="Lists of `interest recommend --explore`, and the events that followed: user_id, "
            "domain, item_id, event, timestamp; or the folder of `interest serve --state`.",
        ),
    ],
    model: Annotated[Path, Option(help="Model folder whose candidates the policies choose from.")],
    policy: Annotated[
        list[str],
        Option(
            help="greedy, epsilon=SHARE, thompson=SHARE or linucb=SHARE, with the share of random "
            "places; repeatable."
        ),
    ],
    reward: Annotated[
        list[str] | None,
        Option(
            help="Reward of an event in [0, 1], NAME=VALUE; repeatable. Default: dislike and skip "
            "0, all others 1; a weight multiplies it.",
            show_default=False,
        ),
    ] = None,
    learn_from: Annotated[
        list[str] | None,
        Option(help="An earlier log of the same kind that thompson and linucb have learned from."),
    ] = None,
    history: Annotated[
        list[str] | None, Option(help="Interactions since training that the policies know.")
    ] = None,
    clip: Annotated[
        float | None,
        Option(help="Largest weight of a row; default: none, which has no bias."),
    ] = None,
    seed: options.Seed = 0,
    out: Annotated[Path | None, Option(help="Write the result to a folder.")] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Estimate the rewards of other policies from a log: IPS, SNIPS, doubly robust.

    \b
    interest recommend model/ --users users.txt --explore epsilon=0.2 --out shown.csv
    interest offpolicy shown.csv events.csv --model model/ --policy greedy --policy epsilon=0.05
    interest offpolicy shown.csv events.csv --model model2/ --policy greedy --reward purchase=1 \\
        --reward click=0.2 --out judged/
    """
    from eval.experiments.policy_value import policy_values
    from eval.offpolicy.log import read_shown
    from gnn.live.exposures import with_states
    from gnn.live.feedback import REWARDS
    from gnn.registry import load_model
    from graphgen.config import parse_assignments
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in

    made_from = options.check_outputs(
        context, sources, model, learn_from, history, kind="off-policy evaluation"
    )
    worth = {name: float(value) for name, value in parse_assignments(reward or []).items()}
    rewards = {**REWARDS, **{name.casefold(): value for name, value in worth.items()}}
    fitted = load_model(model)
    shown, notes = read_shown(*with_states(sources), rewards=rewards, **tables.read, progress=True)
    earlier = None
    if learn_from:
        earlier, _ = read_shown(
            *with_states(learn_from), rewards=rewards, **tables.read, progress=True
        )
    meaning = taken_in(fitted.provenance_.get("graph", {}))
    rows = read_log(*history, **tables.read, as_in=meaning) if history else None
    tables.check()
    result = policy_values(
        shown, fitted, policy, history=rows, learn_from=earlier, notes=notes, clip=clip, seed=seed,
        progress=True,
    )  # fmt: skip
    say(result.to_markdown())
    if out is not None:
        result.save(out, overwrite=overwrite, made_from=made_from)
        say(f"The result is in {out}.")
