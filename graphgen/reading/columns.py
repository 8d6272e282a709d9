"""Roles of the columns of a file, and hints when one is missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.schema import (
    CATEGORY,
    DOMAIN,
    EVENT,
    FRIEND_ID,
    GROUP,
    INTEREST,
    ITEM_ID,
    POSITION,
    PROVIDER,
    RANK,
    RATING,
    SCORE,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
    WEIGHT,
)

__all__ = [
    "FRIENDS",
    "INTEREST_LISTS",
    "ITEMS",
    "LISTS",
    "LOG",
    "PROVIDERS",
    "USERS",
    "ColumnMap",
    "Role",
    "TableSpec",
    "extra_name",
    "listed",
    "missing_roles",
    "near_column",
    "resolve_columns",
]

logger = logging.getLogger(__name__)

SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Role:
    """A column that a table may have.

    Attributes
    ----------
    name
        Canonical name.
    required
        Whether a table without it is refused.
    hints
        Other usual names, in lower-case letters and digits only. A column of such a name is taken
        when it is the only one and the canonical name is absent.
    """

    name: str
    required: bool = False
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSpec:
    """The columns of one kind of table.

    Attributes
    ----------
    what
        The table in words ("an interaction log").
    roles
        Its columns; all others are extra.
    """

    what: str
    roles: tuple[Role, ...]

    @property
    def names(self) -> list[str]:
        """Canonical names in order."""
        return [role.name for role in self.roles]

    @property
    def required(self) -> list[str]:
        """Canonical names of the columns that must be there."""
        return [role.name for role in self.roles if role.required]

    @property
    def hints(self) -> list[str]:
        """Other usual names of all columns."""
        return [hint for role in self.roles for hint in role.hints]


USER_HINTS = (
    "user", "userid", "uid", "reviewerid", "customer", "customerid", "visitorid", "member",
    "memberid", "sessionid",
)  # fmt: skip
ITEM_HINTS = (
    "item", "itemid", "iid", "asin", "parentasin", "movieid", "product", "productid", "bookid",
    "isbn", "businessid", "videoid", "trackid", "artistid", "songid", "gameid", "newsid", "sku",
    "filmid", "courseid", "articleid",
)  # fmt: skip
TIME_HINTS = ("time", "date", "datetime", "unixtime", "unixreviewtime", "createdat", "eventtime")
USER_ROLE = Role(USER_ID, required=True, hints=USER_HINTS)
ITEM_ROLE = Role(ITEM_ID, required=True, hints=ITEM_HINTS)
DOMAIN_ROLE = Role(DOMAIN)
LOG = TableSpec(
    "an interaction log",
    (
        USER_ROLE,
        DOMAIN_ROLE,
        ITEM_ROLE,
        Role(TIMESTAMP, hints=TIME_HINTS),
        Role(POSITION),
        Role(RATING, hints=("ratings", "overall", "stars", "userrating", "bookrating")),
        Role(WEIGHT, hints=("playcount", "listens", "plays")),
        Role(EVENT, hints=("eventtype", "action", "behavior", "behaviour", "interactiontype")),
    ),
)
ITEMS = TableSpec(
    "an item table",
    (
        ITEM_ROLE,
        DOMAIN_ROLE,
        Role(TITLE, hints=("name", "itemname", "producttitle", "productname", "booktitle")),
        Role(TEXT, hints=("description", "desc", "summary", "overview", "plot", "abstract")),
        Role(CATEGORY, hints=("genres", "genre", "categories", "tags")),
    ),
)
USERS = TableSpec("a user table", (USER_ROLE, Role(GROUP)))
FRIEND_HINTS = ("friend", "friendid", "followee", "followeeid", "trustee", "trusteeid")
FRIENDS = TableSpec(
    "a table of friends", (USER_ROLE, Role(FRIEND_ID, required=True, hints=FRIEND_HINTS))
)
LISTS = TableSpec(
    "a table of recommendations",
    (USER_ROLE, DOMAIN_ROLE, ITEM_ROLE, Role(RANK), Role(SCORE, hints=("prediction",))),
)
INTEREST_LISTS = TableSpec(
    "a table of interests",
    (USER_ROLE, Role(INTEREST, required=True), Role(RANK), Role(SCORE)),
)
PROVIDERS = TableSpec(
    "a table of providers",
    (DOMAIN_ROLE, ITEM_ROLE, Role(PROVIDER, required=True, hints=("brand", "seller", "publisher"))),
)
TABLES = (LOG, ITEMS, USERS, FRIENDS, LISTS, INTEREST_LISTS, PROVIDERS)
MAPPED = tuple(dict.fromkeys(name for table in TABLES for name in table.names))


class ColumnMap(dict[str, str]):
    """A column mapping that several tables share: each takes what it has.

    Parameters
    ----------
    columns
        Foreign names by canonical name; each must be in some table that is read.
    shared
        The same, of a file that serves several commands: only of the kinds of tables that are read
        must one have the column, or the canonical one.
    by_file
        As `shared`, for single files, by their domain or name.

    Raises
    ------
    ConfigError
        If a canonical name is none.
    """

    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        shared: Mapping[str, str] | None = None,
        by_file: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__({**(shared or {}), **(columns or {})})
        self.required = set((columns or {}).items())
        self.by_file = dict(by_file or {})
        self.files: set[str] = set()
        # Pairs of canonical and foreign name: looked for, found, and found under either.
        self.asked: set[tuple[str, str]] = set()
        self.found: set[tuple[str, str]] = set()
        self.served: set[tuple[str, str]] = set()
        for mapping in (self, *self.by_file.values()):
            for name in mapping:
                if name not in MAPPED:
                    raise ConfigError(
                        f"No table has a column {name!r} to map; {near_column(name, MAPPED)}"
                    )

    def of_file(self, *names: str | None) -> ColumnMap:
        """Return the mapping for a file of these names, which takes part in `check`."""
        self.files.update(name for name in names if name is not None)
        own = next((self.by_file[name] for name in names if name in self.by_file), {})
        mapping = ColumnMap({**self, **own})
        mapping.asked, mapping.found, mapping.served = self.asked, self.found, self.served
        return mapping

    def check(self) -> None:
        """Raise `InputError` if a column that is mapped was in none of the tables read so far."""
        for name, wanted in sorted(self.required - self.found | self.asked - self.served):
            if wanted.strip():
                raise InputError(f"No table has a column {wanted!r} to use as {name!r}.")
        for name in sorted(set(self.by_file) - self.files):
            if near := get_close_matches(name, self.files - set(self.by_file), n=1, cutoff=0.8):
                raise InputError(f"The mapping of {name!r} is not used; did you mean {near[0]!r}?")


def listed(names: Sequence[str], limit: int = SHOWN_COLUMNS) -> str:
    """List names for a message, the first `limit` of them.

    Examples
    --------
    >>> listed(["a", "b", "c"], limit=2)
    "'a', 'b', ... (3 in all)"
    """
    shown = ", ".join(repr(name) for name in names[:limit])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > limit else shown


def resolve_columns(
    found: Sequence[str],
    columns: Mapping[str, str] | None,
    spec: TableSpec,
    *,
    file: str,
    own: Mapping[str, str] | None = None,
    kind: Literal["text", "typed", "frame"] = "text",
) -> dict[str, str]:
    """Find the column of a file for each canonical name.

    A header matches when it is the canonical name but for case and surrounding blanks, or when
    `columns` says so. Where a canonical name is absent and exactly one column has a usual other
    name for it (`Role.hints`), that column is taken and a warning says so; of several none is.

    Parameters
    ----------
    found
        Column names of the file.
    columns
        Foreign names by canonical name (``{"user_id": "reviewerID"}``); an empty foreign name
        means that the column is to be ignored. Of a `ColumnMap` the file takes what it has.
    spec
        The kind of table.
    file
        Path for messages.
    own
        Names that this file must have; they win over `columns`.
    kind
        Delimited text, another file, or a DataFrame, for the advice in messages.

    Returns
    -------
    dict
        Name in the file by canonical name; absent columns have no entry.

    Raises
    ------
    ConfigError
        If `columns` has an unknown canonical name.
    InputError
        If a required or mapped column is missing, or one is there twice.

    Examples
    --------
    >>> resolve_columns([" User_ID ", "asin"], {"item_id": "asin"}, USERS, file="u.csv")
    Traceback (most recent call last):
        ...
    graphgen.errors.ConfigError: a user table has no column 'item_id' to map; it has 'user_id',
    'group'.
    >>> resolve_columns([" User_ID ", "Kode"], {"item_id": "Kode"}, LOG, file="u.csv")
    {'user_id': ' User_ID ', 'item_id': 'Kode'}
    """
    shared = columns if isinstance(columns, ColumnMap) else None
    strict = {**({} if shared is not None else columns or {}), **(own or {})}
    for name in strict:
        if name not in spec.names:
            hint = near_column(name, spec.names)
            raise ConfigError(f"{spec.what} has no column {name!r} to map; {hint}")
    by_plain: dict[str, list[str]] = {}
    for name in found:
        by_plain.setdefault(_plain(name), []).append(name)
    resolved: dict[str, str] = {}
    absent: list[Role] = []
    for role in spec.roles:
        wanted = strict.get(role.name, (columns or {}).get(role.name, role.name))
        if not wanted.strip():
            if role.required:
                raise ConfigError(f"Column {role.name!r} cannot be ignored: {spec.what} needs it.")
            continue
        match = _match(wanted, found, by_plain, file)
        if shared is not None and match is not None:
            shared.found.add((role.name, wanted))
        if match is None and role.name not in strict and wanted != role.name:
            match = _match(role.name, found, by_plain, file)
        if shared is not None and role.name in shared:
            shared.asked.add((role.name, wanted))
            shared.served.update([(role.name, wanted)] if match is not None else [])
        if match is not None:
            resolved[role.name] = match
        elif role.name in strict:
            raise InputError(_missing(role, wanted, found, file, kind))
        else:
            absent.append(role)
    _take_hints(absent, resolved, found, file, kind)
    taken: dict[str, str] = {}
    for canonical, name in resolved.items():
        if name in taken:
            raise InputError(
                f"{file}: column {name!r} is mapped to both {taken[name]!r} and {canonical!r}."
            )
        taken[name] = canonical
    return resolved


def missing_roles(
    found: Sequence[str], columns: Mapping[str, str] | None, spec: TableSpec
) -> list[str]:
    """Return the required columns for which a file has nothing."""
    plain, folded = {_plain(name) for name in found}, {_fold(name) for name in found}
    lacking = []
    for role in spec.roles:
        names = {_plain((columns or {}).get(role.name, role.name)), role.name}
        if role.required and not names & plain and not {_fold(role.name), *role.hints} & folded:
            lacking.append(role.name)
    return lacking


def _take_hints(
    absent: Sequence[Role], resolved: dict[str, str], found: Sequence[str], file: str, kind: str
) -> None:
    """Add to `resolved` the columns that have a usual other name of an absent one."""
    taken = set(resolved.values())
    notes, missing = [], []
    for role in absent:
        hints = {_fold(role.name), *role.hints}
        likely = [name for name in found if name not in taken and _fold(name) in hints]
        if len(likely) == 1:
            resolved[role.name] = likely[0]
            notes.append(f"{likely[0]!r} for {role.name}")
        elif role.required:
            missing.append(role)
        elif likely:
            logger.warning(
                "%s: %s may be the %s; none is used. Choose with --column %s=%s.",
                file, listed(likely), role.name, role.name, _shell(likely[0]),
            )  # fmt: skip
    if missing:
        others = [role.name for role in missing[1:]]
        raise InputError(_missing(missing[0], missing[0].name, found, file, kind, others))
    if notes:
        logger.warning("%s: taking %s.", file, ", ".join(notes))


def near_column(name: str, found: Sequence[str]) -> str:
    """Say which column may have been meant.

    Examples
    --------
    >>> near_column("spilt", ["split"]), near_column("x", ["split"])
    ("did you mean 'split'?", "it has 'split'.")
    """
    return near_miss(name, found, f"it has {listed(found)}.")


def extra_name(name: str, spec: TableSpec) -> str | None:
    """Return the name under which an extra column of a file is kept; None if it is not.

    A column that has a canonical name and yet does not play its part was ignored or replaced by
    the user, so nobody may take it for what its name says.

    Examples
    --------
    >>> extra_name(" split ", LOG), extra_name("Rating", LOG), extra_name(" ", LOG)
    ('split', None, None)
    """
    return None if not name.strip() or _plain(name) in spec.names else name.strip()


def _plain(name: str) -> str:
    return name.strip().lower()


def _match(
    wanted: str, found: Sequence[str], by_plain: dict[str, list[str]], file: str
) -> str | None:
    if list(found).count(wanted) == 1:
        return wanted
    matches = by_plain.get(_plain(wanted), [])
    if len(matches) > 1:
        raise InputError(
            f"{file}: {len(matches)} columns are named {wanted!r} ({listed(matches)}); "
            "rename all but one in the header."
        )
    return matches[0] if matches else None


def _missing(
    role: Role, wanted: str, found: Sequence[str], file: str, kind: str, others: Sequence[str] = ()
) -> str:
    and_no = "".join(f" and no {other!r}" for other in others)
    message = f"{file} has no column {wanted!r}{and_no}; its columns are {listed(found) or 'none'}."
    likely = [name for name in found if _fold(name) in role.hints]
    if not likely:
        plain = {_plain(name): name for name in found}
        near = get_close_matches(_plain(wanted), plain, n=1, cutoff=0.6)
        likely = [plain[name] for name in near]
    several = f" It may be {listed(likely)}." if len(likely) > 1 else ""
    if kind == "frame":
        name = likely[0] if likely else "NAME"
        return f'{message}{several} Rename it: frame.rename(columns={{"{name}": "{role.name}"}}).'
    which = f" If that is {likely[0]!r}, add" if likely else " Name the right one with"
    name = likely[0] if likely else "NAME"
    message += (
        f"{several}{which} --column {role.name}={_shell(name)} "
        f'(columns={{"{role.name}": "{name}"}} in Python), or for this file alone '
        f"'PATH?{'&'.join([f'{role.name}={name}', *(f'{other}=NAME' for other in others)])}'."
    )
    if kind == "text" and all(
        name.strip().lstrip("+-").replace(".", "", 1).isdigit() for name in found
    ):
        message += (
            " The first line looks like data: without a header line, name columns by number, as "
            "in --column user_id=1 --column item_id=2."
        )
    if kind == "text" and len(found) == 1 and not likely:
        message += " It has one column only: is its separator another one? Give --delimiter."
    return message


def _fold(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _shell(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f"'{name}'"
