"""Joins of two inputs: rows without a partner are counted and told, and refused where it is all."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd

from graphgen.errors import InputError, counted
from graphgen.schema import DOMAIN, ITEM_ID
from graphgen.vocabulary import Vocabulary

__all__ = ["check_items", "check_join", "found_in"]

logger = logging.getLogger(__name__)

# Share of lost rows from which on a join warns.
MANY: Final = 0.1
# Ids of either side that a message names, and ids by which a common spelling is looked for.
NAMED, COMPARED = 2, 1000
# Spellings under which ids that differ may be equal, by what is different between them.
SPELLINGS: Final = {
    "a '.0' behind them": lambda ids: ids.str.removesuffix(".0"),
    "upper and lower case": lambda ids: ids.str.casefold(),
    "zeros before them": lambda ids: ids.str.lstrip("0"),
    "blanks": lambda ids: ids.str.replace(r"\s", "", regex=True),
    "a prefix that is no number": lambda ids: ids.str.replace(r"^\D+", "", regex=True),
}


def found_in(ids: Iterable[Any], known: Iterable[Any]) -> np.ndarray:
    """Return bool [n], which of the ids are among the known ones.

    Examples
    --------
    >>> found_in(["a", "b"], ["b"]).tolist()
    [False, True]
    """
    found: np.ndarray = pd.Index(ids).isin(pd.Index(known))
    return found


def check_join(
    noun: str,
    of: str,
    found: np.ndarray,
    where: str,
    *,
    ours: Iterable[Any] = (),
    theirs: Iterable[Any] = (),
    effect: str = "",
    many: float = MANY,
    refuse: bool = True,
    remedy: str = "Do ids and domains match?",
) -> int:
    """Count the rows of one input that have no partner in another; warn of many, refuse all.

    Parameters
    ----------
    noun, of
        What is looked up, in the singular, and the input that holds it.
    found
        bool [n], whether each has a partner.
    where
        The other input.
    ours, theirs
        Ids of either side as they are spelled; those of `ours` in the order of `found`.
    effect
        Sentence on what becomes of those without a partner.
    many
        Share of them from which on there is a warning.
    refuse
        Raise where all are lost; else warn of it, unless another spelling explains it.
    remedy
        Sentence that ends the error where no other spelling explains it.

    Returns
    -------
    int
        Number without a partner.

    Raises
    ------
    InputError
        If there are some and none has a partner.

    Examples
    --------
    >>> check_join("item", "the table", found_in(["1", "2"], ["1.0", "2.0"]), "the log",
    ...            ours=["1", "2"], theirs=["1.0", "2.0"])
    Traceback (most recent call last):
        ...
    graphgen.errors.InputError: None of 2 items of the table occurs in the log: the table has '1', \
'2', the log has '1.0', '2.0'. Without a '.0' behind them, ids match.
    """
    found = np.asarray(found, dtype=bool)
    total, lost = len(found), int((~found).sum())
    if not lost or lost < many * total:
        return lost
    all_lost = lost == total
    if all_lost:
        said = f"None of {counted(total, noun)} of {of} occurs in {where}"
    else:
        do = "does" if lost == 1 else "do"
        said = f"{lost:,} of {counted(total, noun)} of {of} {do} not occur in {where}"
    missing = np.asarray(list(ours), dtype=object)
    missing = missing[~found] if len(missing) == total else missing
    theirs = list(theirs)
    sides = ", ".join(filter(None, (_examples(of, missing), _examples(where, theirs))))
    said += f": {sides}." if sides else "."
    hint = _spelling(missing, theirs) if lost > total / 2 else ""
    if all_lost and (refuse or hint):
        raise InputError(f"{said} {hint or remedy}")
    logger.warning("%s", " ".join(filter(None, (said, hint, effect))))
    return lost


def check_items(
    of: str, frame: pd.DataFrame, items: Mapping[str, Vocabulary], where: str, **options: Any
) -> int:
    """Look the items of a table up, each once.

    Parameters
    ----------
    of, where
        The table, and the input that has the items.
    frame
        Columns domain and item_id.
    items
        Known items by domain.
    **options
        Of `check_join`.
    """
    pairs = frame[[DOMAIN, ITEM_ID]].drop_duplicates()
    ids = np.asarray(pairs[ITEM_ID], dtype=object)
    names = pairs[DOMAIN].astype(str).to_numpy()
    found = np.zeros(len(pairs), dtype=bool)
    for domain in np.unique(names):
        if domain in items:
            own = names == domain
            found[own] = items[domain].encode(ids[own], missing="mark") >= 0
    strange = sorted(set(names) - set(items))
    if strange and not found.any():
        of = f"{of} ({', '.join(strange)})"
        where = f"{where} ({', '.join(items)})"
    theirs = [name for domain in items for name in items[domain].ids[:COMPARED]]
    return check_join("item", of, found, where, ours=ids, theirs=theirs, **options)


def _examples(owner: str, ids: Iterable[Any]) -> str:
    shown = [repr(str(name)) for name in islice(dict.fromkeys(ids), NAMED)]
    return f"{owner} has {', '.join(shown)}" if shown else ""


def _spelling(ours: Iterable[Any], theirs: Iterable[Any]) -> str:
    """Return a sentence on the spelling under which most of our ids are theirs, or ""."""
    first = pd.Series(list(islice(dict.fromkeys(ours), COMPARED)), dtype=object).astype(str)
    second = pd.Series(list(dict.fromkeys(theirs)), dtype=object).astype(str)
    if not len(first) or not len(second):
        return ""
    for difference, spelled in SPELLINGS.items():
        ids = spelled(first)
        if (ids.isin(set(spelled(second))) & (ids != "")).mean() > 0.5:
            return f"Without {difference}, ids match."
    return ""
