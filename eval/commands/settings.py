"""Lists of settings, with defaults and descriptions, at the end of `--help`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer.core

if TYPE_CHECKING:
    from graphgen.config import Config

Rows = list[tuple[str, str]]


def described(config: type[Config]) -> list[tuple[str, str, str]]:
    """Return name, default and description of each field of a config class."""
    return [
        (name, str(field.default), " ".join((field.description or "").replace("``", "").split()))
        for name, field in config.model_fields.items()
    ]


def with_settings(title: str, rows: Callable[[], Rows]) -> type[typer.core.TyperCommand]:
    """Return a command class whose help ends in a list, made only when help is asked for."""

    class WithSettings(typer.core.TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:
            """Write the list."""
            with formatter.section(title):
                formatter.write_dl(rows())

    return WithSettings


def build_settings() -> Rows:
    """Return the settings of `interest build`."""
    from graphgen.build import BuildConfig

    return [(f"{name}={default}", text) for name, default, text in described(BuildConfig)]


def split_settings() -> Rows:
    """Return each protocol with its options."""
    import inspect

    from eval.splits.protocols import PROTOCOLS

    rows = []
    for name, function in PROTOCOLS.items():
        known = {k: v for k, v in (function.__kwdefaults__ or {}).items() if k != "seed"}
        first = (inspect.getdoc(function) or "").split("\n\n")[0]
        rows.append((name, f"{first} {', '.join(f'{k}={v}' for k, v in known.items())}."))
    return rows


def models_settings() -> Rows:
    """Return each model with its settings."""
    from gnn.registry import list_models, model_class

    return [
        (name, ", ".join(f"{k}={v}" for k, v, _ in described(model_class(name).Config)) or "none")
        for name in list_models()
    ]
