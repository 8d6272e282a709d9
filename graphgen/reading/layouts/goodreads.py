"""Goodreads (UCSD Book Graph): interactions, reviews and books as JSON lines, or the CSV."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.cleaning import to_text
from graphgen.reading.layouts.base import Column, File, Layout, Part, joined
from graphgen.reading.layouts.blocks import (
    delimited_blocks,
    first_line,
    first_object,
    json_blocks,
    whole,
)
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

BOOKS = "books"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# "Tue Oct 17 09:40:11 -0700 2017"
WRITTEN_TIME = r"^\w{3} \w{3} \d\d \d\d:\d\d:\d\d [+-]\d{4} \d{4}$"
# The most popular shelves of a book that say what it is about.
SHELVES = 5
NO_SUBJECT = (
    "to-read", "currently-reading", "owned", "books-i-own", "favorites", "default", "library",
    "my-books", "my-library", "ebook", "ebooks", "e-book", "kindle", "audiobook", "audiobooks",
    "audio", "own-it", "wish-list", "to-buy", "i-own", "re-read", "read", "dnf", "abandoned",
)  # fmt: skip


def _parts(files: Sequence[File]) -> list[Part]:
    maps = {"book_id": {}, "user_id": {}}  # type: dict[str, dict[str, str]]
    for file in files:
        for key in maps:
            if first_line(file).split(",") == [f"{key}_csv", key]:
                rows = whole(delimited_blocks(file, ","))
                maps[key] = dict(zip(rows[f"{key}_csv"], rows[key], strict=True))
    return [part for file in files if (part := _part(file, maps)) is not None]


def _part(file: File, maps: dict[str, dict[str, str]]) -> Part | None:
    domain = file.domain or BOOKS
    columns: dict[str, Column]
    if first_line(file).startswith("user_id,book_id,is_read,rating"):
        columns = {"user_id": partial(_mapped, "user_id", maps["user_id"]), "rating": _rating}
        columns |= {"item_id": partial(_mapped, "book_id", maps["book_id"]), "event": _event}
        return Part("log", file, partial(delimited_blocks, file, ","), columns, domain)
    first = first_object(file)
    if {"user_id", "book_id", "rating"} <= set(first):
        columns = {"user_id": "user_id", "item_id": "book_id", "rating": _rating}
        columns["timestamp"] = partial(_time, "date_added")
        keys = ["user_id", "book_id", "rating", "date_added"]
        if "is_read" in first:
            columns["event"] = _event
            keys.append("is_read")
        return Part("log", file, partial(json_blocks, file, keys), columns, domain)
    if {"book_id", "title"} <= set(first):
        columns = {"item_id": "book_id", "title": "title", "text": "description"}
        columns |= {"category": _shelves, "author": _authors}
        keys = ["book_id", "title", "description", "popular_shelves", "authors"]
        return Part("items", file, partial(json_blocks, file, keys), columns, domain)
    return None


def _mapped(key: str, ids: dict[str, str], block: RawTable) -> pa.ChunkedArray:
    column = to_text(block.columns[key])
    if not ids:
        return column
    return pa.array([ids.get(one, one) for one in column.to_pylist()], pa.large_string())


def _rating(block: RawTable) -> pa.ChunkedArray:
    """Return ratings; 0 means that the user gave none."""
    rating = to_text(block.columns["rating"])
    return pc.if_else(pc.equal(rating, "0"), "", rating)


def _event(block: RawTable) -> pa.ChunkedArray:
    read = pc.utf8_lower(to_text(block.columns["is_read"]))
    return pc.if_else(pc.is_in(read, pa.array(["1", "true"], pa.large_string())), "read", "shelved")


def _time(key: str, block: RawTable) -> pa.ChunkedArray:
    """Write times as ISO 8601."""
    given = to_text(block.columns[key])
    month = pc.utf8_slice_codeunits(given, 4, 7)
    number = pc.index_in(month, pa.array(MONTHS, pa.large_string()))
    month = pc.utf8_lpad(pc.add(number, 1).cast(pa.large_string()), 2, "0")

    def cut(start: int, stop: int) -> pa.ChunkedArray:
        return pc.utf8_slice_codeunits(given, start, stop)

    date = joined(cut(26, 30), month, cut(8, 10), by="-")
    clock = joined(cut(11, 19), cut(20, 23), by="")
    zone = joined(clock, cut(23, 25), by=":")
    written = pc.match_substring_regex(given, WRITTEN_TIME)
    return pc.if_else(written, joined(date, zone, by="T"), given)


def _shelves(block: RawTable) -> pa.ChunkedArray:
    return _first_of(block, "popular_shelves", "name", SHELVES, NO_SUBJECT)


def _authors(block: RawTable) -> pa.ChunkedArray:
    return _first_of(block, "authors", "author_id", SHELVES, ())


def _first_of(
    block: RawTable, key: str, field: str, most: int, without: Sequence[str]
) -> pa.ChunkedArray:
    """Return a field of the first structures of a list, joined by ``|``."""
    column = block.columns[key].combine_chunks()
    if not pa.types.is_list(column.type) or not pa.types.is_struct(column.type.value_type):
        return to_text(block.columns[key])
    names = to_text(pa.chunked_array([pc.struct_field(column.flatten(), field)])).combine_chunks()
    owner = pc.list_parent_indices(column).to_numpy()
    wanted = pc.invert(pc.is_in(names, pa.array(without, pa.large_string()))).to_numpy(False)
    names, owner = names.filter(pa.array(wanted)), owner[wanted]
    starts = np.searchsorted(owner, np.arange(len(column) + 1))
    keep = np.arange(len(owner)) - starts[owner] < most
    names, owner = names.filter(pa.array(keep)), owner[keep]
    starts = np.searchsorted(owner, np.arange(len(column) + 1))
    lists = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), names.cast(pa.string()))
    return pa.chunked_array([pc.binary_join(lists, "|")])


LAYOUT = Layout(
    "goodreads",
    "Goodreads (UCSD Book Graph)",
    "goodreads_interactions.json.gz or .csv (with book_id_map.csv), goodreads_books.json.gz",
    _parts,
    ("book_id_map.csv", "user_id_map.csv"),
)
