"""`interest describe`: the content of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say, show_rows
from graphgen.errors import counted

if TYPE_CHECKING:
    from graphgen.description import GraphDescription

# Reasons for which rows of a log were left out, by their key in its report.
DROPPED = {
    "filtered": "filtered",
    "bad": "bad",
    "duplicates": "duplicate",
    "dropped": "dropped events",
    "k_core_dropped": "outside the k-core",
    "cleaned": "cleaned",
}

# Edges in words; those of a column of the item table are called by its name.
EDGES = {"similar": "semantic edge", "next": "transition", "co_consumed": "co-consumption edge"}
# Relations that other tables and lines count.
SHOWN = ("interacts", "rejects", "about")
# Rows of a table of domains, and columns.
SHOWN_DOMAINS, SHOWN_COLUMNS = 30, 12


def describe(
    context: Context,
    graph: options.Graph,
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
    out: Annotated[
        Path | None, Option("--out", help="Write an overview as one HTML page: charts and topics.")
    ] = None,
) -> None:
    """Show nodes, edges, the overlap between domains, features and provenance.

    \b
    interest describe graph/
    interest describe graph/ --json | jq .overlap
    interest describe graph/ --out overview.html
    """
    import json

    from graphgen.description import describe as describe_graph
    from graphgen.graph import load_graph

    options.check_outputs(context, graph, suffixes=(".html", ".htm"))
    opened = load_graph(graph)
    if out is not None:
        from graphgen.looking.overview import overview

        overview(opened).save(out)
        say(f"Written: {out}.")
        return
    description = describe_graph(opened)
    if as_json:
        say(json.dumps(description.to_dict(), indent=2, ensure_ascii=False))
        return
    show_description(description)


def show_description(description: GraphDescription) -> None:
    """Print the tables of a description, of the largest domains where there are many."""
    size = {name: domain.interactions for name, domain in description.domains.items()}
    by_size = sorted(size, key=size.__getitem__, reverse=True)[:SHOWN_DOMAINS]
    domains = [name for name in size if name in by_size]
    columns = ["users", "items", "cold items", "with text", "interactions", "density"]
    columns.append("median history")
    rows = [
        [
            domain,
            *(f"{n:,}" for n in (d.users, d.items, d.cold_items, d.items_with_text)),
            *(f"{d.interactions:,}", f"{100 * d.density:.3g}%", f"{d.median_history:g}"),
        ]
        for domain, d in description.domains.items()
        if domain in domains
    ]
    show_rows(["domain", *columns], rows, right=columns, title="Nodes")
    if len(size) > len(domains):
        say(f"These are the largest of {len(size):,} domains; --json of `describe` has all.")
    meant = description.provenance.get("log", {}).get("report", {}).get("taken", {}).get("rows", ())
    if any(row["signal"] != "none" for row in meant):
        outcomes = ["likes", "seen", "disliked", "dropped"]
        rows = [
            [row["domain"], row["signal"], *(f"{row[name]:,}" for name in outcomes)]
            for row in meant
            if row["domain"] in domains or row["domain"] not in size
        ]
        title = "Meaning of the rows"
        show_rows(["domain", "rows by", *outcomes], rows, right=outcomes, title=title)
    overlap = description.overlap
    if len(overlap) > 1:
        domains = [name for name in domains if name in by_size[:SHOWN_COLUMNS]]
        rows = [[a, *(f"{overlap[a][b]:,}" for b in domains)] for a in domains]
        show_rows(["", *domains], rows, right=domains, title="Users active in both")
    number = dict.fromkeys(("similar", "next"), 0)
    for kind, n in description.edges.items():
        relation = kind.rpartition("-> ")[0].rpartition(" -")[2]
        number[relation] = number.get(relation, 0) + n
    counts = {EDGES.get(name, f"{name} edge"): n for name, n in number.items() if name not in SHOWN}
    provenance = description.provenance
    text = provenance.get("text", {})
    shares = [f"{m['name']} {m['share']:.0%}" for m in provenance.get("modalities", [])]
    report = provenance.get("log", {}).get("report", {})
    say(
        f"{counted(description.users, 'user')}; "
        + "".join(f"{counted(n, name)}; " for name, n in counts.items())
        + f"{description.feature_dim}-d features"
        + (f" ({', '.join(shares)})" if len(shares) > 1 else "")
        + (f" by {text['encoder']}, {counted(text['encoded'], 'text')} encoded" if text else "")
        + (f"; cutoff {description.cutoff}" if description.cutoff else "")
    )
    if description.topics:
        largest = "; ".join(f"{topic} ({n:,})" for topic, n in description.largest_topics.items())
        say(
            f"{counted(description.topics, 'topic')}, {description.spanning_topics:,} of them "
            f"spanning domains; the largest: {largest}"
        )
    former = provenance.get("topics", {}).get("former")
    if former and former["topics"]:
        say(
            f"{former['same_name'] / former['topics']:.1%} of the {former['topics']:,} topics of "
            "the earlier graph go on with their names"
            + (
                f"; adjusted Rand {former['adjusted_rand']:.3f} over "
                f"{counted(former['items'], 'item')} of both"
                if former["adjusted_rand"] is not None
                else ""
            )
        )
    if report:
        dropped = [f", {report[key]:,} {name}" for key, name in DROPPED.items() if report.get(key)]
        say(f"{counted(report['rows_read'], 'row')} read" + "".join(dropped))
    if provenance:
        say(
            f"made {provenance['created']} by interest {provenance['interest_version']}, "
            f"log digest {provenance['log']['digest'][:12]}"
        )
