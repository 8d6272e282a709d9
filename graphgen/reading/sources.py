"""The forms of a source: a path, a folder, ``domain=path``, ``path#column=value``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

from graphgen.errors import InputError
from graphgen.reading.columns import listed
from graphgen.reading.tabular import COMPRESSIONS, FORMATS, format_of

__all__ = ["Source", "SourceLike", "find_sources"]

logger = logging.getLogger(__name__)

SourceLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]"


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
    in_folder
        Whether the user named its folder only.
    """

    path: Path
    name: str
    domain: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    in_folder: bool = False


def find_sources(sources: Iterable[Any]) -> list[Source]:
    """Find the files behind what a user wrote.

    A path that exists as it is written wins over ``=`` and ``#`` in it. A folder stands for the
    table files in it, sorted by name, hidden ones left out.

    Parameters
    ----------
    sources
        Paths, folders, ``domain=path``, ``path#column=value,column=value`` (of one column given
        twice either value is accepted), both combined, or mappings from domain to path.

    Raises
    ------
    InputError
        If there is no source or no such file (the message names the near miss), a folder holds
        no tables, or the format is unknown.
    """
    found: list[Source] = []
    for source in sources:
        if isinstance(source, Mapping):
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
        "A source is a path, 'domain=path', 'path#column=value' or {domain: path}; "
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
    chosen = next(((d, t) for d, t in readings if _path(t).exists()), None)
    if chosen is None:
        _, mark, conditions = text.rpartition("#")
        if mark and "=" in conditions:
            where = _conditions(conditions)
            readings = [(d, t[: -len(mark + conditions)]) for d, t in readings if mark in t]
        chosen = next(((d, t) for d, t in readings if _path(t).exists()), readings[-1])
    domain, text = chosen
    path = _path(text)
    if not path.exists():
        raise InputError(_absent(path, text))
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _is_table(file)]
        if not files:
            raise InputError(f"The folder {text} holds no table ({_formats()}).")
        return [Source(file, str(file), domain, where, in_folder=True) for file in files]
    if format_of(path) is None:
        raise InputError(f"{text} has no extension that says what it is; known are {_formats()}.")
    return [Source(path, text, domain, where)]


def _is_table(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and format_of(path) is not None


def _formats() -> str:
    return f"{', '.join(FORMATS)}, of text also with {', '.join(COMPRESSIONS)}"


def _conditions(text: str) -> dict[str, tuple[str, ...]]:
    where: dict[str, tuple[str, ...]] = {}
    for condition in text.split(","):
        column, equals, value = condition.partition("=")
        if not equals or not column.strip():
            raise InputError(f"A filter is written column=value; got {condition!r} in '#{text}'.")
        where[column.strip()] = (*where.get(column.strip(), ()), value.strip())
    return where


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
