"""A graph, or a neighbourhood, in the forms that other tools read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol
from xml.sax.saxutils import quoteattr

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from graphgen.adjacency import NO_TIME, Adjacency
from graphgen.schema import ATTRIBUTE, CATEGORY, INTEREST, TITLE, USER
from graphgen.storage import write_table
from graphgen.vocabulary import Vocabulary

__all__ = ["FORMS", "Linked", "edge_table", "node_table", "to_network", "write_form"]

FORMS: Final = ("parquet", "neo4j", "graphml", "gexf")
GRAPHML: Final = "http://graphml.graphdrawing.org/xmlns"
# Columns that are attributes of an element, not data in it; rows that are written at once.
ENDS: Final = ("node", "source", "target")
PART: Final = 100_000
# Signs that XML cannot hold.
NO_XML: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"


class Linked(Protocol):
    """The part of an `InterestGraph` that is handed on."""

    @property
    def adjacency(self) -> Adjacency:
        """Edges between numbered nodes."""
        ...

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """External ids by node type."""
        ...

    @property
    def item_columns(self) -> Mapping[str, pd.DataFrame]:
        """Columns of the items by domain."""
        ...


def node_table(graph: Linked | nx.MultiDiGraph) -> pd.DataFrame:
    """Return a row for each node: node (``type:id``), type, id, and its columns as text.

    Items of a whole graph have the columns of the item table; nodes of a neighbourhood have the
    attributes of `graphgen.looking.neighborhoods.neighborhood`.
    """
    if isinstance(graph, nx.MultiDiGraph):
        rows = [{"type": key[0], "id": key[1], **facts} for key, facts in graph.nodes.items()]
        frame = pd.DataFrame(rows)
    else:
        frames = []
        for node_type in graph.adjacency.types:
            ids = graph.vocabularies[node_type].ids
            columns = graph.item_columns.get(node_type, pd.DataFrame(index=range(len(ids))))
            columns = columns.drop(columns=["type", "id", "node"], errors="ignore")
            frames.append(pd.DataFrame({"type": node_type, "id": ids}).join(columns))
        frame = pd.concat(frames, ignore_index=True).fillna("")
    frame.insert(0, "node", frame["type"] + ":" + frame["id"])
    return frame


def edge_table(graph: Linked | nx.MultiDiGraph) -> pd.DataFrame:
    """Return a row for each edge: source and target (``type:id``), kind, weight, time (ISO 8601).

    A ``similar``, ``co_consumed`` or ``friend`` edge has no direction and is there once.
    """
    if isinstance(graph, nx.MultiDiGraph):
        rows = [
            {"source": ":".join(head), "target": ":".join(tail), **facts}
            for head, tail, facts in graph.edges(data=True)
        ]
        return pd.DataFrame(rows, columns=["source", "target", "kind", "weight", "time", "count"])
    adjacency = graph.adjacency
    names = np.concatenate(
        [f"{t}:" + graph.vocabularies[t].ids.astype(object) for t in adjacency.types]
    )
    known = adjacency.time != NO_TIME
    time = np.full(len(known), "", dtype=object)
    stamps = pd.to_datetime(adjacency.time[known], unit="ms", utc=True)
    time[known] = stamps.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_numpy(object)
    return pd.DataFrame(
        {
            "source": names[adjacency.head],
            "target": names[adjacency.tail],
            "kind": np.asarray(adjacency.kinds, dtype=object)[adjacency.kind],
            "weight": adjacency.weight.astype(np.float64),
            "time": time,
        }
    )


def to_network(graph: Linked) -> nx.MultiDiGraph:
    """Return the whole graph as networkx has it; O(nodes + edges), about 1 KB an edge.

    Nodes are ``(type, id)`` with type, label (the title, or the id) and category; edges have their
    kind as key, and kind, weight, time and count, as those of `graphgen.neighborhood`.
    All attributes are text or numbers, so the writers of networkx take it.
    """
    nodes, adjacency = node_table(graph), graph.adjacency
    keys = list(zip(nodes["type"], nodes["id"], strict=True))
    known = nodes.reindex(columns=[TITLE, CATEGORY], fill_value="")
    label = known[TITLE].where(known[TITLE] != "", nodes["id"])
    facts = pd.DataFrame({"type": nodes["type"], "label": label, "category": known[CATEGORY]})
    result = nx.MultiDiGraph()
    result.add_nodes_from(zip(keys, facts.to_dict("records"), strict=True))
    edges = edge_table(graph).assign(source=adjacency.head, target=adjacency.tail)
    by = edges.groupby(["source", "target", "kind"], sort=False, as_index=False)
    merged = by.agg(weight=("weight", "max"), time=("time", "max"), count=("time", "size"))
    ends = merged.pop("source").tolist(), merged.pop("target").tolist()
    result.add_edges_from(
        (keys[head], keys[tail], fact["kind"], fact)
        for head, tail, fact in zip(*ends, merged.to_dict("records"), strict=True)
    )
    return result


def write_form(nodes: pd.DataFrame, edges: pd.DataFrame, form: str, folder: Path) -> list[str]:
    """Write tables of nodes and edges into a folder in one of the `FORMS`; return the files.

    ``parquet``: ``nodes.parquet`` and ``edges.parquet``. ``neo4j``: ``neo4j_nodes.csv`` and
    ``neo4j_edges.csv`` for ``neo4j-admin database import``. ``graphml``, ``gexf``: one file.
    O(nodes + edges); GEXF takes about 2 KB of memory an edge.
    """
    if form == "parquet":
        write_table(nodes, folder / "nodes.parquet")
        write_table(edges, folder / "edges.parquet")
        return ["nodes.parquet", "edges.parquet"]
    if form == "neo4j":
        _write_csv(_neo4j_nodes(nodes), folder / "neo4j_nodes.csv")
        _write_csv(_neo4j_edges(edges), folder / "neo4j_edges.csv")
        return ["neo4j_nodes.csv", "neo4j_edges.csv"]
    # `type` is a word of GEXF itself.
    nodes = nodes.set_index("node").rename(columns={"type": "node_type", "id": "node_id"})
    if "label" not in nodes:
        title = nodes.get(TITLE, pd.Series("", index=nodes.index))
        nodes["label"] = title.where(title != "", nodes["node_id"])
    if form == "graphml":
        _write_graphml(nodes.reset_index(), edges, folder / "graph.graphml")
        return ["graph.graphml"]
    network = nx.MultiDiGraph()
    network.add_nodes_from(nodes.to_dict("index").items())
    facts = edges.drop(columns=["source", "target"]).to_dict("records")
    # The key becomes the id of an edge.
    ends = edges["source"], edges["target"], range(len(edges))
    network.add_edges_from(zip(*ends, facts, strict=True))
    nx.write_gexf(network, folder / "graph.gexf")
    return ["graph.gexf"]


def _write_graphml(nodes: pd.DataFrame, edges: pd.DataFrame, path: Path) -> None:
    """Write GraphML part by part, which networkx would hold in memory; empty texts are left out."""
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="' + GRAPHML + '">\n')
        keys: dict[tuple[str, str], str] = {}
        for kind, frame in (("node", nodes), ("edge", edges)):
            for name in [name for name in frame if name not in ENDS]:
                keys[kind, name] = key = f"d{len(keys)}"
                numeric = pd.api.types.is_numeric_dtype(frame[name])
                whole = pd.api.types.is_integer_dtype(frame[name])
                sort = ("long" if whole else "double") if numeric else "string"
                named = f'attr.name={quoteattr(name)} attr.type="{sort}"'
                file.write(f'<key id="{key}" for="{kind}" {named}/>\n')
        file.write('<graph edgedefault="directed">\n')
        for kind, frame in (("node", nodes), ("edge", edges)):
            for low in range(0, len(frame), PART):
                file.writelines(_graphml(frame.iloc[low : low + PART], kind, low, keys))
        file.write("</graph>\n</graphml>\n")


def _graphml(
    frame: pd.DataFrame, kind: str, first: int, keys: Mapping[tuple[str, str], str]
) -> list[str]:
    """Return the element of each row."""
    columns = {name: _escaped(frame[name]) for name in frame}
    if kind == "node":
        parts = ['<node id="', columns["node"], '">']
    else:
        number = pa.array(range(first, first + len(frame))).cast(pa.string())
        ends = ['<edge source="', columns["source"], '" target="', columns["target"]]
        parts = [*ends, '" id="', number, '">']
    for name in [name for name in frame if name not in ENDS]:
        data = pc.binary_join_element_wise(
            f'<data key="{keys[kind, name]}">', columns[name], "</data>", ""
        )
        parts.append(pc.if_else(pc.equal(columns[name], ""), "", data))
    elements: list[str] = pc.binary_join_element_wise(*parts, f"</{kind}>\n", "").to_pylist()
    return elements


def _escaped(column: pd.Series) -> pa.Array:
    """Return values as XML text."""
    text = pa.array(column).cast(pa.string())
    if pd.api.types.is_numeric_dtype(column):
        return text
    for sign, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = pc.replace_substring(text, sign, name)
    return pc.replace_substring_regex(text, NO_XML, "?")


def _neo4j_nodes(nodes: pd.DataFrame) -> pd.DataFrame:
    """Name id and labels as the import asks: users are User, topics Interest, others Item too."""
    fixed = {USER: "User", INTEREST: "Interest", ATTRIBUTE: "Attribute"}
    label = nodes["type"].map(lambda t: fixed.get(t, f"Item;{t.replace(';', '_')}"))
    columns = nodes.drop(columns=["node", "type"]).map(_one_line)
    columns.columns = [name.replace(":", "_") for name in columns]
    columns.insert(0, ":LABEL", label)
    columns.insert(0, "node:ID", nodes["node"])
    return columns


def _neo4j_edges(edges: pd.DataFrame) -> pd.DataFrame:
    numbers = {"weight": "weight:double", "time": "time:datetime", "count": "count:long"}
    ends = {"source": ":START_ID", "target": ":END_ID", "kind": ":TYPE"}
    named = edges.assign(kind=edges["kind"].str.upper())
    return named.rename(columns={**ends, **numbers})


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Arrow does, in a tenth of pandas' time; "" is nothing, not an empty text."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    columns = [
        pc.if_else(pc.equal(column, ""), None, column)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        else column
        for column in table.columns
    ]
    pa.csv.write_csv(pa.table(columns, names=table.column_names), path)


def _one_line(value: object) -> object:
    """Put a text on one line, for the import reads a line as a row."""
    return " ".join(value.splitlines()) if isinstance(value, str) else value
