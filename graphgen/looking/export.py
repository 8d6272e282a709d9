"""A graph, or a neighbourhood, in the forms that other tools read."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd

from graphgen.adjacency import NO_TIME
from graphgen.errors import InputError
from graphgen.graph import InterestGraph
from graphgen.storage import atomic_file

__all__ = ["edge_table", "network_format", "node_table", "write_network"]

NETWORKS = {".graphml": nx.write_graphml, ".gexf": nx.write_gexf}


def node_table(graph: InterestGraph | nx.MultiDiGraph) -> pd.DataFrame:
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


def edge_table(graph: InterestGraph | nx.MultiDiGraph) -> pd.DataFrame:
    """Return a row for each edge: source and target (``type:id``), kind, weight, time (ISO 8601).

    A ``similar`` edge has no direction and is there once.
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
            "weight": adjacency.weight,
            "time": time,
        }
    )


def network_format(path: str | Path) -> str:
    """Return the suffix that says how a network is written.

    Raises
    ------
    InputError
        If it is none of those that there are.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in NETWORKS:
        raise InputError(f"A network is written as {' or '.join(NETWORKS)}; got {path}.")
    return suffix


def write_network(graph: InterestGraph | nx.MultiDiGraph, path: str | Path) -> None:
    """Write GraphML or GEXF by the suffix, with nodes named ``type:id``; O(nodes + edges)."""
    write = NETWORKS[network_format(path)]
    nodes, edges = node_table(graph).set_index("node"), edge_table(graph)
    # `type` is a word of GEXF itself.
    nodes = nodes.rename(columns={"type": "node_type", "id": "node_id"})
    if "label" not in nodes:
        title = nodes.get("title", pd.Series("", index=nodes.index))
        nodes["label"] = title.where(title != "", nodes["node_id"])
    result = nx.MultiDiGraph()
    result.add_nodes_from(nodes.to_dict("index").items())
    facts = edges.drop(columns=["source", "target"]).to_dict("records")
    # Both forms write the key as the id of an edge.
    ends = edges["source"], edges["target"], range(len(edges))
    result.add_edges_from(zip(*ends, facts, strict=True))
    with atomic_file(path) as temporary:
        write(result, temporary)
