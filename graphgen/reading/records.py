"""Delimited text record by record: slow, exact about lines, and tolerant of damage."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

__all__ = ["Record", "read_blocks", "read_records"]

QUOTE = '"'
# A quote that is not closed within so many lines was never meant to open a field.
MAX_QUOTED_LINES = 1000
BLOCK_LINES = 1 << 14
UNTERMINATED = "must close the quote that it opens"
STRAY_QUOTE = "must double a quote inside quotes, or close it before the delimiter"


class Record(NamedTuple):
    """One record of a delimited file.

    Attributes
    ----------
    line
        Physical line on which it starts, from 1.
    fields
        Its values; empty when `reason` is set.
    text
        The record as it stands in the file, without the line end.
    reason
        What is wrong with its quotes; None for a sound record.
    n_lines
        How many physical lines it takes.
    """

    line: int
    fields: list[str]
    text: str
    reason: str | None = None
    n_lines: int = 1


class _Lines:
    """Physical lines with their numbers, and a way to give lines back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._source = iter(lines)
        self._returned: deque[str] = deque()
        self.number = 0

    def next(self) -> str | None:
        line = self._returned.popleft() if self._returned else next(self._source, None)
        if line is not None:
            self.number += 1
        return line

    def take(self, n_lines: int) -> list[str]:
        taken = [self._returned.popleft() for _ in range(min(n_lines, len(self._returned)))]
        taken.extend(islice(self._source, n_lines - len(taken)))
        self.number += len(taken)
        return taken

    def give_back(self, lines: list[str]) -> None:
        self._returned.extendleft(reversed(lines))
        self.number -= len(lines)


def read_records(
    lines: Iterable[str], delimiter: str, *, n_fields: int | None = None
) -> Iterator[Record]:
    r"""Split lines into records, by the rules of RFC 4180 as Arrow reads them.

    A quote opens a field only at its start; blank lines are left out. When a record of several
    lines is unsound (its quote is never closed, text follows the closing quote, or it has the
    wrong number of fields), only its first line is taken as bad and reading goes on with the
    second: one stray quote costs one row.

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
    >>> [(r.line, r.fields or r.reason) for r in read_records(text, ",", n_fields=2)]
    [(1, ['a', 'x\ny']), (4, 'must close the quote that it opens'), (5, ['c', 'd'])]
    """
    source = _Lines(lines)
    while (line := source.next()) is not None:
        record = _record(line, source, delimiter, n_fields)
        if record is not None:
            yield record


def read_blocks(
    lines: Iterable[str], delimiter: str, n_fields: int
) -> Iterator[Record | tuple[int, list[list[str]]]]:
    """Do as `read_records`, but give lines that hold one sound record each as whole blocks.

    Yields
    ------
    Record
        From a block with blank lines, quoted line breaks, NUL bytes or anything unsound.
    tuple
        The line on which a block starts, and the fields of each of its lines.
    """
    source = _Lines(lines)
    while block := source.take(BLOCK_LINES):
        rows = _plain_rows(block, delimiter)
        if n_fields > 1 and len(rows) == len(block) and set(map(len, rows)) == {n_fields}:
            yield source.number - len(block) + 1, rows
            continue
        end = source.number
        source.give_back(block)
        while source.number < end and (line := source.next()) is not None:
            record = _record(line, source, delimiter, n_fields)
            if record is not None:
                yield record


def _plain_rows(block: list[str], delimiter: str) -> list[list[str]]:
    """Split lines that hold one sound record each; of other lines too few rows come back."""
    text = "".join(block)
    if "\0" in text:
        return []
    if QUOTE not in text:
        return [line.rstrip("\r\n").split(delimiter) for line in block]
    _, reason = _split_quoted(block[-1], delimiter, _Lines([]), [])
    if reason is not None:  # it opens a quote that the next block may close
        return []
    try:
        return list(csv.reader(block, delimiter=delimiter))
    except csv.Error:  # a field over the limit of that module
        return []


def _record(line: str, source: _Lines, delimiter: str, n_fields: int | None) -> Record | None:
    """Read the record that starts with `line`; None if that is blank."""
    start = source.number
    text = line.rstrip("\r\n")
    if not text.strip(" "):
        return None
    if QUOTE not in line:
        fields = text.split(delimiter)
        return Record(start, fields, text, _count_fault(fields, n_fields))
    taken: list[str] = []
    fields, reason = _split_quoted(line, delimiter, source, taken)
    if reason is None:
        reason = _count_fault(fields, n_fields)
    if reason is not None and taken:
        source.give_back(taken)
        taken = []
    whole = "".join([line, *taken]).rstrip("\r\n")
    return Record(start, fields, whole, reason, 1 + len(taken))


def _count_fault(fields: list[str], n_fields: int | None) -> str | None:
    if n_fields is None or len(fields) == n_fields:
        return None
    plural = "" if n_fields == 1 else "s"
    return f"must have {n_fields} field{plural}, as the header has, not {len(fields)}"


def _split_quoted(
    text: str, delimiter: str, source: _Lines, taken: list[str]
) -> tuple[list[str], str | None]:
    """Split a record with quotes, taking more lines from `source` while a quote is open."""
    fields: list[str] = []
    position = 0
    reason = None
    while True:
        quoted: list[str] = []
        spans = len(taken)
        opened = text.startswith(QUOTE, position)
        position += opened
        while opened:
            end = text.find(QUOTE, position)
            if end < 0:
                quoted.append(text[position:])
                line = source.next() if len(taken) < MAX_QUOTED_LINES else None
                if line is None:
                    return [], UNTERMINATED
                taken.append(line)
                text, position = line, 0
                continue
            quoted.append(text[position:end])
            position = end + 1
            if text.startswith(QUOTE, position):
                quoted.append(QUOTE)
                position += 1
            else:
                opened = False
        stop = text.find(delimiter, position)
        tail = text[position : stop if stop >= 0 else None]
        if stop < 0:
            tail = tail.rstrip("\r\n")
        if tail and len(taken) > spans:
            reason = STRAY_QUOTE
        fields.append("".join(quoted) + tail if quoted else tail)
        if stop < 0:
            return fields, reason
        position = stop + 1
