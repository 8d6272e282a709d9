"""CSV files that grow block by block, and counts of distinct ids over them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.layouts.base import joined

__all__ = ["CsvFile", "Distinct"]

SPECIAL = '[",\r\n]'
# Hashes wait to be sorted until they are so many, or half as many as those that are.
WAITING = 1 << 20
JOIN = "\x1f"


class CsvFile:
    """A CSV file to which blocks of text columns are added.

    Parameters
    ----------
    path
        The file.
    names
        Its columns.
    """

    def __init__(self, path: Path, names: list[str]) -> None:
        self._names = names
        self._file = path.open("wb")
        self._file.write((",".join(names) + "\n").encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, columns: dict[str, pa.Array], n_rows: int) -> None:
        """Add rows; a column that is not given is empty."""
        if not n_rows:
            return
        empty = pa.array([""] * n_rows, pa.large_string())
        cells = [_quoted(columns[name]) if name in columns else empty for name in self._names]
        rows = joined(*cells, by=",")
        ends = joined(rows, "\n", by="")
        # The values of an Arrow array lie one after the other: that is the file.
        _, offsets, values = ends.buffers()
        first, last = np.frombuffer(offsets, np.int64)[[ends.offset, ends.offset + len(ends)]]
        self._file.write(values[first:last])


def _quoted(column: pa.Array) -> pa.Array:
    special = pc.match_substring_regex(column, SPECIAL)
    if not pc.any(special).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, joined('"', doubled, '"', by=""), column)


class Distinct:
    """The distinct texts among many, known by 64-bit hashes: 8 bytes each.

    Examples
    --------
    >>> users = Distinct()
    >>> _ = users.add(pa.array(["a", "b"], pa.large_string()))
    >>> users.add(pa.array(["b", "c", "c"], pa.large_string())).tolist(), len(users)
    ([False, True, False], 3)
    """

    def __init__(self) -> None:
        self._known = np.zeros(0, np.uint64)
        self._waiting: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def hashes(self) -> np.ndarray:
        """uint64, sorted."""
        if self._waiting:
            self._known = np.unique(np.concatenate([self._known, *self._waiting]))
            self._waiting = []
        return self._known

    def count(self, *columns: pa.Array) -> None:
        """Take in rows, the columns of which make one text."""
        self._waiting.append(np.unique(_hashes(columns)))
        n_waiting = sum(map(len, self._waiting))
        if n_waiting > WAITING and n_waiting > len(self._known) // 2:
            _ = self.hashes

    def add(self, *columns: pa.Array) -> np.ndarray:
        """Take in rows and tell which of them are the first of their text."""
        hashes = _hashes(columns)
        fresh = np.zeros(len(hashes), bool)
        first = np.unique(hashes, return_index=True)[1]
        fresh[first] = ~np.isin(hashes[first], self.hashes)
        self._waiting.append(hashes[fresh])
        return fresh

    def has(self, *columns: pa.Array) -> np.ndarray:
        """Tell which rows are known."""
        return np.isin(_hashes(columns), self.hashes)


def _hashes(columns: tuple[pa.Array, ...]) -> np.ndarray:
    text = columns[0] if len(columns) == 1 else joined(*columns, by=JOIN)
    coded = text.dictionary_encode()
    distinct = pd.util.hash_array(coded.dictionary.to_numpy(zero_copy_only=False))
    return distinct[coded.indices.to_numpy()]
