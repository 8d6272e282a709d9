"""External ids to dense indices and back: immutable, sorted, vectorised both ways."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from graphgen.arrays import sorted_texts
from graphgen.errors import ConfigError, InputError, StorageError, UnknownIdError
from graphgen.ids import as_ids, id_texts
from graphgen.storage import atomic_file

__all__ = ["Vocabulary"]

SCHEMA_VERSION = 1
VERSION_KEY = b"interest.vocabulary.schema_version"
# Up to this many ids are looked up in the cached hash index; Arrow hashes anew for each call, which
# pays only when a whole column comes at once.
SMALL_QUERY = 100_000
NEAR_MISS_WINDOW = 50
SHOWN_UNKNOWN = 3


class Vocabulary:
    """External ids and their indices ``0 .. len - 1``, in code-point order of the ids.

    The order depends on the set of ids only, never on the order in which they arrived. Ids are
    text by the rule of `graphgen.ids.as_ids`.

    Parameters
    ----------
    ids
        The ids, in any order, each once.

    Raises
    ------
    InputError
        If an id occurs twice or is missing (None, NaN).

    Examples
    --------
    >>> vocabulary = Vocabulary(["film-9", "film-10"])
    >>> vocabulary.encode(["film-9", "film-9", "film-10"])
    array([1, 1, 0])
    >>> vocabulary.decode([0, 1]).tolist()
    ['film-10', 'film-9']
    >>> vocabulary.encode(["film-8"], missing="mark")
    array([-1])
    >>> vocabulary.encode(["film-8"])
    Traceback (most recent call last):
        ...
    graphgen.errors.UnknownIdError: Unknown id 'film-8'; did you mean 'film-9'?
    """

    def __init__(self, ids: Iterable[Any]) -> None:
        self._set(as_ids(ids), unique=True)

    @classmethod
    def from_values(cls, *values: Iterable[Any]) -> Self:
        """Build from the distinct values of columns (series, arrays or iterables) of ids.

        Examples
        --------
        >>> Vocabulary.from_values(["b", "a", "b"], ["c"]).ids.tolist()
        ['a', 'b', 'c']
        """
        vocabulary = cls.__new__(cls)
        distinct = [pc.unique(as_ids(column)) for column in values]
        merged = pa.concat_arrays(distinct) if distinct else pa.array([], pa.large_string())
        vocabulary._set(pc.unique(merged), unique=False)
        return vocabulary

    @classmethod
    def numbered(cls, ids: pa.Array) -> tuple[Self, np.ndarray]:
        """Build from different ids of `graphgen.ids.as_ids`; return the index of each, too.

        Examples
        --------
        >>> Vocabulary.numbered(pa.array(["b", "a"], pa.large_string()))[1]
        array([1, 0])
        """
        vocabulary = cls.__new__(cls)
        order = sorted_texts(ids)
        vocabulary._array = ids.take(pa.array(order))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return vocabulary, place

    def _set(self, ids: pa.Array, *, unique: bool) -> None:
        if ids.null_count:
            raise InputError(
                "An id is missing: a vocabulary holds text, no None, no NaN and no empty text."
            )
        ids = ids.take(pa.array(sorted_texts(ids)))
        if unique and len(ids) > 1:
            repeated = pc.equal(ids.slice(1), ids.slice(0, len(ids) - 1))
            if pc.any(repeated).as_py():
                first = ids[pc.index(repeated, pa.scalar(True)).as_py()].as_py()
                raise InputError(
                    f"Id {first!r} occurs twice; use Vocabulary.from_values for columns in which "
                    "ids repeat."
                )
        self._array = ids

    def __len__(self) -> int:
        return len(self._array)

    def __contains__(self, id_: object) -> bool:
        texts, _ = id_texts([id_])
        return texts[0].as_py() in self._index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return bool(self._array.equals(other._array))

    def __hash__(self) -> int:
        ends = (self._array[0].as_py(), self._array[-1].as_py()) if len(self) else ()
        return hash((len(self), ends))

    def __repr__(self) -> str:
        shown = ", ".join(repr(value) for value in self._array.slice(0, 3).to_pylist())
        return f"Vocabulary({len(self)} ids: {shown}{', ...' if len(self) > 3 else ''})"

    @property
    def array(self) -> pa.Array:
        """All ids in order, as Arrow has them: large_string ``[len]``."""
        return self._array

    @cached_property
    def ids(self) -> np.ndarray:
        """All ids in order: object array ``[len]``, read-only, made on first use."""
        ids = self._array.to_numpy(zero_copy_only=False)
        ids.setflags(write=False)
        return ids

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.ids, dtype=object)

    def encode(self, ids: Iterable[Any], *, missing: Literal["raise", "mark"] = "raise") -> Any:
        """Return the index of each id, int64; O(len(ids)) after the first call.

        Parameters
        ----------
        ids
            Ids in any order, repeats allowed; a `pandas` or Arrow column is fastest.
        missing
            For unknown ids: ``"raise"`` an error, or ``"mark"`` them with -1.

        Raises
        ------
        UnknownIdError
            With ``missing="raise"``; names the first unknown ids and the nearest known one.
        """
        if missing not in ("raise", "mark"):
            raise ConfigError(f'`missing` must be "raise" or "mark"; got {missing!r}.')
        query = as_ids(ids)
        if len(query) > SMALL_QUERY:
            found = pc.index_in(query, value_set=self._array).fill_null(-1)
            indices = found.to_numpy(zero_copy_only=False)
        else:
            # An array would be searched for strings first.
            asked = pd.Index(query.to_numpy(zero_copy_only=False), dtype=object)
            indices = self._index.get_indexer(asked)
        indices = indices.astype(np.int64, copy=False)
        if missing == "raise" and (indices < 0).any():
            unknown = pc.unique(query.filter(pa.array(indices < 0))).to_pylist()
            raise UnknownIdError(self._unknown_message(unknown))
        return indices

    def _unknown_message(self, unknown: list[str | None]) -> str:
        shown = ", ".join(repr(id_) for id_ in unknown[:SHOWN_UNKNOWN])
        more = f" and {len(unknown) - SHOWN_UNKNOWN} more" if len(unknown) > SHOWN_UNKNOWN else ""
        message = f"Unknown id{'s' if len(unknown) > 1 else ''} {shown}{more}"
        near = self._near_miss(unknown[0])
        return f"{message}; did you mean {near!r}?" if near else f"{message}."

    def _near_miss(self, unknown: str | None) -> str | None:
        """Search the neighbourhood in sorted order: a million ids are not compared one by one."""
        if unknown is None:
            return None
        stripped = unknown.strip()
        for variant in (stripped, stripped.lstrip("0"), stripped.lower(), stripped.upper()):
            if variant in self:
                return variant
        at = bisect_left(self.ids, unknown)
        window = self.ids[max(0, at - NEAR_MISS_WINDOW) : at + NEAR_MISS_WINDOW]
        close = get_close_matches(unknown, window.tolist(), n=1)
        return close[0] if close else None

    def decode(self, indices: Any) -> np.ndarray:
        """Return the id at each index: an object array of the same shape.

        Parameters
        ----------
        indices
            Integers in ``0 .. len - 1``, any shape.

        Raises
        ------
        InputError
            If an index is out of range; -1 does not wrap around.
        """
        indices = np.asarray(indices)
        if indices.size == 0:
            return np.empty(indices.shape, dtype=object)
        if not np.issubdtype(indices.dtype, np.integer):
            raise InputError(f"Indices must be integers; got {indices.dtype}.")
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= len(self):
            raise InputError(
                f"Indices must lie in 0 .. {len(self) - 1}; got {low if low < 0 else high}."
            )
        return self.ids[indices]

    def save(self, path: str | Path) -> None:
        """Write one uncompressed Arrow IPC file, atomically."""
        table = pa.table({"id": self._array})
        schema = table.schema.with_metadata({VERSION_KEY: str(SCHEMA_VERSION).encode()})
        with atomic_file(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
            writer.write_table(table.cast(schema))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a file written by `save`, memory-mapped: O(1) until an id is looked up.

        Raises
        ------
        StorageError
            If the file is missing, damaged, or written by a newer version.
        """
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except FileNotFoundError:
            raise StorageError(f"No vocabulary at {path}.") from None
        except (pa.ArrowInvalid, OSError) as error:
            raise StorageError(f"{path} is not a vocabulary, or is damaged: {error}.") from None
        version = (table.schema.metadata or {}).get(VERSION_KEY)
        if version is None or table.column_names != ["id"]:
            raise StorageError(f"{path} is an Arrow file, but not a vocabulary.")
        if int(version) > SCHEMA_VERSION:
            raise StorageError(
                f"{path} has schema version {int(version)}, newer than {SCHEMA_VERSION}, the "
                "newest this version of interest reads. Upgrade interest-expansion."
            )
        vocabulary = cls.__new__(cls)
        chunks = table["id"].chunks
        vocabulary._array = chunks[0] if len(chunks) == 1 else table["id"].combine_chunks()
        return vocabulary
