"""One console for all commands, and one way to fail."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from graphgen.allocation import keep_freed_memory
from graphgen.errors import InterestError


def say(message: Any = "") -> None:
    """Print a line, or anything that rich can draw, to standard output."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to `run`: rich would exit with status 1."""
            raise BrokenPipeError

    # Ids, titles and paths may look like markup.
    Output(highlight=False, markup=False, soft_wrap=isinstance(message, str)).print(message)


def show_table(frame: Any, *, title: str) -> None:
    """Print a DataFrame as a table; ids and titles are shown as they stand, whatever is in them."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in frame.columns:
        number = frame[name].dtype.kind in "if"
        table.add_column(str(name), justify="right" if number else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    say(table)


def next_step(command: str) -> None:
    """Print what to run next."""
    say(f"\nNext: {command}")


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


def interruptible(command: Callable[..., None], *, resumes: bool) -> Callable[..., None]:
    """Let a command say what an interrupt leaves; Typer would only print "Aborted"."""

    @functools.wraps(command)
    def wrapper(*args: Any, **given: Any) -> None:
        try:
            command(*args, **given)
        except KeyboardInterrupt:
            then = "the same command goes on from here." if resumes else "nothing is half-written."
            say_error(f"Interrupted; {then}")
            sys.exit(130)

    return wrapper


def say_error(message: str) -> None:
    """Print to standard error, as it stands."""
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(message, style="red", markup=False)
