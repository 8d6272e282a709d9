"""Atomic files of RecBole: .inter, .item, .user and .net, with typed headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.columns import ITEMS, LOG, USERS, TableSpec, resolve_columns
from graphgen.reading.layouts.base import Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, first_line
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

SPECS: Mapping[str, TableSpec] = {"inter": LOG, "item": ITEMS, "user": USERS}
TABLE = {"inter": "log", "item": "items", "user": "users", "net": "social"}
# Names in the published sets that are no usual ones elsewhere.
TITLES = (
    "movie_title",
    "book_title",
    "title",
    "name",
    "track_name",
    "product_title",
    "class_title",
)
CATEGORIES = ("class", "genre", "genres", "categories", "category", "tags", "tags_value")


def _parts(files: Sequence[File]) -> list[Part]:
    return [part for file in files if (part := _part(file)) is not None]


def _part(file: File) -> Part | None:
    suffix = file.plain.rpartition(".")[2]
    header = [name.strip() for name in first_line(file).split("\t")]
    if suffix not in TABLE or ":" not in header[0]:
        return None
    names = {name: name.partition(":")[0] for name in header}
    sequences = [name for name in header if name.endswith("token_seq")]
    columns: dict[str, Column]
    if suffix == "net":
        columns = dict(zip(("user_id", "friend_id"), header, strict=False))
    else:
        columns = dict(_roles(list(names.values()), SPECS[suffix], file))
        theirs = {plain: name for name, plain in names.items()}
        columns = {ours: theirs[str(name)] for ours, name in columns.items()}
        for name in header:
            if name not in columns.values():
                columns.setdefault(names[name], name)
    if columns.get("category") in sequences:
        columns["category"] = partial(_joined, str(columns["category"]))
    blocks = partial(delimited_blocks, file, "\t", quoted=False)
    domain = file.domain or re.sub(r"\.(train|valid|test)$", "", file.stem)
    return Part(TABLE[suffix], file, blocks, columns, domain)  # type: ignore[arg-type]


def _roles(names: list[str], spec: TableSpec, file: File) -> dict[str, str]:
    given: dict[str, str] = {}
    if spec is ITEMS:
        for role, usual in (("title", TITLES), ("category", CATEGORIES)):
            given.update([(role, name) for name in usual if name in names][:1])
    if spec in (LOG, ITEMS) and "item_id" not in names:
        first = [name for name in names if name.endswith("_id") and name != "user_id"]
        given.update([("item_id", name) for name in first][:1])
    return resolve_columns(names, given, spec, file=file.name)


def _joined(name: str, block: RawTable) -> pa.ChunkedArray:
    """Write a sequence of tokens, which blanks separate, as several categories."""
    return pc.replace_substring(pc.replace_substring(block.columns[name], ", ", "|"), " ", "|")


LAYOUT = Layout(
    "recbole",
    "Atomic files of RecBole",
    "NAME.inter, and NAME.item, NAME.user, NAME.net",
    _parts,
)
