"""Roles of the columns of a file, and hints when one is missing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.schema import (
    CATEGORY,
    DOMAIN,
    EVENT,
    GROUP,
    ITEM_ID,
    RATING,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
    WEIGHT,
)

__all__ = [
    "ITEMS",
    "LOG",
    "USERS",
    "Role",
    "TableSpec",
    "extra_name",
    "listed",
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
        Foreign names that are suggested, never taken, when the column is missing.
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


USER_HINTS = ("user", "userid", "uid", "reviewerid", "customer_id", "visitorid", "session_id")
ITEM_HINTS = (
    "item", "itemid", "iid", "asin", "parent_asin", "movieid", "product_id", "book_id", "isbn",
    "business_id", "video_id", "track_id", "artist_id", "sku",
)  # fmt: skip
DOMAIN_ROLE = Role(DOMAIN)
LOG = TableSpec(
    "an interaction log",
    (
        Role(USER_ID, required=True, hints=USER_HINTS),
        DOMAIN_ROLE,
        Role(ITEM_ID, required=True, hints=ITEM_HINTS),
        Role(TIMESTAMP),
        Role(RATING),
        Role(WEIGHT),
        Role(EVENT),
    ),
)
ITEMS = TableSpec(
    "an item table",
    (
        Role(ITEM_ID, required=True, hints=ITEM_HINTS),
        DOMAIN_ROLE,
        Role(TITLE),
        Role(TEXT),
        Role(CATEGORY),
    ),
)
USERS = TableSpec("a user table", (Role(USER_ID, required=True, hints=USER_HINTS), Role(GROUP)))


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
    lenient: bool = False,
) -> dict[str, str]:
    """Find the column of a file for each canonical name.

    A header matches when it is the canonical name but for case and surrounding blanks, or when
    `columns` says so.

    Parameters
    ----------
    found
        Column names of the file.
    columns
        Foreign names by canonical name (``{"user_id": "reviewerID"}``); an empty foreign name
        means that the column is to be ignored.
    spec
        The kind of table.
    file
        Path for messages.
    lenient
        Whether a mapped column that this file lacks may fall back on the canonical name, as in
        one of several files.

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
    >>> resolve_columns([" User_ID ", "asin"], {"item_id": "asin"}, LOG, file="u.csv")
    {'user_id': ' User_ID ', 'item_id': 'asin'}
    """
    columns = dict(columns or {})
    for name in columns:
        if name not in spec.names:
            hint = near_column(name, spec.names)
            raise ConfigError(f"{spec.what} has no column {name!r} to map; {hint}")
    by_plain: dict[str, list[str]] = {}
    for name in found:
        by_plain.setdefault(_plain(name), []).append(name)
    resolved: dict[str, str] = {}
    for role in spec.roles:
        wanted = columns.get(role.name, role.name)
        if not wanted.strip():
            if role.required:
                raise ConfigError(f"Column {role.name!r} cannot be ignored: {spec.what} needs it.")
            continue
        match = _match(wanted, found, by_plain, file)
        if match is None and lenient:
            match = _match(role.name, found, by_plain, file)
        if match is not None:
            resolved[role.name] = match
        elif role.required or role.name in columns:
            raise InputError(_missing(role, wanted, found, file))
    taken: dict[str, str] = {}
    for canonical, name in resolved.items():
        if name in taken:
            raise InputError(
                f"{file}: column {name!r} is mapped to both {taken[name]!r} and {canonical!r}."
            )
        taken[name] = canonical
    return resolved


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


def _missing(role: Role, wanted: str, found: Sequence[str], file: str) -> str:
    message = f"{file} has no column {wanted!r}; its columns are {listed(found) or 'none'}."
    plain = {_plain(name): name for name in found}
    near = [hint for hint in role.hints if hint in plain]
    near = near or get_close_matches(_plain(wanted), plain, n=1, cutoff=0.6)
    if near:
        name = plain[near[0]]
        message += (
            f" If that is {name!r}, add --column {role.name}={_shell(name)} "
            f'(columns={{"{role.name}": "{name}"}} in Python).'
        )
    else:
        message += (
            f" Name the right one with --column {role.name}=NAME "
            f'(columns={{"{role.name}": "NAME"}} in Python).'
        )
    if found and all(name.strip().lstrip("+-").replace(".", "", 1).isdigit() for name in found):
        message += " The first line looks like data: does the file lack its header line?"
    return message


def _shell(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f"'{name}'"
