"""`interest bench serve`: latencies of the web app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say


def bench_serve(
    context: Context,
    model: Annotated[Path, Argument(help="The model folder that is served.", show_default=False)],
    url: Annotated[str, Option(help="Address of `interest explore MODEL`.")] = (
        "http://127.0.0.1:8000"
    ),
    clients: Annotated[int, Option(help="Clients at once.", min=1)] = 8,
    seconds: Annotated[int, Option(help="Seconds for each route.", min=1)] = 60,
    token_file: Annotated[Path | None, Option(help="File with the token of the server.")] = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Measure latencies of a running web app, by the load tool wrk.

    \b
    interest explore model/ --no-browser --workers 2 &
    interest bench serve model/ --clients 8 --seconds 60
    """
    from eval.benchmarks.serving import measure_serving
    from eval.commands.console import show_rows
    from gnn.serving.security import read_token
    from graphgen.storage import write_table
    from graphgen.vocabulary import Vocabulary

    options.check_outputs(context, model, suffixes=(".csv",))
    token = None if token_file is None else read_token(token_file)
    users = Vocabulary.load(model / "users.arrow").ids.tolist()
    table = measure_serving(
        url, users, clients=clients, seconds=seconds, token=token, seed=seed, say=say
    )
    header = ["route", "requests/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors", "target"]
    lines = [
        [str(row[0]), f"{row[1]:.1f}", *(f"{v:.0f}" for v in row[2:7]),
         "" if row[7] != row[7] else f"{row[7]:.0f}"]
        for row in table.itertuples(index=False)
    ]  # fmt: skip
    show_rows(header, lines, right=header[1:], title=f"{clients} clients, {seconds} s a route")
    if out is not None:
        write_table(table, out)
