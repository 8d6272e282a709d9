"""Ids are text: the one rule by which every table, list and request turns values into ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import InputError

__all__ = ["as_ids", "hashed_id", "id_texts", "is_text", "masked_id"]

# From here on a float64 no longer holds every integer, so it may not be the id that it was.
FIRST_INEXACT_FLOAT = 2**53
FLOAT = (
    "must be a whole number below 2^53 where ids are floats (larger ones are rounded, which "
    "merges ids); write the ids as text or integers"
)
KIND = "must be text or a whole number"
BOOLEAN = f"{KIND}, not true or false"
BYTES = "must be valid UTF-8 text"
HASH_LENGTH: Final = 16  # hexadecimal digits of a user id's hash that stand for the id
MASK_LENGTH: Final = 4  # of them, those that a picture shows
Reasons = list[tuple[np.ndarray, str]]


def as_ids(values: Iterable[Any], *, name: str = "ids") -> pa.Array:
    """Return ids as one Arrow array of large strings; None where one is missing.

    Text loses its surrounding blanks and is brought to Unicode NFC; empty text, None and NaN are
    missing. Integers, whole floats below 2^53, whole decimals, UUIDs and UTF-8 bytes become their
    text.

    Parameters
    ----------
    values
        A list, generator, array, or pandas or Arrow column.
    name
        What they are, for messages.

    Raises
    ------
    InputError
        If a value cannot be an id, such as a float that is not whole, a boolean or a list; it
        names the value and its place, from 1.

    Examples
    --------
    >>> as_ids([" 007", 7, 12.0, None, "1.0"]).to_pylist()
    ['007', '7', '12', None, '1.0']
    >>> as_ids([0.5])
    Traceback (most recent call last):
        ...
    graphgen.errors.InputError: ids, row 1: must be a whole number below 2^53 where ids are ...
    """
    if isinstance(values, str | bytes):
        raise InputError(
            f"Expected a list of {name}; got the single text {values!r}: write [{values!r}]."
        )
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise InputError(f"Expected a list of {name}; got {values!r:.60}.")
    if not isinstance(values, pa.Array | pa.ChunkedArray | pd.Series | pd.Index | np.ndarray):
        values = list(values)
    texts, reasons = id_texts(values)
    for mask, reason in reasons:
        row = int(np.flatnonzero(mask)[0])
        value: Any = values.iloc[row] if isinstance(values, pd.Series) else values[row]
        value = value.as_py() if isinstance(value, pa.Scalar) else value
        raise InputError(f"{name}, row {row + 1}: {reason}; found {value!r:.80}")
    return texts


def id_texts(values: Any) -> tuple[pa.Array, Reasons]:
    """Convert as `as_ids`, with the rows that cannot be ids (None there) for each reason."""
    array = values
    if not isinstance(array, pa.Array | pa.ChunkedArray):
        if not isinstance(values, list) and getattr(values, "ndim", 1) != 1:
            values = list(values)
        try:
            array = pa.array(values, from_pandas=True)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return _one_by_one(values)  # objects of several types, integers beyond 64 bits
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        texts, reasons = id_texts(array.dictionary)
        codes = array.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
        spread = [(np.append(mask, False)[codes], reason) for mask, reason in reasons]
        return texts.take(array.indices), [(m, reason) for m, reason in spread if m.any()]
    if is_text(kind):
        return _normal(array.cast(pa.large_string())), []
    if pa.types.is_integer(kind) or pa.types.is_null(kind):
        return array.cast(pa.large_string()), []
    if pa.types.is_floating(kind):
        return _floats(np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False), float))
    if pa.types.is_temporal(kind):
        return array.cast(pa.large_string()), []
    return _one_by_one(array.to_pylist())


def is_text(kind: pa.DataType) -> bool:
    """Tell whether an Arrow type is text, in whatever layout."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _normal(array: pa.Array) -> pa.Array:
    array = pc.utf8_trim_whitespace(array)
    if pc.all(pc.string_is_ascii(array)).as_py() not in (True, None):
        array = pc.utf8_normalize(array, form="NFC")
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, array.type), array)


def _floats(values: np.ndarray) -> tuple[pa.Array, Reasons]:
    missing = np.isnan(values)
    whole = np.isfinite(values) & (np.abs(values) < FIRST_INEXACT_FLOAT)
    whole[whole] = values[whole] == np.floor(values[whole])
    numbers = np.where(whole, values, 0).astype(np.int64)
    wrong = ~whole & ~missing
    return pa.array(numbers, mask=~whole).cast(pa.large_string()), (
        [(wrong, FLOAT)] if wrong.any() else []
    )


def _one_by_one(values: Iterable[Any]) -> tuple[pa.Array, Reasons]:
    converted = [_text(value) for value in values]
    texts = _normal(pa.array([text for text, _ in converted], pa.large_string()))
    why = np.array([reason for _, reason in converted], dtype=object)
    return texts, [
        (why == reason, reason) for reason in (FLOAT, KIND, BOOLEAN, BYTES) if reason in why
    ]


def _text(value: Any) -> tuple[str | None, str | None]:
    """Return the text of one value, or None with the reason, if it is not just missing."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None, None
    if isinstance(value, bool):
        return None, BOOLEAN
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None, BYTES
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return None, BYTES
        return value, None
    if isinstance(value, float | Decimal):
        if value != value:
            return None, None
        exact = isinstance(value, Decimal) or abs(value) < FIRST_INEXACT_FLOAT
        if not exact or value in (float("inf"), float("-inf")) or value != int(value):
            return None, FLOAT
        return str(int(value)), None
    if isinstance(value, int | UUID):
        return str(value), None
    return None, KIND


def masked_id(user_id: str) -> str:
    """Return the name in pictures of a user who is not the centre.

    Four digits of the id's SHA-256, enough to distinguish the dots of a picture. It keeps names out
    of pictures; it does not hide a user from somebody who holds the list of all ids.

    Examples
    --------
    >>> masked_id("A2FS62U8MLDFM")
    'user 92b6…'
    """
    return f"user {hashed_id(user_id)[:MASK_LENGTH]}…"


def hashed_id(user_id: str) -> str:
    """Return 16 hexadecimal digits of the id's SHA-256, which stand for it where ids are hidden.

    Examples
    --------
    >>> hashed_id("A2FS62U8MLDFM")
    '92b640efd4b2af75'
    """
    return hashlib.sha256(user_id.encode()).hexdigest()[:HASH_LENGTH]
