"""`interest compare`: several systems on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say, show_rows

if TYPE_CHECKING:
    from eval.experiments.costs import Experiment, SystemRun
    from graphgen.graph import InterestGraph
    from graphgen.log import InteractionLog

DEFAULT_MODELS = "popularity,item-knn,lightgcn,interest-gnn"


@options.with_tables
def compare(
    context: Context,
    tables: options.TableOptions,
    train: Annotated[list[str], Option(help="Training rows; repeatable.")],
    test: Annotated[list[str], Option(help="Test rows; repeatable.")],
    out: options.Out,
    valid: Annotated[list[str] | None, Option(help="Validation rows; repeatable.")] = None,
    items: Annotated[list[str] | None, Option(help="Items: item_id, domain, title, text.")] = None,
    models: Annotated[
        str, Option(help="Comma-separated; as `interest models` lists them.")
    ] = DEFAULT_MODELS,
    recs: Annotated[
        list[str] | None, Option(help="Another system's recommendations, NAME=PATH; repeatable.")
    ] = None,
    graph: Annotated[
        str | None, Option(help="expansion: the graph whose topics the split was made with.")
    ] = None,
    k: options.Lengths = None,
    by: Annotated[
        list[str] | None,
        Option(
            help="Column of the test rows to slice by (default: setting), or activity, "
            "popularity, source_domain, domain_count, overlap_share; repeatable."
        ),
    ] = None,
    baseline: Annotated[
        str | None, Option(help="System to test the others against; default: the best.")
    ] = None,
    single_domain: Annotated[
        str | None,
        Option(
            help="Comma-separated: models to fit again on each domain alone, or names of --recs "
            "that were. The gain of the other models over the best of them is reported."
        ),
    ] = None,
    users: options.UserTable = None,
    metrics: options.Metrics = None,
    curves: options.Curves = False,
    task: Annotated[
        Literal["items", "next-domain", "next-interest", "expansion"],
        Option(
            help="items: ranked lists; next-domain, next-interest: that of each user's first test "
            "interaction, by --models and simple experts; the rows of --valid lie before; "
            "expansion: the interests that `interest split --protocol new-interest` held out "
            "(--test test_interests.csv), by each expander on top of each model."
        ),
    ] = "items",
    encoder: Annotated[str, Option(help="Text encoder of the graph.")] = "minilm",
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    separate_users: options.SeparateUsers = None,
    ordered: options.Ordered = False,
    graded: options.Graded = False,
    config: options.Config = None,
    set_: options.ModelSet = None,
    seed: options.Seed = 0,
    seeds: Annotated[
        str | None,
        Option(
            help="Comma-separated: fit each model with each of these seeds and pool the runs; "
            "--seed is then used for ties and intervals only."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Train several models on the same rows and compare them, with intervals and tests.

    \b
    interest compare --train train.csv --valid valid.csv --test test.csv --items items.csv \\
        --models popularity,item-knn,interest-gnn --out report/
    interest compare --train log.csv#split=train --test log.csv#split=test \\
        --recs theirs=recs.csv --models interest-gnn --out report/
    interest compare --train train.csv --test test.csv --models interest-gnn \\
        --single-domain item-knn,ease --out report/
    interest compare --train train.csv --test test.csv --seeds 0,1,2 --out report/
    interest compare --task next-domain --train train.csv --valid valid.csv --test test.csv \\
        --models interest-gnn --out report/
    interest compare --task expansion --train split/train.csv --valid split/valid.csv \\
        --test split/test_interests.csv --items items.csv --graph graph/ --models interest-gnn \\
        --out report/
    """
    from eval.evaluation.lists import read_lists
    from eval.experiments.experiment import compare as run_comparison
    from graphgen.build import build_graph
    from graphgen.errors import ConfigError
    from graphgen.log_files import read_log
    from graphgen.tables import read_items, read_users

    made_from = options.check_outputs(
        context, train, valid, test, items, users, recs, config, graph, kind="report"
    )
    names, alone = options.names_in(models), options.names_in(single_domain)
    others = options.named_paths(recs, "--recs")
    if not names and not others:
        raise ConfigError("Name at least one of --models or --recs NAME=PATH.")
    if task != "items" and (recs or single_domain or users or by or curves or graded or seeds):
        raise ConfigError(
            "--recs, --single-domain, --users, --by, --curves, --graded and --seeds are for --task "
            "items."
        )
    trained = [*names, *(name for name in alone if name not in others)]
    settings = options.model_settings(config, set_, trained)

    meaning = options.meaning_options(event, positive, negative, separate_users)
    rows = read_log(*train, **tables.read, **meaning, ordered=ordered, progress=True)
    options.say_meaning(rows)

    def read(sources: list[str]) -> Any:
        return read_log(*sources, **tables.read, as_in=rows.report.taken, progress=True)

    table = read_items(*items, **tables.read) if items else None
    if task == "expansion":
        from eval.evaluation.interests import read_interests
        from eval.experiments.expansion import METRICS

        chosen_on = read(valid) if valid else None
        held_out = read_interests(*test, **tables.read)
        tables.check()
        built = build_graph(rows, table, encoder=encoder, progress=True)
        experiment = _expansion(
            built,
            held_out,
            names,
            chosen_on,
            settings,
            graph,
            k=k or [1, 5],
            metrics=options.names_in(metrics) or METRICS,
            baseline=baseline,
            seed=seed,
        )
        _report(experiment, out, overwrite=overwrite, made_from=made_from)
        return
    truth, chosen_on = read(test), read(valid) if valid else None
    separate = rows.report.taken.separate
    lists = {
        name: read_lists(path, separate_users=separate, **tables.read)
        for name, path in others.items()
    }
    groups = read_users(*users, separate_users=separate, **tables.read) if users else None
    tables.check()
    built = build_graph(rows, table, encoder=encoder, progress=True)
    if task != "items":
        from eval.experiments.next_target import compare_next

        experiment = compare_next(
            built, chosen_on, truth, task=task, models=names, settings=settings,
            baseline=baseline, seed=seed, progress=True,
        )  # fmt: skip
        _report(experiment, out, overwrite=overwrite, made_from=made_from)
        return
    experiment = run_comparison(
        built,
        truth,
        names,
        valid=chosen_on,
        recommendations=lists,
        settings=settings,
        k=k or [20],
        by=by,
        baseline=baseline,
        single_domain=alone,
        users=groups,
        metrics=options.chosen_metrics(metrics, curves),
        graded=graded,
        seed=seed,
        seeds=options.seed_numbers(seeds),
        progress=True,
        on_run=_say_run,
    )
    _report(experiment, out, overwrite=overwrite, made_from=made_from)


def _report(experiment: Experiment, out: Path, *, overwrite: bool, made_from: str) -> None:
    from eval.reports.sections import comparison_sections, section_markdown
    from eval.reports.tables import legend, overview
    from eval.reports.verdict import comparison_verdict
    from graphgen.errors import counted
    from graphgen.progress import progress_bar

    with progress_bar("Writing the report", enabled=True):
        experiment.save(out, overwrite=overwrite, made_from=made_from)
    comparison = experiment.comparison
    say(comparison_verdict(comparison))
    header, lines, left_out = overview(comparison)
    show_rows(header, lines, right=header[3:], title="Macro over domains")
    if left_out:
        say(f"{counted(left_out, 'further slice')} in the report.")
    say(legend(comparison, best="*", intervals=False))
    for section in comparison_sections(comparison, reach=False):
        say(f"\n{section_markdown(section)}")
    say(f"\nEvery metric, domain and interval is in {out}; open {out / 'report.html'}.")


def _expansion(
    graph: InterestGraph,
    truth: InteractionLog,
    names: list[str],
    valid: InteractionLog | None,
    settings: dict[str, Any],
    topics: str | None,
    **choices: Any,
) -> Experiment:
    """Fit each model, and compare the expanders on top of it."""
    from eval.experiments.expansion import compare_expanders
    from gnn.interests.interests import Interests
    from gnn.registry import make_model
    from graphgen.errors import ConfigError
    from graphgen.graph import load_graph

    if len(names) != 1:
        raise ConfigError("--task expansion takes one of --models, such as interest-gnn.")
    [name] = names
    model = make_model(name, **settings.get(name, {}))
    model.fit(graph, valid=valid or "auto", seed=choices["seed"], progress=True)
    interests = Interests.of(model.data, load_graph(topics)) if topics else None
    return compare_expanders(model, truth, interests=interests, on_run=_say_run, **choices)


def _say_run(name: str, run: SystemRun, system: Any) -> None:
    seed = "" if run.seed is None else f" (seed {run.seed})"
    say(
        f"{name}{seed}: fitted in {run.fit_seconds:,.1f} s, ranked in {run.score_seconds:,.1f} s, "
        f"peak memory {run.peak_megabytes / 1000:,.2f} GB"
    )
