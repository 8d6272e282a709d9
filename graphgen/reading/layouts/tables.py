"""Tables with usual names of columns: files, pandas DataFrames and Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd

from graphgen.errors import InputError
from graphgen.reading.cleaning import arrow_column
from graphgen.reading.columns import ITEMS, LOG, USERS, TableSpec, extra_name, resolve_columns
from graphgen.reading.formats import format_of
from graphgen.reading.frames import as_frame
from graphgen.reading.layouts.base import Advance, Column, File, Layout, Part
from graphgen.reading.records import RawTable
from graphgen.reading.tabular import TableFile

__all__ = ["LAYOUT"]

# A table is the first of them whose required columns it has.
SPECS: tuple[tuple[str, TableSpec], ...] = (("log", LOG), ("items", ITEMS), ("users", USERS))
KNOWN = {name for _, spec in SPECS for name in (*spec.names, *spec.hints)}


def _parts(files: Sequence[File]) -> list[Part]:
    return [part for file in files if (part := _part(file)) is not None]


def _part(file: File) -> Part | None:
    if file.frame is not None:
        frame = as_frame(file.frame)
        if not isinstance(frame, pd.DataFrame):
            raise InputError(f"Expected a DataFrame or an Arrow table; got {file.name}.")
        names = [str(name) for name in frame.columns]
        return _fitting(file, names, partial(_frame_block, frame))
    if format_of(file.path) is None:
        return None
    table = TableFile(
        file.path, name=file.name, encoding=file.encoding, adjacency=True, known=KNOWN
    )
    return _fitting(file, table.keys, partial(_file_block, table))


def _fitting(file: File, names: list[str], blocks: partial[Iterator[RawTable]]) -> Part | None:
    if {"user_id", "friend_id"} <= set(names):
        friends: dict[str, Column] = {"user_id": "user_id", "friend_id": "friend_id"}
        return Part("social", file, blocks, friends)
    error: InputError | None = None
    for table, spec in SPECS:
        try:
            columns: dict[str, Column] = dict(resolve_columns(names, None, spec, file=file.name))
        except InputError as found:
            error = error or found
            continue
        for name in names:
            if name not in columns.values() and (extra := extra_name(name, spec)) is not None:
                columns.setdefault(extra, name)
        domain = None if "domain" in columns else file.domain
        return Part(table, file, blocks, columns, domain)  # type: ignore[arg-type]
    if file.frame is not None and error is not None:
        raise error
    return None


def _frame_block(frame: pd.DataFrame, advance: Advance | None) -> Iterator[RawTable]:
    columns = {str(name): arrow_column(frame[name]) for name in frame.columns}
    yield RawTable(columns, len(frame), np.arange(1, len(frame) + 1))


def _file_block(table: TableFile, advance: Advance | None) -> Iterator[RawTable]:
    raw = table.read(advance=advance)
    raw.lines = table.lines() if raw.lines is None else raw.lines
    yield raw


LAYOUT = Layout(
    "table",
    "Tables with usual names of columns; in Python also DataFrames and Arrow tables",
    "tables with user_id and item_id, item_id, or user_id, under these or usual other names",
    _parts,
)
