"""`interest explore`: a neighbourhood as a page."""

from __future__ import annotations

from typing import Annotated

from typer import Context, Option

from eval.commands import options
from eval.commands.console import say


def explore(
    context: Context,
    graph: options.Graph,
    out: options.Out,
    user: Annotated[str | None, Option(help="User at the centre.")] = None,
    item: Annotated[
        str | None, Option(help="Item, DOMAIN=ID or a title, or topic, interest=NAME.")
    ] = None,
    hops: Annotated[int, Option(help="Steps from the centre.")] = 2,
    limit: Annotated[int, Option(help="Maximum number of nodes.")] = 40,
) -> None:
    """Write a neighbourhood as one interactive page that works offline.

    \b
    interest explore graph/ --user ann --out ann.html
    interest explore graph/ --item book=dune --hops 1 --out dune.html
    """
    from graphgen.errors import counted
    from graphgen.graph import load_graph
    from graphgen.looking.neighborhoods import neighborhood
    from graphgen.looking.nodes import asked_node
    from graphgen.looking.page import write_page

    options.check_outputs(context, graph, suffixes=(".html", ".htm"))
    opened = load_graph(graph)
    node = asked_node(opened, user=user, item=item)
    around = neighborhood(opened, node, hops=hops, limit=limit, users=False)
    write_page(around, out)
    nodes = counted(around.number_of_nodes(), "node")
    say(f"{nodes} and {counted(around.number_of_edges(), 'edge')} are in {out}.")
