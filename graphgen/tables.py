"""Tables of items and users."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, Unpack

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.errors import counted
from graphgen.reading.cleaning import Faults, arrow_column, id_codes, to_text
from graphgen.reading.columns import FRIENDS, ITEMS, USERS, TableSpec, extra_name, listed
from graphgen.reading.digest import frame_digest
from graphgen.reading.files import read_tables
from graphgen.reading.frames import clean_frame
from graphgen.reading.normalise import domain_codes, strings, with_own_users
from graphgen.reading.report import ReadReport
from graphgen.reading.sources import SourceLike
from graphgen.schema import (
    AUDIO,
    CATEGORY,
    DOMAIN,
    FRIEND_ID,
    GROUP,
    IMAGE,
    ITEM_ID,
    TEXT,
    TITLE,
    USER_ID,
)

__all__ = [
    "FriendTable",
    "ItemTable",
    "UserTable",
    "item_columns",
    "read_arrow",
    "read_friends",
    "read_items",
    "read_users",
    "write_arrow",
]

logger = logging.getLogger(__name__)

ENDS_SENTENCE = r"[.!?:;。！？：；…]$"
SEPARATORS = tuple(pa.scalar(text, pa.large_string()) for text in (" ", ". "))


class ReadOptions(TypedDict, total=False):
    """Options of `read_items` and `read_users`; see `graphgen.log_files.read_log`."""

    columns: Mapping[str, str] | None
    on_bad_rows: Literal["error", "quarantine"]
    quarantine: str | Path | None
    delimiter: str | None
    encoding: str | None
    day_first: bool | None
    progress: bool


class _Table:
    """An immutable table of text with a key, each key once."""

    _spec: TableSpec
    _key: tuple[str, ...]
    _counted: str  # what the report counts

    def __init__(self, frame: pd.DataFrame) -> None:
        self._set(*clean_frame(frame, self._spec, self.clean))

    @classmethod
    def _of(cls, frame: pd.DataFrame, report: ReadReport) -> Self:
        table = cls.__new__(cls)
        table._set(frame, report)
        return table

    @classmethod
    def _read(
        cls,
        sources: tuple[SourceLike, ...],
        options: ReadOptions,
        separate_users: Sequence[str] = (),
    ) -> Self:
        frames, _, report = read_tables(sources, cls._spec, cls.clean, **options)
        several = len(frames) > 1
        frame = pd.concat(frames, ignore_index=True).fillna("") if several else frames[0]
        return cls._of(with_own_users(frame, separate_users), report)

    def _set(self, frame: pd.DataFrame, report: ReadReport) -> None:
        unique = self._unique(frame)
        self._frame = unique
        self._report = replace(report, duplicates=len(frame) - len(unique))
        self._digest: str | None = None

    @classmethod
    def clean(
        cls,
        table: MutableMapping[str, pa.ChunkedArray],
        resolved: dict[str, str],
        *,
        n_rows: int,
        file: str,
        domain: str | None = None,
    ) -> tuple[pd.DataFrame, Faults]:
        """Convert the columns of one file; the frame holds the good rows only."""
        faults = Faults(n_rows)
        columns: dict[str, Any] = {}
        for role in cls._spec.names:
            name = resolved.get(role, role)
            if role == DOMAIN:
                given = table.pop(name, None)
                coded = domain_codes(
                    given, domain, name=name, n_rows=n_rows, file=file, faults=faults
                )
                columns[role] = pa.chunked_array([coded.decode()])
            elif role in cls._key:
                coded = id_codes(table.pop(name), name, faults)
                columns[role] = pa.chunked_array([coded.decode()])
            elif role in resolved:
                columns[role] = to_text(table.pop(name))
            else:
                empty = pa.array([""], pa.large_string()).take(pa.array(np.zeros(n_rows, int)))
                columns[role] = pa.chunked_array([empty])
        for name in list(table):
            column = to_text(table.pop(name))
            if (extra := extra_name(name, cls._spec)) is not None:
                columns[extra] = column
        if DOMAIN not in cls._spec.names and domain is not None:
            columns[DOMAIN] = pa.chunked_array([pa.array([domain] * n_rows, pa.large_string())])
        keep = pa.array(~faults.bad)
        frame = {name: strings(column.filter(keep)) for name, column in columns.items()}
        return pd.DataFrame(frame), faults

    def _unique(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep for each key the first row with any content, else the first."""
        key = list(self._key)
        if not frame.duplicated(key).any():
            return frame
        others = [name for name in self._spec.names if name not in self._key]
        empty = (frame[others] == "").all(axis=1)
        first = frame[key].iloc[np.argsort(empty, kind="stable")].drop_duplicates()
        return frame.loc[first.index.sort_values()].reset_index(drop=True)

    @property
    def frame(self) -> pd.DataFrame:
        """The table; a copy-on-write view, so changing it does not change the original."""
        return self._frame.copy(deep=False)

    @property
    def report(self) -> ReadReport:
        """Counts of the rows read, by outcome."""
        count: Any = {self._counted: len(self)}
        return replace(self._report, **count)

    def __len__(self) -> int:
        return len(self._frame)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return len(self) == len(other) and self.digest() == other.digest()  # type: ignore[attr-defined, arg-type]

    def __hash__(self) -> int:
        return hash(self.digest())

    def digest(self) -> str:
        """Return a hash of the rows that does not depend on their order."""
        if self._digest is None:
            self._digest = frame_digest(self._frame)
        return self._digest


class ItemTable(_Table):
    """An immutable table of items: ``item_id, domain, title, text, category`` and extra columns.

    All columns are text, ``""`` where nothing is known. Of several rows for one item the first
    with any content is kept. Two tables are equal when they hold the same rows in any order.

    Parameters
    ----------
    frame
        Column ``item_id``; the others are optional (``domain`` is ``"items"`` where absent).

    Raises
    ------
    InputError
        If ``item_id`` is missing or a domain has a reserved name.
    BadRowsError
        If an id or a domain is empty.

    Examples
    --------
    >>> items = ItemTable(pd.DataFrame({
    ...     "item_id": ["1", "2", "3", "4"],
    ...     "domain": "films",
    ...     "title": ["Alien", "Brazil", "", ""],
    ...     "text": ["A crew meets something.", "BRAZIL (1985)", "", ""],
    ...     "category": ["horror", "satire", "drama", ""],
    ... }))
    >>> items.text_of().tolist()
    ['Alien. A crew meets something.', 'BRAZIL (1985)', 'drama', '']
    """

    _spec = ITEMS
    _key = (DOMAIN, ITEM_ID)
    _counted = "items"

    @property
    def domains(self) -> list[str]:
        """Domains in the table, sorted."""
        return sorted(self._frame[DOMAIN].unique())

    def __repr__(self) -> str:
        n = len(self.domains)
        texts = int((self.text_of() != "").sum())
        plural = "" if n == 1 else "s"
        return f"ItemTable({len(self)} items in {n} domain{plural}, {texts} with text)"

    def text_of(self) -> pd.Series:
        """Return the text of each item for an encoder.

        Title and text joined by ``". "``; where one contains the other (case aside), the longer
        alone; the category where both are empty; else ``""``. Aligned with `frame`.
        """
        title, text, category = (
            arrow_column(self._frame[name]).combine_chunks().cast(pa.large_string())
            for name in (TITLE, TEXT, CATEGORY)
        )
        has_title, has_text = pc.not_equal(title, ""), pc.not_equal(text, "")
        ends = pc.match_substring_regex(title, ENDS_SENTENCE)
        both = pc.binary_join_element_wise(title, text, pc.if_else(ends, *SEPARATORS))
        small, large = _lower(title), _lower(text)
        in_text = pa.array(np.strings.find(large, small) >= 0)
        in_title = pa.array(np.strings.find(small, large) >= 0)
        joined = pc.if_else(in_text, text, pc.if_else(in_title, title, both))
        cases = pc.make_struct(pc.and_(has_title, has_text), has_title, has_text)
        return strings(pc.case_when(cases, joined, title, text, category)).rename("text_of")


def _lower(column: pa.Array) -> np.ndarray:
    """Return lower-case text as numpy strings of variable width, for element-wise search."""
    lower = pc.utf8_lower(column).to_numpy(zero_copy_only=False)
    return lower.astype(np.dtypes.StringDType())


class UserTable(_Table):
    """An immutable table of users: ``user_id, group`` and extra columns, all text.

    Parameters
    ----------
    frame
        Column ``user_id``; ``group`` is ``""`` where absent.

    Raises
    ------
    InputError
        If ``user_id`` is missing.
    BadRowsError
        If an id is empty.

    Examples
    --------
    >>> users = UserTable(pd.DataFrame({"user_id": ["ann", "bob"], "group": ["new", ""]}))
    >>> users
    UserTable(2 users in 1 group)
    """

    _spec = USERS
    _key = (USER_ID,)
    _counted = "users"

    def __repr__(self) -> str:
        n = self._frame[GROUP].replace("", np.nan).nunique()
        return f"UserTable({len(self)} users in {n} group{'' if n == 1 else 's'})"


class FriendTable(_Table):
    """An immutable table of friendships: ``user_id, friend_id``, each pair once.

    Parameters
    ----------
    frame
        Columns ``user_id`` and ``friend_id``; a friendship holds in both directions.

    Examples
    --------
    >>> FriendTable(pd.DataFrame({"user_id": ["ann"], "friend_id": ["bob"]}))
    FriendTable(1 row)
    """

    _spec = FRIENDS
    _key = (USER_ID, FRIEND_ID)
    _counted = "interactions"

    def __repr__(self) -> str:
        return f"FriendTable({counted(len(self), 'row')})"


def read_items(*sources: SourceLike, **options: Unpack[ReadOptions]) -> ItemTable:
    r"""Read item tables: titles, texts and categories.

    Columns: ``item_id``; optional ``domain``, ``title``, ``text``, ``category`` (several separated
    by ``|``, which the topics of a graph tell apart); all others are kept as text. Without a domain
    column the domain is the one of ``domain=path``, else ``"items"``, as in a log without domains.
    Sources and rules are those of `graphgen.log_files.read_log`, and so are the other parameters; a
    folder is read whole.

    Raises
    ------
    BadRowsError
        If an id or a domain is empty, or a row cannot be split into columns.
    InputError
        If a file or column is missing, damaged or cannot be decoded.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "items.csv"
    >>> _ = path.write_text("asin,title\n1,Dune\n1,\n2,Emma\n")
    >>> items = read_items(f"books={path}", columns={"item_id": "asin"})
    >>> items, items.report.duplicates
    (ItemTable(2 items in 1 domain, 2 with text), 1)
    """
    items = ItemTable._read(sources, options)
    frame, known = items.frame, [TITLE, TEXT, CATEGORY]
    described = (frame[known] != "").any(axis=1).groupby(frame[DOMAIN].astype(str)).any()
    others = [name for name in frame.columns if name not in (*known, ITEM_ID, DOMAIN, IMAGE, AUDIO)]
    if others and not described.all():
        logger.warning(
            "The items of %s have no title, text or category. If one of %s holds them, say so: "
            "PATH?title=NAME&text=NAME.",
            ", ".join(described.index[~described]),
            listed(others),
        )
    return items


def read_users(
    *sources: SourceLike, separate_users: Sequence[str] = (), **options: Unpack[ReadOptions]
) -> UserTable:
    r"""Read user tables.

    Columns: ``user_id``; optional ``group``; all others are kept as text. Sources, rules and
    parameters are those of `graphgen.log_files.read_log`; `separate_users` names domains whose
    users, in files or rows of the domain, have ids of their own.

    Raises
    ------
    BadRowsError
        If an id is empty, or a row cannot be split into columns.
    InputError
        If a file or column is missing, damaged or cannot be decoded.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "users.tsv"
    >>> _ = path.write_text("user_id\tgroup\n007\tagents\n")
    >>> read_users(path).frame.to_dict("records")
    [{'user_id': '007', 'group': 'agents'}]
    """
    return UserTable._read(sources, options, separate_users)


def read_friends(*sources: SourceLike, **options: Unpack[ReadOptions]) -> FriendTable:
    r"""Read friendships, follows or trust between users: columns ``user_id`` and ``friend_id``.

    Sources, rules and parameters are those of `read_items`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "friends.csv"
    >>> _ = path.write_text("user_id,friend_id\n007,felix\n")
    >>> read_friends(path).frame.to_dict("records")
    [{'user_id': '007', 'friend_id': 'felix'}]
    """
    return FriendTable._read(sources, options)


def item_columns(tables: Mapping[str, pa.Table]) -> dict[str, pd.DataFrame]:
    """Return Arrow tables of items, by domain, as frames of text."""
    return {domain: table.to_pandas().astype("str") for domain, table in tables.items()}


def write_arrow(table: pa.Table, path: Path) -> None:
    """Write an uncompressed Arrow file, so that reading it is mapping it."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_arrow(path: Path) -> pa.Table:
    """Map an Arrow file into memory."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
