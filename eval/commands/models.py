"""`interest models`: the models and their settings."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from eval.commands.console import next_step, say, show_rows
from eval.commands.settings import models_titles


def models(
    name: Annotated[str | None, Argument(help="Show the settings of one model.")] = None,
) -> None:
    """List the models, or the settings of one.

    \b
    interest models
    interest models interest-gnn
    """
    import inspect

    if name is None:
        show_rows(["model", "method"], models_titles())
        next_step("interest models NAME shows the settings of one")
        return
    from gnn.registry import model_class

    cls = model_class(name)
    say(inspect.getdoc(cls) or "")
    rows = [
        (field, str(its.default), " ".join((its.description or "").replace("``", "").split()))
        for field, its in cls.Config.model_fields.items()
    ]
    show_rows(["setting", "default", "meaning"], rows)
