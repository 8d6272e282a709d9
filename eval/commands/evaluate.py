"""`interest evaluate`: one system against held-out interactions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eval.commands.console import say
from eval.commands.options import (
    ColumnOption,
    CurvesOption,
    MetricsOption,
    OutOption,
    SeedOption,
    chosen_metrics,
    parse_columns,
)

__all__ = ["evaluate"]


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
    column: ColumnOption = None,
    seed: SeedOption = 0,
) -> None:
    """Evaluate recommendations on held-out interactions.

    \b
    interest evaluate recs.csv --truth test.csv -k 20 --graph graph/ --out report/
    interest evaluate model/ --truth test.csv -k 10 -k 20 --out report/
    interest evaluate model/ --truth test.csv --graph graph/ --by activity --out report/
    interest evaluate model/ --truth test.csv --valid valid.csv --curves --out report/
    """
    from eval.evaluation.evaluator import evaluate as judge
    from eval.evaluation.negatives import sample_negatives, write_negatives
    from graphgen.graph import load_graph
    from graphgen.log import read_log
    from graphgen.tables import read_users

    known = load_graph(graph) if graph else None
    rows = read_log(*truth, columns=parse_columns(column))
    system: Any = recommendations
    if (Path(recommendations) / "model.json").exists():
        from gnn.persistence import load_model

        system = load_model(recommendations)
    if sampled is not None:
        negatives = out.with_name(f"{out.name}.negatives.parquet")
        scorer = None if system is recommendations else system
        drawn = sample_negatives(rows, graph=known, scorer=scorer, n=sampled, seed=seed)
        write_negatives(drawn, negatives)
        say(f"The negatives are in {negatives}; --negatives reads them again.")
    result = judge(
        system,
        rows,
        k=k or [20],
        graph=known,
        metrics=chosen_metrics(metrics, curves),
        negatives=negatives,
        valid=read_log(*valid, columns=parse_columns(column)) if valid else None,
        providers=_providers(providers, known),
        by=by,
        users=read_users(*users) if users else None,
        seed=seed,
        progress=True,
        name=Path(recommendations).name,
    )
    result.save(out)
    say(result.to_markdown())
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
