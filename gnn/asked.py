"""What is asked of a model, in any common form: users, domains, lengths of lists, histories."""

from __future__ import annotations

import logging
import operator
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnn.data import TrainingData
from gnn.users import Later
from graphgen.errors import InputError, UnknownIdError, counted, near_miss
from graphgen.ids import as_ids
from graphgen.joins import check_items, check_join, found_in
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.reading.frames import as_frame
from graphgen.reading.normalise import DEFAULT_DOMAIN
from graphgen.reading.streams import ByteStream, raise_undecodable
from graphgen.schema import DOMAIN, USER_ID

__all__ = [
    "as_log",
    "asked_domains",
    "asked_ids",
    "asked_lists",
    "asked_users",
    "history_log",
    "listed_ids",
    "whole_number",
]

logger = logging.getLogger(__name__)

TEXT_SUFFIXES = {".txt", ".lst", ""}


def asked_ids(asked: Any, *, column: str = USER_ID, name: str = "user ids") -> np.ndarray:
    """Return ids as text, object [n], None where one is missing, from one id or many.

    Parameters
    ----------
    asked
        One id (text, a whole number, a UUID), or several in a list, set, generator, array, series
        or the `column` of a DataFrame; see `graphgen.ids.as_ids`.
    column
        Column of a DataFrame.
    name
        What they are, for messages.

    Raises
    ------
    InputError
        If a value cannot be an id.
    """
    asked = as_frame(asked)
    if isinstance(asked, pd.DataFrame):
        if column not in asked:
            raise InputError(
                f"The {name} are a DataFrame without the column {column!r}; it has "
                f"{', '.join(map(repr, asked.columns)) or 'none'}."
            )
        asked = asked[column]
    one = isinstance(asked, str | bytes) or not isinstance(asked, Iterable)
    if one or getattr(asked, "ndim", 1) == 0:
        asked = [asked.item() if isinstance(asked, np.ndarray | np.generic) else asked]
    ids: np.ndarray = as_ids(asked, name=name).to_numpy(zero_copy_only=False)
    if one and ids[0] is None:
        raise InputError(f"One of the {name} is needed; got {asked[0]!r}.")
    return ids


def listed_ids(path: Path, *, encoding: str | None = None) -> list[str] | None:
    """Return the ids of a text file, one a line; None for another kind of file.

    Raises
    ------
    InputError
        If the file cannot be decoded.
    """
    if not path.is_file() or path.suffix.lower() not in TEXT_SUFFIXES:
        return None
    with ByteStream(path, name=str(path), encoding=encoding) as stream:
        try:
            lines = stream.read().decode().splitlines()
        except UnicodeDecodeError:
            raise_undecodable(path, str(path), stream.encoding)
    return [line.strip() for line in lines if line.strip()]


def asked_users(asked: Any, *, distinct: bool = False) -> np.ndarray:
    """Return user ids as text, object [n]; see `asked_ids`.

    With `distinct`, repeats count once, and missing ids are left out and counted in the log.

    Raises
    ------
    InputError
        If a value cannot be an id or, without `distinct`, is missing.
    """
    ids = asked_ids(asked)
    missing = pd.isna(ids)
    if not distinct:
        if missing.any():
            raise InputError(f"user ids, row {int(missing.argmax()) + 1}: the id is missing.")
        return ids
    if missing.any():
        logger.warning(
            "%d of %d user ids are missing (None, NaN or empty); they get no list.",
            missing.sum(),
            len(ids),
        )
    return pd.unique(ids[~missing])


def asked_domains(asked: Any, known: Collection[str]) -> list[str]:
    """Return the domains that are asked for, each once: one, several, or with None all.

    Raises
    ------
    InputError
        If none is named.
    UnknownIdError
        For a domain that is not `known`.
    """
    if asked is None:
        return list(known)
    names = dict.fromkeys(asked_ids(asked, column=DOMAIN, name="domains"))
    if not names:
        raise InputError("`domain` names no domain; leave it out for all of them.")
    for name in names:
        if name not in known:
            hint = near_miss(str(name), known, f"it knows {', '.join(known)}.")
            raise UnknownIdError(f"This model knows no domain {name!r}; {hint}")
    return list(names)


def asked_lists(
    asked: Any, domain: Any, known: Collection[str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return distinct user ids, and by domain the places of those who are to get a list there.

    A DataFrame with user_id and domain names the domain of each list, unless `domain` does.

    Raises
    ------
    InputError, UnknownIdError
        As `asked_users` and `asked_domains`.
    """
    asked = as_frame(asked)
    if domain is not None or not isinstance(asked, pd.DataFrame) or DOMAIN not in asked:
        ids = asked_users(asked, distinct=True)
        return ids, {name: np.arange(len(ids)) for name in asked_domains(domain, known)}
    users, names = asked_ids(asked), asked_ids(asked[DOMAIN], name="domains")
    ids = asked_users(users, distinct=True)
    places = pd.Index(ids).get_indexer(users)
    wanted = asked_domains(list(names) or None, known)
    return ids, {name: np.unique(places[(names == name) & (places >= 0)]) for name in wanted}


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return an int from an integer of any kind or a whole float.

    Raises
    ------
    InputError
        If it is something else, or below `least`.

    Examples
    --------
    >>> whole_number("k", np.float32(2), least=1)
    2
    """
    try:
        number = int(value) if isinstance(value, float | np.floating) else operator.index(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or number != value or isinstance(value, bool | np.bool_):
        raise InputError(f"`{name}` must be a whole number of at least {least}; got {value!r:.60}.")
    if number < least:
        raise InputError(f"`{name}` must be at least {least}; got {number}.")
    return number


def as_log(source: Any, *, what: str, domains: Collection[str]) -> InteractionLog:
    """Return a log from a log, a DataFrame, a path, or several paths, by the rules of `read_log`.

    Rows that name no domain are of the only one of `domains`, if there is only one.

    Raises
    ------
    InputError
        If it is something else; `what` says what it is to be.
    """
    parts = source if isinstance(source, list | tuple) and source else [source]
    if isinstance(source, InteractionLog):
        log = source
    elif all(isinstance(as_frame(part), str | Path | Mapping | pd.DataFrame) for part in parts):
        log = read_log(*parts)
    else:
        raise InputError(
            f"`{what}` must be an InteractionLog, a DataFrame or the path of a log; got "
            f"{type(source).__name__}."
        )
    if len(domains) == 1 and log.domains == [DEFAULT_DOMAIN] and DEFAULT_DOMAIN not in domains:
        log = InteractionLog(log.frame.assign(**{DOMAIN: next(iter(domains))}))
    return log


def history_log(
    source: Any, data: TrainingData, users: np.ndarray
) -> InteractionLog | Later | None:
    """Return the history of users as `as_log`; rows that change nothing are counted in the log.

    Raises
    ------
    InputError
        If all rows are of unknown domains or items.
    """
    if source is None or isinstance(source, Later):
        return source
    log = as_log(source, what="history", domains=data.domains)
    frame = log.frame
    here = frame[DOMAIN].astype(str).isin(set(data.items)).to_numpy()
    if here.any() and not here.all():
        logger.warning(
            "%s of the history not used, of unknown domains (%s); the model knows %s.",
            counted(int((~here).sum()), "row"),
            ", ".join(frame[DOMAIN][~here].astype(str).unique()),
            ", ".join(data.items),
        )
    rows = frame[here] if here.any() else frame
    check_items("the history", rows, data.items, "the model", many=0, effect="They are not used.")
    given = frame[USER_ID].unique()
    check_join(
        "user", "the history", found_in(given, users), "the request", ours=given, theirs=users,
        many=1, refuse=False, effect="The history changes nothing.",
    )  # fmt: skip
    return log
