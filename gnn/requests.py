"""The users to recommend for, as files and commands name them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from gnn.asked import listed_ids
from graphgen.errors import InputError, counted
from graphgen.reading.columns import USERS
from graphgen.reading.files import read_tables
from graphgen.schema import DOMAIN, USER_ID
from graphgen.tables import UserTable

__all__ = ["Requests", "as_frame", "own_requests", "read_requests"]

logger = logging.getLogger(__name__)

# Users by the domain to recommend in; those under None are for the domain that is asked for.
Requests: TypeAlias = dict[str | None, list[str]]


def read_requests(source: str | None, users: Sequence[str], **options: Any) -> Requests:
    """Read ids from a text file (one a line), a table with user_id and perhaps domain, or a list.

    `options` are those of `graphgen.tables.read_users`.

    Raises
    ------
    InputError
        If the file is missing, empty, or has no user_id.
    """
    if source is None:
        return {None: list(users)}
    ids = listed_ids(Path(source), encoding=options.get("encoding"))
    if ids is not None:
        if ids and ids[0] == USER_ID:
            ids = ids[1:]
        if not ids:
            raise InputError(f"{Path(source)} holds no user id; write one a line.")
        return {None: list(dict.fromkeys(ids))}
    # Not `read_users`: here a user may have several rows, one for each domain.
    frames, _, _ = read_tables([source], USERS, UserTable.clean, **options)
    frame = frames[0]
    if DOMAIN not in frame:
        return {None: frame[USER_ID].unique().tolist()}
    wanted = frame[[USER_ID, DOMAIN]].drop_duplicates()
    return {str(d): part[USER_ID].tolist() for d, part in wanted.groupby(DOMAIN, observed=True)}


def own_requests(
    requests: Requests, separate: Collection[str], domain: Sequence[str] | None = None
) -> Requests:
    """Write the target domain before ids, where the domains of `separate` have their own users.

    Ids that start with such a domain stay: they may ask for lists in another one.

    Examples
    --------
    >>> own_requests({"books": ["7", "films:8"]}, ["books", "films"])
    {'books': ['books:7', 'films:8']}
    """
    marks = tuple(f"{name}:" for name in separate)
    result: Requests = {}
    for target, ids in requests.items():
        asked = [target] if not domain and target is not None else list(domain or [])
        of = asked[0] if len(asked) == 1 else ""
        result[target] = [
            f"{of}:{user}" if of in separate and not str(user).startswith(marks) else user
            for user in ids
        ]
    bare = [user for ids in result.values() for user in ids if not str(user).startswith(marks)]
    if separate and bare:
        logger.warning(
            "%s without a domain, such as %r: users of %s are written %s:ID, or with one --domain.",
            counted(len(bare), "user id"), bare[0], ", ".join(separate), min(separate),
        )  # fmt: skip
    return result


def as_frame(requests: Requests) -> pd.DataFrame:
    """Return user_id and, where they name domains, domain of each request."""
    pairs = [(user, domain) for domain, ids in requests.items() for user in ids]
    frame = pd.DataFrame(pairs, columns=[USER_ID, DOMAIN], dtype=object)
    return frame[[USER_ID]] if None in requests else frame
