"""A reason in one sentence, composed from its tables and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gnn.interests.sentences import listing

__all__ = ["because"]

# Interactions that a sentence names, and the share of the first that the next must have.
NAMED, NEARLY = 2, 0.4
# Share of the score from which on interactions are most of it, and under which they are few.
MOST, LITTLE = 0.5, 0.1
WORDS = 3
TITLE_LENGTH = 60
HOW = {
    "filter": "users of these choose it too",
    "gnn": "it is near them in the interest graph",
    "popularity": "it is popular",
    "factors": "it fits the user's taste by latent factors",
    "semantic": "its text is similar",
    "ridge": "users of these choose it too",
    "sequence": "it follows the user's latest items in other histories",
    "recent": "it is near the user's latest items in the interest graph",
    "item-knn": "users of these choose it too",
    "user-knn": "users with a similar history choose it",
    "graph-filter": "users of these choose it too",
    "ease": "users of these choose it too",
    "text-knn": "its text is similar",
}


def because(
    title: str,
    domain: str,
    interactions: pd.DataFrame,
    experts: pd.DataFrame,
    interests: pd.DataFrame,
    words: Sequence[str],
    fallback: str = "",
) -> str:
    """Say why an item is recommended, from the tables of an `Explanation`.

    `fallback` is the reason of `gnn.recommending.FALLBACKS` why the user gets popular items.

    Examples
    --------
    >>> rows = pd.DataFrame({"domain": "book", "title": ["Dune", "Emma"], "share": [0.6, 0.1]})
    >>> experts = pd.DataFrame({"expert": ["filter"], "share": [1.0]})
    >>> none = pd.DataFrame({"interest": []})
    >>> because("Alien", "film", rows, experts, none, ["space"])
    'Mostly because of “Dune” from book (60 %): users of these choose it too. Word in common:
    space.'
    """
    if fallback:
        return f"“{_short(title)}” is popular in {domain} ({fallback.partition(': ')[2]})."
    carried = interactions[interactions["share"] > 0]
    explained = float(interactions["share"].sum())
    if not len(carried) or carried["share"].iloc[0] <= 0:
        return f"“{_short(title)}” is popular in {domain}; no interaction of the user raises it."
    named = carried[carried["share"] >= NEARLY * carried["share"].iloc[0]].head(NAMED)
    start = "Mostly because" if named["share"].sum() >= MOST else "Above all because"
    if explained < LITTLE:
        start = "Mostly because it is popular, and a little because"
    items = [
        f"“{_short(row.title)}”"
        + ("" if row.domain == domain else f" from {row.domain}")
        + f" ({100 * row.share:.0f} %)"
        for row in named.itertuples()
    ]
    how = [HOW[name] for name in experts["expert"] if name in HOW and name != "popularity"]
    text = f"{start} of {' and '.join(items)}" + (f": {how[0]}" if how else "") + "."
    if len(interests):
        text += f" Interest in common: {listing(interests['interest'].tolist()[:1])}."
    if words:
        noun = "Word" if len(words[:WORDS]) == 1 else "Words"
        text += f" {noun} in common: {', '.join(words[:WORDS])}."
    against = interactions[interactions["share"] < -LITTLE]
    if len(against):
        text += f" Against it: “{_short(against['title'].iloc[-1])}”."
    return text


def _short(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else f"{title[: TITLE_LENGTH - 1].rstrip()}…"
