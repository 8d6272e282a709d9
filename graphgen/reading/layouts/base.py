"""Files, parts and layouts: the terms in which a layout says what its files hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import InputError
from graphgen.reading.formats import COMPRESSIONS
from graphgen.reading.records import RawTable

__all__ = [
    "TABLES",
    "Advance",
    "Blocks",
    "Column",
    "File",
    "Layout",
    "Part",
    "find_data_files",
    "joined",
]

Advance: TypeAlias = Callable[[int], None]
Blocks: TypeAlias = Callable[["Advance | None"], Iterable[RawTable]]
Column: TypeAlias = "str | Callable[[RawTable], pa.Array | pa.ChunkedArray]"
# The tables that an import writes, log first: it says which items and users occur.
TABLES = ("log", "items", "users", "social")


@dataclass(frozen=True)
class File:
    """A file of a data set, or a table in memory.

    Attributes
    ----------
    path
        Where it is.
    name
        The path for messages.
    domain
        The domain that the user gave it.
    frame
        A DataFrame or Arrow table instead of a file.
    encoding
        Of text; None for UTF-8.
    """

    path: Path
    name: str
    domain: str | None = None
    frame: Any = None
    encoding: str | None = None

    @property
    def plain(self) -> str:
        """Name without the suffix of a compression, in lower case."""
        name = self.path.name.lower()
        return next((name[: -len(c)] for c in COMPRESSIONS if name.endswith(c)), name)

    @property
    def stem(self) -> str:
        """Name without suffixes, in lower case."""
        return self.plain.rpartition(".")[0] or self.plain


@dataclass(frozen=True)
class Part:
    """What one file adds to one table.

    Attributes
    ----------
    table
        One of `TABLES`.
    file
        The file.
    blocks
        Reads it, some rows at a time.
    columns
        For each column to write the key in the blocks, or a function of a block.
    domain
        Domain of all rows, of logs and items without a column for it.
    unique
        Whether only the first row of each item or user is written.
    """

    table: Literal["log", "items", "users", "social"]
    file: File
    blocks: Blocks
    columns: Mapping[str, Column]
    domain: str | None = None
    unique: bool = False


@dataclass(frozen=True)
class Layout:
    """A layout of data sets.

    Attributes
    ----------
    kind
        Its name on the command line.
    title
        The data sets.
    expects
        Its files in words.
    parts
        Finds the parts in files; the files that it leaves out are none of the layout's.
    beside
        Ends of the names of files that are read for the others.
    """

    kind: str
    title: str
    expects: str
    parts: Callable[[Sequence[File]], list[Part]]
    beside: tuple[str, ...] = ()


def find_data_files(sources: Iterable[Any], encoding: str | None = None) -> list[File]:
    """Return the files behind paths, folders (searched whole) and ``domain=path``.

    Parameters
    ----------
    sources
        Those; mappings from domain to path, DataFrames and Arrow tables too.
    encoding
        Of all text files.

    Raises
    ------
    InputError
        If there is no such file, or a folder is empty.
    """
    files = (file for source in sources for file in _found(source))
    return [replace(file, encoding=encoding) for file in files]


def _found(source: Any) -> Iterator[File]:
    domain: str | None = None
    if isinstance(source, Mapping):
        for domain, one in source.items():
            yield from (replace(file, domain=str(domain)) for file in _found(one))
        return
    if not isinstance(source, str | os.PathLike):
        yield File(Path(), type(source).__name__, frame=source)
        return
    text = os.fspath(source)
    path = Path(text).expanduser()
    if not path.exists() and "=" in text:
        domain, _, text = text.partition("=")
        path = Path(text).expanduser()
    if path.is_file():
        yield File(path, text, domain)
        return
    if not path.is_dir():
        raise InputError(f"There is no file or folder {text}.")
    inside = sorted(p for p in path.rglob("*") if p.is_file())
    inside = [p for p in inside if not any(n.startswith(".") for n in p.relative_to(path).parts)]
    if not inside:
        raise InputError(f"The folder {text} is empty.")
    for one in inside:
        yield File(one, str(one), domain)


def joined(*columns: Any, by: str) -> Any:
    """Join columns of large strings, and single texts, row by row."""
    kind = pa.large_string()
    given = [pa.scalar(one, kind) if isinstance(one, str) else one for one in columns]
    return pc.binary_join_element_wise(*given, pa.scalar(by, kind))
