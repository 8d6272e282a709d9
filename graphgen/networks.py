"""A graph, or a neighbourhood, in the forms that other tools read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

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
    O(nodes + edges); the last two take about 2 KB of memory an edge.
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
    network = nx.MultiDiGraph()
    network.add_nodes_from(nodes.to_dict("index").items())
    facts = edges.drop(columns=["source", "target"]).to_dict("records")
    # Both forms write the key as the id of an edge.
    ends = edges["source"], edges["target"], range(len(edges))
    network.add_edges_from(zip(*ends, facts, strict=True))
    name = f"graph.{form}"
    (nx.write_graphml if form == "graphml" else nx.write_gexf)(network, folder / name)
    return [name]


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
