"""Tables in memory, read as files are, and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from graphgen.errors import InputError
from graphgen.ids import as_ids
from graphgen.reading.cleaning import Faults, arrow_column
from graphgen.reading.columns import TableSpec, resolve_columns
from graphgen.reading.report import ReadReport
from graphgen.schema import DOMAIN, FRIEND_ID, ITEM_ID, TIMESTAMP, USER_ID

__all__ = ["Clean", "as_frame", "clean_frame", "frames_in", "write_rows"]


class Clean(Protocol):
    """Converts the columns of one file into a frame of its good rows, and the faults."""

    def __call__(
        self,
        table: dict[str, pa.ChunkedArray],
        resolved: dict[str, str],
        *,
        n_rows: int,
        file: str,
        domain: str | None,
    ) -> tuple[pd.DataFrame, Faults]: ...


def clean_frame(
    frame: Any,
    spec: TableSpec,
    clean: Clean,
    *,
    columns: Mapping[str, str] | None = None,
    domain: str | None = None,
) -> tuple[pd.DataFrame, ReadReport]:
    """Convert a DataFrame or Arrow table as `read_tables` does a file.

    Raises
    ------
    BadRowsError
        If a row is bad.
    InputError
        If a column is missing, or it is no such table.
    """
    frame = as_frame(frame)
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"Expected {spec.what} as a DataFrame; got {type(frame).__name__}.")
    names = [str(name) for name in frame.columns]
    resolved = resolve_columns(names, columns, spec, file="DataFrame", kind="frame")
    ids = {resolved[role] for role in (USER_ID, FRIEND_ID, ITEM_ID, DOMAIN) if role in resolved}
    table = {}
    for i, name in enumerate(names):
        values = frame.iloc[:, i]
        column = as_ids(values, name=f"DataFrame, column {name!r}") if name in ids else values
        table[name] = arrow_column(column)
    cleaned, faults = clean(table, resolved, n_rows=len(frame), file="DataFrame", domain=domain)
    faults.raise_any("DataFrame")
    return cleaned, ReadReport(sources=("DataFrame",), rows_read=len(frame))


def as_frame(source: Any) -> Any:
    """Return an Arrow table as a DataFrame of Arrow columns, anything else as it is."""
    if isinstance(source, pa.Table | pa.RecordBatch):
        return source.to_pandas(types_mapper=pd.ArrowDtype)
    return source


def frames_in(sources: Iterable[Any]) -> tuple[list[tuple[str | None, Any]], list[Any]]:
    """Return the DataFrames and Arrow tables, each with its domain, and the other sources."""
    given: list[tuple[str | None, Any]] = []
    others: list[Any] = []
    for source in sources:
        pairs = source.items() if isinstance(source, Mapping) else [(None, source)]
        for domain, table in pairs:
            if isinstance(as_frame(table), pd.DataFrame):
                given.append((domain, table))
            else:
                others.append(table if domain is None else {domain: table})
    return given, others


def write_rows(frame: pd.DataFrame, path: str | Path) -> None:
    """Write the rows of a log as CSV that `read_log` reads back as they are."""
    if TIMESTAMP in frame:
        # ISO 8601 with milliseconds: exact, and readable by `read_log` and by eye.
        text = frame[TIMESTAMP].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z"
        frame = frame.assign(**{TIMESTAMP: text})
    pyarrow.csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), path)
