"""Douban books, films and music (Zhu et al., DTCDR, CIKM 2019), with text and users."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pyarrow.compute as pc

from graphgen.reading.layouts.base import Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, first_line
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

DOMAINS = {"book": "books", "movie": "movies", "music": "music"}
USERS = {"user_id": "UID", "place": "living_place", "joined": "join_time", "text": "self_statement"}
ITEMS = {
    "title": "name", "text": "summary", "category": "tag", "director": "director",
    "author": "author", "country": "country",
}  # fmt: skip


def _parts(files: Sequence[File]) -> list[Part]:
    return [part for file in files if (part := _part(file)) is not None]


def _part(file: File) -> Part | None:
    header = [name.strip().strip('"') for name in first_line(file).split("\t")]
    blocks = partial(delimited_blocks, file, "\t")
    if {"UID", "living_place"} <= set(header):
        columns: dict[str, Column] = {k: v for k, v in USERS.items() if v in header}
        return Part("users", file, blocks, columns)
    for kind, domain in DOMAINS.items():
        if not file.plain.startswith(kind):
            continue
        if {"user_id", f"{kind}_id", "rating"} <= set(header):
            columns = {"user_id": "user_id", "item_id": f"{kind}_id", "rating": "rating"}
            if "time" in header:
                columns["timestamp"] = "time"
            return Part("log", file, blocks, columns, file.domain or domain)
        if "UID" in header:
            # Reviews name an item by its new number, not by that of the site.
            columns = {"item_id": "UID", **{k: v for k, v in ITEMS.items() if v in header}}
            if "category" in columns:
                columns["category"] = _tags
            return Part("items", file, blocks, columns, file.domain or domain)
    return None


def _tags(block: RawTable) -> object:
    """Write tags, which are ``['a', 'b']`` or ``a|b``, as ``a|b``."""
    bare = pc.replace_substring_regex(block.columns["tag"], r"[\[\]']", "")
    return pc.replace_substring_regex(bare, r"\s*[,/]\s*", "|")


LAYOUT = Layout(
    "douban",
    "Douban books, movies and music",
    "bookreviews_cleaned.txt, moviereviews_cleaned.txt, musicreviews_cleaned.txt; "
    "books_cleaned.txt, movies_cleaned.txt, music_cleaned.txt; users_cleaned.txt",
    _parts,
)
