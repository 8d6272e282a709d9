"""`interest bench`: accuracy, cost and speed, also of other libraries."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Exit, Option, Typer

from eval.commands import options
from eval.commands.bench_build import bench_build
from eval.commands.bench_clean import bench_clean
from eval.commands.bench_edges import bench_edges
from eval.commands.bench_modalities import bench_modalities
from eval.commands.bench_serve import bench_serve
from eval.commands.console import resumes_from, say

if TYPE_CHECKING:
    from eval.benchmarks.models import ModelBenchmark

TimeLimit = Annotated[float | None, Option(help="Seconds after which a run is stopped.")]

app = Typer(
    help="Measure accuracy, cost and speed, side by side with other libraries.",
    no_args_is_help=True,
)


@app.command("eval")
def bench_eval(
    context: Context,
    users: Annotated[int, Option(help="Users of the synthetic score problem.")] = 86_139,
    rival: Annotated[
        list[str] | None,
        Option(
            help="NAME=PYTHON, the interpreter that has it installed: pyg, recbole or lenskit; "
            "repeatable."
        ),
    ] = None,
    rival_users: Annotated[
        int | None, Option(help="Users for a rival; default: all, fewer for slow ones.")
    ] = None,
    repeats: Annotated[int, Option(help="Runs of our evaluator; the fastest counts.")] = 1,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Time full ranking with every ranking metric at k = 10, 20, 50 on four catalogues.

    The time includes scoring, masking and ranking, but not the making of the problem. Other
    libraries get the same factors; the exit code is 1 if their figures differ from ours.

    \b
    interest bench eval
    interest bench eval --rival pyg=.venv/bin/python --rival recbole=recbole-venv/bin/python
    """
    import torch

    from eval.benchmarks.speed import measure_evaluation
    from graphgen.errors import ConfigError, counted
    from graphgen.storage import atomic_file

    options.check_outputs(context, suffixes=(".csv",))
    pairs = [entry.partition("=")[::2] for entry in rival or []]
    for name, python in pairs:
        if not python:
            raise ConfigError(f"--rival is written NAME=PYTHON; got {name!r}.")
    speed = measure_evaluation(
        n_users=users, rivals=dict(pairs), rival_users=rival_users, repeats=repeats, seed=seed
    )
    say(speed.to_markdown())
    threads = counted(torch.get_num_threads(), "thread")
    say(f"\n{threads}; a user counts once in each domain.")
    if out is not None:
        with atomic_file(out) as temporary:
            speed.table.to_csv(temporary, index=False)
    if speed.strange:
        say(f"Other figures on the same problem: {', '.join(speed.strange)}.")
        raise Exit(1)


@app.command("models")
def bench_models(
    context: Context,
    out: options.Out,
    data: Annotated[
        list[str] | None,
        Argument(
            metavar="[NAME=DIR]...",
            help="Folders with train and test, optionally valid and items, as `interest split` "
            "writes them; default: the built-in example.",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        str | None,
        Option(
            help="Comma-separated; default: all that `interest models` lists.", show_default=False
        ),
    ] = None,
    seeds: Annotated[str, Option(help="Comma-separated; one run for each.")] = "0",
    alone: Annotated[
        str | None,
        Option(
            help="Models that are also fitted in each domain alone, for the gain or loss by the "
            "other domains; comma-separated, or none; default: all of --models.",
            show_default=False,
        ),
    ] = None,
    ablation: Annotated[
        bool, Option("--ablation", help="Also fit interest-gnn without each of its parts.")
    ] = False,
    encoder: Annotated[str, Option(help="Text encoder of the graphs.")] = "minilm",
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    config: options.Config = None,
    set_: options.ModelSet = None,
    time_limit: TimeLimit = None,
) -> None:
    """Measure accuracy and cost of each model, and the effect of the other domains.

    The column minus alone is the model less the same model fitted in each domain on that domain's
    rows alone: below 0, the other domains do harm (negative transfer). Every model and seed runs in
    a separate process. Finished runs are kept in --out: an interrupted benchmark goes on where it
    stopped, and further models are added.

    \b
    interest bench models --out bench/
    interest bench models shop=split/ --models popularity,ease,interest-gnn --seeds 0,1,2 \\
        --ablation --out bench/
    """
    from eval.benchmarks.datasets import find_data_sets, synthetic_data_set
    from eval.benchmarks.models import measure_models
    from gnn.registry import list_models
    from graphgen.progress import show_progress

    _resume(context, out, data, config)
    names = options.names_in(models) or list_models()
    separate = [] if alone == "none" else options.names_in(alone) or names
    found = find_data_sets(data) if data else [synthetic_data_set(out / "synthetic")]
    with show_progress():
        measured = measure_models(
            found,
            names,
            out,
            alone={each.name: separate for each in found},
            seeds=options.seed_numbers(seeds) or [0],
            ablation=ablation,
            settings=options.model_settings(config, set_, names),
            encoder=encoder,
            meaning=options.meaning_options(event, positive, negative),
            time_limit=time_limit,
            command=_command(),
            on_run=say,
        )
    _keep(measured, out)


@app.command("sequence")
def bench_sequence(
    context: Context,
    data: Annotated[
        str,
        Argument(
            metavar="[NAME=]DIR",
            help="Folder with train, valid and test as `interest split --protocol leave-last-out` "
            "writes them, or interactions with a column split; optionally items.",
        ),
    ],
    out: options.Out,
    models: Annotated[
        str | None,
        Option(
            help="Comma-separated; default: popularity, item-knn, cgsp, transition-graph, sasrec, "
            "interest-gnn.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[str, Option(help="Comma-separated; one run for each.")] = "0,1,2",
    alone: Annotated[
        str | None,
        Option(
            help="Models that are also fitted in each domain alone, comma-separated, or none; "
            "default: transition-graph and interest-gnn, where they are among --models.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[str, Option(help="Text encoder of the graphs.")] = "minilm",
    config: options.Config = None,
    set_: options.ModelSet = None,
    time_limit: TimeLimit = None,
) -> None:
    """Measure the next item of each user under both protocols, beside published figures.

    strict: validation rows are history at test time only, as in published figures; refitted: they
    are learned from. Also the effect of joining the domains on users of several, and checks that
    no test row leaks. Finished runs are kept in --out, as by `interest bench models`.

    \b
    interest bench sequence amazon3seq/ --out bench/
    interest bench sequence shop=split/ --models transition-graph,sasrec --seeds 0 --out bench/
    """
    from eval.benchmarks.datasets import find_data_set
    from eval.benchmarks.sequence import DEFAULT_MODELS, measure_sequence
    from graphgen.progress import show_progress

    _resume(context, out, data, config)
    names = options.names_in(models) or list(DEFAULT_MODELS)
    separate = [] if alone == "none" else options.names_in(alone) or None
    with show_progress():
        measured = measure_sequence(
            find_data_set(data),
            names,
            out=out,
            alone=separate,
            seeds=options.seed_numbers(seeds) or [0],
            settings=options.model_settings(config, set_, names),
            encoder=encoder,
            time_limit=time_limit,
            command=_command(),
            on_run=say,
        )
    _keep(measured, out)


@app.command("rerank")
def bench_rerank(
    context: Context,
    frontier: Annotated[
        Path | None,
        Option(
            metavar="MODEL",
            help="Measure the lists of this model folder, instead of speed: NDCG against "
            "diversity, for every re-ranker and strength.",
            show_default=False,
        ),
    ] = None,
    graph: Annotated[
        Path | None, Option(help="Graph that the model was trained on.", show_default=False)
    ] = None,
    test: Annotated[
        list[str] | None, Option(help="Held-out rows; repeatable.", show_default=False)
    ] = None,
    methods: Annotated[
        str | None, Option(help="Comma-separated; default: all.", show_default=False)
    ] = None,
    strengths: Annotated[
        str, Option(help="Comma-separated, or default: that of each method.")
    ] = "0.1,0.2,0.3,0.5,0.7,0.9",
    users: Annotated[int | None, Option(help="Users, drawn at random; default: all.")] = None,
    k: Annotated[int, Option("-k", help="Length of a list.")] = 20,
    lists: Annotated[int, Option(help="Lists whose re-ranking is timed.")] = 5_000,
    dim: Annotated[int, Option(help="Size of the vectors in the timing.")] = 384,
    rival_lists: Annotated[
        int, Option(help="Lists for pyversity, in a loop over users; 0: not measured.")
    ] = 500,
    out: Annotated[
        Path | None,
        Option(help="Timing: a CSV file. Frontier: a folder for the report.", show_default=False),
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Time re-ranking, or measure how much accuracy more diverse lists cost.

    Speed: lists of 20 out of 200 candidates, beside pyversity on the same candidates. Frontier:
    each re-ranker with each strength, on the same held-out rows as the lists by score.

    \b
    interest bench rerank
    interest bench rerank --frontier model/ --graph graph/ --test valid.csv#setting=warm \\
        --out frontier/
    """
    from eval.benchmarks.reranking import measure_frontier, measure_speed
    from graphgen.errors import ConfigError
    from graphgen.storage import atomic_file

    kind = None if frontier is None else "report"
    made_from = options.check_outputs(context, frontier, graph, test, kind=kind)
    if frontier is None:
        speed = measure_speed(n_lists=lists, k=k, dim=dim, rival_lists=rival_lists, seed=seed)
        say(speed.to_markdown())
        if out is not None:
            with atomic_file(out) as temporary:
                speed.table.to_csv(temporary, index=False)
        return
    if graph is None or not test:
        raise ConfigError("--frontier MODEL needs --graph GRAPH and --test ROWS.")
    try:
        numbers = [float(n) for n in options.names_in(strengths) if strengths != "default"]
    except ValueError:
        raise ConfigError(
            f"--strengths is written 0.1,0.5 or default; got {strengths!r}."
        ) from None

    from gnn.registry import load_model
    from graphgen.graph import load_graph
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in

    fitted = load_model(frontier)
    measured = measure_frontier(
        fitted,
        read_log(*test, as_in=taken_in(fitted.provenance_.get("graph", {}))),
        load_graph(graph),
        k=k,
        methods=options.names_in(methods) or None,
        strengths=None if strengths == "default" else numbers,
        users=users,
        seed=seed,
        progress=True,
    )
    say(measured.to_markdown())
    say(f"\n{measured.sentence()}")
    if out is not None:
        measured.save(out, made_from=made_from)
        say(f"\nThe plots are in {out / 'report.html'}, the figures in {out / 'frontier.csv'}.")


@app.command("reasons")
def bench_reasons(
    context: Context,
    model: Annotated[
        Path | None,
        Argument(help="A model folder; default: a log with planted causes.", show_default=False),
    ] = None,
    users: Annotated[int, Option(help="Users whose recommendation is explained.")] = 500,
    methods: Annotated[
        str | None, Option(help="Comma-separated; default: all.", show_default=False)
    ] = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Measure how faithful reasons are, beside other ways to make them.

    The interactions of a user are taken away in 10 steps, the most important first: deletion_auc is
    the share of the score that is left, pos_p that of the steps in which the item is still among
    the first 5 (lower is better); for neg_p the least important go first (higher is better). Of a
    planted log, found is how often the planted cause comes first.

    \b
    interest bench reasons model/ --out reasons.csv
    interest bench reasons --users 200
    """
    from eval.benchmarks.reasons import measure_planted, measure_reasons
    from gnn.registry import load_model
    from graphgen.storage import atomic_file

    options.check_outputs(context, model, suffixes=(".csv",))
    given: Any = {"users": users, "methods": options.names_in(methods) or None, "seed": seed}
    if model is None:
        measured = measure_planted(**given, progress=True)
    else:
        measured = measure_reasons(load_model(model), **given, progress=True)
    say(measured.to_markdown())
    say("\n† not significantly different from interest explain; ms of one core.")
    if out is not None:
        with atomic_file(out) as temporary:
            measured.table().to_csv(temporary, index=False)


app.command("build")(bench_build)
app.command("clean")(bench_clean)
app.command("serve")(bench_serve)
app.command("modalities")(bench_modalities)
app.command("edges")(bench_edges)


@app.command("report")
def bench_report(
    context: Context,
    folders: Annotated[
        list[Path], Argument(help="Folders that `bench models` or `bench sequence` wrote.")
    ],
    out: options.Out,
) -> None:
    """Write the tables of several benchmarks as one Markdown page.

    \b
    interest bench report bench-amazon4/ bench-games/ --out docs/results.md
    """
    from eval.benchmarks.tables import results_page
    from graphgen.errors import counted
    from graphgen.storage import atomic_file

    options.check_outputs(context, folders, suffixes=(".md",))
    page = results_page(folders)
    with atomic_file(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    say(f"The tables of {counted(len(folders), 'benchmark')} are in {out}.")


def _resume(context: Context, out: Path, *inputs: Any) -> None:
    """Check the outputs: runs are added to an earlier benchmark, and nothing of it is removed."""
    options.check_outputs(context, *inputs, kind="benchmark", overwrite=True)
    resumes_from(context, out / "models.json")


def _command() -> str:
    return shlex.join(["interest", *sys.argv[1:]])


def _keep(measured: ModelBenchmark, out: Path) -> None:
    measured.save(out)
    say()
    say(measured.to_markdown())
    say(f"\nThe tables are in {out / 'models.md'}, all figures in models.csv and models.json.")
