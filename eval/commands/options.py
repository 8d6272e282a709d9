"""Options that several commands share, and their parsers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from graphgen.errors import ConfigError

__all__ = [
    "ColumnOption",
    "ConfigOption",
    "CurvesOption",
    "EventOption",
    "MetricsOption",
    "NegativeOption",
    "OnBadRowsOption",
    "OutOption",
    "OverwriteOption",
    "PositiveOption",
    "SeedOption",
    "SetOption",
    "check_outputs",
    "chosen_metrics",
    "meaning_options",
    "model_settings",
    "parse_columns",
    "say_meaning",
    "seed_numbers",
]

OutOption = Annotated[
    Path, typer.Option("--out", help="Folder or file to write.", show_default=False)
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace an earlier output of the same kind that has other inputs or settings.",
    ),
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
EventOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        help="Meaning of an event, NAME=WEIGHT, NAME=negative, NAME=seen or NAME=drop, such as "
        "play=0.3; repeatable. All others are likes of weight 1.",
        show_default=False,
    ),
]
PositiveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--positive",
        help="Condition of a like, such as 'rating>=4' or 'books:rating>=4'; rows with the column "
        "that do not fulfil it were seen. Default: ratings from 4 of 5 on. Repeatable.",
        show_default=False,
    ),
]
NegativeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--negative",
        help="Condition of a dislike, such as 'rating<=2'; repeatable.",
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


def meaning_options(
    event: Sequence[str] | None, positive: Sequence[str] | None, negative: Sequence[str] | None
) -> dict[str, Any]:
    """Turn --event, --positive and --negative into options of `graphgen.read_log`.

    Examples
    --------
    >>> meaning_options(["play=0.3", "skip=negative"], None, None)["events"]
    {'play': '0.3', 'skip': 'negative'}
    """
    events = {}
    for text in event or []:
        name, equals, value = text.rpartition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"--event is written NAME=WEIGHT, or =negative, =seen or =drop; got {text!r}."
            )
        events[name.strip()] = value.strip()
    return {"events": events, "positive": positive, "negative": negative}


def say_meaning(log: Any, *, always: bool = False) -> None:
    """Print in one line what a like is, where ratings, weights or events say something."""
    from eval.commands.console import say

    taken = log.report.taken
    if not always and all(row["signal"] == "none" for row in taken.rows):
        return
    counts = ", ".join(f"{n:,} {name}" for name, n in taken.counts().items() if n)
    say(f"{taken.line()} {counts}.")
    if not taken.options and any(row["signal"].startswith("event ") for row in taken.rows):
        say("--event NAME=WEIGHT (or negative, seen, drop) gives events other meanings.")


def seed_numbers(text: str | None) -> list[int] | None:
    """Read ``0,1,2``."""
    if text is None:
        return None
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds is written 0,1,2; got {text!r}.") from None


def check_outputs(
    out: Path | None,
    *,
    context: typer.Context | None = None,
    kind: str | None = None,
    overwrite: bool = False,
    inputs: Iterable[Any] = (),
    files: Iterable[Path | None] = (),
) -> str:
    """Check all outputs of the present command before it does any work.

    Parameters
    ----------
    out, kind, overwrite
        As in `graphgen.storage.check_output`.
    context
        Gives the options of the command, for the fingerprint of a folder.
    inputs
        What the command reads: paths, what `read_log` takes, lists of them, or None.
    files
        Other files that it writes, or None.

    Returns
    -------
    str
        Fingerprint of the command, its options and its inputs, for the manifest of a folder.

    Raises
    ------
    StorageError
        If an output cannot or must not be written.
    """
    from graphgen.storage import check_output, fingerprint

    lists = (given if isinstance(given, list) else [given] for given in inputs)
    read = [_input_path(str(one)) for one in itertools.chain(*lists) if one is not None]
    made_from = ""
    if context is not None:
        ignored = {"out", "overwrite"}
        options = {name: v for name, v in context.params.items() if name not in ignored}
        made_from = fingerprint([context.info_name, options], read)
    for path in filter(None, files):
        check_output(path, inputs=read)
    if out is not None:
        check_output(out, kind=kind, overwrite=overwrite, made_from=made_from, inputs=read)
    return made_from


def _input_path(source: str) -> Path:
    """Return the path in ``DOMAIN=PATH#column=value``, where it exists."""
    after = source.partition("=")[2]
    for text in (source, source.rpartition("#")[0], after, after.rpartition("#")[0]):
        if text and Path(text).expanduser().exists():
            return Path(text).expanduser()
    return Path(source)
