"""`interest explore`: a model or a graph in the browser, or a neighbourhood as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


def explore(
    context: Context,
    folder: Annotated[Path, Argument(metavar="MODEL|GRAPH", help="A folder.", show_default=False)],
    out: Annotated[
        Path | None,
        Option(help="HTML file for one neighbourhood; default: a web app.", show_default=False),
    ] = None,
    user: Annotated[str | None, Option(help="User at the centre, or to begin with.")] = None,
    item: Annotated[
        str | None,
        Option(help="Item, DOMAIN=ID or a title, or topic, interest=NAME, or attribute=NAME."),
    ] = None,
    hops: Annotated[int, Option(help="Steps from the centre (with --out).")] = 2,
    limit: Annotated[int, Option(help="Maximum number of nodes (with --out).")] = 40,
    graph: Annotated[
        Path | None,
        Option(help="The graph that the model was trained on, if it has moved."),
    ] = None,
    port: options.Port = 8000,
    host: options.Host = "127.0.0.1",
    token_file: options.TokenFile = None,
    workers: options.Workers = 1,
    show_ids: options.ShowIds = False,
    no_browser: Annotated[bool, Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Explore a model in the browser: recommendations with reasons, profiles, what-if, the graph.

    With --out, write a neighbourhood as one interactive page that works offline instead.

    \b
    interest explore model/
    interest explore model/ --graph graph/ --user ann --port 8080 --no-browser
    interest explore model/ --host 0.0.0.0 --token-file token.txt
    interest explore graph/ --user ann --out ann.html
    interest explore graph/ --item book=dune --hops 1 --out dune.html
    """
    from graphgen.errors import ConfigError

    if out is None:
        if (folder / "graph.json").exists():
            raise ConfigError(f"{folder} is a graph; name --out FILE.html, or a model folder.")
        if item is not None or hops != 2 or limit != 40:
            raise ConfigError("--item, --hops and --limit are for --out FILE.html.")
        served = {"host": host, "port": port, "workers": workers}
        _serve(folder, graph, token_file, user, show_ids=show_ids, quiet=no_browser, **served)
        return
    _write(context, folder, out, graph, user, item, hops=hops, limit=limit)


def _write(
    context: Context,
    folder: Path,
    out: Path,
    graph: Path | None,
    user: str | None,
    item: str | None,
    *,
    hops: int,
    limit: int,
) -> None:
    """Write a neighbourhood as one page."""
    from gnn.registry import load_model
    from gnn.trained_on import graph_of
    from graphgen.errors import counted
    from graphgen.graph import load_graph
    from graphgen.looking.neighborhoods import neighborhood
    from graphgen.looking.nodes import asked_node
    from graphgen.looking.page import write_page

    options.check_outputs(context, folder, graph, suffixes=(".html", ".htm"))
    is_model = (folder / "model.json").exists()
    opened = graph_of(load_model(folder), graph) if is_model else load_graph(folder)
    node = asked_node(opened, user=user, item=item)
    around = neighborhood(opened, node, hops=hops, limit=limit, users=False)
    write_page(around, out)
    nodes = counted(around.number_of_nodes(), "node")
    say(f"{nodes} and {counted(around.number_of_edges(), 'edge')} are in {out}.")


def _serve(
    folder: Path,
    graph: Path | None,
    token_file: Path | None,
    user: str | None,
    *,
    show_ids: bool,
    quiet: bool,
    **served: Any,
) -> None:
    """Serve the web app of a model."""
    from urllib.parse import quote

    from gnn.registry import load_model
    from gnn.trained_on import graph_of
    from graphgen.errors import needing

    with needing("The web app needs", "serve"):
        from gnn.serving.security import read_token
        from gnn.serving.server import serve
        from gnn.serving.service import Service

    token = None if token_file is None else read_token(token_file)
    fitted = load_model(folder)
    service = Service(fitted, graph_of(fitted, graph), show_ids=show_ids)
    start = ""
    if user is not None:
        name = service.names.user(service.names.user_id(user, "--user"))
        start = f"#/user/{quote(name, safe='')}"

    def ready(url: str) -> None:
        say(f"{fitted.name} of {folder} is at {url}{start} (API: {url}docs). End it with Ctrl-C.")
        if not quiet:
            import webbrowser

            webbrowser.open(url + start)

    serve(service, token=token, ready=ready, **served)
