"""Reading of held-out interactions, and of tables with ids in general."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from eval.evaluation.slices import DERIVED_SLICES, add_slices
from eval.metrics.base import Array
from graphgen.errors import InputError
from graphgen.ids import as_ids
from graphgen.joins import check_join, found_in
from graphgen.log import InteractionLog
from graphgen.reading.cleaning import Faults, id_codes
from graphgen.reading.columns import LISTS, PROVIDERS, Role, TableSpec, resolve_columns
from graphgen.reading.files import read_tables
from graphgen.reading.frames import as_frame
from graphgen.reading.normalise import DEFAULT_DOMAIN, domain_codes, strings
from graphgen.schema import DOMAIN, GROUP, INTEREST, ITEM_ID, RATING, SETTING, USER_ID, WEIGHT

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = [
    "ALL",
    "DomainTruth",
    "Truth",
    "clean_ids",
    "id_codes_of",
    "named",
    "read_table",
    "read_truth",
    "with_groups",
]

logger = logging.getLogger(__name__)

ALL = "all"
DEFAULT_SLICES = (SETTING,)
IDS = (USER_ID, DOMAIN, ITEM_ID)
ROLES = {role.name: role for role in (*LISTS.roles, *PROVIDERS.roles)}


@dataclass(frozen=True, eq=False)
class DomainTruth:
    """The relevant items of one domain.

    Attributes
    ----------
    user_ids
        object [users], sorted: those with at least one relevant item.
    pair_user
        int64 [pairs], sorted: row of `user_ids`.
    pair_item
        object [pairs]: item ids; a (user, item) occurs once.
    member
        bool [pairs, slices]: the pair counts in the slice; column 0 is all True.
    grade
        float64 [pairs]: the rating, where relevance is graded.
    """

    domain: str
    user_ids: Array
    pair_user: Array
    pair_item: Array
    member: Array
    grade: Array | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """The relevant items of every domain, the slices they fall into, and groups of users."""

    domains: list[DomainTruth]
    slices: list[str]
    n_rows: int
    groups: pd.Series | None = None
    n_refused: int = 0


def read_table(
    source: Any, required: Sequence[str], what: str, *, domain: str | None = None, **options: Any
) -> pd.DataFrame:
    """Return a DataFrame from a DataFrame, an InteractionLog or a path, with ids as text.

    Files are read as logs are, and `options` are those of `graphgen.log_files.read_log` about the
    form of a file. Items without a domain are in `domain`, by default "items".

    Raises
    ------
    InputError
        If the file is missing or unreadable, or a column is missing; it names those found.
    """
    source = as_frame(source)
    spec = TableSpec(what, tuple(ROLES.get(name, Role(name, required=True)) for name in required))
    if isinstance(source, str | PathLike):
        frames, _, _ = read_tables([source], spec, clean_ids, **options)
        frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    elif isinstance(source, pd.DataFrame):
        frame = named(source, spec, what)
    elif isinstance(getattr(source, "frame", None), pd.DataFrame):
        frame = source.frame
    else:
        raise InputError(
            f"{what} must be a DataFrame, an InteractionLog or the path of a table; "
            f"got {type(source).__name__}."
        )
    if DOMAIN in required and DOMAIN not in frame:
        frame = frame.assign(**{DOMAIN: domain or DEFAULT_DOMAIN})
    missing = [column for column in required if column not in frame.columns]
    if missing:
        raise InputError(
            f"{what} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, frame.columns)) or 'none'}."
        )
    return frame


def named(frame: pd.DataFrame, spec: TableSpec, what: str) -> pd.DataFrame:
    """Give the columns of a frame their canonical names, and make its ids text."""
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    resolved = resolve_columns(list(frame.columns), None, spec, file=what, kind="frame")
    frame = frame.rename(columns={theirs: ours for ours, theirs in resolved.items()})
    texts = {}
    for column in (name for name in IDS if name in resolved):
        ids = as_ids(frame[column], name=f"{what}, column {column!r}")
        if ids.null_count:
            blank = np.asarray(ids.is_null())
            raise InputError(
                f"{what}: column {column!r} is empty in {int(blank.sum())} rows "
                f"(first: row {int(blank.argmax()) + 1})."
            )
        texts[column] = strings(ids).array
    return frame.assign(**texts)


def clean_ids(
    table: dict[str, pa.ChunkedArray],
    resolved: dict[str, str],
    *,
    n_rows: int,
    file: str,
    domain: str | None,
) -> tuple[pd.DataFrame, Faults]:
    """Convert the columns of one file: ids become text, the others stay as they are."""
    faults = Faults(n_rows)
    columns: dict[str, Any] = {}
    for role, name in resolved.items():
        if role in (USER_ID, ITEM_ID, INTEREST):
            columns[role] = id_codes(table.pop(name), name, faults).decode()
    if domain is not None or DOMAIN in resolved:
        name = resolved.get(DOMAIN, DOMAIN)
        given = table.pop(name, None)
        coded = domain_codes(given, domain, name=name, n_rows=n_rows, file=file, faults=faults)
        columns[DOMAIN] = coded.decode()
    names = {theirs: ours for ours, theirs in resolved.items()}
    columns |= {names.get(name, name.strip()): column for name, column in table.items()}
    frame = pd.DataFrame({name: column.to_pandas() for name, column in columns.items()})
    return frame[~faults.bad].reset_index(drop=True), faults


def id_codes_of(column: pd.Series) -> tuple[Array, Array]:
    """Number a column of ids in sorted order: int64 codes, object ids."""
    category = column.astype("category").cat
    names = np.asarray(category.categories.astype(str), dtype=object)
    ids, code = np.unique(names, return_inverse=True)
    return code[category.codes.to_numpy()].astype(np.int64), ids


def read_truth(
    source: Any,
    by: Sequence[str] | None = None,
    graph: InterestGraph | None = None,
    *,
    graded: bool = False,
) -> Truth:
    """Read what users really did.

    Parameters
    ----------
    source
        InteractionLog, DataFrame or path with user_id, domain, item_id; a column ``group``, the
        same in all rows of a user, makes groups.
    by
        Columns whose values make slices, named ``column=value``. Default: ``setting`` if it is
        there. Rows without a value belong to no slice of that column.
    graph
        Makes the columns of `eval.evaluation.slices` that `by` names and the truth lacks.
    graded
        Relevant are the rows with a rating above 0, which is their grade; else the likes, as
        `graphgen.read_log` defines them.

    Raises
    ------
    InputError
        If there is no row, or a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> truth = read_truth(pd.DataFrame({
    ...     "user_id": ["u", "u"], "domain": "books", "item_id": ["a", "b"],
    ...     "setting": ["warm", "cold_item"]}))
    >>> truth.slices
    ['all', 'setting=cold_item', 'setting=warm']
    """
    if isinstance(source, str | PathLike):
        from graphgen.log_files import read_log

        source = read_log(source)
    frame = read_table(source, IDS, "The truth")
    if not len(frame):
        raise InputError("The truth has no row: nobody to evaluate.")
    n_read = len(frame)
    frame = _relevant(frame, graded)
    if by is None:
        by = [column for column in DEFAULT_SLICES if column in frame.columns]
    by = [by] if isinstance(by, str) else list(by)
    absent = [column for column in by if column not in frame.columns]
    derived = [column for column in absent if column in DERIVED_SLICES]
    if graph is not None and derived:
        frame = add_slices(frame, graph, derived)
        absent = [column for column in absent if column not in derived]
    if absent:
        raise InputError(
            f"The truth has no column {', '.join(map(repr, absent))} to slice by; "
            f"it has {', '.join(map(repr, frame.columns))}"
            + (f"; with a graph also {', '.join(DERIVED_SLICES)}." if graph is None else ".")
        )
    slices, masks = [ALL], [np.ones(len(frame), dtype=bool)]
    for column in by:
        codes, values = pd.factorize(frame[column], sort=True)
        for code, value in enumerate(values):
            if str(value) != "":
                slices.append(f"{column}={value}")
                masks.append(codes == code)
    member = np.stack(masks, axis=1)

    user_codes, user_ids = id_codes_of(frame[USER_ID])
    item_codes, item_ids = id_codes_of(frame[ITEM_ID])
    domain_codes, domain_ids = id_codes_of(frame[DOMAIN])
    domains = []
    for code, domain in enumerate(domain_ids):
        rows = np.flatnonzero(domain_codes == code)
        if not rows.size:
            continue
        key = user_codes[rows] * len(item_ids) + item_codes[rows]
        pairs, where = np.unique(key, return_inverse=True)
        in_slice = np.zeros((len(pairs), len(slices)), dtype=bool)
        for number in range(len(slices)):
            in_slice[where[member[rows, number]], number] = True
        present, pair_user = np.unique(pairs // len(item_ids), return_inverse=True)
        items = item_ids[pairs % len(item_ids)]
        grade = None
        if graded:
            grade = np.zeros(len(pairs))
            np.maximum.at(grade, where, frame[RATING].to_numpy(float)[rows])
        own = user_ids[present], pair_user, items, in_slice, grade
        domains.append(DomainTruth(str(domain), *own))
    return Truth(domains, slices, len(frame), _groups(frame), n_read - len(frame))


def _relevant(frame: pd.DataFrame, graded: bool) -> pd.DataFrame:
    """Return the likes; if graded, the rows with a rating above 0."""
    if WEIGHT not in frame and RATING in frame:
        frame = InteractionLog(frame).frame
    if graded:
        if RATING not in frame:
            raise InputError("Graded relevance needs a column 'rating' in the truth.")
        relevant = (frame[RATING] > 0).to_numpy()
    elif WEIGHT in frame:
        relevant = (pd.to_numeric(frame[WEIGHT]) > 0).to_numpy()
    else:
        return frame
    if not relevant.any():
        raise InputError(
            f"None of the {len(frame):,} rows of the truth is a like. By default that is a rating "
            "of 4 of 5 or more, or a weight above 0; --positive 'rating>=NUMBER' says otherwise, "
            "and --graded takes ratings for degrees of relevance."
        )
    return frame[relevant].reset_index(drop=True)


def _groups(frame: pd.DataFrame) -> pd.Series | None:
    if GROUP not in frame:
        return None
    pairs = frame[[USER_ID, GROUP]].astype(object).replace({GROUP: {"": None}}).dropna()
    pairs = pairs.astype(str).drop_duplicates().set_index(USER_ID)[GROUP]
    if pairs.index.has_duplicates:
        twice = pairs.index[pairs.index.duplicated()][0]
        raise InputError(f"The truth holds user {twice!r} in more than one group.")
    return pairs


def with_groups(truth: Any, users: Any) -> pd.DataFrame:
    """Add the group of each user to the truth.

    `users` is a UserTable, or a DataFrame with user_id and group. `InputError` if a column is
    missing, a user occurs twice, or none occurs in the truth.
    """
    frame = read_table(truth, IDS, "The truth")
    table = read_table(users, (USER_ID, GROUP), "The users")
    groups = pd.Series(table[GROUP].to_numpy(), index=table[USER_ID].astype(str), dtype=object)
    if groups.index.has_duplicates:
        twice = groups.index[groups.index.duplicated()][0]
        raise InputError(f"The users hold user {twice!r} more than once.")
    ours = frame[USER_ID].astype(str)
    users = ours.unique()
    check_join(
        "user", "the truth", found_in(users, groups.index), "the user table", ours=users,
        theirs=groups.index, effect="They are in no group.",
    )  # fmt: skip
    return frame.assign(**{GROUP: groups.reindex(ours).to_numpy()})
