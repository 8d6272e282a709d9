"""`interest bench serve`: latencies of the web app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say

if TYPE_CHECKING:
    import pandas as pd


def bench_serve(
    context: Context,
    model: Annotated[Path, Argument(help="The model folder that is served.", show_default=False)],
    url: Annotated[str, Option(help="Address of `interest explore` or `serve`.")] = (
        "http://127.0.0.1:8000"
    ),
    clients: Annotated[int, Option(help="Clients at once.", min=1)] = 8,
    seconds: Annotated[int, Option(help="Seconds for each route.", min=1)] = 60,
    events_per_second: Annotated[
        int, Option(help="Events that arrive meanwhile, at `interest serve`.", min=0)
    ] = 0,
    domain: Annotated[
        str | None,
        Option(help="With events: lists of this domain only; default: of all.", show_default=False),
    ] = None,
    token_file: Annotated[Path | None, Option(help="File with the token of the server.")] = None,
    out: Annotated[Path | None, Option(help="Also write the table as CSV.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Measure latencies of a running web app, by the load tool wrk.

    \b
    interest explore model/ --no-browser --workers 2 &
    interest bench serve model/ --clients 8 --seconds 60
    interest serve model/ --workers 2 &
    interest bench serve model/ --url http://127.0.0.1:8080 --clients 32 --events-per-second 500
    """
    import json

    from eval.benchmarks.arriving import measure_arriving
    from eval.benchmarks.serving import measure_serving
    from eval.commands.console import show_rows
    from gnn.serving.security import read_token
    from graphgen.storage import write_table
    from graphgen.vocabulary import Vocabulary

    options.check_outputs(context, model, suffixes=(".csv",))
    token = None if token_file is None else read_token(token_file)
    users = Vocabulary.load(model / "users.arrow").ids.tolist()
    asked: dict[str, Any] = {
        "clients": clients, "seconds": seconds, "token": token, "seed": seed, "say": say,
    }  # fmt: skip
    if events_per_second:
        known = json.loads((model / "model.json").read_text(encoding="utf-8"))["domains"]
        items = {
            name: Vocabulary.load(model / f"items{number}.arrow").ids.tolist()
            for number, name in enumerate(known)
        }
        table = measure_arriving(
            url, users, items, per_second=events_per_second, domain=domain, **asked
        )
        header = list(table.columns)
        lines = [[row[0], *("" if v != v else f"{v:,.1f}" for v in row[1:])]
                 for row in table.itertuples(index=False)]  # fmt: skip
    else:
        table = measure_serving(url, users, **asked)
        header, lines = _routes(table)
    show_rows(header, lines, right=header[1:], title=f"{clients} clients, {seconds} s a route")
    if out is not None:
        write_table(table, out)


def _routes(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    header = ["route", "requests/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "errors", "target"]
    lines = [
        [str(row[0]), f"{row[1]:.1f}", *(f"{v:.0f}" for v in row[2:7]),
         "" if row[7] != row[7] else f"{row[7]:.0f}"]
        for row in table.itertuples(index=False)
    ]  # fmt: skip
    return header, lines
