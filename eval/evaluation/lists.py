"""Reading of recommendation lists of any system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from eval.evaluation.inputs import clean_ids, id_codes_of, named
from eval.metrics.base import Array
from graphgen.arrays import place_among, place_in_group
from graphgen.errors import InputError
from graphgen.reading.cleaning import arrow_column, to_floats
from graphgen.reading.columns import LISTS
from graphgen.reading.files import read_tables
from graphgen.reading.frames import as_frame
from graphgen.reading.normalise import DEFAULT_DOMAIN, with_own_users
from graphgen.schema import DOMAIN, ITEM_ID, RANK, SCORE, USER_ID
from graphgen.topk import tie_noise

__all__ = ["read_lists", "read_recommendations"]


def read_lists(source: Any, separate_users: Sequence[str] = (), **options: Any) -> pd.DataFrame:
    """Read a file of recommendations as it stands; `options` as of `graphgen.log_files.read_log`.

    Users of the domains `separate_users` get the domain before their id.

    Raises
    ------
    InputError
        If the file is missing or unreadable, or has no users or items.
    """
    frames, _, _ = read_tables([source], LISTS, clean_ids, **options)
    frame = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return with_own_users(frame, separate_users)


def read_recommendations(
    source: Any, *, seed: int = 0, domains: Sequence[str] = ()
) -> pd.DataFrame:
    """Read recommendation lists of any system and check them.

    Parameters
    ----------
    source
        DataFrame or path with user_id, domain, item_id and ``rank`` (from 1 without gaps) or
        ``score``. With both, the rank decides; without a rank, equal scores are ordered at random.
    seed
        Seed of that order.
    domains
        Domains of the truth; lists without a domain are in the only one.

    Returns
    -------
    pandas.DataFrame
        user_id, domain, item_id as text and rank int64.

    Raises
    ------
    InputError
        If there is no row; a rank or a deciding score is missing, NaN or infinite; a user is
        recommended an item twice; ranks do not run 1, 2, 3 ...

    Examples
    --------
    >>> import pandas as pd
    >>> recs = pd.DataFrame({"user_id": "u", "domain": "books", "item_id": ["a", "b"],
    ...                      "score": [0.2, 0.9]})
    >>> read_recommendations(recs)["rank"].tolist()
    [2, 1]
    """
    what = "The recommendations"
    source = as_frame(source)
    frame = source if isinstance(source, pd.DataFrame) else read_lists(source)
    frame = named(frame, LISTS, what)
    if DOMAIN not in frame:
        if len(domains) > 1:
            raise InputError(
                f"{what} have no column 'domain', and the truth has {len(domains)}: "
                f"{', '.join(domains)}. Add the column, or give a file for one as DOMAIN=PATH."
            )
        frame = frame.assign(**{DOMAIN: (*domains, DEFAULT_DOMAIN)[0]})
    decisive = RANK if RANK in frame.columns else SCORE
    if decisive not in frame.columns:
        raise InputError(f"{what} have neither a column 'rank' nor 'score' to order them by.")
    if not len(frame):
        raise InputError(f"{what} have no row.")
    values, _, _ = to_floats(arrow_column(frame[decisive]))
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(bad.argmax())
        raise InputError(
            f"{what}: column {decisive!r} must hold finite numbers; {int(bad.sum())} do not "
            f"(first: row {first + 1}, {frame[decisive].iloc[first]!r})."
        )
    user, user_ids = id_codes_of(frame[USER_ID])
    domain, domain_ids = id_codes_of(frame[DOMAIN])
    item, item_ids = id_codes_of(frame[ITEM_ID])
    unit = domain * len(user_ids) + user
    _refuse_duplicates(unit * len(item_ids) + item, frame)
    if decisive == SCORE:
        # Noise of the content, not of the row: the order of the file decides nothing.
        rank = place_among(unit, -values, tie_noise(unit, item, seed=seed)) + 1
    else:
        rank = values.astype(np.int64)
        _check_ranks(unit, rank, values, frame)
    columns = {USER_ID: (user, user_ids), DOMAIN: (domain, domain_ids), ITEM_ID: (item, item_ids)}
    return pd.DataFrame(
        {n: pd.Categorical.from_codes(code, pd.Index(ids)) for n, (code, ids) in columns.items()}
        | {RANK: rank}
    )


def _where(frame: pd.DataFrame, row: int) -> str:
    line = frame.iloc[row]
    return f"user {line[USER_ID]!r}, domain {line[DOMAIN]!r}, item {line[ITEM_ID]!r}"


def _refuse_duplicates(pair: Array, frame: pd.DataFrame) -> None:
    repeated = np.flatnonzero(pd.Series(pair).duplicated())
    if repeated.size:
        raise InputError(
            f"The recommendations hold an item twice in one list, in {repeated.size} cases "
            f"(first: {_where(frame, int(repeated[0]))}); a second place cannot count."
        )


def _check_ranks(unit: Array, rank: Array, values: Array, frame: pd.DataFrame) -> None:
    order = np.lexsort((rank, unit))
    due = place_in_group(unit[order]) + 1
    wrong = order[(rank[order] != due) | (values[order] != rank[order])]
    if wrong.size:
        row = int(wrong[0])
        raise InputError(
            "The ranks of a list must run 1, 2, 3 ... without gaps or repeats; found "
            f"{values[row]:g} out of turn ({_where(frame, row)}). Drop the column 'rank' to order "
            "by score."
        )
