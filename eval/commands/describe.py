"""`interest describe`: the content of a graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from typer import Option

from eval.commands import options
from eval.commands.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from graphgen.description import GraphDescription

# Reasons for which rows of a log were left out, by their key in its report.
DROPPED = {
    "filtered": "filtered",
    "bad": "bad",
    "duplicates": "duplicate",
    "dropped": "dropped events",
    "k_core_dropped": "outside the k-core",
}


def describe(
    graph: options.Graph, as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False
) -> None:
    """Show nodes, edges, the overlap between domains, features and provenance.

    \b
    interest describe graph/
    interest describe graph/ --json | jq .overlap
    """
    import json

    from graphgen.description import describe as describe_graph
    from graphgen.graph import load_graph

    description = describe_graph(load_graph(graph))
    if as_json:
        say(json.dumps(description.to_dict(), indent=2, ensure_ascii=False))
        return
    show_description(description)


def show_description(description: GraphDescription) -> None:
    """Print the tables of a description."""
    say(
        _table(
            "Nodes",
            "domain",
            ("users", "items", "cold items", "with text", "interactions", "density", "history"),
            [
                (
                    domain,
                    *(f"{n:,}" for n in (d.users, d.items, d.cold_items, d.items_with_text)),
                    *(f"{d.interactions:,}", f"{d.density:.4%}", f"{d.median_history:g}"),
                )
                for domain, d in description.domains.items()
            ],
        )
    )
    meant = description.provenance.get("log", {}).get("report", {}).get("taken", {}).get("rows", ())
    if any(row["signal"] != "none" for row in meant):
        outcomes = ("likes", "seen", "disliked", "dropped")
        rows = [
            (row["domain"], row["signal"], *(f"{row[name]:,}" for name in outcomes))
            for row in meant
        ]
        say(_table("Meaning of the rows", "domain", ("rows by", *outcomes), rows))
    if len(description.overlap) > 1:
        counts = [(a, *(f"{n:,}" for n in row.values())) for a, row in description.overlap.items()]
        say(_table("Users active in both", "", description.overlap, counts))
    similar = sum(n for kind, n in description.edges.items() if "-similar->" in kind)
    provenance = description.provenance
    text = provenance.get("text", {})
    report = provenance.get("log", {}).get("report", {})
    say(
        f"{description.users:,} users; {similar:,} semantic edges; "
        f"{description.feature_dim}-d features"
        + (f" by {text['encoder']}, {text['encoded']:,} texts encoded" if text else "")
        + (f"; cutoff {description.cutoff}" if description.cutoff else "")
    )
    if description.topics:
        largest = "; ".join(f"{topic} ({n:,})" for topic, n in description.largest_topics.items())
        say(
            f"{description.topics:,} topics, {description.spanning_topics:,} of them spanning "
            f"domains; the largest: {largest}"
        )
    if report:
        dropped = [f", {report[key]:,} {name}" for key, name in DROPPED.items() if report.get(key)]
        say(f"{report['rows_read']:,} rows read" + "".join(dropped))
    if provenance:
        say(
            f"made {provenance['created']} by interest {provenance['interest_version']}, "
            f"log digest {provenance['log']['digest'][:12]}"
        )


def _table(title: str, first: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return a table whose columns after the first are set right."""
    from rich.table import Column, Table

    right = [Column(name, justify="right") for name in columns]
    table = Table(first, *right, title=title, title_justify="left")
    for cells in rows:
        table.add_row(*cells)
    return table
