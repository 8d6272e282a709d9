"""Any table file as Arrow columns: fast where it is sound, exact about lines where it is not."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from graphgen.errors import ConfigError, InputError
from graphgen.reading.adjacency_list import looks_like_adjacency_list, read_adjacency_list
from graphgen.reading.columns import listed
from graphgen.reading.records import Record, read_blocks, read_records
from graphgen.reading.streams import ByteStream, raise_undecodable

__all__ = ["COMPRESSIONS", "FORMATS", "BadRecord", "RawTable", "TableFile", "format_of"]

logger = logging.getLogger(__name__)

FORMATS = {".csv": "csv", ".tsv": "tsv", ".txt": "txt", ".parquet": "parquet", ".pq": "parquet"}
COMPRESSIONS = (".gz", ".zst", ".bz2")
DELIMITERS = (",", "\t", ";", "|")
BLOCK = 4 << 20
CHUNK_ROWS = 1 << 16
# With more bad rows than this a file is not damaged but misread; listing them would fill memory.
MAX_BAD_ROWS = 1_000_000
NUL_REASON = "must not hold NUL bytes (a damaged or a binary file)"
Advance = Callable[[int], None]


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
        after a fast read, which does not know them.
    bad
        Rows that could not be split; known after an exact read only.
    """

    columns: dict[str, pa.ChunkedArray]
    n_rows: int
    lines: np.ndarray | None = None
    bad: list[BadRecord] = field(default_factory=list)


def format_of(path: Path) -> str | None:
    """Return "csv", "tsv", "txt" or "parquet" by the name of a file; None for other names.

    Examples
    --------
    >>> format_of(Path("log.csv.gz")), format_of(Path("README.md"))
    ('csv', None)
    """
    name, _, _ = path.name.partition("#")  # a file may be named like a filter
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


class TableFile:
    """One table file: its header is read at once, its rows on demand.

    Parameters
    ----------
    path
        The file.
    name
        Path for messages; `path` by default.
    delimiter
        One character; by default a tab for .tsv, else the one of ``, ; tab |`` that the header
        has most of.
    encoding
        By default UTF-8, or what a byte order mark says.
    adjacency
        Whether a .txt file may be a list of ``user item item ...`` lines without a header.
    known
        Lower-case column names that make the first line of a .txt file a header.

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
    ) -> None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ConfigError(f"`delimiter` must be one character; got {delimiter!r}.")
        self.path = path
        self.name = str(path) if name is None else name
        self.is_adjacency = False
        self._encoding = encoding
        self._delimiter = delimiter or ","
        self._skip = self._header_lines = 0
        self._format = format_of(path) or "csv"
        if self._format == "parquet":
            self.header = self._parquet_header()
        else:
            self.header = self._text_header(delimiter, adjacency, known)
        self.keys = _unique(self.header)

    def read(self, *, exact: bool = False, advance: Advance | None = None) -> RawTable:
        """Read all rows.

        Parameters
        ----------
        exact
            Read line by line, so that `RawTable.lines` and `RawTable.bad` are known: about
            1 us for each row and column instead of 0.05. A file that the fast way cannot read
            as it is gets the exact one without asking.
        advance
            Called with the number of compressed bytes read since the last call.

        Raises
        ------
        InputError
            If there is no row, or the file is damaged.
        """
        if self._format == "parquet":
            table = self._read_parquet(advance)
        elif self.is_adjacency:
            with self._stream(advance) as stream:
                table = self._read_adjacency(stream)
        else:
            fast = None if exact else self._read_fast(advance)
            table = self._read_exact(advance if exact else None) if fast is None else fast
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
        columns = {}
        try:
            with pa.parquet.ParquetFile(self.path) as file:
                table = file.read()
            for key, column in zip(self.keys, table.columns, strict=True):
                kind = column.type
                if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                    column = column.cast(pa.large_binary()).cast(pa.large_string())
                columns[key] = column
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is damaged: {error}. Fetch it again.") from None
        if advance is not None:
            advance(self.path.stat().st_size)
        return RawTable(columns, table.num_rows, np.arange(1, table.num_rows + 1))

    # Text

    def _stream(self, advance: Advance | None = None) -> ByteStream:
        return ByteStream(self.path, name=self.name, encoding=self._encoding, advance=advance)

    def _lines(self, stream: ByteStream) -> Iterator[str]:
        """Yield physical lines with their ends, whichever of LF, CR LF and CR they are."""
        try:
            yield from io.TextIOWrapper(
                io.BufferedReader(stream, BLOCK), encoding="utf-8", newline=""
            )
        except UnicodeDecodeError:
            raise_undecodable(self.path, self.name, stream.encoding)

    def _text_header(
        self, delimiter: str | None, adjacency: bool, known: Collection[str]
    ) -> list[str]:
        with self._stream() as stream:
            lines: list[str] = []
            source = self._lines(stream)
            for line in source:
                lines.append(line)
                if line.strip():
                    break
            else:
                raise InputError(f"{self.name} is empty.")
            first, n_blank = lines[-1], len(lines) - 1
            self._delimiter = delimiter or self._sniff(first)
            if self._format == "txt" and delimiter is None and self._delimiter == " ":
                tokens = first.split()
                if not {token.lower() for token in tokens} & set(known):
                    if not (adjacency and looks_like_adjacency_list(tokens)):
                        self._refuse_plain_text(first, adjacency, known)
                    self.is_adjacency = True
                    return ["user_id", "item_id"]
                if len(tokens) == 1:
                    self._delimiter = ","

            def from_header() -> Iterator[str]:
                yield first
                for line in source:
                    lines.append(line)
                    yield line

            record = next(read_records(from_header(), self._delimiter))
        if record.reason is not None:
            raise InputError(f"{self.name}, line {n_blank + 1}: the header {record.reason}.")
        self._header_lines = n_blank + record.n_lines
        self._skip = len("".join(lines[: self._header_lines]).encode())
        if "\0" in record.text:
            raise InputError(f"{self.name}, line {self._header_lines}: the header {NUL_REASON}.")
        return record.fields

    def _sniff(self, header: str) -> str:
        if self._format == "tsv":
            return "\t"
        counts = {mark: header.count(mark) for mark in DELIMITERS}
        best = max(counts, key=lambda mark: counts[mark])
        if counts[best] == 0 and self._format == "txt":
            return " "
        return best

    def _refuse_plain_text(self, first: str, adjacency: bool, known: Collection[str]) -> None:
        lists = ' (or a list of "user item item ..." lines of numbers)' if adjacency else ""
        raise InputError(
            f"{self.name}, line 1: expected a header with {listed(sorted(known))}{lists}; found "
            f"{first.strip()[:60]!r}."
        )

    def _read_fast(self, advance: Advance | None) -> RawTable | None:
        """Read with Arrow; None if anything is not as it should be."""
        unsound = False

        def skip(row: object) -> str:
            nonlocal unsound
            unsound = True
            return "skip"

        with self._stream(advance) as stream:
            _discard(stream, self._skip)
            try:
                table = pa.csv.read_csv(
                    pa.PythonFile(stream, "r"),
                    read_options=pa.csv.ReadOptions(column_names=self.keys, block_size=BLOCK),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self._delimiter,
                        newlines_in_values=True,
                        invalid_row_handler=skip,
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(self.keys, pa.string()),
                        strings_can_be_null=False,
                        null_values=[],
                    ),
                )
            except pa.ArrowInvalid as error:
                logger.debug("%s: fast reading gave up: %s", self.name, error)
                return None
            if unsound or stream.nuls or b'"' in stream.last_line:
                return None
            # A quoted line break may as well be a quote that was never closed.
            quotes = stream.quotes
        if quotes and any(_has_line_break(column) for column in table.columns):
            return None
        return RawTable(dict(zip(self.keys, table.columns, strict=True)), table.num_rows)

    def _read_exact(self, advance: Advance | None) -> RawTable:
        n_fields = len(self.keys)
        bad: list[BadRecord] = []
        chunks: list[list[pa.Array]] = [[] for _ in self.keys]
        starts: list[np.ndarray] = []
        rows: list[list[str]] = []
        numbers: list[int] = []

        def flush() -> None:
            if rows:
                for chunk, values in zip(chunks, zip(*rows, strict=True), strict=True):
                    chunk.append(pa.array(values, pa.large_string()))
                starts.append(np.array(numbers, dtype=np.int64) + self._header_lines)
                rows.clear()
                numbers.clear()

        with self._stream(advance) as stream:
            _discard(stream, self._skip)
            for part in read_blocks(self._lines(stream), self._delimiter, n_fields):
                if not isinstance(part, Record):
                    first, block = part
                    rows.extend(block)
                    numbers.extend(range(first, first + len(block)))
                elif part.reason is not None or "\0" in part.text:
                    bad.append(self._bad(part))
                    self._check_number(bad)
                else:
                    rows.append(part.fields)
                    numbers.append(part.line)
                if len(rows) >= CHUNK_ROWS:
                    flush()
            flush()
        columns = {
            key: pa.chunked_array(chunk, pa.large_string())
            for key, chunk in zip(self.keys, chunks, strict=True)
        }
        lines = np.concatenate(starts) if starts else np.zeros(0, np.int64)
        return RawTable(columns, len(lines), lines, bad)

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


def _discard(stream: ByteStream, n_bytes: int) -> None:
    while n_bytes > 0:
        n_bytes -= len(stream.read(n_bytes))
    stream.quotes = stream.nuls = False
    if stream._pending:
        stream.quotes, stream.nuls = b'"' in stream._pending, b"\0" in stream._pending


def _has_line_break(column: pa.ChunkedArray) -> bool:
    return any(pc.any(pc.match_substring(column, mark)).as_py() or False for mark in ("\n", "\r"))


def _unique(header: list[str]) -> list[str]:
    """Make names unique; a blank name stays blank, which means that the column is not wanted."""
    keys: list[str] = []
    for at, name in enumerate(header):
        key = name if name.strip() else " " * (at + 1)
        n = 1
        while key in keys:
            n += 1
            key = f"{name} ({n})"
        keys.append(key)
    return keys
