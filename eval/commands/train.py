"""`interest train`: from a graph to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.console import next_step, say
from eval.commands.options import (
    ColumnOption,
    ConfigOption,
    OutOption,
    OverwriteOption,
    SeedOption,
    SetOption,
    check_outputs,
    parse_columns,
)

__all__ = ["train"]


def train(
    context: typer.Context,
    graph: Annotated[Path, typer.Argument(help="A graph folder.", show_default=False)],
    out: OutOption,
    model: Annotated[
        str, typer.Option(help="Name of a model; `interest models` lists them.")
    ] = "interest-gnn",
    valid: Annotated[
        list[str] | None,
        typer.Option(
            "--valid",
            help="Validation log, not trained on. If omitted, part of the graph is held out for "
            "validation, and the model is fitted again on everything.",
        ),
    ] = None,
    column: ColumnOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a model on a graph. An interrupted run goes on where it stopped.

    \b
    interest train graph/ --out model/
    interest train graph/ --model lightgcn --valid valid.csv --set epochs=20 --seed 7 --out model/
    """
    import time

    from gnn.registry import make_model
    from graphgen.config import parse_assignments, read_toml
    from graphgen.graph import load_graph
    from graphgen.log import read_log
    from graphgen.meaning import taken_in
    from graphgen.storage import check_output

    made_from = check_outputs(
        out, context=context, kind="model", overwrite=overwrite, inputs=[graph, valid, config]
    )
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    for stage in ("", "-choose", "-refit"):
        check_output(f"{checkpoint}{stage}", kind="checkpoint", overwrite=True)
    settings = {**(read_toml(config) if config else {}), **parse_assignments(set_ or [])}
    known = load_graph(graph)
    rows = None
    if valid:
        meaning = taken_in(known.provenance)
        rows = read_log(*valid, columns=parse_columns(column), as_in=meaning)
    started = time.perf_counter()
    fitted = make_model(model, **settings).fit(
        known,
        valid="auto" if rows is None else rows,
        seed=seed,
        checkpoint=checkpoint,
        progress=True,
    )
    seconds = time.perf_counter() - started
    fitted.save(out, overwrite=overwrite, made_from=made_from)
    say(f"{model} was trained in {seconds:,.1f} s and is in {out}.")
    measured = [entry["metric"] for entry in fitted.history_ if "metric" in entry]
    if measured:
        say(f"Best validation NDCG@20: {max(measured):.4f}")
    next_step(f"interest recommend {out} --users users.txt -k 20 --out recs.csv")
