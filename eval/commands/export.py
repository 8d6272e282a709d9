"""`interest export`: a graph, or the vectors of a model, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say

SCHEMA_VERSION = 1
# Edges above which GraphML and GEXF, up to 300 bytes each, are on request only.
MAX_EDGES = 200_000


def export(
    context: Context,
    source: Annotated[Path, Argument(help="A graph or model folder.", show_default=False)],
    out: options.Out,
    form: Annotated[
        list[str] | None,
        Option(
            "--form",
            help="Only vectors, parquet, neo4j, graphml or gexf; repeatable. Default: all that "
            "there is; GraphML and GEXF up to 200,000 edges.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[
        str | None, Option(help="Only the neighbourhood of this user of a graph.")
    ] = None,
    item: Annotated[
        str | None, Option(help="Only the neighbourhood of this item, DOMAIN=ID or a title.")
    ] = None,
    hops: Annotated[int, Option(help="Steps from the centre.")] = 2,
    limit: Annotated[int, Option(help="Maximum number of nodes around it.")] = 60,
    overwrite: options.Overwrite = False,
) -> None:
    """Write a graph, or the vectors of a model, for other tools.

    vectors: items, users and interests, as NAME.parquet (ids, then v0, v1, ...) and NAME.npy (the
    vectors alone, in the same order); those of a graph are of texts. parquet: nodes and edges.
    neo4j: two CSV files for neo4j-admin database import. User ids are written as they are.

    \b
    interest export graph/ --out exported/
    interest export graph/ --item books=dune --form gexf --out dune/
    interest export model/ --out vectors/
    neo4j-admin database import full --nodes=exported/neo4j_nodes.csv \\
        --relationships=exported/neo4j_edges.csv
    """
    import numpy as np

    from graphgen.errors import ConfigError
    from graphgen.networks import FORMS, edge_table, node_table, write_form
    from graphgen.progress import progress_bar
    from graphgen.storage import atomic_directory, provenance, write_json, write_table

    made_from = options.check_outputs(context, source, kind="export")
    for name in form or ():
        if name not in ("vectors", *FORMS):
            raise ConfigError(f"--form is vectors, {', '.join(FORMS)}; got {name!r}.")
    is_model = (source / "model.json").exists()
    around = user is not None or item is not None
    if is_model and (around or set(form or ()) - {"vectors"}):
        raise ConfigError(f"{source} is a model: it has vectors only; export its graph.")
    if around and "vectors" in (form or ()):
        raise ConfigError("A neighbourhood has no vectors; leave --user and --item out.")
    tables: dict[str, Any] = {}
    nodes: Any = None
    edges: Any = None
    if is_model:
        from gnn.registry import load_model
        from gnn.similar import vector_tables

        model = load_model(source)
        tables = vector_tables(model.data, model.item_vectors(), model.user_vectors())
    else:
        from graphgen.graph import load_graph

        graph = load_graph(source)
        if around:
            from graphgen.looking.neighborhoods import neighborhood
            from graphgen.looking.nodes import item_node

            node = ("user", user) if user is not None else item_node(graph, str(item))
            part = neighborhood(graph, node, hops=hops, limit=limit)
            nodes, edges = node_table(part), edge_table(part)
        elif form is None or set(form) & set(FORMS):
            with progress_bar("Collecting nodes and edges", enabled=True):
                nodes, edges = node_table(graph), edge_table(graph)
        if not around and ("vectors" in form if form else graph.feature_dim):
            from gnn.data import TrainingData
            from gnn.similar import vector_tables

            data = TrainingData.from_graph(graph)
            tables = vector_tables(data, data.features)
    written = []
    with atomic_directory(out, kind="export", overwrite=overwrite, made_from=made_from) as folder:
        many = edges is not None and len(edges) > MAX_EDGES
        default = FORMS[:2] if many else FORMS
        forms = [] if edges is None else [name for name in FORMS if name in (form or default)]
        with progress_bar("Writing", len(tables) + len(forms), enabled=True) as advance:
            for name, table in tables.items():
                write_table(table, folder / f"{name}.parquet")
                vectors = table.filter(regex=r"^v\d+$").to_numpy(np.float32)
                np.save(folder / f"{name}.npy", vectors)
                written += [f"{name}.parquet", f"{name}.npy"]
                advance()
            for name in forms:
                written += write_form(nodes, edges, name, folder)
                advance()
        if form is None and many:
            say(f"GraphML and GEXF are left out: {len(edges):,} edges; ask for them by --form.")
        facts = {"source": str(source), "provenance": provenance()}
        write_json(folder / "export.json", facts, schema_version=SCHEMA_VERSION)
    say(f"Written to {out}: {', '.join(written)}.")
