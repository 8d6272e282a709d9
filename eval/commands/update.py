"""`interest update`: from a model and new interactions to a model of both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import next_step, say

if TYPE_CHECKING:
    import pandas as pd

    from gnn.base import Model


@options.with_tables
def update(
    context: Context,
    tables: options.TableOptions,
    model: Annotated[Path, Argument(help="A model folder.", show_default=False)],
    sources: Annotated[
        list[str] | None,
        Argument(
            metavar="LOG...",
            help="New interactions, as for `interest build`; their meaning is that of the log that "
            "the model was trained on.",
            show_default=False,
        ),
    ] = None,
    *,
    out: options.Out,
    state: Annotated[
        Path | None,
        Option(
            help="Folder of `interest serve` or `consume`, whose events since training are new "
            "interactions, too. Then all new ones count as later than those of training.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    items: Annotated[list[str] | None, Option(help="New items, with their texts.")] = None,
    users: Annotated[list[str] | None, Option(help="New users.")] = None,
    graph: Annotated[
        Path | None,
        Option(help="Graph that the model was trained on; default: where it was then."),
    ] = None,
    graph_out: Annotated[
        Path | None, Option(help="Folder of the new graph; default: OUT-graph.", show_default=False)
    ] = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Update a model with new interactions, users and items, without training it anew.

    Says how far the new interactions are from those of the last training, and whether a full
    retrain is due.

    \b
    interest update model/ today.csv --out model2/
    interest update model/ today.csv --items new_items.csv --out model2/
    interest update model/ --state live/ --out model2/
    """
    import time

    from gnn.live.updating import update_model
    from gnn.registry import load_model
    from gnn.trained_on import graph_of
    from graphgen.errors import ConfigError
    from graphgen.storage import check_output
    from graphgen.tables import read_items, read_users
    from graphgen.updating import update_graph

    graph_out = graph_out or out.with_name(f"{out.name}-graph")
    if not sources and state is None:
        raise ConfigError("Name new interactions: LOG..., or --state DIR.")
    made_from = options.check_outputs(
        context, model, graph, sources, state, items, users, kind="model"
    )
    check_output(graph_out, kind="graph", overwrite=overwrite, made_from=made_from)
    former = load_model(model)
    known = graph_of(former, graph)
    live = None if state is None else _events(state, former)
    started = time.perf_counter()
    later = update_graph(
        known,
        *(sources or ()),
        *(() if live is None else (live,)),
        items=read_items(*items, **tables.read) if items else None,
        users=read_users(*users, **tables.read) if users else None,
        progress=True,
        reading={**tables.read, "all_later": live is not None},
    )
    tables.check()
    built = time.perf_counter()
    later.save(graph_out, overwrite=overwrite, made_from=made_from)
    updated = update_model(former, later, seed=seed, progress=True)
    if live is not None:
        updated.provenance_ |= live.attrs
    updated.save(out, overwrite=overwrite, made_from=made_from)
    say(
        f"{later.n_users - known.n_users:,} new users, {later.n_items - known.n_items:,} new "
        f"items; the graph was updated in {built - started:,.1f} s and is in {graph_out}."
    )
    seconds = time.perf_counter() - built
    say(f"{former.name} ({former.updates}) was updated in {seconds:,.1f} s and is in {out}.")
    _say_drift(updated)
    next_step(f"interest recommend {out} --users users.txt -k 20 --out recs.csv")


def _events(folder: Path, model: Model) -> pd.DataFrame:
    """Return the events in the folder of a live state that the model has not learned."""
    from gnn.live.state import STATE_FILE, LiveState
    from graphgen.errors import InputError

    path = folder / STATE_FILE
    if not path.is_file():
        raise InputError(f"{folder} is no folder of `interest serve` or `consume`: no state.db.")
    live = LiveState(path, model)
    events = live.frame()
    live.close()
    if events.empty:
        raise InputError(f"{folder} has no events that {model.name} has not learned already.")
    say(f"{len(events):,} events since training are in {folder}.")
    return events


def _say_drift(model: Model) -> None:
    """Say how far the latest update is from the last training, and whether a retrain is due."""
    from gnn.live.drift import retrain_reasons

    known: dict[str, Any] = model.provenance_
    found = known["updates"][-1]
    shifts = ", ".join(f"{name} {value:.2f}" for name, value in found["psi"].items())
    say(f"{found['likes']:,} new likes. Shift since the last training (PSI): {shifts}.")
    if found["ndcg"] is not None:
        say(f"NDCG@20 of the former model on them: {found['ndcg']:.4f} ({found['lists']:,} lists).")
    if found["calibration"] is not None:
        say(f"Likes at other scores than expected: {found['calibration']:.0%}.")
    reasons = retrain_reasons(known["reference"], known["updates"])
    if not reasons:
        say("A full retrain is not due.")
        return
    say("A full retrain is due (interest train):")
    for reason in reasons:
        say(f"- {reason}")
