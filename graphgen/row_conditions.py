"""Conditions on the columns of a table, such as ``rating>=4``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from graphgen.errors import ConfigError
from graphgen.schema import DOMAIN, RATING, WEIGHT

__all__ = ["Condition", "conditions", "fulfilled", "number_in"]

# Other columns are compared as text with = and !=.
NUMBERS: Final = (RATING, WEIGHT)
OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    "!=": np.not_equal,
    "==": np.equal,
    "=": np.equal,
    ">": np.greater,
    "<": np.less,
}
COMPARISON: Final = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|!=|==|=|>|<)\s*(.+?)\s*$")


@dataclass(frozen=True)
class Condition:
    """A comparison of columns with values, such as ``rating>=4`` or ``books:rating>=4``.

    Attributes
    ----------
    text
        As the user wrote it.
    domain
        Domain of the rows it is about; None for all.
    parts
        Column, operator and value of each comparison; all must hold.
    """

    text: str
    domain: str | None
    parts: tuple[tuple[str, str, str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``[DOMAIN:]COLUMN OP VALUE [and ...]``.

        Examples
        --------
        >>> Condition.parse("books:rating >= 4 and format=print").parts
        (('rating', '>=', '4'), ('format', '=', 'print'))
        """
        before, colon, after = text.partition(":")
        prefixed = bool(colon) and not re.search(r"[<>=!]", before)
        domain = before.strip() if prefixed else None
        parts = []
        for part in re.split(r"\s+and\s+", after if prefixed else text, flags=re.IGNORECASE):
            match = COMPARISON.match(part)
            if match is None:
                raise ConfigError(
                    "A condition is written COLUMN>=NUMBER, with one of >=, <=, >, <, =, != and "
                    f"optionally a domain before it, such as books:rating>=4; got {text!r}."
                )
            column, operator, value = match.groups()
            value = value.strip("'\"")
            if operator in (">=", "<=", ">", "<") and number_in(value) is None:
                raise ConfigError(f"{text!r}: {operator} needs a number; got {value!r}.")
            parts.append((column, operator, value))
        return cls(text, domain, tuple(parts))

    @property
    def columns(self) -> list[str]:
        """Columns that it looks at."""
        return [column for column, _, _ in self.parts]

    def rows(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return bool [n], the rows it is about, which have a value, and those that fulfil it."""
        about = np.ones(len(frame), dtype=bool)
        if self.domain is not None:
            about &= (frame[DOMAIN] == self.domain).to_numpy(bool)
        holds = about.copy()
        plain = {str(name).strip().lower(): name for name in frame.columns}
        for column, operator, value in self.parts:
            name = plain.get(column.lower())
            if name is None:
                return np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
            number, present = number_in(value), _present(frame[name])
            if number is not None and (name in NUMBERS or operator not in ("=", "==", "!=")):
                values = pd.to_numeric(frame[name].astype(object), errors="coerce").to_numpy(float)
                present &= ~np.isnan(values)
                # Ratings are float32: 0.1 must equal 0.1.
                fulfilled = OPERATORS[operator](values.astype(np.float32), np.float32(number))
            else:
                texts = frame[name].astype(str).str.strip().str.casefold().to_numpy(object)
                fulfilled = OPERATORS[operator](texts, value.casefold())
            about &= present
            holds &= present & np.asarray(fulfilled, dtype=bool)
        return about, holds & about

    @property
    def plain(self) -> str:
        """The condition without its domain."""
        return " and ".join(" ".join(part) for part in self.parts)


def conditions(given: str | Iterable[str] | None) -> tuple[Condition, ...]:
    """Parse one condition, several or none."""
    given = [given] if isinstance(given, str) else given or ()
    return tuple(Condition.parse(text) for text in given)


def fulfilled(any_of: Sequence[Condition], frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return bool [n], the rows that one of the conditions is about, and that fulfil one."""
    about, holds = np.zeros((2, len(frame)), dtype=bool)
    for condition in any_of:
        applies, true = condition.rows(frame)
        about |= applies
        holds |= true
    return about, holds


def number_in(text: str) -> float | None:
    """Return the finite number that a text is, else None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _present(column: pd.Series) -> np.ndarray:
    if column.dtype.kind == "f":
        return column.notna().to_numpy(copy=True)
    return (column.notna() & (column.astype(str).str.strip() != "")).to_numpy(dtype=bool, copy=True)
