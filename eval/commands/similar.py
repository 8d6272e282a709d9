"""`interest similar`: items like an item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.console import say, show_table
from eval.commands.options import check_outputs

__all__ = ["similar"]


def similar(
    model: Annotated[Path, typer.Argument(help="A model folder.", show_default=False)],
    item: Annotated[
        str, typer.Option("--item", help="The item, DOMAIN=ID or a title.", show_default=False)
    ],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", help="Domain of the similar items; repeatable; default: the item's."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Items in each domain.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="CSV, TSV or Parquet file; default: a table in the terminal."),
    ] = None,
) -> None:
    """Find the items that a model finds most similar to an item, also in other domains.

    \b
    interest similar model/ --item books=dune
    interest similar model/ --item Dune --to films -k 5 --out like-dune.csv
    """
    from gnn.registry import load_model
    from gnn.requests import recommendation_format, write_recommendations

    if out is not None:
        recommendation_format(out)
        check_outputs(out, inputs=[model])
    found = load_model(model).similar(item, to=to or None, k=k)
    if out is None:
        show_table(found, title=f"Similar to {item}")
        return
    write_recommendations(found, out)
    say(f"{len(found):,} similar items are in {out}.")
