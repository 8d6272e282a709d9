"""Records of a file with their lines; of delimited text also with quoted line breaks or damage."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

__all__ = [
    "BadRecord",
    "RawTable",
    "Record",
    "batches_ahead",
    "count_fault",
    "has_line_break",
    "read_records",
]

# A quote that is not closed within so many lines was never meant to open a field.
MAX_QUOTED_LINES = 1000
LONGEST_FIELD = 2**31 - 1
UNTERMINATED = "must close the quote that it opens"
STRAY_QUOTE = "must double a quote inside quotes, or close it before the delimiter"


@dataclass(frozen=True)
class BadRecord:
    """A row that cannot be split into the columns of its file."""

    line: int
    column: str
    value: str
    reason: str
    text: str


@dataclass
class RawTable:
    """The rows of a file as they stand there.

    Attributes
    ----------
    columns
        Arrow columns by name; text for text files, any type for Parquet.
    n_rows
        Number of sound rows.
    lines
        Physical line of each row in the decompressed file (row number for Parquet), int64; None
        where `TableFile.lines` is to be asked.
    bad
        Rows that could not be split.
    """

    columns: dict[str, pa.ChunkedArray]
    n_rows: int
    lines: np.ndarray | None = None
    bad: list[BadRecord] = field(default_factory=list)


class Record(NamedTuple):
    """One record of a delimited file.

    Attributes
    ----------
    line
        Physical line on which it starts, from 1.
    fields
        Its values.
    text
        The record as it stands in the file, without the line end.
    reason
        Why it cannot be used; None for a sound record.
    n_lines
        How many physical lines it takes.
    """

    line: int
    fields: list[str]
    text: str
    reason: str | None = None
    n_lines: int = 1


class _Lines:
    """Physical lines for `csv.reader`, those of one record at hand so that they can be read again.

    It ends for the moment after `MAX_QUOTED_LINES` lines of one record.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._source = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = None
        if len(self.taken) <= MAX_QUOTED_LINES:
            line = self._again.popleft() if self._again else next(self._source, None)
        if line is None:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        return line

    def read_again(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))


def read_records(
    lines: Iterable[str], delimiter: str, *, n_fields: int | None = None
) -> Iterator[Record]:
    r"""Split lines into records by `csv.reader`, which reads quotes as Arrow does.

    Blank lines are left out. When a record of several lines is unsound (its quote is never
    closed, text follows a closing quote, or it has the wrong number of fields), only its first
    line is bad and reading goes on with the second: one stray quote costs one row.

    Parameters
    ----------
    lines
        Physical lines with their ends, as from a file opened with ``newline=""``.
    delimiter
        One character.
    n_fields
        How many fields a record must have; None for any number.

    Yields
    ------
    Record
        Sound or with a reason.

    Examples
    --------
    >>> text = ['a,"x\n', 'y"\n', '\n', 'b,"z\n', 'c,d\n']
    >>> [(r.line, r.reason or r.fields) for r in read_records(text, ",", n_fields=2)]
    [(1, ['a', 'x\ny']), (4, 'must close the quote that it opens'), (5, ['c', 'd'])]
    """
    source = _Lines(lines)
    reader = csv.reader(source, delimiter=delimiter)
    number = 1
    while True:
        source.taken, source.ended = [], False
        limit = csv.field_size_limit(LONGEST_FIELD)
        try:
            fields = next(reader, None)
        finally:
            csv.field_size_limit(limit)
        if fields is None:
            return
        taken = source.taken
        reason = UNTERMINATED if source.ended else _fault(taken, fields, delimiter, n_fields)
        if reason is not None:
            source.read_again(taken[1:])
            del taken[1:]
        text = "".join(taken).rstrip("\r\n")
        if text.strip(" "):
            yield Record(number, fields, text, reason, len(taken))
        number += len(taken)


def _fault(taken: list[str], fields: list[str], delimiter: str, n_fields: int | None) -> str | None:
    if len(taken) > 1:
        try:
            next(csv.reader(taken, delimiter=delimiter, strict=True))
        except csv.Error:
            return STRAY_QUOTE
    if n_fields is None or len(fields) == n_fields:
        return None
    return count_fault(n_fields, len(fields))


def count_fault(n_fields: int, found: int) -> str:
    """Return why a record with `found` fields cannot be used."""
    plural = "" if n_fields == 1 else "s"
    return f"must have {n_fields} field{plural}, as the header has, not {found}"


def batches_ahead(reader: pa.csv.CSVStreamingReader) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a reader, which reads the next one meanwhile."""

    def read() -> pa.RecordBatch | None:
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read)
        while (batch := coming.result()) is not None:
            coming = thread.submit(read)
            yield batch


def has_line_break(column: pa.Array) -> bool:
    """Tell whether a text of a column has a line break."""
    return any(pc.any(pc.match_substring(column, mark)).as_py() or False for mark in ("\n", "\r"))
