"""A profile in a sentence, composed from the tables and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

__all__ = ["listing", "sentence"]

# Interests that a sentence names, and the share of the first that the next must have to be named.
NAMED, NEARLY = 3, 0.4
# Share from which on interests are most of a user's.
MOST = 0.5


def sentence(
    rows: pd.DataFrame, moved: pd.Series | None = None, coming: pd.Series | None = None
) -> str:
    """Say who a user is, by the rows of `gnn.interests.profile` about that user.

    Parameters
    ----------
    rows
        The user's rows.
    moved
        The user's row of `gnn.interests.drift`; None where it was not tested.
    coming
        interest, interest_probability, domain and domain_probability of the next interaction;
        None where they are not known.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "interest": ["Historical", "Strategy"], "share": [0.5, 0.3],
    ...     "domains": ["books", "games"], "interactions": [6, 4], "established": True})
    >>> moved = pd.Series({"drifts": True, "since": pd.Timestamp("2024-03-02"), "p_value": 0.005,
    ...     "away_from": "Historical", "towards": "Strategy"})
    >>> sentence(rows, moved)
    'Mostly Historical (50 %) and Strategy (30 %), in books and games; moving from Historical
    towards Strategy since March 2024.'
    """
    names, shares = rows["interest"].tolist(), rows["share"].tolist()
    if not rows["interactions"].any():
        return f"Nothing is known about this user. Popular interests: {listing(names[:NAMED])}."
    sure = rows[rows["established"]]
    if len(sure):
        kept = sure[sure["share"] >= NEARLY * sure["share"].iloc[0]].head(NAMED)
        named = [
            f"{listing([name])} ({100 * share:.0f} %)"
            for name, share in zip(kept["interest"], kept["share"], strict=True)
        ]
        domains = dict.fromkeys("|".join(kept["domains"]).split("|"))
        start = "Mostly " if kept["share"].sum() >= MOST else "Above all "
        text = f"{start}{_and(named)}, in {listing([*domains][:NAMED])}"
    else:
        text = (
            f"No interest is established yet; the most likely is {listing(names[:1])} "
            f"({100 * shares[0]:.0f} %)"
        )
    if moved is not None:
        if moved["drifts"]:
            away, towards = listing([moved["away_from"]]), listing([moved["towards"]])
            since = moved["since"].strftime("%B %Y")
            text += f"; moving from {away} towards {towards} since {since}"
        else:
            text += "; no significant change over time"
    text += "."
    if coming is not None:
        chances = [100 * coming[f"{name}_probability"] for name in ("interest", "domain")]
        text += (
            f" Most likely next: {listing([coming['interest']])} ({chances[0]:.0f} %), in "
            f"{coming['domain']} ({chances[1]:.0f} %)."
        )
    return text


def listing(names: Sequence[Any]) -> str:
    """Join names by commas and "and"; those with commas in them stand in quotes.

    Examples
    --------
    >>> listing(["books", "films", "games"])
    'books, films and games'
    >>> listing(["tea, cups", "games"])
    '“tea, cups” and games'
    """
    *first, last = (f"“{name}”" if "," in str(name) else str(name) for name in names)
    return _and([*first, last])


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
