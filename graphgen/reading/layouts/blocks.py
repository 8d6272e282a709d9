"""Files of any size in blocks of rows: lines, JSON lines and delimited text.

Arrow reads a block; where a line of it is bad, that block alone is read again line by line.
"""

from __future__ import annotations

import ast
import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from graphgen.errors import InputError
from graphgen.reading.cleaning import to_text
from graphgen.reading.layouts.base import Advance, File
from graphgen.reading.objects import NOT_AN_OBJECT
from graphgen.reading.records import BadRecord, RawTable, Record, count_fault, read_records
from graphgen.reading.streams import ByteStream, raise_undecodable
from graphgen.reading.tabular import NUL_REASON, UNIT_SEPARATOR

__all__ = ["delimited_blocks", "encoding_of", "first_line", "first_object", "json_blocks", "lines"]

BLOCK = 8 << 20
# Objects of the first block whose values give the types of its keys.
TYPED_OBJECTS = 1000
# The first line of a file is looked for in so many bytes.
LONGEST_HEAD = 1 << 20
# A quote that is still open after so many bytes was never meant to open a field.
LONGEST_QUOTED = 64 << 20


def lines(
    file: File,
    advance: Advance | None = None,
    *,
    encoding: str | None = None,
    replace: dict[str, str] | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines in UTF-8, each with the number of its first line.

    Raises
    ------
    InputError
        If the file cannot be read or decoded; it names the line.
    """
    number, held = 1, list[bytes]()
    with ByteStream(
        file.path,
        name=file.name,
        encoding=encoding or file.encoding,
        advance=advance,
        replace=replace,
    ) as stream:
        while chunk := stream.read(BLOCK):
            end = chunk.rfind(b"\n") + 1
            held.append(chunk[:end])
            if end:
                yield number, _valid(b"".join(held), file, stream.encoding)
                number += sum(part.count(b"\n") for part in held)
                held = [chunk[end:]]
            else:
                held[-1] = chunk
        if rest := b"".join(held):
            yield number, _valid(rest, file, stream.encoding)


def _valid(block: bytes, file: File, encoding: str) -> bytes:
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError:
            raise_undecodable(file.path, file.name, encoding)
    return block


def head(file: File, n_bytes: int) -> bytes:
    """Return the whole lines of the first bytes of a text file, in UTF-8."""
    parts, size = list[bytes](), 0
    with ByteStream(file.path, name=file.name, encoding=file.encoding) as stream:
        while size < n_bytes and (chunk := stream.read(BLOCK)):
            parts.append(chunk)
            size += len(chunk)
        end = not stream.read(1)
    found = b"".join(parts)
    return found if end else found[: found.rfind(b"\n") + 1] or found


def first_line(file: File) -> str:
    """Return the first line of a text file; "" where it is none."""
    if file.frame is not None:
        return ""
    try:
        return head(file, LONGEST_HEAD).split(b"\n")[0].decode("utf-8", "replace").strip()
    except InputError:
        return ""


def first_object(file: File) -> dict[str, Any]:
    """Return the first object of JSON lines; {} where the first line is none."""
    found = _parsed(first_line(file))
    return found if isinstance(found, dict) else {}


def encoding_of(file: File) -> str | None:
    """Return the encoding of a file: the given one, "latin-1" where it is not UTF-8, or None."""
    if file.encoding is not None:
        return file.encoding
    try:
        with ByteStream(file.path, name=file.name) as stream:
            stream.read().decode()
    except UnicodeDecodeError:
        return "latin-1"
    return None


# JSON


def json_blocks(
    file: File, keys: Sequence[str], advance: Advance | None = None
) -> Iterator[RawTable]:
    """Read some keys of JSON lines; also of lines that are Python dictionaries.

    A value that does not fit the type of its key in the first lines is given as text; in the place
    of a list or structure it is missing.
    """
    schema: pa.Schema | None = None
    for number, block in lines(file, advance):
        schema = schema or _schema(block, keys)
        yield _json_fast(block, number, schema) or _json_slow(block, number, schema)


def _schema(block: bytes, keys: Sequence[str]) -> pa.Schema:
    first = (_parsed(line) for line in block.decode().split("\n", TYPED_OBJECTS)[:TYPED_OBJECTS])
    objects = [found for found in first if isinstance(found, dict)]
    kinds = {}
    for key in keys:
        try:
            kind = pa.array([found.get(key) for found in objects]).type
        except (pa.ArrowException, OverflowError):
            kind = pa.string()
        kinds[key] = pa.string() if pa.types.is_null(kind) else kind
    return pa.schema(kinds)


def _json_fast(block: bytes, number: int, schema: pa.Schema) -> RawTable | None:
    try:
        table = pa.json.read_json(
            pa.BufferReader(block),
            pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowException, OverflowError):
        return None
    if table.num_rows != _n_lines(block):
        return None
    columns = dict(zip(table.column_names, table.columns, strict=True))
    return RawTable(columns, table.num_rows, np.arange(number, number + table.num_rows))


def _json_slow(block: bytes, number: int, schema: pa.Schema) -> RawTable:
    objects, places, bad = [], [], []
    for at, line in enumerate(block.decode().split("\n"), number):
        if not line.strip():
            continue
        found = _parsed(line)
        if isinstance(found, dict):
            objects.append(found)
            places.append(at)
        else:
            bad.append(BadRecord(at, "", line, NOT_AN_OBJECT, line))
    columns = {
        one.name: pa.chunked_array([_typed([o.get(one.name) for o in objects], one.type)])
        for one in schema
    }
    return RawTable(columns, len(objects), np.array(places, np.int64), bad)


def _typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return values, of which some may not fit, as text unless the kind is nested."""
    if not pa.types.is_nested(kind):
        return pa.array([_text(value) for value in values], pa.large_string())
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = "|".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.encode(errors="replace").decode()


def _fitting(value: Any, kind: pa.DataType) -> Any:
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


def _parsed(line: str) -> Any:
    """Read JSON, or the literal of a dictionary as in the metadata of Amazon 2014."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _n_lines(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


# Delimited text


def delimited_blocks(
    file: File,
    delimiter: str,
    advance: Advance | None = None,
    *,
    names: Sequence[str] | None = None,
    quoted: bool = True,
    encoding: str | None = None,
) -> Iterator[RawTable]:
    """Read delimited text; all columns are text.

    Parameters
    ----------
    file, advance, encoding
        See `lines`.
    delimiter
        One or more characters.
    names
        Names of the columns of a file without a header.
    quoted
        Whether a quote opens a field that may hold delimiters and line breaks.
    """
    mark = delimiter if len(delimiter) == 1 else UNIT_SEPARATOR
    replace = None if mark == delimiter else {delimiter: mark}
    for number, block in _balanced(
        lines(file, advance, encoding=encoding, replace=replace), quoted
    ):
        if names is None:
            header, _, block = block.partition(b"\n")
            names = [name.strip() for name in next(csv.reader([header.decode()], delimiter=mark))]
            number += 1
            if not block:
                continue
        yield _text_fast(block, number, names, mark, quoted) or _text_slow(
            block, number, names, mark, quoted
        )


def _balanced(blocks: Iterable[tuple[int, bytes]], quoted: bool) -> Iterator[tuple[int, bytes]]:
    """Join blocks until no quote is open at their end."""
    if not quoted:
        yield from blocks
        return
    held: tuple[int, bytes] | None = None
    for number, block in blocks:
        held = (number, block) if held is None else (held[0], held[1] + block)
        if held[1].count(b'"') % 2 == 0 or len(held[1]) > LONGEST_QUOTED:
            yield held
            held = None
    if held is not None:
        yield held


def _text_fast(
    block: bytes, number: int, names: Sequence[str], mark: str, quoted: bool
) -> RawTable | None:
    """Read with Arrow; None unless each line is one record."""
    if b"\0" in block:
        return None
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(block),
            pa.csv.ReadOptions(
                column_names=list(names), use_threads=False, block_size=len(block) + 1
            ),
            pa.csv.ParseOptions(
                delimiter=mark,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted and b'"' in block,
            ),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                null_values=[],
            ),
        )
    except (pa.ArrowException, OverflowError):
        return None
    if table.num_rows != _n_lines(block):
        return None
    columns = dict(zip(names, table.columns, strict=True))
    return RawTable(columns, table.num_rows, np.arange(number, number + table.num_rows))


def _text_slow(
    block: bytes, number: int, names: Sequence[str], mark: str, quoted: bool
) -> RawTable:
    split = io.StringIO(block.decode(), newline="")
    records: Iterable[Record] = (
        read_records(split, mark, n_fields=len(names))
        if quoted
        else _split(split, mark, len(names))
    )
    good, bad = [], []
    for record in records:
        at = record.line + number - 1
        reason = record.reason or (NUL_REASON if "\0" in record.text else None)
        if reason is None:
            good.append((at, record.fields))
        else:
            bad.append(BadRecord(at, "", record.text, reason, record.text))
    values = list(zip(*(fields for _, fields in good), strict=True)) or [()] * len(names)
    columns = {
        name: pa.chunked_array([pa.array(column, pa.large_string())])
        for name, column in zip(names, values, strict=True)
    }
    return RawTable(columns, len(good), np.array([at for at, _ in good], np.int64), bad)


def _split(source: Iterable[str], mark: str, n_fields: int) -> Iterator[Record]:
    for line, text in enumerate(source, 1):
        text = text.rstrip("\r\n")
        if text.strip(" "):
            fields = text.split(mark)
            sound = len(fields) == n_fields
            yield Record(line, fields, text, None if sound else count_fault(n_fields, len(fields)))


def whole(blocks: Iterable[RawTable]) -> dict[str, list[str]]:
    """Return all rows of a small file as lists of text."""
    tables = list(blocks)
    keys = tables[0].columns if tables else {}
    return {
        key: list(
            itertools.chain.from_iterable(to_text(t.columns[key]).to_pylist() for t in tables)
        )
        for key in keys
    }
