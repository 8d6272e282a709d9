"""The forms of a source: a path, a folder, ``domain=path``, ``path#column=value``."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from graphgen.errors import InputError
from graphgen.reading.columns import listed
from graphgen.reading.formats import COMPRESSIONS, FORMATS, format_of

__all__ = ["Source", "SourceLike", "find_sources"]

logger = logging.getLogger(__name__)

STDIN = "-"

SourceLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] | Source"


@dataclass(frozen=True)
class Source:
    """One file to read.

    Attributes
    ----------
    path
        Where it is.
    name
        The path as the user gave it.
    domain
        Domain of all its rows; None where the file says.
    where
        Accepted values by column; empty for all rows.
    where_not
        Values by column of the rows to leave out.
    in_folder
        Whether the user named its folder only.
    columns
        Names of its columns by canonical name, and perhaps its ``encoding`` and ``delimiter``.
    """

    path: Path
    name: str
    domain: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_not: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    in_folder: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)


def find_sources(sources: Iterable[Any]) -> list[Source]:
    """Find the files behind what a user wrote.

    A path that exists as it is written wins over ``=``, ``?`` and ``#`` in it. A folder stands for
    the table files in it, sorted by name, hidden ones left out. ``-`` is standard input; it and
    named pipes are copied to a temporary file first.

    Parameters
    ----------
    sources
        Paths, folders, ``domain=path``, ``path?user_id=NAME&item_id=NAME`` (names of its columns,
        also ``encoding`` and ``delimiter``), ``path#column=value,value,column!=value`` (of several
        values either is accepted), all combined, mappings from domain to path, or what this
        function returned.

    Raises
    ------
    InputError
        If there is no source or no such file (the message names the near miss), or a folder holds
        no tables.
    """
    found: list[Source] = []
    for source in sources:
        if isinstance(source, Source):
            found.append(source)
        elif isinstance(source, Mapping):
            for domain, path in source.items():
                found += _expand(_checked(path), domain=str(domain))
        else:
            found += _expand(_checked(source))
    if not found:
        raise InputError("No file to read was given.")
    return found


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _checked(source: Any) -> str:
    if isinstance(source, str | os.PathLike) and str(source).strip():
        return os.fspath(source)  # type: ignore[return-value]
    raise InputError(
        "A source is a path, 'domain=path', 'path#column=value', {domain: path} or a DataFrame; "
        f"got {source!r:.60}."
    )


def _expand(text: str, domain: str | None = None) -> list[Source]:
    readings = [(domain, text)]
    before, equals, after = text.partition("=")
    if domain is None and equals and not {"/", "\\", "#"} & set(before):
        if not before.strip() or not after.strip():
            raise InputError(f"{text!r} lacks its domain or its path: write domain=path.")
        readings.append((before, after))
    where: dict[str, tuple[str, ...]] = {}
    where_not: dict[str, tuple[str, ...]] = {}
    columns: dict[str, str] = {}
    chosen = _existing(readings)
    if chosen is None:
        _, mark, conditions = text.rpartition("#")
        if mark and "=" in conditions:
            where, where_not = _conditions(conditions)
            readings = [(d, t[: -len(mark + conditions)]) for d, t in readings if mark in t]
            chosen = _existing(readings)
    if chosen is None:
        _, mark, mapping = readings[0][1].rpartition("?")
        if mark and "=" in mapping:
            columns = _mapping(mapping)
            readings = [(d, t[: -len(mark + mapping)]) for d, t in readings if mark in t]
            chosen = _existing(readings)
    domain, text = chosen or readings[-1]
    path = _path(text)
    kinds: dict[str, Any] = {"where": where, "where_not": where_not, "columns": columns}
    if text == STDIN:
        return [Source(_spooled(STDIN), "standard input", domain, **kinds)]
    try:
        if not path.exists():
            raise InputError(_absent(path, text))
    except (OSError, ValueError) as error:
        raise InputError(f"{text!r:.200} is no path: {error}.") from None
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _is_table(file)]
        if not files:
            raise InputError(f"The folder {text} holds no table ({_formats()}).")
        return [Source(file, str(file), domain, in_folder=True, **kinds) for file in files]
    if not path.is_file():
        path = _spooled(text)
    return [Source(path, text, domain, **kinds)]


def _existing(readings: list[tuple[str | None, str]]) -> tuple[str | None, str] | None:
    """Return the first reading of a source whose file exists."""
    for domain, text in readings:
        try:
            if text == STDIN or _path(text).exists():
                return domain, text
        except (OSError, ValueError):  # too long, or a NUL byte
            continue
    return None


def _spooled(text: str) -> Path:
    """Copy what can be read only once to a temporary file, which is removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix="interest-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / ("stdin" if text == STDIN else _path(text).name)
    try:
        with target.open("wb") as file:
            if text == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, file)
            else:
                with _path(text).open("rb") as pipe:
                    shutil.copyfileobj(pipe, file)
    except (OSError, ValueError) as error:
        raise InputError(f"{text} cannot be read: {error}.") from None
    return target


def _is_table(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and format_of(path) is not None


def _formats() -> str:
    return f"{', '.join(FORMATS)}, of text also with {', '.join(COMPRESSIONS)}"


def _conditions(text: str) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the wanted and the unwanted values by column."""
    wanted: dict[str, tuple[str, ...]] = {}
    unwanted: dict[str, tuple[str, ...]] = {}
    column, target = "", wanted
    for condition in text.split(","):
        name, equals, value = condition.partition("=")
        if equals:
            target = unwanted if name.endswith("!") else wanted
            column = name.removesuffix("!").strip()
        else:
            value = condition
        if not column:
            raise InputError(
                f"A filter is written column=value,value or column!=value; got {condition!r} in "
                f"'#{text}'."
            )
        target[column] = (*target.get(column, ()), value.strip())
    return wanted, unwanted


def _mapping(text: str) -> dict[str, str]:
    columns = {}
    for part in text.split("&"):
        ours, equals, theirs = part.partition("=")
        if not equals or not ours.strip():
            raise InputError(f"A mapping is written user_id=NAME&item_id=NAME; got '?{text}'.")
        columns[ours.strip()] = theirs.strip()
    return columns


def _absent(path: Path, text: str) -> str:
    message = f"There is no file {text}."
    folder = path.parent
    if not folder.is_dir():
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        return f"{message} The last folder on the way that exists is {folder.resolve()}."
    names = [file.name for file in folder.iterdir() if not file.name.startswith(".")]
    near = get_close_matches(path.name, names, n=1)
    if near:
        return f"{message} Did you mean {folder / near[0]}?"
    tables = sorted(name for name in names if format_of(Path(name)) is not None)
    return f"{message} Tables there: {listed(tables, 8)}." if tables else message
