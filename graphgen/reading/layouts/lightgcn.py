"""Lists of the LightGCN and NGCF releases: train.txt, test.txt, item_list.txt, user_list.txt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from graphgen.reading.adjacency_list import looks_like_adjacency_list, read_adjacency_list
from graphgen.reading.layouts.base import Advance, Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, first_line, lines
from graphgen.reading.records import BadRecord, RawTable

__all__ = ["LAYOUT"]

SPLITS = {"train.txt": "train", "test.txt": "test", "valid.txt": "valid", "val.txt": "valid"}
LISTS = {"item_list.txt": ("items", "item_id"), "user_list.txt": ("users", "user_id")}


def _parts(files: Sequence[File]) -> list[Part]:
    return [part for file in files if (part := _part(file)) is not None]


def _part(file: File) -> Part | None:
    domain = file.domain or file.path.resolve().parent.name.lower()
    first = first_line(file).split()
    columns: dict[str, Column]
    if file.plain in SPLITS and looks_like_adjacency_list(first):
        columns = {"user_id": "user_id", "item_id": "item_id"}
        columns["split"] = partial(_split, SPLITS[file.plain])
        return Part("log", file, partial(_blocks, file), columns, domain)
    if file.plain in LISTS and "remap_id" in first:
        table, key = LISTS[file.plain]
        columns = {key: "remap_id", **{name: name for name in first if name != "remap_id"}}
        blocks = partial(delimited_blocks, file, " ", quoted=False)
        return Part(table, file, blocks, columns, domain)  # type: ignore[arg-type]
    return None


def _blocks(file: File, advance: Advance | None) -> Iterator[RawTable]:
    for number, block in lines(file, advance):
        columns, at, wrong = read_adjacency_list(block.decode())
        bad = [BadRecord(line + number - 1, "", v, reason, text) for line, v, reason, text in wrong]
        yield RawTable(columns, len(at), at + (number - 1), bad)


def _split(name: str, block: RawTable) -> pa.Array:
    return pa.array([name], pa.large_string()).take(pa.array(np.zeros(block.n_rows, int)))


LAYOUT = Layout(
    "lightgcn",
    "Lists of the LightGCN and NGCF releases",
    "train.txt and test.txt of 'user item item ...' lines, item_list.txt, user_list.txt",
    _parts,
)
