"""`interest models`: the models and their settings."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from eval.commands.console import next_step, say, show_rows
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

    from gnn.registry import list_models, model_class

    if name is None:
        first = [(inspect.getdoc(model_class(key)) or "").split("\n")[0] for key in list_models()]
        show_rows(["model", "method"], zip(list_models(), first, strict=True))
        next_step("interest models NAME shows the settings of one")
        return
    cls = model_class(name)
    say(inspect.getdoc(cls) or "")
    show_rows(["setting", "default", "meaning"], described(cls.Config))
