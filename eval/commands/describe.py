"""`interest describe`: the content of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.console import say

if TYPE_CHECKING:
    from graphgen.description import GraphDescription

__all__ = ["describe", "show_description"]


def describe(
    graph: Annotated[Path, typer.Argument(help="A graph folder.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
    from rich.table import Table

    nodes = Table("domain", title="Nodes", title_justify="left")
    for name in ("users", "items", "cold items", "with text", "interactions", "density", "history"):
        nodes.add_column(name, justify="right")
    for domain, d in description.domains.items():
        nodes.add_row(
            domain,
            f"{d.users:,}",
            f"{d.items:,}",
            f"{d.cold_items:,}",
            f"{d.items_with_text:,}",
            f"{d.interactions:,}",
            f"{d.density:.4%}",
            f"{d.median_history:g}",
        )
    say(nodes)
    meant = description.provenance.get("log", {}).get("report", {}).get("taken", {}).get("rows", ())
    if any(row["signal"] != "none" for row in meant):
        outcomes = ("likes", "seen", "disliked", "dropped")
        signals = Table("domain", "rows by", title="Meaning of the rows", title_justify="left")
        for name in outcomes:
            signals.add_column(name, justify="right")
        for row in meant:
            counts = (f"{row[name]:,}" for name in outcomes)
            signals.add_row(row["domain"], row["signal"], *counts)
        say(signals)
    overlap = Table("", title="Users active in both", title_justify="left")
    for domain in description.overlap:
        overlap.add_column(domain, justify="right")
    for domain, row in description.overlap.items():
        overlap.add_row(domain, *(f"{count:,}" for count in row.values()))
    if len(description.overlap) > 1:
        say(overlap)
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
        largest = "; ".join(
            f"{topic} ({count:,})" for topic, count in description.largest_topics.items()
        )
        say(
            f"{description.topics:,} topics, {description.spanning_topics:,} of them spanning "
            f"domains; the largest: {largest}"
        )
    dropped = {
        name: report[key]
        for name, key in (
            ("filtered", "filtered"),
            ("bad", "bad"),
            ("duplicate", "duplicates"),
            ("dropped events", "dropped"),
            ("outside the k-core", "k_core_dropped"),
        )
        if report.get(key)
    }
    if report:
        say(
            f"{report['rows_read']:,} rows read"
            + "".join(f", {count:,} {name}" for name, count in dropped.items())
        )
    if provenance:
        say(
            f"made {provenance['created']} by interest {provenance['interest_version']}, "
            f"log digest {provenance['log']['digest'][:12]}"
        )
