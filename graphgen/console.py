"""What the command lines share: one console, one way to fail, and options that mean the same."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
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
    "OverwriteOption",
    "SeedOption",
    "SetOption",
    "check_outputs",
    "next_step",
    "parse_columns",
    "run",
    "say",
]

OutOption = Annotated[Path, typer.Option("--out", help="Where to write.", show_default=False)]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace an earlier output of the same kind that has other inputs or settings.",
    ),
]
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
