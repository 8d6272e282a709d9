"""A hash of a table's rows that does not depend on their order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from graphgen.arrays import GOLDEN_GAMMA, MIX_1, mix_bits
from graphgen.reading.cleaning import arrow_column, to_codes

__all__ = ["frame_digest"]

# What is made of so many rows stays in the cache of the processor.
BLOCK_ROWS = 1 << 16


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
    readers = [_column_hash(frame[name], (coded or {}).get(name)) for name in columns]
    total = [0, 0, 0]
    for low in range(0, len(frame), BLOCK_ROWS):
        part = slice(low, min(low + BLOCK_ROWS, len(frame)))
        rows = np.zeros(part.stop - low, dtype=np.uint64)
        for reader in readers:
            rows = mix_bits((rows * MIX_1 + GOLDEN_GAMMA) ^ reader(part))
        total[0] = (total[0] + int(rows.sum())) % 2**64
        total[1] = (total[1] + int(mix_bits(rows).sum())) % 2**64
        total[2] ^= int(np.bitwise_xor.reduce(rows))
    content = repr((columns, len(frame), total))
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _column_hash(column: pd.Series, coded: Any) -> Callable[[slice], np.ndarray]:
    """Return a function from a slice of the rows to uint64, a hash of each value."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy(), column.cat.categories.to_numpy(object)
    elif column.dtype.kind == "M":
        times = column.astype("int64").to_numpy()
        return lambda part: mix_bits(times[part].astype(np.uint64))
    elif column.dtype.kind == "f":
        numbers = column.to_numpy()
        return lambda part: mix_bits(  # -0 becomes 0
            (numbers[part] + np.float32(0)).view(np.uint32).astype(np.uint64)
        )
    else:
        coded = coded or to_codes(arrow_column(column))
        codes, values = coded.codes, coded.values.to_numpy(zero_copy_only=False)
    hashes = pd.util.hash_array(np.append(values, "").astype(object), categorize=False)
    return lambda part: hashes[codes[part]]  # code -1, the empty text, is last
