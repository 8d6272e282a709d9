"""`interest export`: a graph or the vectors of a model for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


def export(
    context: Context,
    source: Annotated[Path, Argument(help="A graph or model folder.", show_default=False)],
    network: Annotated[
        Path | None, Option("--network", help="Write a graph as .graphml or .gexf.")
    ] = None,
    nodes: Annotated[
        Path | None, Option("--nodes", help="Write its nodes as CSV, TSV or Parquet.")
    ] = None,
    edges: Annotated[
        Path | None, Option("--edges", help="Write its edges as CSV, TSV or Parquet.")
    ] = None,
    vectors: Annotated[
        Path | None,
        Option("--vectors", help="Write the items' vectors of a model or a graph."),
    ] = None,
    user: Annotated[
        str | None, Option(help="Only the neighbourhood of this user of a graph.")
    ] = None,
    item: Annotated[
        str | None, Option(help="Only the neighbourhood of this item, DOMAIN=ID or a title.")
    ] = None,
    hops: Annotated[int, Option(help="Steps from the centre.")] = 2,
    limit: Annotated[int, Option(help="Maximum number of nodes around it.")] = 60,
) -> None:
    """Hand a graph on as GraphML, GEXF or tables, and vectors of items as a table.

    \b
    interest export graph/ --network graph.graphml --nodes nodes.csv --edges edges.parquet
    interest export graph/ --item books=dune --network dune.gexf
    interest export model/ --vectors items.parquet
    """
    from graphgen.errors import ConfigError
    from graphgen.looking import export as forms
    from graphgen.storage import table_format, write_table

    tables = [nodes, edges, vectors]
    if not any([network, *tables]):
        raise ConfigError("Give at least one of --network, --nodes, --edges and --vectors.")
    for path in filter(None, tables):
        table_format(path)
    if network is not None:
        forms.network_format(network)
    options.check_outputs(context, source, files=[network, *tables])
    is_model = (source / "model.json").exists()
    if is_model and (network or nodes or edges):
        raise ConfigError(f"{source} is a model: it has --vectors only; export its graph.")
    if is_model:
        from gnn.registry import load_model
        from gnn.similar import vector_table

        model = load_model(source)
        found = vector_table(model.name, model.data.items, model.item_vectors())
    else:
        from graphgen.graph import load_graph
        from graphgen.looking.neighborhoods import neighborhood
        from graphgen.looking.nodes import item_node

        graph = load_graph(source)
        part = graph
        if user is not None or item is not None:
            node = ("user", user) if user is not None else item_node(graph, str(item))
            part = neighborhood(graph, node, hops=hops, limit=limit)
        if network is not None:
            forms.write_network(part, network)
        if nodes is not None:
            write_table(forms.node_table(part), nodes)
        if edges is not None:
            write_table(forms.edge_table(part), edges)
        if vectors is not None:
            from gnn.data import TrainingData
            from gnn.similar import vector_table

            data = TrainingData.from_graph(graph)
            found = vector_table("graph", data.items, data.features)
    if vectors is not None:
        write_table(found, vectors)
    say(f"Written: {', '.join(str(path) for path in [network, *tables] if path)}.")
