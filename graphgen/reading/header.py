"""What the first lines of a delimited file say: separator, comments and the names of columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from graphgen.schema import ITEM_ID, RATING, TIMESTAMP, USER_ID

__all__ = [
    "bare_names",
    "is_comment",
    "movielens_names",
    "numbered",
    "sniff_delimiter",
    "stated",
    "unique_names",
]

DELIMITERS = ("::", ",", "\t", ";", "|")
STATED = re.compile(r"^\ufeff?\"?sep=(.)\"?\s*$", re.IGNORECASE)
TYPED = re.compile(r"^(.+):(token|token_seq|float|float_seq)$")
LARGEST_RATING, FIRST_TIME = 10, 10**8


def stated(line: str) -> str | None:
    """Return the separator of a first line such as ``sep=;``, as spreadsheets write it."""
    found = STATED.match(line)
    return found[1] if found else None


def sniff_delimiter(line: str, known: Collection[str], default: str = ",") -> str:
    """Return the separator that a header has most of, a blank where it is one of `known` names.

    Examples
    --------
    >>> sniff_delimiter("user_id;item_id", ["user_id"]), sniff_delimiter("1::2::5", [])
    (';', '::')
    >>> sniff_delimiter("user_id item_id", ["user_id"]), sniff_delimiter("user name", [])
    (' ', ',')
    """
    counts = {mark: line.count(mark) for mark in DELIMITERS}
    best = max(counts, key=lambda mark: counts[mark])
    if counts[best]:
        return best
    tokens = line.lower().split()
    return " " if len(tokens) > 1 and set(tokens) & set(known) else default


def is_comment(line: str, known: Collection[str]) -> bool:
    """Tell whether a line above the header is a comment: it starts with # and has no known name."""
    words = set(re.split(r"[^\w]+", line.lower()))
    return line.lstrip("\ufeff ").startswith("#") and not words & set(known)


def bare_names(names: Sequence[str]) -> list[str]:
    """Take the types off headers such as ``user_id:token``, if all names have one.

    Examples
    --------
    >>> bare_names(["user_id:token", "rating:float"]), bare_names(["#user_id", "a:token"])
    (['user_id', 'rating'], ['user_id', 'a:token'])
    """
    typed = [TYPED.match(name.strip()) for name in names]
    if names and all(typed):
        return [found[1] for found in typed if found]
    return [names[0].lstrip("# "), *names[1:]] if names and names[0].startswith("#") else [*names]


def numbered(names: Sequence[str], wanted: Collection[str]) -> list[str] | None:
    """Return "1", "2", ... if columns are asked for by number and the first line is no header."""
    numbers = [name for name in wanted if name.isdecimal()]
    if not numbers or any(not 1 <= int(name) <= len(names) for name in numbers):
        return None
    if set(numbers) <= set(names) and not all(map(_is_number, names)):
        return None
    return [str(place + 1) for place in range(len(names))]


def movielens_names(names: Sequence[str]) -> list[str] | None:
    """Return the names of a first line that is user, item, rating and unix time; else None."""
    if len(names) != 4 or not all(map(_is_number, names)):
        return None
    is_rating = 0 <= float(names[2]) <= LARGEST_RATING
    if not is_rating or not names[3].isdecimal() or int(names[3]) < FIRST_TIME:
        return None
    return [USER_ID, ITEM_ID, RATING, TIMESTAMP]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*-?\d{1,20}(\.\d{0,20})?\s*", text) is not None


def unique_names(header: list[str]) -> list[str]:
    """Make names unique; a blank name stays blank, which means that the column is not wanted."""
    keys: list[str] = []
    for at, name in enumerate(header):
        key = name if name.strip() else " " * (at + 1)
        n = 1
        while key in keys:
            n += 1
            key = f"{name} ({n})"
        keys.append(key)
    return keys
