"""Ciao and Epinions (Tang et al., WSDM 2012): ratings by category and trust, in MATLAB files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from graphgen.errors import InputError
from graphgen.reading.layouts.base import Advance, Column, File, Layout, Part
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

RATINGS = ("user_id", "item_id", "category", "rating", "helpfulness", "time")
# Epinions numbers eleven spans of time, which only put the ratings of a user in order.
FIRST_UNIX_TIME = 10**8


def _parts(files: Sequence[File]) -> list[Part]:
    found = [(file, _shape(file)) for file in files if file.plain.endswith(".mat")]
    # The ratings with times hold those without.
    timed = any(columns == len(RATINGS) for _, (columns, _) in found)
    parts = []
    for file, (n_columns, largest) in found:
        blocks = partial(_blocks, file)
        if n_columns == len(RATINGS) or (n_columns == len(RATINGS) - 1 and not timed):
            columns: dict[str, Column] = {name: name for name in ("user_id", "item_id", "rating")}
            columns |= {"domain": _domain, "helpfulness": "helpfulness"}
            if n_columns == len(RATINGS):
                columns["timestamp" if largest >= FIRST_UNIX_TIME else "position"] = "time"
            parts.append(Part("log", file, blocks, columns))
        elif n_columns in (2, 3):
            columns = {"user_id": "user_id", "friend_id": "item_id"}
            parts.append(Part("social", file, blocks, columns))
    return parts


def _matrix(file: File) -> np.ndarray:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(Path(file.path))
    except (MatReadError, ValueError, NotImplementedError, OSError, TypeError) as error:
        raise InputError(f"{file.name} is no MATLAB file that can be read ({error}).") from None
    arrays = [np.asarray(value) for name, value in content.items() if not name.startswith("__")]
    arrays = [a for a in arrays if a.ndim == 2 and a.dtype.kind in "iuf" and a.shape[1] >= 2]
    if not arrays:
        raise InputError(f"{file.name} holds no table of numbers.")
    return max(arrays, key=lambda array: array.size)


def _shape(file: File) -> tuple[int, int]:
    matrix = _matrix(file)
    return matrix.shape[1], int(matrix[:, -1].max(initial=0))


def _blocks(file: File, advance: Advance | None) -> Iterator[RawTable]:
    matrix = _matrix(file)
    if advance is not None:
        advance(file.path.stat().st_size)
    columns = {
        name: pa.chunked_array([np.ascontiguousarray(matrix[:, at])])
        for at, name in enumerate(RATINGS[: matrix.shape[1]])
    }
    yield RawTable(columns, len(matrix), np.arange(1, len(matrix) + 1))


def _domain(block: RawTable) -> pa.Array:
    numbers = block.columns["category"].to_numpy()
    texts = np.array([f"cat{int(number):02d}" for number in np.unique(numbers)], object)
    return pa.array(texts[np.unique(numbers, return_inverse=True)[1]], pa.large_string())


LAYOUT = Layout(
    "ciao",
    "Ciao and Epinions",
    "rating_with_timestamp.mat or rating.mat, trustnetwork.mat",
    _parts,
)
