"""Options that several commands share, and their parsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from graphgen.errors import ConfigError

__all__ = [
    "ColumnOption",
    "ConfigOption",
    "CurvesOption",
    "MetricsOption",
    "OnBadRowsOption",
    "OutOption",
    "SeedOption",
    "SetOption",
    "chosen_metrics",
    "model_settings",
    "parse_columns",
    "seed_numbers",
]

OutOption = Annotated[
    Path, typer.Option("--out", help="Folder or file to write.", show_default=False)
]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Random seed; the same seed gives the same result.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file of settings.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting, NAME=VALUE; repeatable.", show_default=False),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Column mapping, NAME=COLUMN_IN_FILE, such as user_id=reviewerID; repeatable.",
        show_default=False,
    ),
]
OnBadRowsOption = Annotated[
    Literal["error", "quarantine"],
    typer.Option(
        "--on-bad-rows", help="error: stop at bad rows; quarantine: write them to a file."
    ),
]
CurvesOption = Annotated[
    bool,
    typer.Option(
        "--curves", help="Add ROC curves, roc-auc and pr-auc of models; doubles the time."
    ),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated; default: all that the input allows, without roc-auc and pr-auc."
    ),
]


def chosen_metrics(names: str | None, curves: bool) -> list[str] | None:
    """Return the metrics of --metrics and --curves; None is the default."""
    from eval.metrics.registry import select_metrics

    chosen = [name.strip() for name in names.split(",") if name.strip()] if names else None
    if not curves:
        return chosen
    return [*(chosen or [m.name for m in select_metrics(None)]), "roc-auc", "pr-auc"]


def model_settings(
    config: Path | None, assignments: list[str] | None, names: list[str]
) -> dict[str, dict[str, Any]]:
    """Return settings by model, from TOML tables and ``MODEL.NAME=VALUE``."""
    from gnn.registry import model_class
    from graphgen.config import parse_assignments, read_toml

    settings: dict[str, dict[str, Any]] = read_toml(config) if config else {}
    for key, value in parse_assignments(assignments or []).items():
        model, dot, name = key.partition(".")
        if not dot:
            raise ConfigError(f"--set is written MODEL.NAME=VALUE here; got {key!r}.")
        settings.setdefault(model, {})[name] = value
    for model, values in settings.items():
        if model not in names:
            raise ConfigError(f"There are settings for {model!r}, which is not compared.")
        model_class(model).Config.make(values)
    return settings


def parse_columns(columns: Sequence[str] | None) -> dict[str, str] | None:
    """Turn ``["user_id=reviewerID"]`` into a mapping.

    Examples
    --------
    >>> parse_columns(["user_id=reviewerID"])
    {'user_id': 'reviewerID'}
    """
    if not columns:
        return None
    result = {}
    for column in columns:
        ours, equals, theirs = column.partition("=")
        if not equals:
            raise ConfigError(f"--column is written NAME=COLUMN_IN_FILE; got {column!r}.")
        result[ours.strip()] = theirs.strip()
    return result


def seed_numbers(text: str | None) -> list[int] | None:
    """Read ``0,1,2``."""
    if text is None:
        return None
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds is written 0,1,2; got {text!r}.") from None
