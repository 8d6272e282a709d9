"""One console for all commands, and one way to fail."""

from __future__ import annotations

import codecs
import io
import json
import logging
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from typer import Context
from typer.core import TyperGroup

from graphgen.allocation import keep_freed_memory
from graphgen.errors import InterestError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# The key of what an interrupted command goes on from, among the notes of its context.
KEPT = "interest.kept"
# Signs of a table between two columns, and the most that a table with many columns is wide.
BORDER = 3
MAX_WIDTH = 100_000
# Margins (top, right, bottom, left) of the lines that belong to another.
BELOW = (0, 0, 0, 6)
# In the messages of PyTorch on the CPU and on a GPU.
OUT_OF_MEMORY = ("not enough memory", "out of memory", "can't allocate memory")
# Signs of our tables on terminals that lack them.
PLAIN = {
    "†": "+",
    "±": "+/-",
    "–": "-",
    "…": "...",
    "→": "->",
    "×": "x",
    "·": "-",
    "≥": ">=",
    "≤": "<=",
}


def say(message: Any = "", *, whole: bool = False) -> None:
    """Print a line, or anything that rich can draw, to standard output.

    On a terminal a line breaks between words, unless it stays `whole` to be copied.
    """
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to `run`: rich would exit with status 1."""
            raise BrokenPipeError

    # Ids, titles and paths may look like markup or ":names:" of pictures.
    terminal = Output(highlight=False, markup=False, emoji=False)
    if not isinstance(message, str):
        # A table breaks between words only, on a narrow terminal too: it must not lose letters.
        unbound = terminal.options.update(width=MAX_WIDTH)
        terminal.width = max(terminal.width, terminal.measure(message, options=unbound).minimum)
    terminal.print(
        message, soft_wrap=isinstance(message, str) and (whole or not terminal.is_terminal)
    )


def say_below(text: str) -> None:
    """Print what belongs to the line before, set in and broken between words."""
    from rich.padding import Padding

    say(Padding(text, BELOW))


def show_rows(
    header: Sequence[str],
    rows: Iterable[Iterable[str]],
    *,
    right: Collection[str] = (),
    title: str | None = None,
) -> None:
    """Print a table, some columns of which are set right; names are shown as they stand."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    lines = [*map(list, rows)]
    columns = [*zip(header, *lines, strict=True)]
    whole = sum(max(map(cell_len, column)) + BORDER for column in columns)
    for name, *cells in columns:
        word = max(map(cell_len, " ".join([name, *cells]).split()), default=1)
        # The words of a header may stand below each other; only texts are broken.
        narrow = whole >= Console().width and max(map(cell_len, cells), default=0) <= word
        table.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            width=word if narrow else None,
            min_width=word,
        )
    for row in lines:
        table.add_row(*row)
    say(table)


def show_differences(table: pd.DataFrame, header: str) -> None:
    """Print the values of a `Comparison.table` over all users, and what they differ by."""
    rows = table[(table["slice"] == "all") & (table["domain"] == "macro")]
    lines = []
    for row in rows.itertuples():
        interval = f"[{row.difference_low:+.4f}, {row.difference_high:+.4f}]"
        is_baseline = row.difference != row.difference
        gain = "" if is_baseline else f"{row.difference:+.4f} {interval}"
        lines.append([str(row.metric), str(row.system), f"{row.value:.4f}", gain])
    show_rows(["metric", "system", "value", header], lines, right=["value"])


def show_table(frame: Any, *, title: str) -> None:
    """Print a DataFrame as a table."""
    rows = (
        [f"{value:.4g}" if isinstance(value, float) else str(value) for value in row]
        for row in frame.itertuples(index=False)
    )
    numbers = [str(name) for name in frame.columns if frame[name].dtype.kind in "if"]
    show_rows([*map(str, frame.columns)], rows, right=numbers, title=title)


def next_step(command: str) -> None:
    """Print what to run next."""
    say(f"\nNext: {command}", whole=True)


class Commands(TyperGroup):
    """All commands, whose failures become sentences here; Typer would take interrupts first."""

    def make_context(self, *args: Any, **given: Any) -> Any:
        """Read the options of the root, of which --help and --version print."""
        with _sentences():
            return super().make_context(*args, **given)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        with _sentences(ctx):
            return super().invoke(ctx)


def resumes_from(context: Context, *paths: Path) -> None:
    """Note from which files or folders, where they exist, an interrupted command goes on."""
    context.meta.setdefault(KEPT, []).extend(paths)


def run(app: Callable[[], Any]) -> None:
    """Run the command line, on a terminal of any encoding."""
    keep_freed_memory()
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_first_time())
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    codecs.register_error("interest", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="interest")
    app()


def _first_time() -> Callable[[logging.LogRecord], bool]:
    """Return a filter that lets each warning pass once."""
    said: set[str] = set()

    def fresh(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        known = record.levelno == logging.WARNING and text in said
        said.add(text)
        return not known

    return fresh


@contextmanager
def _sentences(context: Context | None = None) -> Iterator[None]:
    """End the process after a failure: known errors with status 2, those of the machine with 1."""
    try:
        yield
        if sys.stdout is not None:  # Closed by the shell: >&-
            sys.stdout.flush()
    except InterestError as error:
        _end(f"Error: {error}", 2)
    except KeyboardInterrupt:
        kept = context is not None and any(path.exists() for path in context.meta.get(KEPT, ()))
        then = "goes on from there" if kept else "starts again; nothing is half-written"
        _end(
            f"Interrupted. The same command {then}: {shlex.join(['interest', *sys.argv[1:]])}", 130
        )
    except BrokenPipeError:
        # `interest ... | head` is a right use. Keep Python from complaining at its own exit.
        sys.stdout = None  # type: ignore[assignment]
        sys.exit(0)
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        logger.info("What happened:", exc_info=error)
        _end(f"Error: {reason}", 1)


def _end(message: str, status: int) -> NoReturn:
    say_error(message)
    sys.exit(status)


def _reason(error: Exception) -> str | None:
    """Say why the machine could not do its part; None for a fault of the program."""
    text = str(error)
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY)
    ):
        return (
            f"There is not enough memory ({text.splitlines()[0] if text else 'none is left'}). Use "
            "a part of the log, a model that needs less, or a machine with more."
        )
    if isinstance(error, OSError):
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return f"{': '.join([*names, error.strerror or text or type(error).__name__])}."
    # safetensors has no class of its own for a full disk.
    if isinstance(error, UnicodeError) or type(error).__name__ == "SafetensorError":
        return f"{text}."
    return None


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks as JSON would, signs of our own tables in plain letters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign) or json.dumps(sign)[1:-1] for sign in lacking), error.end


def say_error(message: str) -> None:
    """Print to standard error, as it stands."""
    from rich.console import Console

    terminal = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    terminal.print(message, style="red", markup=False)
