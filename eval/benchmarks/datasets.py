"""Data sets of a benchmark: folders of train and test, optionally validation rows and items."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graphgen.errors import ConfigError, InputError
from graphgen.log_files import read_log
from graphgen.reading.columns import listed
from graphgen.reading.tabular import format_of
from graphgen.synthetic.generator import write_synthetic

__all__ = ["TRAINED", "DataSet", "find_data_set", "find_data_sets", "synthetic_data_set"]

REQUIRED: Final = ("train", "test")
PARTS: Final = (*REQUIRED, "valid", "items")
# One file of all rows, with a column that says in which part a row is.
WHOLE: Final = "interactions"
SPLIT: Final = "split"
# Parts whose rows a model learns from; of the others, "history" is known at test time only.
TRAINED: Final = ("train", "more")


@dataclass(frozen=True)
class DataSet:
    """One data set of a benchmark: its name, and path and SHA-256 of the file of each part."""

    name: str
    files: dict[str, Path]
    digests: dict[str, str]


def find_data_sets(sources: Sequence[str]) -> list[DataSet]:
    """Find the data sets of sources ``NAME=DIR`` or ``DIR``.

    Raises
    ------
    ConfigError
        If two have the same name.
    InputError
        As `find_data_set`.
    """
    found = [find_data_set(source) for source in sources]
    name, times = Counter(data.name for data in found).most_common(1)[0]
    if times > 1:
        raise ConfigError(f"Two data sets are called {name!r}; write NAME=DIR to name them apart.")
    return found


def find_data_set(source: str) -> DataSet:
    """Find train, test, valid and items in a folder, in any format that `read_log` reads.

    Or one file ``interactions`` with a column ``split`` (train, valid, test) in their place.
    Every file is hashed, O(bytes); files of other names are left alone.

    Parameters
    ----------
    source
        ``NAME=DIR``, or ``DIR`` to take the folder's name.

    Raises
    ------
    InputError
        If there is no such folder, a part is missing, or there are two files of one part.
    ConfigError
        If the name cannot be that of a folder.

    Examples
    --------
    >>> find_data_set("shop=no/such/folder")
    Traceback (most recent call last):
        ...
    graphgen.errors.InputError: Data set 'shop': there is no folder no/such/folder.
    """
    name, equals, path = source.partition("=")
    if not equals or Path(source).is_dir():
        name, path = Path(source).resolve().name, source
    folder = Path(path).expanduser()
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"A data set's name is made of letters, digits, '.', '-' and '_'; got {name!r}."
        )
    if not folder.is_dir():
        raise InputError(f"Data set {name!r}: there is no folder {path}.")
    tables = sorted(p for p in folder.iterdir() if p.is_file() and format_of(p) is not None)
    files = {}
    for part in PARTS:
        matching = [p for p in tables if p.name.partition(".")[0] == part]
        if len(matching) > 1:
            raise InputError(
                f"Data set {name!r}: {folder} holds {listed([p.name for p in matching])}; "
                f"keep one file of {part}."
            )
        if matching:
            files[part] = matching[0]
    digests = {part: _digest(file) for part, file in files.items()}
    whole = [p for p in tables if p.name.partition(".")[0] == WHOLE]
    if len(whole) == 1 and not files.keys() & {*REQUIRED, "valid"}:
        rows = read_log(whole[0]).frame
        held = set(rows[SPLIT]) if SPLIT in rows else set()
        parts = [part for part in (*REQUIRED, "valid") if part in held]
        files |= {part: Path(f"{whole[0]}#{SPLIT}={part}") for part in parts}
        digests |= dict.fromkeys(parts, _digest(whole[0]))
    missing = [part for part in REQUIRED if part not in files]
    if missing:
        raise InputError(
            f"Data set {name!r}: {folder} has no file {listed(missing)} (.csv, .csv.gz, .parquet "
            f"and the like), nor {WHOLE} with a column '{SPLIT}'; `interest split` writes such a "
            "folder."
        )
    return DataSet(name, files, digests)


def synthetic_data_set(out: Path, *, n_users: int = 4000) -> DataSet:
    """Write the built-in example to a folder and return it."""
    write_synthetic(out, n_users=n_users, overwrite=True)
    return find_data_set(f"synthetic={out}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
