"""The first rows of an unknown file, and what the values of its columns are."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from graphgen.errors import InputError
from graphgen.reading.cleaning import to_floats, to_text
from graphgen.reading.columns import ITEMS, LOG, USERS
from graphgen.reading.formats import format_inside, format_of
from graphgen.reading.layouts.base import File
from graphgen.reading.layouts.blocks import head
from graphgen.reading.tabular import TableFile
from graphgen.reading.timestamps import to_milliseconds
from graphgen.schema import (
    CATEGORY,
    DOMAIN,
    EVENT,
    ITEM_ID,
    RATING,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
)

__all__ = ["Profile", "Sample", "read_sample"]

SAMPLE_BYTES = 4 << 20
SAMPLE_ROWS = 50_000
HINTS = {
    role.name: {re.sub(r"\W|_", "", role.name), *role.hints}
    for spec in (LOG, ITEMS, USERS)
    for role in spec.roles
}
# Parts of names that say as much where no whole name does.
NAME_PARTS = {
    USER_ID: r"user|customer|member|account|session|visitor|reviewer|buyer|reader|listener|kunde",
    ITEM_ID: r"item|product|article|movie|film|book|track|song|artist|asin|sku|isbn|video|game|"
    r"business|artikel",
    TIMESTAMP: r"time|date|created|_at$|^ts$|when|datum|zeit",
    RATING: r"rating|stars|score|grade|bewertung|rate$",
    EVENT: r"event|action|behaviou?r|interaction",
    DOMAIN: r"^domain$|^category$|department|^shop$|^store$|vertical|^site$|^section$",
    TITLE: r"title|^name$|titel",
    TEXT: r"text|desc|summary|overview|plot|beschreibung",
    CATEGORY: r"categor|genre|tags|class",
}
NOT_THE_TIME = r"birth|release|publish|updated|modified|expir"
EVENTS = {
    "view", "click", "buy", "purchase", "cart", "addtocart", "add_to_cart", "like", "dislike",
    "play", "skip", "share", "save", "pv", "fav", "transaction", "impression", "watch", "listen",
    "refund",
}  # fmt: skip
MOST_GRADES, HIGHEST_GRADE = 21, 100
MOST_EVENTS = 20
FIRST_UNIX_TIME = 10**8
UNIQUE = 0.98
SOME_WORDS = 2.5


class Sample:
    """The first rows of a file."""

    def __init__(self, columns: Mapping[str, pa.ChunkedArray]) -> None:
        self.columns = {name: to_text(column) for name, column in columns.items() if name.strip()}
        self.n_rows = len(next(iter(self.columns.values()), ()))

    def values(self, name: str) -> list[str]:
        """The texts of a column."""
        texts: list[str] = self.columns[name].to_pylist()
        return texts

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """What the values of each column are."""
        return {name: Profile(name, column) for name, column in self.columns.items()}


class Profile:
    """What the values of a column are."""

    def __init__(self, name: str, column: pa.ChunkedArray) -> None:
        self.name = name
        self._column = column
        series = column.to_pandas()
        self.filled = series[series != ""]
        self.n_rows = len(series)
        self.n_distinct = int(self.filled.nunique())
        numbers, missing, invalid = to_floats(column)
        self.numeric = (
            bool(len(self.filled)) and not invalid.any() and not np.isnan(numbers[~missing]).any()
        )
        self.numbers = numbers[~missing]
        words = self.filled.head(1000).str.count(r"\S+")
        self.words = float(words.mean()) if len(words) else 0.0
        letters = self.filled.head(1000).str.len()
        self.letters = float(letters.mean()) if len(letters) else 0.0
        before = series.shift(1)
        self.runs = float((series == before).mean()) if len(series) else 0.0

    def called(self, role: str) -> bool:
        """Tell whether the name of the column is usual for a role."""
        plain = re.sub(r"\W|_", "", self.name.lower())
        return plain in HINTS.get(role, ()) or bool(
            re.search(NAME_PARTS.get(role, "$^"), self.name.lower())
        )

    @property
    def unique(self) -> bool:
        """Whether nearly every row has a value of its own."""
        return self.n_distinct >= UNIQUE * self.n_rows and self.n_rows > 1

    @cached_property
    def is_time(self) -> bool:
        """Whether nearly all values are unix times or dates."""
        if not len(self.filled) or re.search(NOT_THE_TIME, self.name.lower()):
            return False
        if self.numeric and np.median(np.abs(self.numbers)) < FIRST_UNIX_TIME:
            return False
        if not self.numeric and self.letters < len("1.1.2020"):
            return False
        _, faults = to_milliseconds(pa.chunked_array([pa.array(self.filled, pa.large_string())]))
        wrong = sum(int(mask.sum()) for mask, _ in faults)
        return wrong <= (1 - UNIQUE) * len(self.filled)

    @property
    def is_rating(self) -> bool:
        """Whether the values are few numbers on a scale, of whole or half steps."""
        return (
            self.numeric
            and 2 < self.n_distinct <= MOST_GRADES
            and bool((self.numbers * 2 == np.round(self.numbers * 2)).all())
            and bool(np.abs(self.numbers).max() <= HIGHEST_GRADE)
        )

    @property
    def is_event(self) -> bool:
        """Whether the values are few known words of deeds."""
        known = set(self.filled.str.lower().unique()) & EVENTS if self.n_distinct else set()
        return 0 < self.n_distinct <= MOST_EVENTS and len(known) * 2 >= self.n_distinct

    @property
    def is_text(self) -> bool:
        """Whether the values are words."""
        return self.words >= SOME_WORDS

    @property
    def is_id(self) -> bool:
        """Whether the values may be ids."""
        whole = not self.numeric or bool((self.numbers == np.round(self.numbers)).all())
        full = len(self.filled) >= UNIQUE * self.n_rows
        return whole and full and self.n_distinct > 1 and not (self.is_text or self.is_time)


def read_sample(file: File) -> Sample:
    """Read the first rows, of text through a copy of the first megabytes."""
    kind = format_of(file.path) or format_inside(file.path)
    if kind == "parquet":
        try:
            with pa.parquet.ParquetFile(file.path) as content:
                batch = next(content.iter_batches(SAMPLE_ROWS), None)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file.name} is not a whole Parquet file ({error}).") from None
        if batch is None:
            raise InputError(f"{file.name} has a header, but no rows under it.")
        columns = zip(batch.schema.names, batch.columns, strict=True)
        return Sample({name: pa.chunked_array([column]) for name, column in columns})
    with tempfile.TemporaryDirectory() as folder:
        path, suffix = file.path, {"excel": ".xlsx", "json": ".jsonl"}.get(kind, f".{kind}")
        if kind != "excel":
            path = Path(folder) / f"sample{suffix}"
            whole = kind == "json" and file.plain.endswith(".json")  # perhaps one array
            path.write_bytes(head(file, sys.maxsize if whole else SAMPLE_BYTES))
        table = TableFile(path, name=file.name, adjacency=True, known=set().union(*HINTS.values()))
        if kind not in ("json", "excel") and all(map(_is_value, table.header)):
            table = TableFile(path, name=file.name, numbers={"1"})
        raw = table.read()
        return Sample({name: column[:SAMPLE_ROWS] for name, column in raw.columns.items()})


def _is_value(name: str) -> bool:
    return re.fullmatch(r"\s*-?\d+(\.\d+)?\s*|[0-9a-f]{16,}|\d{4}-\d\d-\d\d.*", name) is not None
