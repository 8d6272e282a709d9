"""`interest train`: from a graph to a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from typer import Context, Option

from eval.commands import options
from eval.commands.console import next_step, resumes_from, say
from graphgen.errors import counted

if TYPE_CHECKING:
    from gnn.base import Model


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

    from gnn.fitting import checkpoints
    from gnn.registry import make_model
    from graphgen.graph import load_graph
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in
    from graphgen.storage import check_output

    made_from = options.check_outputs(context, graph, valid, config, kind="model")
    checkpoint = out.parent / f"{out.name}.checkpoint"
    for path in checkpoints(checkpoint):
        check_output(path, kind="checkpoint", overwrite=True)
    resumes_from(context, *checkpoints(checkpoint))
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
    for line in _outcome(fitted):
        say(line)
    next_step(f"interest recommend {out} --users users.txt -k 20 --out recs.csv")


def _outcome(fitted: Model) -> Iterator[str]:
    """Say how well the model ranks held-out rows, what was chosen, and how its parts weigh."""
    from gnn.models.interest.model import InterestGNN

    found = fitted.validation_
    if found:
        kinds = ", ".join(f"{value:.4f} {name}" for name, value in found.by_kind.items())
        lists = counted(found.lists, "list")
        yield f"NDCG@20 on validation rows: {found.ndcg:.4f} ({kinds}; {lists})."
    elif fitted.chooses:
        yield "There were no validation rows: settings chosen on such rows have their defaults."
    chosen = [f"{name} {_shown(value)}" for name, value in fitted.chosen_.items()]
    if found and chosen:
        yield f"Chosen on these rows: {'; '.join(chosen)}."
    if isinstance(fitted, InterestGNN):
        weights = sorted(fitted.expert_weights().items(), key=lambda part: -part[1])
        parts = ", ".join(f"{name} {weight:.0%}" for name, weight in weights)
        yield f"Mean weights of the experts: {parts}."


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        single = {k: v for k, v in value.items() if not isinstance(v, dict | list | tuple)}
        return "(" + ", ".join(f"{name} {_shown(one)}" for name, one in single.items()) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
