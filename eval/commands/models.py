"""`interest models`: what can be trained, and with which settings."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated

import typer

from eval.commands.console import next_step, say

if TYPE_CHECKING:
    from graphgen.config import Config

__all__ = ["models"]


def models(
    name: Annotated[str | None, typer.Argument(help="Show the settings of one model.")] = None,
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
        table = Table("model", "what it is")
        for key in list_models():
            table.add_row(key, (inspect.getdoc(model_class(key)) or "").split("\n")[0])
        say(table)
        next_step("interest models NAME shows the settings of one")
        return
    cls = model_class(name)
    say(inspect.getdoc(cls) or "")
    table = Table("setting", "default", "what it is")
    for field, (default, text) in _settings(cls.Config).items():
        table.add_row(field, default, text)
    say(table)


def _settings(config: type[Config]) -> dict[str, tuple[str, str]]:
    """Return default and docstring of each field of a config class."""
    import ast
    import inspect
    import textwrap

    definition = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0]
    texts = {}
    for field, after in itertools.pairwise(getattr(definition, "body", [])):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = " ".join(text.split())
    return {
        name: (str(field.default), texts.get(name, ""))
        for name, field in config.model_fields.items()
    }
