"""The Yelp Open Dataset: reviews, businesses and users as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.cleaning import to_text
from graphgen.reading.layouts.base import Advance, Column, File, Layout, Part
from graphgen.reading.layouts.blocks import first_object, json_blocks
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

DOMAIN = "businesses"


def _parts(files: Sequence[File]) -> list[Part]:
    return [part for file in files for part in _of(file)]


def _of(file: File) -> Iterator[Part]:
    keys = set(first_object(file))
    domain = file.domain or DOMAIN
    columns: dict[str, Column]
    if {"review_id", "user_id", "business_id", "stars"} <= keys:
        columns = {"user_id": "user_id", "item_id": "business_id", "rating": "stars"}
        columns["timestamp"] = "date"
        wanted = ["user_id", "business_id", "stars", "date"]
        yield Part("log", file, partial(json_blocks, file, wanted), columns, domain)
    elif {"business_id", "name", "categories"} <= keys:
        columns = {"item_id": "business_id", "title": "name", "category": _categories}
        columns |= {"city": "city", "state": "state"}
        wanted = ["business_id", "name", "categories", "city", "state"]
        yield Part("items", file, partial(json_blocks, file, wanted), columns, domain)
    elif {"user_id", "yelping_since"} <= keys:
        columns = {name: name for name in ("user_id", "review_count", "yelping_since")}
        yield Part("users", file, partial(json_blocks, file, list(columns)), columns)
        columns = {"user_id": "user_id", "friend_id": "friend_id"}
        yield Part("social", file, partial(_friends, file), columns)


def _categories(block: RawTable) -> pa.ChunkedArray:
    """Write categories, which older releases have as lists, as ``A|B``."""
    return pc.replace_substring(to_text(block.columns["categories"]), ", ", "|")


def _friends(file: File, advance: Advance | None) -> Iterator[RawTable]:
    """Read a row for each friend of each user."""
    for block in json_blocks(file, ["user_id", "friends"], advance):
        friends = to_text(block.columns["friends"]).combine_chunks()
        friends = pc.if_else(pc.equal(friends, "None"), "", friends)
        split = pc.split_pattern_regex(friends, r"\s*[,|]\s*")
        owner = pc.list_parent_indices(split).to_numpy()
        names = split.flatten()
        some = pc.not_equal(names, "").to_numpy(zero_copy_only=False)
        owner = owner[some]
        users = to_text(block.columns["user_id"]).take(pa.array(owner))
        columns = {"user_id": users, "friend_id": pa.chunked_array([names.filter(pa.array(some))])}
        lines = np.asarray(block.lines)[owner]
        yield RawTable(columns, len(owner), lines, block.bad)


LAYOUT = Layout(
    "yelp",
    "Yelp Open Dataset",
    "yelp_academic_dataset_review.json, ..._business.json, ..._user.json",
    _parts,
)
