"""Conditions on the columns of a table, such as ``available=yes and price<20``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd

from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.schema import DOMAIN

__all__ = ["Condition", "RowCondition", "number_in"]

TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<sign><=|>=|!=|<>|==|[=<>(),])|(?P<word>[^\s()=!<>,'"]+))"""
)
NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
PREFIX: Final = re.compile(r"""([^<>=!:'"()]+):""")
DECIMAL_COMMA: Final = r"^([+-]?\d+),(\d+)$"
ORDER: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
EQUAL: Final = {"=": False, "==": False, "!=": True, "<>": True}
MAX_DEPTH: Final = 50
SEPARATOR: Final = "|"
GRAMMAR: Final = "column=value, != < <= > >=, in (a, b), and, or, not, parentheses, 'quoted text'"

Mask: TypeAlias = Callable[[pd.DataFrame], np.ndarray]
# A token: its kind (a sign stands for itself, else "word" or "text") and its text.
Token: TypeAlias = tuple[str, str]


class Condition:
    """A condition on the columns of a table of text.

    ``and``, ``or``, ``not`` and parentheses combine comparisons ``column OP value`` with ``=``,
    ``!=``, ``<``, ``<=``, ``>``, ``>=`` and ``in (value, value)``. Values are words, numbers or
    quoted text; a column with blanks in its name is quoted. A number is compared with the cells
    that are numbers (also with a decimal comma), a word or quoted text with the text of the cells,
    whatever the case; ``<`` and its like order text by code point, which is right for ISO dates.
    Equality holds for one of several values separated by ``|``. An empty cell fulfils no
    comparison but ``!=`` and ``column=''``.

    Parameters
    ----------
    text
        The condition.

    Attributes
    ----------
    columns : list of str
        The columns that it looks at.

    Raises
    ------
    ConfigError
        If the text does not follow the grammar; it says where.

    Examples
    --------
    >>> items = pd.DataFrame({"available": ["yes", "no", "Yes"], "price": ["12,50", "8", "40"]})
    >>> Condition("available=yes and price<20").mask(items).tolist()
    [True, False, False]
    >>> Condition("not (price in (8, 40))").mask(items).tolist()
    [True, False, False]
    >>> Condition("colour=red").mask(items)
    Traceback (most recent call last):
        ...
    graphgen.errors.InputError: No column is named 'colour'; there are 'available', 'price'.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ConfigError(f"A condition is text, such as 'price<20'; got {text!r:.60}.")
        self.text = text
        self._tokens = _tokens(text)
        self._at = self._depth = 0
        self.columns: list[str] = []
        self._mask = self._any_of()
        if self._at < len(self._tokens):
            raise self._error("the end, `and` or `or`")

    def mask(self, frame: pd.DataFrame) -> np.ndarray:
        """Return bool [rows], whether each row fulfils the condition.

        Raises
        ------
        InputError
            If a column is not there, or has no number to compare with one.
        """
        return self._mask(frame)

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    # Recursive descent: any_of > all_of > one > comparison ---------------------------------

    def _any_of(self) -> Mask:
        return self._joined("or", self._all_of, np.logical_or)

    def _all_of(self) -> Mask:
        return self._joined("and", self._one, np.logical_and)

    def _joined(self, word: str, part: Callable[[], Mask], join: np.ufunc) -> Mask:
        parts = [part()]
        while self._take_word(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return lambda frame: join.reduce([mask(frame) for mask in parts])

    def _one(self) -> Mask:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ConfigError(f"A condition is nested {MAX_DEPTH} deep at most: {self.text:.60}")
        if self._take_word("not"):
            inner = self._one()
            mask: Mask = lambda frame: ~inner(frame)  # noqa: E731
        elif self._take("("):
            mask = self._any_of()
            self._need(")")
        else:
            mask = self._comparison()
        self._depth -= 1
        return mask

    def _comparison(self) -> Mask:
        column = self._value("a column")[1]
        self.columns.append(column)
        if self._take_word("not"):
            if not self._take_word("in"):
                raise self._error("`in`")
            return _negated(self._members(column))
        if self._take_word("in"):
            return self._members(column)
        sign = self._next()[0]
        if sign not in ORDER and sign not in EQUAL:
            self._at -= 1
            raise self._error("= != < <= > >= or in")
        value = self._value("a value")
        if sign in ORDER:
            return lambda frame: _ordered(_cells(frame, column), column, sign, value)
        mask: Mask = lambda frame: _equal(_cells(frame, column), value)  # noqa: E731
        return _negated(mask) if EQUAL[sign] else mask

    def _members(self, column: str) -> Mask:
        self._need("(")
        values = [self._value("a value")]
        while self._take(","):
            values.append(self._value("a value"))
        self._need(")")

        def mask(frame: pd.DataFrame) -> np.ndarray:
            cells = _cells(frame, column)
            found: np.ndarray = np.logical_or.reduce([_equal(cells, value) for value in values])
            return found

        return mask

    def _next(self) -> Token:
        token = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        self._at += 1
        return token

    def _take(self, kind: str) -> bool:
        found = self._next()[0] == kind
        self._at -= not found
        return found

    def _take_word(self, word: str) -> bool:
        kind, text = self._next()
        found = kind == "word" and text.lower() == word
        self._at -= not found
        return found

    def _need(self, kind: str) -> None:
        if not self._take(kind):
            raise self._error(f"`{kind}`")

    def _value(self, what: str) -> Token:
        token = self._next()
        if token[0] not in ("word", "text"):
            self._at -= 1
            raise self._error(what)
        return token

    def _error(self, wanted: str) -> ConfigError:
        rest = self._tokens[self._at : self._at + 1]
        found = f"before {rest[0][1]!r}" if rest else "at the end"
        return ConfigError(
            f"The condition {self.text!r:.120} lacks {wanted} {found}; it may have {GRAMMAR}."
        )


class RowCondition:
    """A `Condition` on the rows of a log, of one domain where ``DOMAIN:`` stands before it.

    Parameters
    ----------
    text
        Such as ``rating>=4`` or ``books:rating>=4 or event=like``.

    Attributes
    ----------
    text, plain
        As it was written; the condition alone, with blanks.
    domain
        Domain of the rows it is about; None for all.
    columns
        The columns that it looks at.

    Raises
    ------
    ConfigError
        If the text does not follow the grammar.

    Examples
    --------
    >>> log = pd.DataFrame({"domain": ["books", "books", "films"], "rating": [4.0, 2.0, 5.0]})
    >>> [rows.tolist() for rows in RowCondition("books: rating>=4").rows(log)]
    [[True, True, False], [True, False, False]]
    """

    def __init__(self, text: str) -> None:
        prefix = PREFIX.match(text)
        self.text = text
        self.domain = prefix[1].strip() if prefix else None
        self._condition = Condition(text[prefix.end() :] if prefix else text)
        self.columns = self._condition.columns
        self.plain = " ".join(
            repr(value) if kind == "text" else value for kind, value in self._condition._tokens
        )

    def rows(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return bool [n], the rows it is about, which have a value, and those that fulfil it."""
        about = np.ones(len(frame), dtype=bool)
        if self.domain is not None:
            about &= (frame[DOMAIN] == self.domain).to_numpy(bool)
        for column in self.columns:
            name = _name(frame, column)
            filled = False if name is None else (frame[name].notna() & (frame[name] != ""))
            about &= np.asarray(filled, dtype=bool)
        holds = about.copy()
        if about.any():
            holds[about] = self._condition.mask(frame[about])
        return about, holds


def number_in(text: str) -> float | None:
    """Return the finite number that a text is, else None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _tokens(text: str) -> list[Token]:
    tokens, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ConfigError(
                f"The condition {text!r:.120} cannot be read from {text[at : at + 20]!r} on; "
                f"it may have {GRAMMAR}."
            )
        kind = str(match.lastgroup)
        value = match[kind]
        tokens.append((value if kind == "sign" else kind, value[1:-1] if kind == "text" else value))
        at = match.end()
    return tokens


def _negated(mask: Mask) -> Mask:
    return lambda frame: ~mask(frame)


def _name(frame: pd.DataFrame, column: str) -> Any:
    """Return the name of a column, found but for case; None if there is none."""
    names = {str(name).strip().lower(): name for name in reversed(frame.columns)}
    return column if column in frame else names.get(column.strip().lower())


def _cells(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as text, "" where empty; numbers stay numbers."""
    name = _name(frame, column)
    if name is None:
        known = [str(name) for name in frame.columns]
        there = f"there are {', '.join(map(repr, known))}."
        hint = near_miss(column, known, there)
        raise InputError(f"No column is named {column!r}; {hint}")
    cells = frame[name]
    if cells.dtype.kind == "f":
        return cells
    return cells.astype(object).where(cells.notna(), "").astype(str).str.strip()


def _numbers(cells: pd.Series) -> np.ndarray:
    if cells.dtype.kind == "f":
        return cells.to_numpy()  # float32 as it is: 0.1 must equal 0.1
    plain = cells.str.replace(DECIMAL_COMMA, r"\1.\2", regex=True)
    return pd.to_numeric(plain, errors="coerce").to_numpy(np.float64)


def _is_number(value: Token) -> bool:
    return value[0] == "word" and NUMBER.fullmatch(value[1]) is not None


def _equal(cells: pd.Series, value: Token) -> np.ndarray:
    wanted = value[1].casefold()
    if cells.dtype.kind == "f":
        number = number_in(value[1])
        nothing = np.zeros(len(cells), dtype=bool)
        return nothing if number is None else _numbers(cells) == cells.dtype.type(number)
    lower = cells.str.casefold()
    found = lower == wanted
    several = lower.str.contains(SEPARATOR, regex=False)
    if several.any():
        parts = lower[several].str.split(SEPARATOR)
        found[several] = [wanted in map(str.strip, part) for part in parts]
    result = found.to_numpy(bool)
    return result | (_numbers(cells) == float(value[1])) if _is_number(value) else result


def _ordered(cells: pd.Series, column: str, sign: str, value: Token) -> np.ndarray:
    filled, numbers = (cells != "").to_numpy(bool), _numbers(cells)
    if _is_number(value):
        if numbers.dtype == np.float32:
            return np.asarray(ORDER[sign](numbers, np.float32(value[1])))
        if filled.any() and np.isnan(numbers).all():
            raise InputError(
                f"No row has a number in column {column!r} to compare with {value[1]}; it holds, "
                f"for instance, {cells[filled].iloc[0]!r}."
            )
        compared: np.ndarray = ORDER[sign](numbers, float(value[1]))
        return compared
    if filled.any() and not np.isnan(numbers[filled]).any():
        raise InputError(f"Column {column!r} holds numbers; {value[1]!r} is none.")
    return filled & ORDER[sign](cells, value[1]).to_numpy(bool)
