"""Errors: classes that a caller can catch, with messages that name the remedy."""

from __future__ import annotations

__all__ = [
    "BadRow",
    "BadRowsError",
    "ConfigError",
    "InputError",
    "InterestError",
    "MissingDependencyError",
    "NotFittedError",
    "StorageError",
    "UnknownIdError",
    "counted",
    "near_miss",
    "needing",
]

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches


class InterestError(Exception):
    """Base of every error this project raises on purpose.

    The command line prints its message without a traceback and exits with status 2.
    """


class InputError(InterestError):
    """A file or table that a user passed in cannot be used as it is."""


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be used: its place, its value (shortened) and the requirement.

    The line is that of the (decompressed) text file, from 1, or the row number for Parquet; the
    column is its name in the file, or ``""`` where the whole row is at fault.
    """

    file: str
    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}"
        if self.column:
            where += f", column {self.column!r}"
        return f"{where}: {self.reason}; found {self.value!r}"


class BadRowsError(InputError):
    """A table holds `total` rows that cannot be used; `rows` are the first of them (at most 20)."""

    def __init__(self, rows: list[BadRow], total: int) -> None:
        self.rows = rows
        self.total = total
        shown = "\n".join(f"  {row}" for row in rows[:5])
        more = f"\n  ... and {total - 5} more" if total > 5 else ""
        super().__init__(
            f"{counted(total, 'bad row')}:\n{shown}{more}\n"
            "Correct the file, or set them aside with --on-bad-rows quarantine "
            '(on_bad_rows="quarantine" in Python).'
        )


class ConfigError(InterestError):
    """A setting is unknown or out of range."""


class UnknownIdError(InterestError, KeyError):
    """An id or a domain that the graph or model does not know."""

    __str__ = Exception.__str__  # KeyError would print the repr, quotes and all


class NotFittedError(InterestError):
    """A model was used before ``fit``."""


class StorageError(InterestError):
    """A saved folder is missing, damaged, or written by a newer version."""


class MissingDependencyError(InterestError, ImportError):
    """An optional package is needed; the message holds the exact install line."""


@contextmanager
def needing(what: str, extra: str) -> Iterator[None]:
    """Say which extra to install where a package is missing.

    Examples
    --------
    >>> with needing("The server needs", "serve"):
    ...     import there_is_none
    Traceback (most recent call last):
        ...
    graphgen.errors.MissingDependencyError: The server needs the package there_is_none; ...
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{what} the package {error.name}; install it with "
            f"`pip install 'interest-expansion[{extra}]'`."
        ) from error


def near_miss(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return "did you mean ...?" with the known name that is closest, else `otherwise`.

    Examples
    --------
    >>> near_miss("spilt", ["split"], "it has 'split'.")
    "did you mean 'split'?"
    """
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, which gets an "s" (or is `plural`) unless it is 1.

    Examples
    --------
    >>> counted(1, "user"), counted(1200, "user"), counted(0, "entry", "entries")
    ('1 user', '1,200 users', '0 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
