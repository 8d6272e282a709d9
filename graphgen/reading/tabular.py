"""Any table file as Arrow columns, with the lines of its rows and the rows that are bad."""

from __future__ import annotations

import io
import logging
from array import array
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from graphgen.errors import ConfigError, InputError
from graphgen.reading.adjacency_list import looks_like_adjacency_list, read_adjacency_list
from graphgen.reading.columns import listed
from graphgen.reading.formats import format_inside, format_of
from graphgen.reading.header import (
    bare_names,
    is_comment,
    movielens_names,
    numbered,
    sniff_delimiter,
    stated,
    unique_names,
)
from graphgen.reading.objects import read_excel, read_json
from graphgen.reading.records import (
    BadRecord,
    RawTable,
    Record,
    batches_ahead,
    count_fault,
    has_line_break,
    read_records,
)
from graphgen.reading.streams import LONGEST_LINE, ByteStream, raise_undecodable

__all__ = ["TableFile"]

logger = logging.getLogger(__name__)

# A separator of several characters is read as this one, which no text holds.
UNIT_SEPARATOR = "\x1f"
ESCAPES = {"\\t": "\t", "tab": "\t", "space": " "}
BLOCK = 4 << 20
CHUNK_ROWS = 1 << 16
# With more bad rows than this a file is not damaged but misread; listing them would fill memory.
MAX_BAD_ROWS = 1_000_000
NUL_REASON = "must not hold NUL bytes (a damaged or a binary file)"
Advance = Callable[[int], None]


class TableFile:
    """One table file: its header is read at once, its rows on demand.

    Parameters
    ----------
    path
        The file.
    name
        Path for messages; `path` by default.
    delimiter
        By default a tab for .tsv, else what the first line states (``sep=;``), else the one of
        ``:: , ; tab |`` that the header has most of. So it is where the header has none of it.
    encoding
        By default UTF-8, or what a byte order mark says.
    adjacency
        Whether a .txt file may be a list of ``user item item ...`` lines without a header.
    known
        Lower-case column names that make the first line of a .txt file a header.
    numbers
        Names of the wanted columns, which may be numbers in a file without a header.

    Attributes
    ----------
    header
        Column names as they stand in the file.
    keys
        The same, each once: the names of the columns that `read` returns.
    is_adjacency
        Whether it is a list of ``user item item ...`` lines.

    Raises
    ------
    InputError
        If the file is empty, not a table, cannot be read or decoded.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        adjacency: bool = False,
        known: Collection[str] = (),
        numbers: Collection[str] = (),
    ) -> None:
        delimiter = ESCAPES.get(delimiter, delimiter) if delimiter else None
        if delimiter is not None and set('"\r\n\0') & set(delimiter):
            raise ConfigError(f"`delimiter` must be one or more characters; got {delimiter!r}.")
        self.path = path
        self.name = str(path) if name is None else name
        self.is_adjacency = False
        self._encoding = encoding
        self._delimiter, self._separator = delimiter or ",", ""
        self._skip = self._header_lines = 0
        self._format = format_of(path) or format_inside(path)
        self._whole: RawTable | None = None
        if self._format == "parquet":
            self.header = self._parquet_header()
        elif self._format in ("json", "excel"):
            self._whole = self._read_whole()
            self.header = list(self._whole.columns)
        else:
            self.header = self._text_header(delimiter, adjacency, known, numbers)
        self.keys = unique_names(self.header)

    @property
    def kind(self) -> Literal["text", "typed"]:
        """Whether it is delimited text, or has columns and types of its own."""
        return "typed" if self._format in ("parquet", "json", "excel") else "text"

    def read(self, *, advance: Advance | None = None, ids: Collection[str] = ()) -> RawTable:
        """Read all rows.

        Arrow does it. A file with quoted line breaks, quotes that are not closed or NUL bytes is
        then read again record by record, which takes 20 times as long.

        Parameters
        ----------
        advance
            Called with the number of compressed bytes read since the last call.
        ids
            Columns in which texts repeat: they may come as Arrow dictionaries.

        Raises
        ------
        InputError
            If there is no row, or the file is damaged.
        """
        if self._whole is not None:
            table, self._whole = self._whole, None
            if advance is not None:
                advance(self.path.stat().st_size)
        elif self._format == "parquet":
            table = self._read_parquet(advance)
        elif self.is_adjacency:
            with self._stream(advance) as stream:
                table = self._read_adjacency(stream)
        else:
            table = self._read_fast(advance, ids) or self._read_exact()
        if not table.n_rows and not table.bad:
            raise InputError(f"{self.name} has a header, but no rows under it.")
        return table

    # Parquet

    def _parquet_header(self) -> list[str]:
        try:
            with pa.parquet.ParquetFile(self.path) as file:
                return list(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{self.name} is not a whole Parquet file ({error}). Fetch it again, or give it "
                "the extension of its format."
            ) from None

    def _read_parquet(self, advance: Advance | None) -> RawTable:
        try:
            with pa.parquet.ParquetFile(self.path) as file:
                table = file.read()
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is damaged: {error}. Fetch it again.") from None
        if advance is not None:
            advance(self.path.stat().st_size)
        columns = dict(zip(self.keys, table.columns, strict=True))
        return RawTable(columns, table.num_rows, np.arange(1, table.num_rows + 1))

    def _read_whole(self) -> RawTable:
        if self._format == "excel":
            return read_excel(self.path, self.name)
        with self._stream() as stream:
            return read_json(self._lines(stream), self.name)

    # Text

    def _stream(self, advance: Advance | None = None) -> ByteStream:
        return ByteStream(
            self.path,
            name=self.name,
            encoding=self._encoding,
            advance=advance,
            replace={self._separator: UNIT_SEPARATOR} if self._separator else None,
            longest=None if self._format == "json" else LONGEST_LINE,
        )

    def _lines(self, stream: ByteStream) -> Iterator[str]:
        """Yield physical lines with their ends, whichever of LF, CR LF and CR they are."""
        try:
            yield from io.TextIOWrapper(
                io.BufferedReader(stream, BLOCK), encoding="utf-8", newline=""
            )
        except UnicodeDecodeError:
            raise_undecodable(self.path, self.name, stream.encoding)

    def _text_header(
        self,
        delimiter: str | None,
        adjacency: bool,
        known: Collection[str],
        numbers: Collection[str],
    ) -> list[str]:
        lines: list[str] = []

        def kept(stream: ByteStream) -> Iterator[str]:
            for line in self._lines(stream):
                lines.append(line)
                yield line

        with self._stream() as stream:
            source = kept(stream)
            filled = (line for line in source if line.strip())
            first = next(filled, None)
            if first is not None and (given := stated(first)) is not None:
                delimiter, first = delimiter or given, next(filled, None)
            while first is not None and is_comment(first, known):
                first = next(filled, None)
            if first is None:
                raise InputError(f"{self.name} is empty.")
            n_above = len(lines) - 1
            self._delimiter = self._separated(first, delimiter, known)
            if self._format == "txt" and delimiter is None and self._delimiter == " ":
                tokens = first.split()
                if not {token.lower() for token in tokens} & set(known):
                    if not (adjacency and looks_like_adjacency_list(tokens)):
                        self._refuse_plain_text(first, adjacency, known)
                    self.is_adjacency = True
                    return ["user_id", "item_id"]
                if len(tokens) == 1:
                    self._delimiter = ","
            if len(self._delimiter) > 1:
                self._separator, self._delimiter = self._delimiter, UNIT_SEPARATOR
                first = first.replace(self._separator, UNIT_SEPARATOR)
            record = next(read_records(chain([first], source), self._delimiter))
        if record.reason is not None:
            raise InputError(f"{self.name}, line {n_above + 1}: the header {record.reason}.")
        names = numbered(record.fields, numbers)
        if names is None and adjacency and (names := movielens_names(record.fields)):
            logger.warning("%s has no header; its columns are taken as %s.", self.name, names)
        self._header_lines = n_above + (record.n_lines if names is None else 0)
        above = "".join(lines[: self._header_lines])
        if self._separator:
            above = above.replace(self._separator, UNIT_SEPARATOR)
        self._skip = len(above.encode())
        if "\0" in record.text:
            raise InputError(f"{self.name}, line {self._header_lines}: the header {NUL_REASON}.")
        return bare_names(record.fields) if names is None else names

    def _separated(self, first: str, delimiter: str | None, known: Collection[str]) -> str:
        if delimiter is not None and delimiter in first:
            return delimiter
        if self._format == "tsv" and "\t" in first:
            return "\t"
        return sniff_delimiter(first, known, " " if self._format == "txt" else ",")

    def _refuse_plain_text(self, first: str, adjacency: bool, known: Collection[str]) -> None:
        lists = ' (or a list of "user item item ..." lines of numbers)' if adjacency else ""
        raise InputError(
            f"{self.name}, line 1: expected a header with {listed(sorted(known))}{lists}; found "
            f"{first.strip()[:60]!r}."
        )

    def _read_fast(self, advance: Advance | None, ids: Collection[str]) -> RawTable | None:
        """Read with Arrow; None unless each line that is not empty is a record of its own."""
        invalid: list[pa.csv.InvalidRow] = []

        def set_aside(row: pa.csv.InvalidRow) -> str:
            invalid.append(row)
            return "error" if len(invalid) > MAX_BAD_ROWS else "skip"

        chunks: list[list[pa.Array]] = [[] for _ in self.keys]
        broken = False
        with self._stream(advance) as stream:
            stream.skip(self._skip)
            try:
                reader = pa.csv.open_csv(
                    pa.PythonFile(stream, "r"),
                    # Threads of Arrow do not number invalid rows.
                    read_options=pa.csv.ReadOptions(
                        column_names=self.keys, block_size=BLOCK, use_threads=False
                    ),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self._delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=set_aside,
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(self.keys, pa.string()),
                        strings_can_be_null=False,
                        null_values=[],
                    ),
                )
                for batch in batches_ahead(reader):
                    # A quoted line break may as well be a quote that was never closed.
                    broken = broken or (stream.quotes and any(map(has_line_break, batch)))
                    for key, chunk, column in zip(self.keys, chunks, batch, strict=True):
                        chunk.append(column.dictionary_encode() if key in ids else column)
            except pa.ArrowInvalid as error:
                logger.debug("%s: fast reading gave up: %s", self.name, error)
                return None
            last = stream.last_line.decode()
            if not chunks[0]:
                return None
            columns = dict(zip(self.keys, map(pa.chunked_array, chunks), strict=True))
            n_rows = len(columns[self.keys[0]])
            if invalid and invalid[-1].number == n_rows + len(invalid):
                last = invalid[-1].text
            if stream.nuls or '"' in last:  # the file may end inside quotes
                return None
            texts = pa.array([row.text for row in invalid], pa.string())
            if broken or (stream.quotes and has_line_break(texts)):
                return None
        raw = RawTable(columns, n_rows)
        if invalid:
            lines = self.lines()
            numbers = np.array([row.number for row in invalid]) - 1
            raw.lines = np.delete(lines, numbers)
            for row, line in zip(invalid, lines[numbers].tolist(), strict=True):
                if row.text.strip(" "):
                    reason = count_fault(len(self.keys), row.actual_columns)
                    raw.bad.append(BadRecord(line, "", row.text, reason, row.text))
        return raw

    def lines(self) -> np.ndarray:
        """Return the physical line of each line under the header that is not empty: int64."""
        with self._stream() as stream:
            stream.skip(self._skip)
            filled = [line[0] not in "\r\n" for line in self._lines(stream)]
        return np.flatnonzero(filled) + (1 + self._header_lines)

    def _read_exact(self) -> RawTable:
        bad: list[BadRecord] = []
        chunks: list[list[pa.Array]] = [[] for _ in self.keys]
        rows: list[list[str]] = []
        lines = array("q")

        def flush() -> None:
            for chunk, values in zip(chunks, zip(*rows, strict=True), strict=bool(rows)):
                chunk.append(pa.array(values, pa.large_string()))
            rows.clear()

        with self._stream() as stream:
            stream.skip(self._skip)
            source = self._lines(stream)
            for record in read_records(source, self._delimiter, n_fields=len(self.keys)):
                if record.reason is not None or "\0" in record.text:
                    bad.append(self._bad(record))
                    self._check_number(bad)
                    continue
                rows.append(record.fields)
                lines.append(record.line + self._header_lines)
                if len(rows) >= CHUNK_ROWS:
                    flush()
            flush()
        columns = {
            key: pa.chunked_array(chunk, pa.large_string())
            for key, chunk in zip(self.keys, chunks, strict=True)
        }
        return RawTable(columns, len(lines), np.array(lines, dtype=np.int64), bad)

    def _bad(self, record: Record) -> BadRecord:
        line = record.line + self._header_lines
        if record.reason is not None:
            return BadRecord(line, "", record.text, record.reason, record.text)
        at = next(i for i, value in enumerate(record.fields) if "\0" in value)
        return BadRecord(line, self.keys[at], record.fields[at], NUL_REASON, record.text)

    def _check_number(self, bad: list[BadRecord]) -> None:
        if len(bad) > MAX_BAD_ROWS:
            raise InputError(
                f"{self.name} has over {MAX_BAD_ROWS:,} rows that do not fit its header, the "
                f"first in line {bad[0].line} ({bad[0].reason}). Is its delimiter really "
                f"{self._delimiter!r}? Another is set with --delimiter."
            )

    def _read_adjacency(self, stream: ByteStream) -> RawTable:
        data = stream.read()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise_undecodable(self.path, self.name, stream.encoding)
        columns, lines, wrong = read_adjacency_list(text)
        bad = [BadRecord(line, "", token, reason, raw) for line, token, reason, raw in wrong]
        return RawTable(columns, len(lines), lines, bad)
