"""The counts of common data sets as published, to compare an import with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from graphgen.errors import counted

__all__ = ["Counts", "compare_counts"]

# A set whose files have no name of their own is known where all counts come so near.
NEAR = 0.05


class Counts(NamedTuple):
    """Users, items and rows of a log."""

    users: int
    items: int
    rows: int


@cache
def _published() -> dict[str, list[dict[str, str | int]]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def compare_counts(kind: str, paths: Sequence[str], found: Counts) -> tuple[bool, str] | None:
    """Compare a log with the set that it seems to be.

    Returns
    -------
    tuple of bool and str, or None
        Whether the counts are those published, and a sentence; None where no set is known.

    Examples
    --------
    >>> compare_counts("movielens", ["ml-1m/ratings.dat"], Counts(6040, 3706, 1000208))
    (False, 'MovieLens 1M is published with 6,040 users, 3,706 items and 1,000,209 rows; found here:
    1 row less.')
    """
    sets = [
        (str(one["name"]), one.get("files"), _counts(one)) for one in _published().get(kind, [])
    ]
    text = " ".join(paths).replace("\\", "/").lower()
    named = [(name, due) for name, files, due in sets if files and re.search(str(files), text)]
    near = [
        (name, due)
        for name, _, due in sets
        if all(abs(a - b) <= NEAR * b for a, b in zip(found, due, strict=True))
    ]
    if not named and not near:
        return None
    name, due = (near or named)[0]
    if found == due:
        return True, f"Users, items and rows are those published of {name}."
    parts = []
    for noun, here, there in zip(("user", "item", "row"), found, due, strict=True):
        if here != there:
            word = "more" if here > there else "less"
            parts.append(f"{counted(abs(here - there), noun)} {word}")
    return False, (
        f"{name} is published with {due.users:,} users, {due.items:,} items and {due.rows:,} rows; "
        f"found here: {', '.join(parts)}."
    )


def _counts(one: dict[str, str | int]) -> Counts:
    return Counts(int(one["users"]), int(one["items"]), int(one["rows"]))
