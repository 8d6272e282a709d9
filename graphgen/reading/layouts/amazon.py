"""Amazon reviews of 2014, 2018 and 2023: JSON lines or ratings, and metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.cleaning import to_text
from graphgen.reading.layouts.base import Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, first_line, first_object, json_blocks
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

NOT_THE_DOMAIN = re.compile(
    r"^(reviews?|meta|ratings?)_|(_(5|10))?(\.(train|valid|test))?$|_(5|10)$", re.IGNORECASE
)
ASIN = re.compile(r"^[0-9A-Z]{10}$")
# Keys of reviews by canonical name, those of 2023 first.
REVIEWS = {
    "user_id": ("user_id", "reviewerID"),
    "item_id": ("parent_asin", "asin"),
    "rating": ("rating", "overall"),
    "timestamp": ("timestamp", "unixReviewTime"),
}
METADATA = ("title", "description", "categories", "category", "main_category", "brand", "store")


def _parts(files: Sequence[File]) -> list[Part]:
    return [part for file in files if (part := _part(file)) is not None]


def _part(file: File) -> Part | None:
    domain = file.domain or re.sub(NOT_THE_DOMAIN, "", file.stem)
    first = first_object(file)
    if {"reviewerID", "user_id"} & set(first) and "asin" in first:
        columns = {
            ours: next(key for key in keys if key in first)
            for ours, keys in REVIEWS.items()
            if set(keys) & set(first)
        }
        blocks = partial(json_blocks, file, list(columns.values()))
        return Part("log", file, blocks, columns, domain)
    if {"asin", "parent_asin"} & set(first):
        key = "parent_asin" if "parent_asin" in first else "asin"
        # Not every product of a file has every key.
        blocks = partial(json_blocks, file, [key, "price", *METADATA])
        items: dict[str, Column] = {
            "item_id": key,
            "title": "title",
            "text": _description,
            "category": _categories,
            "brand": _brand,
            "price": _price,
        }
        return Part("items", file, blocks, items, domain, unique=True)
    return None if first else _ratings(file, domain)


def _ratings(file: File, domain: str) -> Part | None:
    """Recognise ratings alone: user, item, rating, time; in 2018 the item is first."""
    line = first_line(file).split(",")
    if line[:3] == ["user_id", "parent_asin", "rating"]:
        columns = {key: keys[0] for key, keys in REVIEWS.items()}
        return Part("log", file, partial(delimited_blocks, file, ","), columns, domain)
    number = r"\d+(\.\d+)?"
    if len(line) != 4 or not all(re.fullmatch(number, value.strip()) for value in line[2:]):
        return None
    names = ["user_id", "item_id", "rating", "timestamp"]
    # Some users have ids of ten signs too, which is why several rows are asked.
    head = list(islice(delimited_blocks(file, ",", names=names), 1))
    first, second = (head[0].columns[name].to_pylist()[:1000] for name in names[:2])
    if not any(map(ASIN.match, first + second)):
        return None
    if sum(map(bool, map(ASIN.match, first))) > sum(map(bool, map(ASIN.match, second))):
        names[:2] = ["item_id", "user_id"]
    blocks = partial(delimited_blocks, file, ",", names=names)
    return Part("log", file, blocks, {name: name for name in sorted(names)}, domain)


def _description(block: RawTable) -> pa.ChunkedArray:
    return pc.replace_substring(to_text(block.columns["description"]), "|", " ")


def _categories(block: RawTable) -> pa.Array:
    """Return the categories below the first, which is that of the file, each once."""
    given = (to_text(block.columns[name]) for name in ("categories", "category", "main_category"))
    rows = zip(*(column.to_pylist() for column in given), strict=True)
    texts = []
    for row in rows:
        names = list(dict.fromkeys(name.strip() for text in row for name in text.split("|")))
        names = [name for name in names if name]
        texts.append("|".join(names[1:] if len(names) > 1 else names))
    return pa.array(texts, pa.large_string())


def _brand(block: RawTable) -> pa.ChunkedArray:
    brand, store = (to_text(block.columns[name]) for name in ("brand", "store"))
    return pc.if_else(pc.equal(brand, ""), store, brand)


def _price(block: RawTable) -> pa.ChunkedArray:
    """Return prices as numbers; a range, or style sheets in the place of it, as none."""
    price = pc.replace_substring_regex(to_text(block.columns["price"]), r"[$,]", "")
    number = pc.match_substring_regex(price, r"^\d+(\.\d+)?$")
    return pc.if_else(number, price, "")


LAYOUT = Layout(
    "amazon",
    "Amazon reviews 2014, 2018 and 2023",
    "JSON lines of reviews (reviews_Books_5.json.gz, Books.jsonl.gz) or ratings (CSV), and "
    "meta_Books.json.gz",
    _parts,
)
