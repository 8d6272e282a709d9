"""Vectorised conversion of table columns, with every value that fails kept by row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import BadRow, BadRowsError
from graphgen.ids import FIRST_INEXACT_FLOAT, Reasons, id_texts, is_text
from graphgen.reading.timestamps import NUMBER, with_points

__all__ = [
    "Codes",
    "Fault",
    "Faults",
    "all_empty",
    "arrow_column",
    "coded_series",
    "codes_of",
    "id_codes",
    "shorten",
    "to_codes",
    "to_floats",
    "to_text",
]

MISSING_ID = "must not be empty"
SHOWN_ROWS = 20
SHOWN_VALUE = 100
NO_CODES = np.zeros(0, np.int32)


def shorten(value: str) -> str:
    """Cut a value for a message."""
    return value if len(value) <= SHOWN_VALUE else value[: SHOWN_VALUE - 3] + "..."


@dataclass(frozen=True)
class Fault:
    """Rows of one table that fail for one reason.

    Attributes
    ----------
    rows
        Positions in the table, ascending: int64.
    column
        Name of the column in the file.
    values
        What stands there, as text, one for each row.
    reason
        What is required instead.
    """

    rows: np.ndarray
    column: str
    values: list[str]
    reason: str


class Faults:
    """The bad rows of one table; of a row with several faults the first one is kept.

    Parameters
    ----------
    n_rows
        Number of rows of the table.
    """

    def __init__(self, n_rows: int) -> None:
        self.bad = np.zeros(n_rows, dtype=bool)
        self.parts: list[Fault] = []

    def __len__(self) -> int:
        return int(self.bad.sum())

    def add(
        self, mask: np.ndarray, column: str, values: pa.ChunkedArray | None, reason: str
    ) -> None:
        """Record the rows in a boolean `mask` that have no fault yet."""
        rows = np.flatnonzero(mask & ~self.bad)
        if not rows.size:
            return
        self.bad[rows] = True
        texts = [""] * len(rows)
        if values is not None:
            texts = ["" if v is None else str(v) for v in values.take(pa.array(rows)).to_pylist()]
        self.parts.append(Fault(rows, column, texts, reason))

    def rows(self, file: str, lines: np.ndarray | None = None) -> list[BadRow]:
        """Return the first bad rows in order of the table, at most 20.

        Parameters
        ----------
        file
            Path for messages.
        lines
            Line of each row of the table; without it a row's place from 1 is given.
        """
        first = np.flatnonzero(self.bad)[:SHOWN_ROWS]
        found = []
        for part in self.parts:
            for at in np.flatnonzero(np.isin(part.rows, first)):
                row = int(part.rows[at])
                line = row + 1 if lines is None else int(lines[row])
                found.append(BadRow(file, line, part.column, shorten(part.values[at]), part.reason))
        return sorted(found, key=lambda row: row.line)

    def raise_any(self, file: str) -> None:
        """Raise `BadRowsError` if a row is bad."""
        if len(self):
            raise BadRowsError(self.rows(file), len(self))


@dataclass(frozen=True)
class Codes:
    """A column of ids as codes into its distinct values.

    Attributes
    ----------
    codes
        int32 for each row; -1 where the id is missing.
    values
        Arrow large_string array of the distinct ids, stripped, none empty.
    wrong
        Boolean masks of the rows whose value cannot be an id, with the reason.
    """

    codes: np.ndarray
    values: pa.Array
    wrong: Reasons = field(default_factory=list)

    def filter(self, keep: np.ndarray) -> Codes:
        """Keep some rows, in order."""
        return Codes(self.codes[keep], self.values)

    def decode(self) -> pa.Array:
        """Return the ids, row by row; missing ones are null."""
        codes = pa.array(self.codes, mask=self.codes < 0)
        return self.values.take(codes)


def coded_series(coded: Codes) -> pd.Series:
    """Return codes as a series that holds each distinct id once; ids are missing nowhere."""
    column = pa.DictionaryArray.from_arrays(pa.array(coded.codes), coded.values)
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([column])))


def codes_of(column: pd.Series) -> Codes:
    """Return the codes of a series of `coded_series`, also of several one after the other."""
    encoded = arrow_column(column).unify_dictionaries()
    chunks = [chunk.indices.to_numpy() for chunk in encoded.chunks]
    values = encoded.chunk(0).dictionary if chunks else pa.array([], pa.large_string())
    return Codes(chunks[0] if len(chunks) == 1 else np.concatenate([NO_CODES, *chunks]), values)


def arrow_column(values: Any) -> pa.ChunkedArray:
    """Return a pandas or Arrow column as a chunked array; objects of several types become text."""
    if isinstance(values, pa.ChunkedArray):
        return values
    if isinstance(values, pa.Array):
        return pa.chunked_array([values])
    if isinstance(getattr(values, "dtype", None), pd.PeriodDtype):
        values = values.dt.to_timestamp()
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        array = pa.array([_as_text(value) for value in values], pa.large_string())
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _as_text(value: Any) -> str | None:
    """Return any value as text, the parts of a list joined by ``|``."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        if np.isnan(value):
            return None
        value = int(value) if value.is_integer() and abs(value) < FIRST_INEXACT_FLOAT else value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, list | tuple | np.ndarray):
        return "|".join(filter(None, map(_as_text, value)))
    return str(value).encode(errors="replace").decode()


def to_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column to stripped text; missing values become ``""``.

    Floats that are whole numbers lose their ".0": a Parquet column of integer ids with gaps is
    stored as floats by pandas.

    Examples
    --------
    >>> to_text(pa.chunked_array([[12.0, None, 0.5]])).to_pylist()
    ['12', '', '0.5']
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_floating(kind):
        numbers = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), float)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        with np.errstate(invalid="ignore"):
            whole = (numbers == np.floor(numbers)) & (np.abs(numbers) < FIRST_INEXACT_FLOAT)
        as_integers = pa.array(np.where(whole, numbers, 0).astype(np.int64)).cast(pa.large_string())
        as_floats = pa.array(numbers, from_pandas=True).cast(pa.large_string())
        column = pa.chunked_array([pc.if_else(pa.array(whole), as_integers, as_floats)])
    elif not pa.types.is_large_string(kind):
        try:
            column = column.cast(pa.large_string())
        except pa.ArrowException:  # lists, structures, bytes that are not UTF-8
            texts = [_as_text(value) for value in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.large_string())])
    return pc.utf8_trim_whitespace(column).fill_null("")


def to_codes(column: pa.ChunkedArray) -> Codes:
    """Encode a column of ids; only its distinct values are converted, by `graphgen.ids`.

    Examples
    --------
    >>> ids = to_codes(pa.chunked_array([["007", " 007", "", "7"]]))
    >>> ids.codes, ids.values.to_pylist()
    (array([ 0,  0, -1,  1], dtype=int32), ['007', '7'])
    """
    try:
        if pa.types.is_dictionary(column.type):
            encoded = column.unify_dictionaries()
        else:
            encoded = column.dictionary_encode()  # one dictionary for all chunks
    except pa.ArrowNotImplementedError:  # UUIDs, lists
        texts, wrong = id_texts(column)
        return replace(to_codes(pa.chunked_array([texts])), wrong=wrong)
    if encoded.num_chunks == 0:
        return Codes(np.zeros(0, np.int32), pa.array([], pa.large_string()))
    codes = np.concatenate(
        [
            chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
            for chunk in encoded.chunks
        ]
    )
    raw = encoded.chunk(0).dictionary
    distinct, wrong = id_texts(raw)
    if is_text(raw.type) and distinct.equals(raw.cast(distinct.type)):
        return Codes(codes, distinct)  # Nothing to strip or to normalise: they are distinct.
    wrong = [(np.append(mask, False)[codes], reason) for mask, reason in wrong]
    again = distinct.dictionary_encode()
    mapping = again.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    if not np.array_equal(mapping, np.arange(len(mapping))):
        mapping = np.append(mapping, -1).astype(np.int32)  # code -1 finds the last entry
        codes = mapping[codes]
    return Codes(codes, again.dictionary, wrong)


def id_codes(
    column: pa.ChunkedArray, name: str, faults: Faults, coded: Codes | None = None
) -> Codes:
    """Encode a column of ids, unless it is `coded`, and record the rows without one."""
    coded = coded or to_codes(column)
    for mask, reason in coded.wrong:
        faults.add(mask, name, column, reason)
    faults.add(coded.codes < 0, name, column, MISSING_ID)
    return coded


def to_floats(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert a column to numbers.

    Returns
    -------
    values : numpy.ndarray
        float64; NaN where missing or not a number.
    missing : numpy.ndarray
        Boolean: empty, null or NaN.
    invalid : numpy.ndarray
        Boolean: not a finite number.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if is_text(column.type):
        column = to_text(column)
        empty = pc.equal(column, "")
        column = pc.if_else(empty, pa.scalar(None, column.type), column)
        missing = np.asarray(empty.to_numpy(), dtype=bool)
        try:
            numbers = column.cast(pa.float64())
        except pa.ArrowInvalid:
            column = with_points(column)
            fits = pc.match_substring_regex(column, NUMBER)
            numbers = pc.if_else(fits, column, pa.scalar(None, column.type)).cast(pa.float64())
        values = np.asarray(numbers.to_numpy(), dtype=float)
    else:
        try:
            values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=float)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return to_floats(to_text(column))
        missing = np.isnan(values)
    return values, missing, ~missing & ~np.isfinite(values)


def all_empty(column: pa.ChunkedArray) -> bool:
    """Tell whether no row of the column holds anything; a column without rows is not empty."""
    if not len(column):
        return False
    if column.null_count == len(column):
        return True
    if pa.types.is_dictionary(column.type):
        found = [chunk.dictionary.take(chunk.indices.unique()) for chunk in column.chunks]
        return all_empty(pa.chunked_array(found, column.type.value_type))
    if pa.types.is_floating(column.type):
        return bool(pc.all(column.is_null(nan_is_null=True)).as_py())
    if not is_text(column.type):
        return False
    return bool(pc.all(pc.equal(pc.utf8_trim_whitespace(column).fill_null(""), "")).as_py())
