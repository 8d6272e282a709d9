"""The command line: its root, and the commands that go the whole way: train, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.cli_bench import app as bench_app
from eval.cli_compare import app as compare_app
from eval.cli_evaluate import app as evaluate_app
from eval.cli_logs import app as logs_app
from gnn.cli import app as gnn_app
from graphgen.cli import app as graphgen_app
from graphgen.console import (
    ColumnOption,
    ConfigOption,
    OutOption,
    OverwriteOption,
    SeedOption,
    SetOption,
    check_outputs,
    next_step,
    parse_columns,
    run,
    say,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="interest",
    help="Cross-domain interest graphs with BERT features and graph neural networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(graphgen_app)
app.add_typer(gnn_app)
app.add_typer(evaluate_app)
app.add_typer(compare_app)
app.add_typer(logs_app)
app.add_typer(bench_app, name="bench")


def main() -> None:
    """Run the console script ``interest``."""
    run(app)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say what is going on.")] = False,
) -> None:
    """Build an interest graph, train on it, recommend across domains, and judge the result."""
    if verbose:
        import logging

        logging.getLogger().setLevel(logging.INFO)
    if version:
        from graphgen.storage import package_version

        say(package_version())
        raise typer.Exit()


@app.command()
def train(
    context: typer.Context,
    graph: Annotated[Path, typer.Argument(help="A graph folder.", show_default=False)],
    out: OutOption,
    model: Annotated[str, typer.Option(help="As `interest models` lists them.")] = "interest-gnn",
    valid: Annotated[
        list[str] | None,
        typer.Option(
            "--valid",
            help="Rows to choose on, never trained on. Without, the graph's own rows are held "
            "out, chosen on, and then trained on too.",
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

    from eval.experiment import train as train_model
    from graphgen.config import parse_assignments, read_toml
    from graphgen.graph import load_graph
    from graphgen.log import read_log
    from graphgen.storage import check_output

    made_from = check_outputs(
        out, context=context, kind="model", overwrite=overwrite, inputs=[graph, valid, config]
    )
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    for stage in ("", "-choose", "-refit"):
        check_output(f"{checkpoint}{stage}", kind="checkpoint", overwrite=True)
    settings = {**(read_toml(config) if config else {}), **parse_assignments(set_ or [])}
    rows = read_log(*valid, columns=parse_columns(column)) if valid else None
    started = time.perf_counter()
    fitted = train_model(
        load_graph(graph),
        model,
        settings=settings,
        valid=rows,
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


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("demo"),
    users: Annotated[int, typer.Option(help="Number of users.")] = 4000,
    encoder: Annotated[str, typer.Option(help="Text encoder of the graph.")] = "minilm",
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Go the whole way on an embedded example: log, graph, training, comparison, a picture.

    \b
    interest demo
    interest demo --users 1000 --encoder hashing --out /tmp/demo
    """
    from eval.demo import run_demo

    run_demo(out, n_users=users, encoder=encoder, seed=seed, overwrite=overwrite)
