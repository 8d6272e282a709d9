"""Commands about what is known: build, describe, explore, synth, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphgen.console import (
    ColumnOption,
    ConfigOption,
    OnBadRowsOption,
    OutOption,
    OverwriteOption,
    SeedOption,
    SetOption,
    check_outputs,
    next_step,
    parse_columns,
    say,
)

if TYPE_CHECKING:
    from graphgen.description import GraphDescription

__all__ = ["app"]

app = typer.Typer()


@app.command()
def build(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG...",
            help="Files or folders of interactions: PATH, DOMAIN=PATH, or PATH#column=value to "
            "keep some rows. CSV, TSV, .gz, .zst, Parquet, or LightGCN lists (.txt).",
        ),
    ],
    out: OutOption,
    items: Annotated[
        list[str] | None,
        typer.Option(
            "--items", help="Items: item_id, domain, title, text, category (several: A|B)."
        ),
    ] = None,
    users: Annotated[
        list[str] | None, typer.Option("--users", help="People: user_id, group.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="minilm, hashing, none, or a folder or hub name of a BERT model."),
    ] = None,
    topics: Annotated[
        int | None,
        typer.Option(
            help="Topics to find in the texts, 0 for none; by default the more texts the more. "
            "Categories are topics too: see --set category_items=N (0 for none).",
            show_default=False,
        ),
    ] = None,
    column: ColumnOption = None,
    on_bad_rows: OnBadRowsOption = "error",
    quarantine: Annotated[
        Path | None, typer.Option(help="Where bad rows go with --on-bad-rows quarantine.")
    ] = None,
    min_rating: Annotated[
        float | None, typer.Option(help="Keep interactions rated at least this.")
    ] = None,
    k_core: Annotated[
        int, typer.Option(help="Keep users and items with at least this many interactions.")
    ] = 0,
    delimiter: Annotated[
        str | None, typer.Option(help="Column separator; found by itself.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding, such as gb18030.")] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="Leave out interactions at or after this ISO time.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Build an interest graph from interaction logs.

    \b
    interest build train.csv --items items.csv --out graph/
    interest build books=books.csv films=films.csv.gz --out graph/
    interest build "log.csv.gz#split=train" --min-rating 4 --out graph/
    """
    from graphgen.build import BuildConfig, build_graph
    from graphgen.config import parse_assignments, read_toml
    from graphgen.description import describe as describe_graph
    from graphgen.log import read_log
    from graphgen.tables import read_items, read_users

    made_from = check_outputs(
        out,
        context=context,
        kind="graph",
        overwrite=overwrite,
        inputs=[sources, items, users, config],
        files=[quarantine],
    )
    given = {"encoder": encoder, "topics": topics, "cutoff": cutoff}
    settings = BuildConfig.make(
        {
            **(read_toml(config) if config else {}),
            **parse_assignments(set_ or []),
            **{name: value for name, value in given.items() if value is not None},
        }
    )
    columns = parse_columns(column)
    log = read_log(
        *sources,
        columns=columns,
        on_bad_rows=on_bad_rows,
        quarantine=quarantine,
        min_rating=min_rating,
        k_core=k_core,
        delimiter=delimiter,
        encoding=encoding,
        progress=True,
    )
    if log.report.quarantine:
        say(f"{log.report.bad:,} bad rows were set aside in {log.report.quarantine}.")
    table = read_items(*items, on_bad_rows=on_bad_rows, encoding=encoding) if items else None
    people = read_users(*users, on_bad_rows=on_bad_rows, encoding=encoding) if users else None
    graph = build_graph(log, table, people, config=settings, progress=True)
    graph.save(out, overwrite=overwrite, made_from=made_from)
    _print_description(describe_graph(graph))
    say(f"\nThe graph is in {out}.")
    next_step(f"interest train {out} --out model/")


@app.command()
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
    _print_description(description)


def _print_description(description: GraphDescription) -> None:
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
    overlap = Table("", title="People active in both", title_justify="left")
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
            ("below the rating", "below_rating"),
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


@app.command()
def explore(
    graph: Annotated[Path, typer.Argument(help="A graph folder.", show_default=False)],
    out: OutOption,
    user: Annotated[str | None, typer.Option(help="Centre: a user.")] = None,
    item: Annotated[
        str | None, typer.Option(help="Centre: an item, DOMAIN=ID, or a topic, interest=NAME.")
    ] = None,
    hops: Annotated[int, typer.Option(help="Steps from the centre.")] = 2,
    limit: Annotated[int, typer.Option(help="Nodes at the most.")] = 60,
) -> None:
    """Write a neighbourhood as one interactive page that works offline.

    \b
    interest explore graph/ --user ann --out ann.html
    interest explore graph/ --item book=dune --hops 1 --out dune.html
    """
    from graphgen.errors import ConfigError
    from graphgen.graph import load_graph
    from graphgen.looking.neighborhoods import neighborhood
    from graphgen.looking.page import write_page
    from graphgen.schema import USER

    check_outputs(out, inputs=[graph])
    if (user is None) == (item is None):
        raise ConfigError("Give either --user ID or --item DOMAIN=ID.")
    if user is not None:
        node = (USER, user)
    else:
        domain, equals, item_id = str(item).partition("=")
        if not equals:
            raise ConfigError(f"--item is written DOMAIN=ID; got {item!r}.")
        node = (domain, item_id)
    around = neighborhood(load_graph(graph), node, hops=hops, limit=limit)
    write_page(around, out)
    say(f"{around.number_of_nodes()} nodes and {around.number_of_edges()} edges are in {out}.")


@app.command()
def synth(
    context: typer.Context,
    out: OutOption,
    users: Annotated[int, typer.Option(help="Number of users.")] = 4000,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a synthetic multi-domain log: books, films, music, games.

    \b
    interest synth --out data/
    interest compare --train data/train.csv --valid data/valid.csv --test data/test.csv \\
        --items data/items.csv --models popularity,interest-gnn --out report/
    """
    from graphgen.synthetic.generator import write_synthetic

    made_from = check_outputs(out, context=context, kind="synthetic log", overwrite=overwrite)
    write_synthetic(out, n_users=users, seed=seed, overwrite=overwrite, made_from=made_from)
    say(f"train.csv, valid.csv, test.csv, items.csv and users.csv are in {out}.")
    next_step(f"interest build {out}/train.csv --items {out}/items.csv --out graph/")


@app.command()
def doctor() -> None:
    """Check the installation: packages, name collisions, the packaged BERT, the cache."""
    from graphgen.doctor import diagnose

    checks = diagnose()
    for check in checks:
        say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.finding}")
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
