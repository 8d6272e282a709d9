"""Graphs as tables: GraphStorm (a JSON configuration) and DGL's CSVDataset (meta.yaml)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from graphgen.errors import InputError
from graphgen.reading.layouts.base import Advance, Blocks, Column, File, Layout, Part
from graphgen.reading.layouts.blocks import delimited_blocks, first_line, first_object, json_blocks
from graphgen.reading.records import RawTable
from graphgen.schema import USER

__all__ = ["LAYOUT"]

# What nodes and edges have besides ids, under the names of this project.
TIMES, RATINGS = ("timestamp", "time", "ts"), ("rating", "rate", "stars", "label", "score")
TITLES, TEXTS = ("title", "name"), ("text", "description", "desc")
USER_TYPES = (USER, "users", "customer", "reviewer", "member")


class _Table(NamedTuple):
    """Nodes of one type or edges of one relation, and the columns of their ids."""

    files: list[File]
    types: tuple[str, ...]
    ids: tuple[str, ...]
    separator: str


def _parts(files: Sequence[File]) -> list[Part]:
    known = {file.path.resolve(): file for file in files}
    return [
        part for file in files for table in _once(list(_tables(file))) for part in _of(table, known)
    ]


def _once(tables: list[_Table]) -> list[_Table]:
    """Leave out relations from items to users whose reverse is there too."""
    ends = {(table.types[0], table.types[-1]) for table in tables if len(table.types) > 1}
    return [
        table
        for table in tables
        if table.types[-1].lower() not in USER_TYPES
        or table.types[0] == table.types[-1]
        or (table.types[-1], table.types[0]) not in ends
    ]


def _tables(file: File) -> Iterator[_Table]:
    if file.plain in ("meta.yaml", "metadata.yaml", "meta.yml"):
        import yaml

        try:
            content = yaml.safe_load(file.path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"{file.name} is no YAML that can be read ({error}).") from None
        yield from _dgl(content or {}, file.path.parent)
    elif file.plain.endswith(".json") and first_line(file).startswith("{"):
        try:
            content = json.loads(file.path.read_text(encoding="utf-8"))
        except ValueError:
            return
        if isinstance(content, dict) and content.get("edges"):
            yield from _graphstorm(content, file.path.parent)


def _dgl(content: Mapping[str, Any], folder: Path) -> Iterator[_Table]:
    separator = content.get("separator", ",")
    for node in content.get("node_data", []):
        ids = (node.get("node_id_field", "node_id"),)
        yield _Table(_files(node["file_name"], folder), (node.get("ntype", "_V"),), ids, separator)
    for edge in content.get("edge_data", []):
        ends = (edge.get("src_id_field", "src_id"), edge.get("dst_id_field", "dst_id"))
        types = tuple(edge.get("etype", ("_V", "_E", "_V")))
        yield _Table(_files(edge["file_name"], folder), types, ends, separator)


def _graphstorm(content: Mapping[str, Any], folder: Path) -> Iterator[_Table]:
    for entry in (*content.get("nodes", []), *content["edges"]):
        form = entry.get("format", {})
        edge = "relation" in entry
        ids = ("source_id_col", "dest_id_col") if edge else ("node_id_col",)
        if not all(one in entry for one in ids):
            continue  # nodes without ids are numbered, and have features only
        types = tuple(entry["relation"]) if edge else (entry["node_type"],)
        separator = form.get("separator", ",")
        names = tuple(entry[one] for one in ids)
        yield _Table(_files(entry["files"], folder), types, names, separator)


def _files(names: str | Sequence[str], folder: Path) -> list[File]:
    paths: list[Path] = []
    for name in [names] if isinstance(names, str) else names:
        pattern = Path(name)
        base, glob = (Path("/"), name.lstrip("/")) if pattern.is_absolute() else (folder, name)
        found = sorted(p for p in base.glob(glob) if p.is_file())
        if not found and (base / glob).is_dir():
            found = sorted(p for p in (base / glob).iterdir() if p.is_file())
        if not found:  # written where the graph was made, which is elsewhere
            found = sorted(folder.rglob(pattern.name))
        if not found:
            raise InputError(f"There is no file {name}, which the configuration in {folder} names.")
        paths += found
    return [File(path, str(path)) for path in paths]


def _of(table: _Table, known: Mapping[Path, File]) -> Iterator[Part]:
    users = [kind for kind in table.types if kind.lower() in USER_TYPES]
    for file in table.files:
        file = known.get(file.path.resolve(), file)
        blocks, names = _blocks(file, table.separator)
        if len(table.types) == 1:
            if users:
                columns: dict[str, Column] = {"user_id": table.ids[0]}
                yield Part("users", file, blocks, _with(columns, names, ()))
            else:
                columns = {"item_id": table.ids[0]}
                columns = _with(columns, names, (("title", TITLES), ("text", TEXTS)))
                yield Part("items", file, blocks, columns, file.domain or table.types[0])
        elif len(users) == 2:
            columns = dict(zip(("user_id", "friend_id"), table.ids, strict=True))
            yield Part("social", file, blocks, columns)
        elif users:
            forward = table.types[0] in users
            source, target = table.ids if forward else table.ids[::-1]
            columns = {"user_id": source, "item_id": target}
            columns = _with(columns, names, (("rating", RATINGS), ("timestamp", TIMES)))
            domain = file.domain or table.types[2 if forward else 0]
            yield Part("log", file, blocks, columns, domain)


def _with(
    columns: dict[str, Column], names: Sequence[str], roles: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, Column]:
    """Add roles under their usual names, and all other columns under their own."""
    for role, usual in roles:
        likely = [name for name in names if name.lower() in usual]
        columns.update([(role, name) for name in likely[:1]])
    for name in names:
        if name not in columns.values():
            columns.setdefault(name, name)
    return columns


def _blocks(file: File, separator: str) -> tuple[Blocks, list[str]]:
    if file.plain.endswith((".parquet", ".pq")):
        return partial(_parquet, file), list(pa.parquet.read_schema(file.path).names)
    if file.plain.endswith((".json", ".jsonl")):
        names = list(first_object(file))
        return partial(json_blocks, file, names), names
    names = [name.strip().strip('"') for name in first_line(file).split(separator)]
    return partial(delimited_blocks, file, separator), names


def _parquet(file: File, advance: Advance | None) -> Iterator[RawTable]:
    number = 1
    with pa.parquet.ParquetFile(file.path) as content:
        for batch in content.iter_batches():
            table = pa.Table.from_batches([batch])
            columns = dict(zip(table.column_names, table.columns, strict=True))
            yield RawTable(columns, len(table), np.arange(number, number + len(table)))
            number += len(table)
    if advance is not None:
        advance(file.path.stat().st_size)


LAYOUT = Layout(
    "graphstorm",
    "Graphs as tables: GraphStorm and DGL's CSVDataset",
    "a JSON configuration with nodes and edges, or meta.yaml; the tables that it names",
    _parts,
    (".yaml", ".yml", ".json"),
)
