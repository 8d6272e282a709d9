"""`interest train`: from a graph to a model."""

from __future__ import annotations

from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import next_step, say


@options.with_tables
def train(
    context: Context,
    tables: options.TableOptions,
    graph: options.Graph,
    out: options.Out,
    model: Annotated[
        str, Option(help="Name of a model; `interest models` lists them.")
    ] = "interest-gnn",
    valid: Annotated[
        list[str] | None,
        Option(
            help="Validation log, not trained on. If omitted, part of the graph is held out for "
            "validation, and the model is fitted again on everything."
        ),
    ] = None,
    config: options.Config = None,
    set_: options.Set = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Train a model on a graph. An interrupted run goes on where it stopped.

    \b
    interest train graph/ --out model/
    interest train graph/ --model lightgcn --valid valid.csv --set epochs=20 --seed 7 --out model/
    """
    import time

    from gnn.registry import make_model
    from graphgen.graph import load_graph
    from graphgen.log import read_log
    from graphgen.meaning import taken_in
    from graphgen.storage import check_output

    made_from = options.check_outputs(context, graph, valid, config, kind="model")
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    for stage in ("", "-choose", "-refit"):
        check_output(f"{checkpoint}{stage}", kind="checkpoint", overwrite=True)
    settings = options.given_settings(config, set_)
    known = load_graph(graph)
    rows = None
    if valid:
        rows = read_log(*valid, **tables.read, as_in=taken_in(known.provenance))
    tables.check()
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
