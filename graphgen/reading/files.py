"""From sources to clean frames: one way through for logs, items and users."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import BadRow, BadRowsError, ConfigError, InputError, counted
from graphgen.progress import progress_bar
from graphgen.reading.cleaning import SHOWN_ROWS, Faults, shorten, to_text
from graphgen.reading.columns import (
    LOG,
    ColumnMap,
    TableSpec,
    listed,
    missing_roles,
    near_column,
    resolve_columns,
)
from graphgen.reading.frames import Clean, clean_frame, frames_in
from graphgen.reading.records import RawTable
from graphgen.reading.report import ReadReport
from graphgen.reading.sources import Source, find_sources
from graphgen.reading.tabular import TableFile
from graphgen.schema import DOMAIN, ITEM_ID, TIMESTAMP, USER_ID
from graphgen.storage import atomic_file

__all__ = [
    "QUARANTINE_COLUMNS",
    "BadRows",
    "Opened",
    "clean_frame",
    "collect_bad_rows",
    "in_megabytes",
    "open_table",
    "read_tables",
]

logger = logging.getLogger(__name__)

QUARANTINE_COLUMNS = ("file", "line", "column", "value", "reason", "row")
MEGABYTE = 1 << 20


@dataclass
class BadRows:
    """Bad rows of all files so far."""

    total: int = 0
    shown: list[BadRow] = field(default_factory=list)
    frames: list[pd.DataFrame] = field(default_factory=list)


def read_tables(
    sources: Iterable[Any],
    spec: TableSpec,
    clean: Clean,
    *,
    columns: Mapping[str, str] | None = None,
    on_bad_rows: str = "error",
    quarantine: str | Path | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    day_first: bool | None = None,
    progress: bool = False,
) -> tuple[list[pd.DataFrame], list[str], ReadReport]:
    """Read and convert every source.

    Parameters
    ----------
    sources
        See `graphgen.reading.sources.find_sources`.
    spec
        Which columns the table has.
    clean
        Converts one file.
    columns, on_bad_rows, quarantine, delimiter, encoding, day_first, progress
        See `graphgen.log_files.read_log`.

    Returns
    -------
    frames, names : list
        One frame of good rows for each file, and the file's path.
    report : ReadReport
        Rows read, filtered and bad.

    Raises
    ------
    BadRowsError
        If rows are bad and `on_bad_rows` is ``"error"``; all files are looked at first.
    InputError
        If a file cannot be used at all, or none of its rows can.
    """
    if on_bad_rows not in ("error", "quarantine"):
        raise ConfigError(f'`on_bad_rows` must be "error" or "quarantine"; got {on_bad_rows!r}.')
    if quarantine is not None and on_bad_rows == "error":
        raise ConfigError('A `quarantine` file needs on_bad_rows="quarantine".')
    if TIMESTAMP in spec.names:
        clean = cast(Clean, partial(cast(Any, clean), day_first=day_first))
    given, sources = frames_in(sources)
    found = find_sources(sources) if sources or not given else []
    # Of several files each takes what it has of a mapping; some file must have it.
    shared = columns
    if columns and len(found) + len(given) > 1 and not isinstance(columns, ColumnMap):
        resolve_columns([], dict.fromkeys(columns, ""), _optional(spec), file="")
        shared = ColumnMap(columns)
    used: list[str] = []
    target = _quarantine_path(quarantine, found) if found else Path()
    bad = BadRows()
    frames: list[pd.DataFrame] = []
    names: list[str] = []
    n_read = n_filtered = undivided = 0
    for domain, source in given:
        frame, own_report = clean_frame(source, spec, clean, columns=shared, domain=domain)
        n_read += own_report.rows_read
        frames.append(frame)
        names.append("DataFrame")
    total = sum(source.path.stat().st_size for source in found)
    with progress_bar("Reading (MB)", total // MEGABYTE + 1, enabled=progress) as bar:
        advance = in_megabytes(bar)
        for source in found:
            opened = open_table(source, spec, shared, delimiter=delimiter, encoding=encoding)
            if opened is None:
                continue
            file, mapping, own = opened
            resolved = resolve_columns(
                file.header, mapping, spec, file=source.name, own=own, kind=file.kind
            )
            used.append(_in_words(source.name, file.keys, resolved))
            undivided += spec is LOG and source.domain is None and DOMAIN not in resolved
            frame, rows, filtered = _read_one(
                file, source, resolved, clean, advance, bad, keep=on_bad_rows == "quarantine"
            )
            n_read += rows
            n_filtered += filtered
            frames.append(frame)
            names.append(source.name)
    if shared is not columns and isinstance(shared, ColumnMap):
        shared.check()
    if bad.total and on_bad_rows == "error":
        raise BadRowsError(bad.shown, bad.total)
    if bad.total:
        with atomic_file(target) as temporary:
            pd.concat(bad.frames).to_csv(temporary, index=False, encoding="utf-8")
        logger.warning("%s set aside in %s.", counted(bad.total, "bad row"), target)
    if undivided > 1:
        logger.warning(
            "%d files have no domain column; their items are taken for one catalogue. If they are "
            "several, name each: books=PATH films=PATH.",
            undivided,
        )
    if not frames:
        raise InputError(f"None of the files is {spec.what}: {listed([s.name for s in found], 5)}.")
    if not any(len(frame) for frame in frames):
        aside = f"; all {bad.total} are bad, see {target}" if bad.total else ""
        raise InputError(f"No row can be used of {listed(names, 5)}{aside}.")
    report = ReadReport(
        sources=tuple(names),
        rows_read=n_read,
        filtered=n_filtered,
        bad=bad.total,
        quarantine=str(target) if bad.total else None,
        columns=tuple(used),
    )
    return frames, names, report


def _quarantine_path(quarantine: str | Path | None, found: Sequence[Source]) -> Path:
    target = Path(quarantine or f"{found[0].path.name}.quarantine.csv")
    if target.is_dir():
        target = target / f"{found[0].path.name}.quarantine.csv"
    if any(target.resolve() == source.path.resolve() for source in found):
        raise ConfigError(f"The quarantine file {target} is one of the sources; name another.")
    return target


def in_megabytes(bar: Callable[..., None]) -> Callable[[int], None]:
    """Return a function that moves a bar of megabytes by bytes."""
    seen = 0

    def advance(n_bytes: int) -> None:
        nonlocal seen
        bar((seen + n_bytes) // MEGABYTE - seen // MEGABYTE)
        seen += n_bytes

    return advance


def _optional(spec: TableSpec) -> TableSpec:
    return TableSpec(spec.what, tuple(replace(role, required=False) for role in spec.roles))


def _in_words(name: str, keys: Sequence[str], resolved: Mapping[str, str]) -> str:
    """Say which columns of a file are used, and which are only kept."""
    used = [
        role if role == key.strip().lower() else f"{role} ({key.strip()})"
        for role, key in resolved.items()
    ]
    others = [key.strip() for key in keys if key not in resolved.values() and key.strip()]
    rest = f"; kept, but not learned from: {', '.join(others)}" if others else ""
    return f"{name}: {', '.join(used)}{rest}"


class Opened(NamedTuple):
    """A file whose header was read, the mapping of its columns, and the one that it must have."""

    file: TableFile
    columns: Mapping[str, str] | None
    own: Mapping[str, str]


def open_table(
    source: Source,
    spec: TableSpec,
    columns: Mapping[str, str] | None,
    *,
    delimiter: str | None,
    encoding: str | None,
) -> Opened | None:
    """Open a file; None for one in a folder that is plainly another kind of table.

    For the parameters see `read_tables`, for errors `TableFile`.
    """
    own = dict(source.columns)
    encoding, delimiter = own.pop("encoding", encoding), own.pop("delimiter", delimiter)
    if isinstance(columns, ColumnMap):
        columns = columns.of_file(source.path.name, source.domain)
    file = _open(source, spec, {**(columns or {}), **own}, delimiter=delimiter, encoding=encoding)
    if file is None:
        return None
    return Opened(file, None if file.is_adjacency else columns, own)


def _open(
    source: Source,
    spec: TableSpec,
    columns: Mapping[str, str],
    *,
    delimiter: str | None,
    encoding: str | None,
) -> TableFile | None:
    wanted = {columns.get(name, name).strip().lower() for name in spec.required}
    is_log = {USER_ID, ITEM_ID} <= set(spec.required)
    try:
        file = TableFile(
            source.path,
            name=source.name,
            delimiter=delimiter,
            encoding=encoding,
            adjacency=is_log,
            known={*wanted, *spec.names, *spec.hints},
            numbers={columns[name] for name in spec.names if name in columns},
        )
    except InputError as error:
        if source.in_folder and source.path.name.lower().split(".")[0].endswith("readme"):
            logger.warning("%s is left out: it is not a table.", source.name)
            return None
        raise error
    if source.in_folder and is_log:
        # Items and users beside a log in its folder have one of its two ids.
        lacking = missing_roles(file.header, columns, spec)
        if len(lacking) == 1:
            logger.warning("%s is left out: it has no %r.", source.name, lacking[0])
            return None
    return file


def _read_one(
    file: TableFile,
    source: Source,
    resolved: dict[str, str],
    clean: Clean,
    advance: Callable[[int], None],
    bad: BadRows,
    *,
    keep: bool,
) -> tuple[pd.DataFrame, int, int]:
    """Return the good rows of a file, the number of its rows and of those filtered out."""
    ids = {resolved[role] for role in (USER_ID, ITEM_ID, DOMAIN) if role in resolved}
    raw = file.read(advance=advance, ids=ids)
    n_rows = raw.n_rows
    chosen = _matching(raw, source, file, resolved)
    if chosen is not None:
        mask = pa.array(chosen)
        raw.columns = {name: column.filter(mask) for name, column in raw.columns.items()}
        raw.n_rows = int(chosen.sum())
    # `clean` frees the columns as it goes; those of bad rows are only needed to set them aside.
    table = dict(raw.columns) if keep else raw.columns
    frame, faults = clean(
        table, resolved, n_rows=raw.n_rows, file=source.name, domain=source.domain
    )
    if len(faults) or raw.bad:
        lines = file.lines() if raw.lines is None else raw.lines
        lines = lines if chosen is None else lines[chosen]
        collect_bad_rows(bad, raw, faults, lines, source.name, keep=keep)
    return frame, n_rows + len(raw.bad), n_rows - raw.n_rows


def _key(name: str, source: Source, file: TableFile, resolved: Mapping[str, str]) -> str | None:
    """Return the column of a file to filter by; None for a domain that the source names."""
    plain = {key.strip().lower(): key for key in file.keys}
    key = resolved.get(name) or plain.get(name.lower())
    if key is None and not (name == DOMAIN and source.domain is not None):
        hint = near_column(name, file.keys)
        raise InputError(f"{source.name} has no column {name!r} to filter by; {hint}")
    return key


def _matching(
    raw: RawTable, source: Source, file: TableFile, resolved: Mapping[str, str]
) -> np.ndarray | None:
    """Return which rows have the wanted and none of the unwanted values; None for all."""
    mask: np.ndarray | None = None
    for where, accepts in ((source.where, True), (source.where_not, False)):
        for name, values in where.items():
            key = _key(name, source, file, resolved)
            if key is None:
                continue
            column = to_text(raw.columns[key])
            for value in values:
                if not pc.any(pc.equal(column, value)).as_py():
                    found = sorted(pc.unique(column).to_pylist())
                    raise InputError(
                        f"{source.name}: no row has {value!r} in column {name!r}; "
                        f"found there: {listed(found, 10)}."
                    )
            wanted = pa.array(values, pa.large_string())
            chosen = np.asarray(pc.is_in(column, value_set=wanted).to_numpy(), dtype=bool)
            chosen = chosen == accepts
            mask = chosen if mask is None else mask & chosen
    if mask is not None and not mask.any():
        marks = ((source.where, "="), (source.where_not, "!="))
        conditions = ", ".join(
            f"{name}{mark}{'|'.join(values)}"
            for where, mark in marks
            for name, values in where.items()
        )
        raise InputError(f"{source.name}: no row fulfils {conditions} at once.")
    return mask


def collect_bad_rows(
    bad: BadRows, raw: RawTable, faults: Faults, lines: np.ndarray, name: str, *, keep: bool
) -> None:
    """Add the bad rows of a table to those so far; `keep` their content too."""
    bad.total += len(raw.bad) + len(faults)
    shown = [
        BadRow(name, r.line, r.column, shorten(r.value), r.reason) for r in raw.bad[:SHOWN_ROWS]
    ]
    shown += faults.rows(name, lines)
    shown.sort(key=lambda row: row.line)
    bad.shown += shown[: SHOWN_ROWS - len(bad.shown)]
    if not keep:
        return
    parts = [
        pd.DataFrame(
            [(name, r.line, r.column, r.value, r.reason, r.text) for r in raw.bad],
            columns=list(QUARANTINE_COLUMNS),
        )
    ]
    for part in faults.parts:
        rows = _rows(raw, part.rows)
        content = (name, lines[part.rows], part.column, part.values, part.reason, rows)
        parts.append(pd.DataFrame(dict(zip(QUARANTINE_COLUMNS, content, strict=True))))
    bad.frames.append(pd.concat(parts).sort_values("line", kind="stable"))


def _rows(raw: RawTable, rows: np.ndarray) -> list[str]:
    """Write rows of a table as CSV again."""
    picked = [to_text(column.take(pa.array(rows))).to_pylist() for column in raw.columns.values()]
    lines = []
    for values in zip(*picked, strict=True):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="").writerow(values)
        lines.append(buffer.getvalue())
    return lines
