"""The users to recommend for, as files and commands name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from gnn.asked import listed_ids
from gnn.base import Model
from graphgen.errors import InputError
from graphgen.progress import progress_bar
from graphgen.reading.columns import USERS
from graphgen.reading.files import read_tables
from graphgen.schema import DOMAIN, USER_ID
from graphgen.tables import UserTable

__all__ = ["Requests", "answer", "read_requests"]

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
    ids = listed_ids(Path(source))
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


def answer(
    model: Model,
    requests: Requests,
    *,
    domain: Sequence[str] | None = None,
    progress: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Recommend for every request, with options of `Model.recommend`.

    `domain` overrides the domains that the requests name.
    """
    if domain:
        users = dict.fromkeys(user for ids in requests.values() for user in ids)
        requests = {None: list(users)}
    parts = []
    total = sum(map(len, requests.values()))
    with progress_bar("Recommending", total, enabled=progress) as advance:
        for target, ids in requests.items():
            parts.append(model.recommend(ids, domain=domain or target, **options))
            advance(len(ids))
    return pd.concat(parts, ignore_index=True)
