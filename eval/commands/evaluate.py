"""`interest evaluate`: one system against held-out interactions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.console import say
from eval.commands.options import (
    ColumnOption,
    CurvesOption,
    EventOption,
    MetricsOption,
    NegativeOption,
    OutOption,
    OverwriteOption,
    PositiveOption,
    SeedOption,
    check_outputs,
    chosen_metrics,
    meaning_options,
    parse_columns,
    say_meaning,
)

__all__ = ["evaluate"]


def evaluate(
    context: typer.Context,
    recommendations: Annotated[
        str,
        typer.Argument(
            metavar="RECS",
            help="Recommendations of any system (CSV, Parquet), or a model folder, which also "
            "gives the exact AUC.",
        ),
    ],
    truth: Annotated[
        list[str], typer.Option("--truth", help="Held-out interactions; PATH#column=value works.")
    ],
    out: OutOption,
    k: Annotated[list[int] | None, typer.Option("-k", help="Length of a list; repeatable.")] = None,
    graph: Annotated[
        Path | None,
        typer.Option(help="The training graph: adds diversity, novelty, cold and warm users."),
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option("--users", help="User table with a group: groups are compared (fairness)."),
    ] = None,
    valid: Annotated[
        list[str] | None,
        typer.Option(
            "--valid",
            help="Validation rows for a threshold and a calibration: adds accuracy, F1 and "
            "calibration of a model's links, on up to 2,000 users a domain; takes a few seconds "
            "for each domain.",
        ),
    ] = None,
    curves: CurvesOption = False,
    providers: Annotated[
        str | None,
        typer.Option(
            help="Table of domain, item_id, provider (brand, seller), or `category` with --graph: "
            "compares exposure with merit."
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="Column of the truth to slice by (default: setting), or, with --graph, "
            "activity, popularity, source_domain, domain_count, overlap_share; repeatable.",
        ),
    ] = None,
    metrics: MetricsOption = None,
    sampled: Annotated[
        int | None,
        typer.Option(
            help="Also sampled metrics, with this number of negatives for each user; they are "
            "saved next to the report."
        ),
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(help="Also sampled metrics, with the negatives of this file.")
    ] = None,
    event: EventOption = None,
    positive: PositiveOption = None,
    negative: NegativeOption = None,
    graded: Annotated[
        bool,
        typer.Option(
            "--graded",
            help="Relevance by rating: each rating above 0 is relevant, and NDCG weighs it.",
        ),
    ] = False,
    column: ColumnOption = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Evaluate recommendations on held-out interactions.

    \b
    interest evaluate recs.csv --truth test.csv -k 20 --graph graph/ --out report/
    interest evaluate model/ --truth test.csv -k 10 -k 20 --out report/
    interest evaluate model/ --truth test.csv --graph graph/ --by activity --out report/
    interest evaluate model/ --truth test.csv --valid valid.csv --curves --out report/
    """
    from dataclasses import replace

    from eval.comparison.analyses import analyse
    from eval.comparison.links import evaluate_scorer_links
    from eval.evaluation.evaluator import evaluate as judge
    from eval.evaluation.inputs import with_groups
    from eval.evaluation.negatives import sample_negatives, write_negatives
    from eval.reports.markdown import result_markdown
    from eval.reports.writing import write_report
    from graphgen.errors import ConfigError
    from graphgen.graph import load_graph
    from graphgen.log import read_log
    from graphgen.meaning import taken_in
    from graphgen.progress import show_progress
    from graphgen.tables import read_users

    table = None if providers == "category" else providers
    drawn_to = out.with_name(f"{out.name}.negatives.parquet") if sampled is not None else None
    made_from = check_outputs(
        out,
        context=context,
        kind="report",
        overwrite=overwrite,
        inputs=[recommendations, truth, graph, users, valid, negatives, table],
        files=[drawn_to],
    )
    known = load_graph(graph) if graph else None
    system: Any = recommendations
    if (Path(recommendations) / "model.json").exists():
        from gnn.registry import load_model

        system = load_model(recommendations)
    trained_on = known.provenance if known else getattr(system, "provenance_", {}).get("graph", {})
    options = meaning_options(event, positive, negative)
    options |= {"columns": parse_columns(column), "as_in": taken_in(trained_on)}
    rows = read_log(*truth, **options)
    say_meaning(rows)
    if sampled is not None and drawn_to is not None:
        negatives = drawn_to
        scorer = None if system is recommendations else system
        drawn = sample_negatives(rows, graph=known, scorer=scorer, n=sampled, seed=seed)
        write_negatives(drawn, negatives)
        say(f"The negatives are in {negatives}; --negatives reads them again.")
    judged: Any = rows if users is None else with_groups(rows, read_users(*users))
    with show_progress():
        result = judge(
            system,
            judged,
            k=k or [20],
            graph=known,
            by=by,
            metrics=chosen_metrics(metrics, curves),
            negatives=negatives,
            graded=graded,
            seed=seed,
        )
    result = replace(result, name=Path(recommendations).name)
    links = None
    if valid:
        if system is recommendations:
            raise ConfigError("--valid needs scores of all links: give a model folder, not lists.")
        chosen_on = read_log(*valid, **options)
        links = evaluate_scorer_links(system, rows, chosen_on, negatives=negatives, seed=seed)
    analyses = analyse(result, providers=_providers(providers, known), links=links)
    write_report(result, out, analyses, overwrite=overwrite, made_from=made_from)
    say(result_markdown(result, analyses=analyses))
    say(f"\nThe report is in {out}; open {out / 'report.html'}.")


def _providers(source: str | None, graph: Any) -> Any:
    """Return a table of providers: the graph's categories, or the path of a table."""
    if source != "category":
        return source
    import pandas as pd

    from graphgen.errors import ConfigError

    if graph is None:
        raise ConfigError("--providers category needs --graph, whose items have categories.")
    tables = [graph.item_frame(domain).assign(domain=domain) for domain in graph.domains]
    return pd.concat(tables).rename(columns={"category": "provider"})
