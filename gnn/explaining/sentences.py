"""A reason in one sentence, composed from its tables and nothing else."""

from __future__ import annotations

from typing import NamedTuple

from gnn.interests.sentences import listing

__all__ = ["Facts", "because"]

# Interactions that a sentence names, and the share of the first that the next must have.
NAMED, NEARLY = 2, 0.4
# Share of the score from which on interactions are most of it, and under which they are few.
MOST, LITTLE = 0.5, 0.1
WORDS = 3
TITLE_LENGTH = 60
CO_CONSUMED = "users of {them} choose this item too"
HOW = {
    "filter": CO_CONSUMED,
    "gnn": "this item is near {them} in the interest graph",
    "factors": "this item fits the user's taste by latent factors",
    "semantic": "the texts are similar",
    "ridge": CO_CONSUMED,
    "sequence": "this item follows the user's latest items in other histories",
    "recent": "this item is near the user's latest items in the interest graph",
    "profile": "users with a similar profile or similar searches choose this item",
    "item-knn": CO_CONSUMED,
    "user-knn": "users with a similar history choose this item",
    "graph-filter": CO_CONSUMED,
    "ease": CO_CONSUMED,
    "text-knn": "the texts are similar",
}


class Facts(NamedTuple):
    """What there is to say about a recommendation, the most important of each first."""

    interactions: list[tuple[str, str, str, float]]
    """Domain, id, title and share of the score."""
    experts: list[tuple[str, float]]
    """Name and share of the score."""
    interests: list[tuple[str, float, float]]
    """Name and shares of user and item."""
    words: tuple[str, ...]


def because(title: str, domain: str, facts: Facts, fallback: str = "") -> str:
    """Say why an item of a domain is recommended.

    `fallback` is the reason of `gnn.recommending.FALLBACKS` why the user gets popular items.

    Examples
    --------
    >>> rows = [("book", "b1", "Dune", 0.6), ("book", "b2", "Emma", 0.1)]
    >>> because("Alien", "film", Facts(rows, [("filter", 1.0)], [], ("space",)))
    'Mostly because of “Dune” from book (60 %): users of it choose this item too. Word in common:
    space.'
    """
    if fallback:
        return f"“{_short(title)}” is popular in {domain} ({fallback.partition(': ')[2]})."
    rows = facts.interactions
    if not rows or rows[0][-1] <= 0:
        return f"“{_short(title)}” is popular in {domain}; no interaction of the user raises it."
    named = [row for row in rows[:NAMED] if row[-1] >= NEARLY * rows[0][-1]]
    most = sum(row[-1] for row in named) >= MOST
    start = "Mostly because of" if most else "Above all because of"
    if sum(row[-1] for row in rows) < LITTLE:
        start = "Mostly because it is popular, and a little because of"
    items = [
        f"“{_short(name)}”" + ("" if of == domain else f" from {of}") + f" ({100 * share:.0f} %)"
        for of, _, name, share in named
    ]
    text = f"{start} {' and '.join(items)}"
    how = [HOW[name] for name, _ in facts.experts if name in HOW]
    text += f": {how[0].format(them='it' if len(named) == 1 else 'them')}." if how else "."
    if facts.interests:
        text += f" Interest in common: {listing([facts.interests[0][0]])}."
    if words := facts.words[:WORDS]:
        text += f" {'Word' if len(words) == 1 else 'Words'} in common: {', '.join(words)}."
    if rows[-1][-1] < -LITTLE:
        text += f" Against it: “{_short(rows[-1][2])}”."
    return text


def _short(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else f"{title[: TITLE_LENGTH - 1].rstrip()}…"
