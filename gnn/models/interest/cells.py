"""Which people count together in a mean over kinds, domains and people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["MIN_USERS", "Cell", "cells_by_kind", "large_kinds"]

# With fewer people than this a domain does not count on its own, nor a kind beside a larger one.
MIN_USERS = 20

# A kind of held-out rows, by its position in `KINDS`, in a domain.
Cell: TypeAlias = tuple[int, str]


def cells_by_kind(users: Mapping[Cell, int]) -> dict[int, list[list[Cell]]]:
    """Return, by kind, the groups of cells whose people count as one; the groups count alike.

    A domain with 20 people is a group, and smaller ones are left out beside it. Where all are
    smaller they are one group.

    Parameters
    ----------
    users
        How many people each cell has.

    Examples
    --------
    >>> cells_by_kind({(0, "book"): 20, (0, "film"): 3, (1, "book"): 2, (1, "film"): 1})
    {0: [[(0, 'book')]], 1: [[(1, 'book'), (1, 'film')]]}
    """
    kinds: dict[int, list[Cell]] = {}
    for cell, number in users.items():
        if number:
            kinds.setdefault(cell[0], []).append(cell)
    return {
        kind: [[cell] for cell in own if users[cell] >= MIN_USERS] or [own]
        for kind, own in sorted(kinds.items())
    }


def large_kinds(users: Mapping[Cell, int]) -> list[list[list[Cell]]]:
    """Return the groups of each kind, without kinds of fewer than 20 people beside a larger one.

    Such a kind would count as much.

    Parameters
    ----------
    users
        How many people each cell has.

    Examples
    --------
    >>> large_kinds({(0, "book"): 20, (1, "book"): 2})
    [[[(0, 'book')]]]
    """
    kinds = list(cells_by_kind(users).values())
    large = [own for own in kinds if sum(users[c] for group in own for c in group) >= MIN_USERS]
    return large or kinds
