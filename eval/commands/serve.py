"""`interest serve`: the API of a model, without an end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from eval.commands import options
from eval.commands.console import say


def serve(
    model: Annotated[Path, Argument(help="Model folder.", show_default=False)],
    state: Annotated[
        Path | None,
        Option(
            help="Folder of the events since training, shared with `interest consume`; default: "
            "a temporary one.",
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        str, Option(help="Stream to consume: sqlite://, redis:// or kafka://.", show_default=False)
    ] = "",
    graph: Annotated[
        Path | None,
        Option(
            help="Graph of the model, for neighbourhoods and paths; default: none.",
            show_default=False,
        ),
    ] = None,
    port: options.Port = 8080,
    host: options.Host = "127.0.0.1",
    token_file: options.TokenFile = None,
    admin_token_file: Annotated[
        Path | None, Option(help="File with the token of those who may change the model.")
    ] = None,
    workers: options.Workers = 1,
    queue: Annotated[
        int, Option(help="Requests in work or waiting in each process; more get 429.", min=1)
    ] = 64,
    show_ids: options.ShowIds = False,
    explore: Annotated[
        str,
        Option(
            metavar="METHOD[=SHARE]",
            help="Lists explore unless they are asked for otherwise: epsilon, thompson or linucb, "
            "as in `interest recommend`; `interest offpolicy` and `interest abtest` read --state.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Serve the API of a model; events and feedback are in the lists when they are accepted.

    SIGHUP loads the model folder anew without a pause, SIGTERM ends after the requests in work.
    Logs are JSON on standard error; /metrics is for Prometheus.

    \b
    interest serve model/ --state live/ --workers 2
    interest serve model/ --state live/ --events redis://localhost:6379/events
    curl -s localhost:8080/api/v1/events -H 'Content-Type: application/json' \\
        -d '[{"user_id": "ann", "domain": "book", "item_id": "dune"}]'
    """
    import tempfile

    from graphgen.errors import needing

    with needing("The server needs", "serve"):
        from gnn.serving.logs import log_as_json
        from gnn.serving.metrics import Metrics
        from gnn.serving.security import Token, read_token
        from gnn.serving.supervising import Serving, supervise

    def token(path: Path | None) -> Token | None:
        return None if path is None else Token(read_token(path))

    tokens = {"token": token(token_file), "admin": token(admin_token_file)}
    with tempfile.TemporaryDirectory() as folder:
        figures, temporary = Path(folder) / "metrics", Path(folder) / "state"
        figures.mkdir()
        if state is None:
            say("Events are kept until the end of this server only; --state DIR keeps them.")
        serving = Serving(
            model, state or temporary, graph, workers=workers, most=queue, events=events,
            show_ids=show_ids, explore=explore, **tokens,
        )  # fmt: skip
        log_as_json()
        supervise(
            serving, Metrics(figures), host=host, port=port,
            ready=lambda url: say(f"{model} is served at {url}api/v1. End it with Ctrl-C."),
        )  # fmt: skip
