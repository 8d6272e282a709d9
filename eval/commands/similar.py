"""`interest similar`: items like an item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from eval.commands import options
from eval.commands.console import say, show_table


def similar(
    context: Context,
    model: Annotated[Path, Argument(help="A model folder.", show_default=False)],
    item: Annotated[
        str, Option("--item", help="The item, DOMAIN=ID or a title.", show_default=False)
    ],
    to: Annotated[
        list[str] | None,
        Option("--to", help="Domain of the similar items; repeatable; default: the item's."),
    ] = None,
    k: Annotated[int, Option("-k", help="Items in each domain.")] = 10,
    out: options.OutTable = None,
) -> None:
    """Find the items that a model finds most similar to an item, also in other domains.

    \b
    interest similar model/ --item books=dune
    interest similar model/ --item Dune --to films -k 5 --out like-dune.csv
    """
    from gnn.registry import load_model
    from graphgen.storage import table_format, write_table

    if out is not None:
        table_format(out)
    options.check_outputs(context, model)
    found = load_model(model).similar(item, to=to or None, k=k)
    if out is None:
        show_table(found, title=f"Similar to {item}")
        return
    write_table(found, out)
    say(f"{len(found):,} similar items are in {out}.")
