"""`interest models`: the models and their settings."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from eval.commands.console import next_step, say
from eval.commands.options import described


def models(
    name: Annotated[str | None, Argument(help="Show the settings of one model.")] = None,
) -> None:
    """List the models, or the settings of one.

    \b
    interest models
    interest models interest-gnn
    """
    import inspect

    from rich.table import Table

    from gnn.registry import list_models, model_class

    if name is None:
        table = Table("model", "method")
        for key in list_models():
            table.add_row(key, (inspect.getdoc(model_class(key)) or "").split("\n")[0])
        say(table)
        next_step("interest models NAME shows the settings of one")
        return
    cls = model_class(name)
    say(inspect.getdoc(cls) or "")
    table = Table("setting", "default", "meaning")
    for row in described(cls.Config):
        table.add_row(*row)
    say(table)
