"""`interest evaluate`: one system against held-out interactions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


@options.with_tables
def evaluate(
    context: Context,
    tables: options.TableOptions,
    recommendations: Annotated[
        str,
        Argument(
            metavar="RECS",
            help="Recommendations of any system (CSV, Parquet), or a model folder, which also "
            "gives the exact AUC. Expansions, where the truth holds interests.",
        ),
    ],
    truth: Annotated[list[str], Option(help="Held-out interactions; PATH#column=value works.")],
    out: options.Out,
    k: options.Lengths = None,
    graph: Annotated[
        Path | None,
        Option(help="The training graph: adds diversity, novelty, cold and warm users."),
    ] = None,
    users: options.UserTable = None,
    valid: Annotated[
        list[str] | None,
        Option(
            help="Validation rows for a threshold and a calibration: adds accuracy, F1 and "
            "calibration of a model's links, on up to 2,000 users a domain; takes a few seconds "
            "for each domain."
        ),
    ] = None,
    curves: options.Curves = False,
    providers: Annotated[
        str | None,
        Option(
            help="Table of domain, item_id, provider (brand, seller), or `category` with --graph: "
            "compares exposure with merit."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        Option(
            help="Column of the truth to slice by (default: setting), or, with --graph, "
            "activity, popularity, source_domain, domain_count, overlap_share; repeatable."
        ),
    ] = None,
    metrics: options.Metrics = None,
    sampled: Annotated[
        int | None,
        Option(
            help="Also sampled metrics, with this number of negatives for each user; they are "
            "saved next to the report."
        ),
    ] = None,
    negatives: Annotated[
        str | None, Option(help="Also sampled metrics, with the negatives of this file.")
    ] = None,
    event: options.Event = None,
    positive: options.Positive = None,
    negative: options.Negative = None,
    separate_users: options.SeparateUsers = None,
    graded: options.Graded = False,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Evaluate recommendations on held-out interactions.

    \b
    interest evaluate recs.csv --truth test.csv -k 20 --graph graph/ --out report/
    interest evaluate model/ --truth test.csv -k 10 -k 20 --out report/
    interest evaluate model/ --truth test.csv --graph graph/ --by activity --out report/
    interest evaluate model/ --truth test.csv --valid valid.csv --curves --out report/
    interest evaluate expansions.csv --truth split/test_interests.csv -k 5 --out report/
    """
    from dataclasses import replace

    from eval.comparison.analyses import analyse
    from eval.comparison.fairness import read_providers
    from eval.comparison.links import evaluate_scorer_links
    from eval.evaluation.evaluator import evaluate as judge
    from eval.evaluation.inputs import with_groups
    from eval.evaluation.interests import holds_interests, read_interest_lists, read_interests
    from eval.evaluation.lists import read_lists
    from eval.evaluation.negatives import read_negatives, sample_negatives, write_negatives
    from eval.reports.markdown import result_markdown
    from eval.reports.writing import write_report
    from graphgen.errors import ConfigError
    from graphgen.graph import load_graph
    from graphgen.log_files import read_log
    from graphgen.meaning import taken_in
    from graphgen.progress import progress_bar, show_progress
    from graphgen.reading.sources import find_sources
    from graphgen.tables import read_users

    table = None if providers == "category" else providers
    drawn_to = out.with_name(f"{out.name}.negatives.parquet") if sampled is not None else None
    inputs = [recommendations, truth, graph, users, valid, negatives, table]
    made_from = options.check_outputs(context, *inputs, kind="report", files=[drawn_to])
    known = load_graph(graph) if graph else None
    system: Any = None
    is_model = (Path(recommendations) / "model.json").exists()
    if valid and not is_model:
        raise ConfigError("--valid needs scores of all links: give a model folder, not lists.")
    if is_model:
        from gnn.registry import load_model

        system = load_model(recommendations)
    held_out = find_sources(truth)
    of_interests = holds_interests(held_out[0], **tables.read)
    if of_interests and (graph or valid or negatives or sampled or providers):
        raise ConfigError(
            "Held-out interests are evaluated without --graph, --valid, --negatives, --sampled and "
            "--providers."
        )
    trained_on = known.provenance if known else getattr(system, "provenance_", {}).get("graph", {})
    reading = {**tables.read, **options.meaning_options(event, positive, negative, separate_users)}
    reading["as_in"] = taken_in(trained_on)
    if of_interests:
        rows = read_interests(*held_out, **tables.read)
    else:
        rows = read_log(*held_out, **reading)
    options.say_meaning(rows)
    separate = rows.report.taken.separate
    if of_interests and is_model:
        from gnn.interests.expanders import Expander

        system = Expander(system)
    elif of_interests:
        system = read_interest_lists(recommendations, **tables.read)
    elif not is_model:
        system = read_lists(recommendations, separate_users=separate, **tables.read)
    groups = read_users(*users, separate_users=separate, **tables.read) if users else None
    chosen_on = read_log(*valid, **reading) if valid else None
    others, only = None, rows.domains[0] if len(rows.domains) == 1 else None
    if negatives is not None:
        others = read_negatives(negatives, separate, domain=only, **tables.read)
    provided = _category_providers(known) if providers == "category" else None
    if table is not None:
        provided = read_providers(table, domain=only, **tables.read)
    tables.check()
    if sampled is not None and drawn_to is not None:
        scorer = system if is_model else None
        others = sample_negatives(rows, graph=known, scorer=scorer, n=sampled, seed=seed)
        write_negatives(others, drawn_to)
        say(f"The negatives are in {drawn_to}; --negatives reads them again.")
    judged: Any = rows if groups is None else with_groups(rows, groups)
    with show_progress():
        result = judge(
            system,
            judged,
            k=k or [20],
            graph=known,
            by=by,
            metrics=options.chosen_metrics(metrics, curves),
            negatives=others,
            graded=graded,
            seed=seed,
        )
    result = replace(result, name=Path(recommendations).name)
    links = None
    if chosen_on is not None:
        with progress_bar("Classifying links", enabled=True):
            links = evaluate_scorer_links(system, rows, chosen_on, negatives=others, seed=seed)
    with progress_bar("Writing the report", enabled=True):
        analyses = analyse(result, providers=provided, links=links)
        write_report(result, out, analyses, overwrite=overwrite, made_from=made_from)
    say(result_markdown(result, analyses=analyses))
    say(f"\nThe report is in {out}; open {out / 'report.html'}.")


def _category_providers(graph: Any) -> Any:
    """Return a table of providers: the categories of the graph's items."""
    import pandas as pd

    from graphgen.errors import ConfigError

    if graph is None:
        raise ConfigError("--providers category needs --graph, whose items have categories.")
    tables = [graph.item_frame(domain).assign(domain=domain) for domain in graph.domains]
    return pd.concat(tables).rename(columns={"category": "provider"})
