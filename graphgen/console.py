"""What the command lines share: one console, one way to fail, and options that mean the same."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from graphgen.allocation import keep_freed_memory
from graphgen.errors import ConfigError, InterestError

__all__ = [
    "ColumnOption",
    "ConfigOption",
    "OnBadRowsOption",
    "OutOption",
    "SeedOption",
    "SetOption",
    "next_step",
    "parse_columns",
    "run",
    "say",
]

OutOption = Annotated[Path, typer.Option("--out", help="Where to write.", show_default=False)]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed, same result.")]
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
        help="Foreign column names, OURS=THEIRS, such as user_id=reviewerID; repeatable.",
        show_default=False,
    ),
]
OnBadRowsOption = Annotated[
    Literal["error", "quarantine"],
    typer.Option("--on-bad-rows", help="error: stop at bad rows; quarantine: write them aside."),
]


def say(message: Any = "") -> None:
    """Print a line, or anything that rich can draw, to standard output."""
    from rich.console import Console

    Console(highlight=False, soft_wrap=isinstance(message, str)).print(
        message, markup=not isinstance(message, str)
    )


def next_step(command: str) -> None:
    """Print what to run next."""
    say(f"\nNext: {command}")


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
            raise ConfigError(f"--column is written OURS=THEIRS; got {column!r}.")
        result[ours.strip()] = theirs.strip()
    return result


def run(app: Callable[[], Any]) -> None:
    """Run a command line: known errors in one sentence and status 2, an interrupt with 130."""
    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except InterestError as error:
        say_error(f"Error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say_error("Interrupted; nothing was left half-written.")
        sys.exit(130)
    except BrokenPipeError:
        # `interest ... | head` is a right use. Keep Python from complaining at its own exit.
        sys.stdout = None  # type: ignore[assignment]
        sys.exit(0)


def say_error(message: str) -> None:
    """Print to standard error, as it stands."""
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(message, style="red", markup=False)
