"""Last.fm: the HetRec 2011 set and the 360K users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from graphgen.reading.layouts.base import Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, encoding_of, whole
from graphgen.reading.layouts.movielens import tag_texts
from graphgen.reading.records import RawTable

__all__ = ["LAYOUT"]

MUSIC = "music"
PLAYS = ["user", "mbid", "artist", "plays"]
PROFILE = ["user_id", "gender", "age", "country", "signup"]


def _parts(files: Sequence[File]) -> list[Part]:
    named = {file.plain: file for file in files}
    texts = None
    if {"tags.dat", "user_taggedartists.dat"} <= set(named):
        tags = whole(_table(named["tags.dat"])(None))
        names = dict(zip(tags["tagID"], tags["tagValue"], strict=True))
        given = whole(_table(named["user_taggedartists.dat"])(None))
        given["tagID"] = [names.get(tag, "") for tag in given["tagID"]]
        texts = tag_texts(given, "artistID", "tagID", "id")
    return [part for file in files for part in _of(file, texts)]


def _table(file: File) -> partial[Iterator[RawTable]]:
    return partial(delimited_blocks, file, "\t", quoted=False, encoding=encoding_of(file))


def _of(file: File, texts: Column | None) -> Iterator[Part]:
    domain = file.domain or MUSIC
    columns: dict[str, Column]
    if file.plain == "user_artists.dat":
        columns = {"user_id": "userID", "item_id": "artistID", "weight": "weight"}
        yield Part("log", file, _table(file), columns, domain)
    elif file.plain == "artists.dat":
        columns = {"item_id": "id", "title": "name"}
        columns |= {} if texts is None else {"text": texts}
        yield Part("items", file, _table(file), columns, domain)
    elif file.plain == "user_friends.dat":
        columns = {"user_id": "userID", "friend_id": "friendID"}
        yield Part("social", file, _table(file), columns)
    elif file.plain == "usersha1-artmbid-artname-plays.tsv":
        blocks = partial(delimited_blocks, file, "\t", names=PLAYS, quoted=False)
        columns = {"user_id": "user", "item_id": _artist, "weight": "plays"}
        yield Part("log", file, blocks, columns, domain)
        columns = {"item_id": _artist, "title": "artist"}
        yield Part("items", file, blocks, columns, domain, unique=True)
    elif file.plain == "usersha1-profile.tsv":
        blocks = partial(delimited_blocks, file, "\t", names=PROFILE, quoted=False)
        yield Part("users", file, blocks, {name: name for name in PROFILE})


def _artist(block: RawTable) -> pa.ChunkedArray:
    """Return the MusicBrainz id of an artist, else the name, as the publisher counts artists."""
    mbid = pc.utf8_trim_whitespace(block.columns["mbid"])
    return pc.if_else(pc.equal(mbid, ""), block.columns["artist"], mbid)


LAYOUT = Layout(
    "lastfm",
    "Last.fm: HetRec 2011 (2K users) and 360K users",
    "user_artists.dat, artists.dat, tags.dat, user_taggedartists.dat, user_friends.dat; "
    "usersha1-artmbid-artname-plays.tsv, usersha1-profile.tsv",
    _parts,
    ("tags.dat", "user_taggedartists.dat"),
)
