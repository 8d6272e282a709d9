"""The graph that a model was trained on: what a model remembers of it, and finding it again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graphgen.errors import ConfigError

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["graph_digest", "graph_of", "trained_on"]


def trained_on(graph: InterestGraph) -> dict[str, Any]:
    """Return what a model remembers of a graph: its digest, and its folder if it has one."""
    folder = graph.folder and str(graph.folder.resolve())
    return {"graph_digest": graph_digest(graph), "graph_folder": folder}


def graph_digest(graph: InterestGraph) -> str:
    """Return a hash of ids, item tables, features and edges; O(their bytes)."""
    from graphgen.graph import EDGE_TENSORS, NODE_TENSORS
    from graphgen.schema import REV_INTERACTS

    total = hashlib.sha256()
    stores: list[tuple[Any, tuple[str, ...]]] = []
    for name, ids in sorted(graph.vocabularies.items()):
        stores.append((name, NODE_TENSORS))
        total.update("\0".join([name, *ids.ids.tolist()]).encode())
        if (table := graph.item_tables.get(name)) is not None:
            rows = pd.util.hash_pandas_object(table.to_pandas(), index=False)
            total.update(rows.to_numpy().tobytes())
    # Reverse edges are the forward ones turned round.
    forward = (edge for edge in sorted(graph.data.edge_types) if edge[1] != REV_INTERACTS)
    stores += [(edge, EDGE_TENSORS) for edge in forward]
    for key, names in stores:
        for name in names:
            if name in graph.data[key]:
                array = np.ascontiguousarray(graph.data[key][name].numpy())
                total.update(f"{key} {name} {array.dtype} {array.shape}".encode())
                total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


def graph_of(model: Any, path: str | Path | None = None) -> InterestGraph:
    """Open the graph that a model was trained on.

    Parameters
    ----------
    model
        A fitted `Model`.
    path
        Folder of the graph; by default where it was when the model was trained, or at the same
        place as seen from the model's folder.

    Raises
    ------
    ConfigError
        If the graph is not there, or is not the one that the model was trained on.
    """
    from graphgen.graph import load_graph

    known = model.provenance_
    if path is None:
        places = [
            Path(place) for name in ("graph_folder", "graph_beside") if (place := known.get(name))
        ]
        path = next((place for place in places if place.is_dir()), None)
        if path is None:
            where = f"{places[0]} is not there" if places else "it was in memory only"
            raise ConfigError(
                f"The graph of this model was not found: {where}. Name its folder with --graph."
            )
    graph = load_graph(path)
    if graph_digest(graph) != known.get("graph_digest"):
        raise ConfigError(
            f"{path} is not the graph that this model was trained on: nodes or edges differ. Name "
            "that one with --graph, or train on this one: interest train."
        )
    return graph
