"""The command line: its root, and the commands that judge: train, evaluate, compare, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eval.cli_bench import app as bench_app
from eval.cli_logs import app as logs_app
from gnn.cli import app as gnn_app
from graphgen.cli import app as graphgen_app
from graphgen.console import (
    ColumnOption,
    ConfigOption,
    OutOption,
    SeedOption,
    SetOption,
    next_step,
    parse_columns,
    run,
    say,
)

if TYPE_CHECKING:
    from eval.experiment import SystemRun

__all__ = ["app", "main"]

DEFAULT_MODELS = "popularity,item-knn,lightgcn,interest-gnn"

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
) -> None:
    r"""Train a model on a graph. An interrupted run goes on where it stopped.

    \b
    interest train graph/ --out model/
    interest train graph/ --model lightgcn --valid valid.csv --set epochs=20 --seed 7 --out model/
    """
    import time

    from eval.experiment import train as train_model
    from graphgen.config import parse_assignments, read_toml
    from graphgen.graph import load_graph
    from graphgen.log import read_log

    settings = {**(read_toml(config) if config else {}), **parse_assignments(set_ or [])}
    rows = read_log(*valid, columns=parse_columns(column)) if valid else None
    started = time.perf_counter()
    fitted = train_model(
        load_graph(graph),
        model,
        settings=settings,
        valid=rows,
        seed=seed,
        checkpoint=out.with_name(f"{out.name}.checkpoint"),
        progress=True,
    )
    seconds = time.perf_counter() - started
    fitted.save(out)
    say(f"{model} was trained in {seconds:,.1f} s and is in {out}.")
    measured = [entry["metric"] for entry in fitted.history_ if "metric" in entry]
    if measured:
        say(f"Best validation NDCG@20: {max(measured):.4f}")
    next_step(f"interest recommend {out} --users users.txt -k 20 --out recs.csv")


@app.command()
def evaluate(
    recommendations: Annotated[
        str,
        typer.Argument(
            metavar="RECS",
            help="Recommendations of any system (CSV, Parquet), or a model folder, which also "
            "gives the exact AUC.",
        ),
    ],
    truth: Annotated[
        list[str], typer.Option("--truth", help="What users really did; PATH#column=value works.")
    ],
    out: OutOption,
    k: Annotated[list[int] | None, typer.Option("-k", help="Length of a list; repeatable.")] = None,
    graph: Annotated[
        Path | None,
        typer.Option(help="The graph trained on: adds diversity, novelty, cold and warm users."),
    ] = None,
    users: Annotated[
        list[str] | None, typer.Option("--users", help="User table with a group column.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="Column of the truth that makes slices (default: setting), or, with --graph, "
            "activity, popularity, source_domain, domain_count, overlap_share; repeatable.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Comma-separated; default: all that can be had but roc-auc and pr-auc."),
    ] = None,
    sampled: Annotated[
        int | None,
        typer.Option(
            help="Also sampled metrics, against so many negatives a user; they are saved beside "
            "the report."
        ),
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(help="Also sampled metrics, against the negatives of this file.")
    ] = None,
    column: ColumnOption = None,
    seed: SeedOption = 0,
) -> None:
    r"""Score recommendations by what users really did.

    \b
    interest evaluate recs.csv --truth test.csv -k 20 --graph graph/ --out report/
    interest evaluate model/ --truth test.csv -k 10 -k 20 --out report/
    interest evaluate model/ --truth test.csv --graph graph/ --by activity --out report/
    """
    from eval.evaluator import evaluate as judge
    from eval.negatives import sample_negatives, write_negatives
    from graphgen.graph import load_graph
    from graphgen.log import read_log
    from graphgen.tables import read_users

    known = load_graph(graph) if graph else None
    rows = read_log(*truth, columns=parse_columns(column))
    if sampled is not None:
        negatives = out.with_name(f"{out.name}.negatives.parquet")
        write_negatives(sample_negatives(rows, graph=known, n=sampled, seed=seed), negatives)
        say(f"The negatives are in {negatives}; --negatives reads them again.")
    system: Any = recommendations
    if (Path(recommendations) / "model.json").exists():
        from gnn.persistence import load_model

        system = load_model(recommendations)
    result = judge(
        system,
        rows,
        k=k or [20],
        graph=known,
        metrics=metrics.split(",") if metrics else None,
        negatives=negatives,
        by=by,
        users=read_users(*users) if users else None,
        seed=seed,
        progress=True,
        name=Path(recommendations).name,
    )
    result.save(out)
    say(result.to_markdown())
    say(f"\nThe report is in {out}; open {out / 'report.html'}.")


@app.command()
def compare(
    train: Annotated[
        list[str], typer.Option("--train", help="Interactions to train on; repeatable.")
    ],
    test: Annotated[list[str], typer.Option("--test", help="Rows to judge by; repeatable.")],
    out: OutOption,
    valid: Annotated[
        list[str] | None, typer.Option("--valid", help="Rows to choose on; repeatable.")
    ] = None,
    items: Annotated[
        list[str] | None, typer.Option("--items", help="Items: item_id, domain, title, text.")
    ] = None,
    models: Annotated[
        str, typer.Option(help="Comma-separated; as `interest models` lists them.")
    ] = DEFAULT_MODELS,
    recs: Annotated[
        list[str] | None,
        typer.Option("--recs", help="Another system's recommendations, NAME=PATH; repeatable."),
    ] = None,
    k: Annotated[list[int] | None, typer.Option("-k", help="Length of a list; repeatable.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Column of the test rows that makes slices; default: setting."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="System to test the others against; default: the best.")
    ] = None,
    encoder: Annotated[str, typer.Option(help="Text encoder of the graph.")] = "minilm",
    min_rating: Annotated[
        float | None, typer.Option(help="Train and judge on what is rated at least this.")
    ] = None,
    column: ColumnOption = None,
    config: ConfigOption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A model's setting, MODEL.NAME=VALUE; repeatable."),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    r"""Train several models on the same rows and compare them, with intervals and tests.

    \b
    interest compare --train train.csv --valid valid.csv --test test.csv --items items.csv \\
        --models popularity,item-knn,interest-gnn --out report/
    interest compare --train log.csv#split=train --test log.csv#split=test \\
        --recs theirs=recs.csv --models interest-gnn --out report/
    """
    from eval.experiment import compare as run_comparison
    from graphgen.build import build_graph
    from graphgen.errors import ConfigError
    from graphgen.log import read_log
    from graphgen.tables import read_items

    names = [name.strip() for name in models.split(",") if name.strip()]
    others = dict(entry.partition("=")[::2] for entry in recs or [])
    if not names and not others:
        raise ConfigError("Name at least one of --models or --recs NAME=PATH.")
    settings = _model_settings(config, set_, names)
    columns = parse_columns(column)

    def read(sources: list[str]) -> Any:
        return read_log(*sources, columns=columns, min_rating=min_rating, progress=True)

    graph = build_graph(
        read(train), read_items(*items) if items else None, encoder=encoder, progress=True
    )
    experiment = run_comparison(
        graph,
        read(test),
        names,
        valid=read(valid) if valid else None,
        recommendations=others,
        settings=settings,
        k=k or [20],
        by=by,
        baseline=baseline,
        seed=seed,
        progress=True,
        on_run=_say_run,
    )
    experiment.save(out)
    say(experiment.to_markdown())
    say(f"\nThe report is in {out}; open {out / 'report.html'}.")


def _model_settings(
    config: Path | None, assignments: list[str] | None, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Return settings by model, from TOML tables and ``MODEL.NAME=VALUE``."""
    from gnn.registry import model_class
    from graphgen.config import parse_assignments, read_toml
    from graphgen.errors import ConfigError

    settings: dict[str, dict[str, Any]] = read_toml(config) if config else {}
    for key, value in parse_assignments(assignments or []).items():
        model, dot, name = key.partition(".")
        if not dot:
            raise ConfigError(f"--set is written MODEL.NAME=VALUE here; got {key!r}.")
        settings.setdefault(model, {})[name] = value
    for model, values in settings.items():
        if model not in names:
            raise ConfigError(f"There are settings for {model!r}, which is not compared.")
        model_class(model).Config.make(values)
    return settings


def _say_run(name: str, run: SystemRun) -> None:
    say(
        f"{name}: fitted in {run.fit_seconds:,.1f} s, ranked in {run.score_seconds:,.1f} s, "
        f"peak memory {run.peak_megabytes / 1000:,.2f} GB"
    )


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("demo"),
    users: Annotated[int, typer.Option(help="Number of users.")] = 4000,
    encoder: Annotated[str, typer.Option(help="Text encoder of the graph.")] = "minilm",
    seed: SeedOption = 0,
) -> None:
    r"""Go the whole way on an embedded example: log, graph, training, comparison, a picture.

    \b
    interest demo
    interest demo --users 1000 --encoder hashing --out /tmp/demo
    """
    from eval.demo import run_demo

    run_demo(out, n_users=users, encoder=encoder, seed=seed)
