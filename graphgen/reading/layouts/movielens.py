"""MovieLens: 100K, 1M, 10M, 20M, 25M, 32M and latest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.cleaning import to_text
from graphgen.reading.layouts.base import Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, encoding_of, whole
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT", "tag_texts"]

RATINGS = {"user_id": "user", "item_id": "item", "rating": "rating", "timestamp": "time"}
NAMES = ["user", "item", "rating", "time"]
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
    "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi",
    "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRES = "(no genres listed)"
MOVIES = "movies"
# The most frequent tags of an item make its text.
TAGS = 10


def _parts(files: Sequence[File]) -> list[Part]:
    texts: Callable[[RawTable], pa.Array] | None = None
    for file in files:
        if file.plain == "tags.csv":
            texts = tag_texts(whole(delimited_blocks(file, ",")), "movieId", "tag", "movieId")
        elif file.plain == "tags.dat":
            names = ["user", "movie", "tag", "time"]
            read = delimited_blocks(file, "::", names=names, quoted=False)
            texts = tag_texts(whole(read), "movie", "tag", "item")
    return [part for file in files if (part := _part(file, texts)) is not None]


def _part(file: File, texts: Callable[[RawTable], pa.Array] | None) -> Part | None:
    domain = file.domain or MOVIES
    extra = {} if texts is None else {"text": texts}
    columns: dict[str, Column]
    if file.plain == "ratings.csv":
        columns = {"user_id": "userId", "item_id": "movieId", "rating": "rating"}
        blocks = partial(delimited_blocks, file, ",")
        return Part("log", file, blocks, {**columns, "timestamp": "timestamp"}, domain)
    if file.plain == "movies.csv":
        columns = {"item_id": "movieId", "title": "title"}
        blocks = partial(delimited_blocks, file, ",")
        return Part("items", file, blocks, {**columns, **extra, "category": _genres}, domain)
    if file.plain == "ratings.dat":
        blocks = partial(delimited_blocks, file, "::", names=NAMES, quoted=False)
        return Part("log", file, blocks, RATINGS, domain)
    if file.plain == "movies.dat":
        names = ["item", "title", "genres"]
        blocks = partial(
            delimited_blocks, file, "::", names=names, quoted=False, encoding=encoding_of(file)
        )
        columns = {"item_id": "item", "title": "title"}
        return Part("items", file, blocks, {**columns, **extra, "category": _genres}, domain)
    if file.plain == "users.dat":
        names = ["user_id", "gender", "age", "occupation", "zip"]
        blocks = partial(delimited_blocks, file, "::", names=names, quoted=False)
        return Part("users", file, blocks, {name: name for name in names})
    if file.plain == "u.data":
        blocks = partial(delimited_blocks, file, "\t", names=NAMES, quoted=False)
        return Part("log", file, blocks, RATINGS, domain)
    if file.plain == "u.item":
        names = ["item", "title", "release", "video", "url", *GENRES]
        blocks = partial(
            delimited_blocks, file, "|", names=names, quoted=False, encoding=encoding_of(file)
        )
        columns = {"item_id": "item", "title": "title", "category": _flags, "release": "release"}
        return Part("items", file, blocks, columns, domain)
    if file.plain == "u.user":
        names = ["user_id", "age", "gender", "occupation", "zip"]
        blocks = partial(delimited_blocks, file, "|", names=names, quoted=False)
        return Part("users", file, blocks, {name: name for name in names})
    return None


def _genres(block: RawTable) -> pa.ChunkedArray:
    return pc.replace_substring(block.columns["genres"], NO_GENRES, "")


def _flags(block: RawTable) -> pa.Array:
    """Return the names of the genres that have a 1, joined by ``|``."""
    rows = zip(*(block.columns[name].to_pylist() for name in GENRES), strict=True)
    names = ("|".join(g for g, f in zip(GENRES, row, strict=True) if f == "1") for row in rows)
    return pa.array(names, pa.large_string())


def tag_texts(
    tags: dict[str, list[str]], item: str, tag: str, key: str
) -> Callable[[RawTable], pa.Array]:
    """Return a column for blocks of items: the most frequent tags of each.

    Parameters
    ----------
    tags
        The rows of the table of tags.
    item, tag
        Its columns.
    key
        Column of the blocks with the id of the item.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one, name in zip(tags.get(item, []), tags.get(tag, []), strict=True):
        counts[one][name.strip().lower()] += 1
    texts = {one: ", ".join(name for name, _ in c.most_common(TAGS)) for one, c in counts.items()}

    def column(block: RawTable) -> pa.Array:
        ids = to_text(block.columns[key]).to_pylist()
        return pa.array([texts.get(one, "") for one in ids], pa.large_string())

    return column


LAYOUT = Layout(
    "movielens",
    "MovieLens 100K, 1M, 10M, 20M, 25M, 32M and latest",
    "ratings.csv, movies.csv, tags.csv; ratings.dat, movies.dat, users.dat; u.data, u.item, u.user",
    _parts,
    ("tags.csv", "tags.dat"),
)
