"""A hash of a table's rows that does not depend on their order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from graphgen.arrays import GOLDEN_GAMMA, MIX_1, mix_bits
from graphgen.reading.cleaning import arrow_column, to_codes

__all__ = ["frame_digest"]


def frame_digest(frame: pd.DataFrame, coded: Mapping[str, Any] | None = None) -> str:
    """Return a hash of the rows of a frame: equal for any order of rows and of columns.

    Each row gets 64 bits from all its columns; the rows are combined by two sums and an
    exclusive or, so a repeated row counts. It tells tables apart for caches and provenance; it
    does not resist an adversary. Of text, only distinct values are hashed. O(n).

    Parameters
    ----------
    frame
        Columns of text, category, float32 or datetime64[ms].
    coded
        `Codes` of columns that are already encoded, by name.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> frame = pd.DataFrame({"a": ["x", "y"], "b": ["1", "2"]})
    >>> frame_digest(frame) == frame_digest(frame.iloc[::-1][["b", "a"]])
    True
    """
    columns = sorted(str(name) for name in frame.columns)
    rows = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        column = _column_hash(frame[name], (coded or {}).get(name))
        rows = mix_bits((rows * MIX_1 + GOLDEN_GAMMA) ^ column)
    total = [int(rows.sum()), int(mix_bits(rows).sum()), int(np.bitwise_xor.reduce(rows))]
    content = repr((columns, len(frame), total))
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _column_hash(column: pd.Series, coded: Any) -> np.ndarray:
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy(), column.cat.categories.to_numpy(object)
    elif column.dtype.kind == "M":
        return mix_bits(column.astype("int64").to_numpy().astype(np.uint64))
    elif column.dtype.kind == "f":
        bits = (column.to_numpy() + np.float32(0)).view(np.uint32)  # -0 becomes 0
        return mix_bits(bits.astype(np.uint64))
    else:
        coded = coded or to_codes(arrow_column(column))
        codes, values = coded.codes, coded.values.to_numpy(zero_copy_only=False)
    hashes = pd.util.hash_array(np.append(values, "").astype(object), categorize=False)
    return np.asarray(hashes[codes], dtype=np.uint64)  # code -1, the empty text, is last
