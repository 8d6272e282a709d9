"""From the columns of one file to the frame of an interaction log."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import InputError
from graphgen.reading.cleaning import (
    Codes,
    Faults,
    all_empty,
    coded_series,
    id_codes,
    to_codes,
    to_floats,
    to_text,
)
from graphgen.reading.columns import LOG, extra_name
from graphgen.reading.timestamps import to_milliseconds
from graphgen.schema import (
    DOMAIN,
    EVENT,
    ITEM_ID,
    POSITION,
    RATING,
    RESERVED_NODE_TYPES,
    TIMESTAMP,
    USER_ID,
    WEIGHT,
)

__all__ = [
    "DEFAULT_DOMAIN",
    "concat_frames",
    "domain_codes",
    "interaction_frame",
    "strings",
    "with_own_users",
]

logger = logging.getLogger(__name__)

DEFAULT_DOMAIN = "items"
# Whole numbers below it are exact as floats.
LARGEST_POSITION = 2.0**53
NOT_A_NUMBER = "must be a finite number"
HEADER_AGAIN = "must be data; it repeats the header, as files put together do"
NOT_A_POSITION = "must be a whole number of at least 0"
NO_WEIGHT = f"{NOT_A_NUMBER}; rows without a weight need their own file"


def interaction_frame(
    table: MutableMapping[str, pa.ChunkedArray],
    resolved: Mapping[str, str],
    *,
    n_rows: int,
    file: str,
    domain: str | None = None,
    day_first: bool | None = None,
) -> tuple[pd.DataFrame, Faults]:
    """Convert the columns of one table.

    Parameters
    ----------
    table
        Arrow columns by their name in the file; emptied on the way, to free memory.
    resolved
        Name in the file by canonical name.
    n_rows
        Number of rows.
    file
        Path for messages.
    domain
        Domain of every row; wins over a column.
    day_first
        Order of dates with slashes; None to find out.

    Returns
    -------
    frame : pandas.DataFrame
        The good rows in order, ids as codes (`graphgen.reading.cleaning.coded_series`).
    faults : Faults
        The bad ones.
    """
    faults = Faults(n_rows)
    roles: list[str] = [role for role in (USER_ID, ITEM_ID) if role in resolved]
    columns = [table.pop(resolved[role]) for role in roles]
    with ThreadPoolExecutor(len(roles)) as threads:  # Arrow works outside of Python's lock.
        found = list(threads.map(to_codes, columns))
    ids = {
        role: id_codes(column, resolved[role], faults, codes)
        for role, column, codes in zip(roles, columns, found, strict=True)
    }
    del columns, found
    again = _header_again(ids, resolved, n_rows)
    if again.any():
        users = pa.chunked_array([ids[USER_ID].decode()])
        faults.add(again, resolved[USER_ID], users, HEADER_AGAIN)
    column = table.pop(resolved[DOMAIN], None) if DOMAIN in resolved else None
    ids[DOMAIN] = domain_codes(
        column, domain, name=resolved.get(DOMAIN, DOMAIN), n_rows=n_rows, file=file, faults=faults
    )
    times = _times(table, resolved, faults, day_first)
    positions = _positions(table, resolved, faults)
    numbers = _numbers(table, resolved, faults)
    event = table.pop(resolved[EVENT], None) if EVENT in resolved else None
    if event is not None and all_empty(event):
        event = None

    keep = ~faults.bad
    frame: dict[str, object] = {}
    for role in (name for name in (USER_ID, DOMAIN, ITEM_ID) if name in ids):
        coded = ids.pop(role).filter(keep)
        frame[role] = category(coded) if role == DOMAIN else coded_series(coded)
    if times is not None:
        frame[TIMESTAMP] = pd.Series(times[keep].view("datetime64[ms]")).dt.tz_localize("UTC")
    elif positions is not None:
        frame[POSITION] = positions[keep]
    for name, values in numbers.items():
        frame[name] = values[keep]
    if event is not None:
        texts = to_text(event).filter(pa.array(keep)).dictionary_encode()
        frame[EVENT] = texts.to_pandas().astype("category")
    for name in list(table):
        column = table.pop(name)
        if (extra := extra_name(name, LOG)) is not None:
            frame[extra] = strings(to_text(column).filter(pa.array(keep)))
    return pd.DataFrame(frame), faults


def _header_again(ids: Mapping[str, Codes], resolved: Mapping[str, str], n_rows: int) -> np.ndarray:
    """Mark the rows that hold the names of both id columns."""
    again = np.full(n_rows, len(ids) == 2)
    for role, coded in ids.items():
        name = pc.index(coded.values, resolved[role].strip()).as_py()
        again &= (coded.codes == name) if name >= 0 else False
    return again


def strings(column: pa.Array | pa.ChunkedArray) -> pd.Series:
    """Return Arrow text as a pandas series of dtype ``str``."""
    return column.to_pandas().astype("str")


def category(coded: Codes) -> pd.Categorical:
    """Return codes as a categorical with the values that occur, sorted."""
    values = coded.values.to_numpy(zero_copy_only=False)
    used = np.bincount(coded.codes, minlength=len(values)) > 0
    order = np.array(sorted(np.flatnonzero(used), key=lambda i: values[i]), dtype=np.int64)
    place = np.full(len(values), -1)
    place[order] = np.arange(len(order))
    categories = pd.Index(values[order], dtype="str")
    return pd.Categorical.from_codes(place[coded.codes], categories=categories)


def domain_codes(
    column: pa.ChunkedArray | None,
    domain: str | None,
    *,
    name: str,
    n_rows: int,
    file: str,
    faults: Faults,
) -> Codes:
    """Find the domain of each row: the given one, else the column's, else ``"items"``.

    Raises
    ------
    InputError
        If a domain has the name of a node type that every graph has.
    """
    if column is not None and all_empty(column):
        column = None
    if domain is not None or column is None:
        constant = (DEFAULT_DOMAIN if domain is None else domain).strip()
        if not constant:
            raise InputError(f"{file}: the domain name before '=' is empty.")
        coded = Codes(np.zeros(n_rows, np.int32), pa.array([constant], pa.large_string()))
        if domain is None:
            logger.info("%s has no domain column; its domain is %r.", file, constant)
        elif column is not None:
            others = [v for v in to_codes(column).values.to_pylist() if v != constant]
            if others:
                logger.warning(
                    "%s: the domain is %r as given; its own column %r (%s) is not used.",
                    file, constant, name, ", ".join(others[:5]),
                )  # fmt: skip
    else:
        coded = id_codes(column, name, faults)
    reserved = sorted(RESERVED_NODE_TYPES.intersection(coded.values.to_pylist()))
    if reserved:
        raise InputError(
            f"{file}: the domain {reserved[0]!r} (column {name!r}) has the name of a node type "
            f"that every graph has. Rename it in the file, or give the file's domain as "
            f"{reserved[0]}s={file}."
        )
    return coded


def with_own_users(frame: pd.DataFrame, domains: Iterable[str]) -> pd.DataFrame:
    """Write ``domain:`` before the user ids of some domains, where it does not yet stand.

    Raises
    ------
    InputError
        If it stands before some ids of a domain only.

    Examples
    --------
    >>> frame = pd.DataFrame({"user_id": ["7", "7"], "domain": ["books", "films"]})
    >>> with_own_users(frame, ["books"]).user_id.tolist()
    ['books:7', '7']
    """
    domains = list(domains)
    if not domains or DOMAIN not in frame:
        return frame
    users, of = frame[USER_ID].astype("str"), frame[DOMAIN]
    for domain in domains:
        rows = (of == domain).to_numpy(bool)
        own = users[rows]
        has = own.str.startswith(f"{domain}:").to_numpy(bool)
        if has.any() and not has.all():
            first, second = own[has].iloc[0], own[~has].iloc[0]
            raise InputError(
                f"Some users of {domain} are written {first!r}, some {second!r}: with separate "
                "users either all or none have the domain before their id."
            )
        if not has.any():
            users = users.mask(rows, f"{domain}:" + users)
    return frame.assign(**{USER_ID: users})


def _times(
    table: MutableMapping[str, pa.ChunkedArray],
    resolved: Mapping[str, str],
    faults: Faults,
    day_first: bool | None,
) -> np.ndarray | None:
    if TIMESTAMP not in resolved:
        return None
    name = resolved[TIMESTAMP]
    column = table.pop(name)
    if all_empty(column):
        return None
    milliseconds, wrong = to_milliseconds(column, day_first=day_first)
    for mask, reason in wrong:
        faults.add(mask, name, column, reason)
    return milliseconds


def _positions(
    table: MutableMapping[str, pa.ChunkedArray], resolved: Mapping[str, str], faults: Faults
) -> np.ndarray | None:
    """Read whole numbers as int64."""
    if POSITION not in resolved:
        return None
    name = resolved[POSITION]
    column = table.pop(name)
    if all_empty(column):
        return None
    values, missing, invalid = to_floats(column)
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values < LARGEST_POSITION)) | (values != np.round(values))
    faults.add(missing | invalid | wrong, name, column, NOT_A_POSITION)
    return np.where(wrong, 0, values).astype(np.int64)


def _numbers(
    table: MutableMapping[str, pa.ChunkedArray], resolved: Mapping[str, str], faults: Faults
) -> dict[str, np.ndarray]:
    """Read weight and rating as float32; a rating may be missing (NaN)."""
    numbers: dict[str, np.ndarray] = {}
    for role in (WEIGHT, RATING):
        if role not in resolved:
            continue
        name = resolved[role]
        column = table.pop(name)
        if all_empty(column):
            continue
        wide, missing, invalid = to_floats(column)
        with np.errstate(over="ignore"):
            values = wide.astype(np.float32)
        if role == WEIGHT:
            faults.add(missing, name, column, NO_WEIGHT)
        faults.add(invalid | (~missing & ~np.isfinite(values)), name, column, NOT_A_NUMBER)
        numbers[role] = values
    return numbers


def concat_frames(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """Put frames of logs one after the other.

    Columns of text that some of them lack are filled with ``""``, numbers and timestamps with NaN
    and NaT; of timestamps it is said.
    """
    if not frames:
        raise InputError("There is no log to put together.")
    columns = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    named = [name for frame, name in zip(frames, names, strict=True) if len(frame)]
    for order in (TIMESTAMP, POSITION):
        lacking = [n for f, n in zip(filled, named, strict=False) if order not in f]
        if lacking and len(lacking) < len(filled):
            logger.warning(
                "No %ss in %s: those of the other files order the rows of a user and item only.",
                order,
                ", ".join(lacking),
            )
    domains, events = _union(filled, DOMAIN), _union(filled, EVENT)
    parts = []
    for frame in filled:
        part = frame.copy(deep=False)
        part[DOMAIN] = part[DOMAIN].cat.set_categories(domains)
        if len(events):
            event = part[EVENT] if EVENT in part else pd.Series("", index=part.index)
            part[EVENT] = pd.Categorical(event, categories=events)
        parts.append(part)
    whole = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    columns = [name for name in columns if name in whole]
    for name in columns:
        if isinstance(whole[name].dtype, pd.StringDtype) or whole[name].dtype == object:
            whole[name] = whole[name].fillna("")
    return whole[columns]


def _union(frames: Sequence[pd.DataFrame], column: str) -> pd.Index:
    found = [frame[column].cat.categories for frame in frames if column in frame]
    values = {str(value) for categories in found for value in categories}
    if found and len(found) < len(frames):
        values.add("")
    return pd.Index(sorted(values), dtype="str")
