"""The interest graph: users, items of every domain, topics, and their edges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch_geometric.data import HeteroData

from graphgen.adjacency import Adjacency
from graphgen.errors import InputError, StorageError, UnknownIdError, counted
from graphgen.networks import edge_table, to_network
from graphgen.schema import (
    CATEGORY,
    INTERACTS,
    INTEREST,
    ITEM_ID,
    REJECTS,
    RESERVED_NODE_TYPES,
    REV_INTERACTS,
    TITLE,
    USER,
)
from graphgen.storage import atomic_directory, read_json, write_json
from graphgen.tables import item_columns, read_arrow, write_arrow
from graphgen.vocabulary import Vocabulary

__all__ = ["EDGE_VALUES", "InterestGraph", "as_graph", "load_graph"]

SCHEMA_VERSION = 1
MANIFEST = "graph.json"
# Saved attributes of a node or an edge type, in the order of writing.
NODE_TENSORS = ("x", "has_text", "community")
EDGE_VALUES = ("weight", "time", "position")
EDGE_TENSORS = ("edge_index", *EDGE_VALUES)


class InterestGraph:
    """A PyG `HeteroData` together with the external ids of its nodes and where it came from.

    Node types are ``user``, one per domain, and ``interest``, the topics of all domains (absent
    where there are none). Edge types are ``(user, interacts, domain)`` with its reverse
    ``(domain, rev_interacts, user)``, ``(user, rejects, domain)`` for items that were seen and not
    liked (absent where there are none), ``(domain, similar, domain)`` between items whose texts
    mean nearly the same, ``(domain, next, domain)`` from an item to those that follow it in the
    histories of users (absent where the log has no order), both inside a domain and across two,
    and ``(domain, about, interest)``. On request there are ``(domain, co_consumed, domain)``
    between items that the same users like more often than chance, ``(user, friend, user)``, and the
    node type ``attribute`` with what items share: ``(domain, author, attribute)`` for a column
    ``author`` of the item table, and ``(domain, during, attribute)`` for calendar periods.

    Attributes
    ----------
    data
        ``data[domain].x`` is float32 ``[n, dim]`` with rows of length 1, the vectors of all
        `modalities` side by side (zeros where the item has none; absent where no item of the domain
        has any), ``data[domain].has_text`` is bool ``[n]``; ``data["user"].x`` likewise is the text
        of users, where there is any. ``data["interest"].community`` is bool ``[n]``, whether a
        topic is a community (absent where none is). ``data["user", "interacts", domain]`` has
        ``edge_index`` int64 ``[2, E]`` sorted by user, then time or position (without any, in the
        order of the log), ``weight`` float32 ``[E]``, above 0, and, if the log has times, ``time``
        int64 ``[E]`` in milliseconds since 1970 UTC, or, if it has positions, ``position`` int64
        ``[E]``.
        ``data[a, "similar", b]`` has ``edge_index`` and ``weight``, the similarity,
        ``data[a, "next", b]`` the count of `graphgen.builders.transitions`;
        ``data[domain, "about", "interest"]`` has ``edge_index`` sorted by item and ``weight``, 1
        for a category and a cosine for a topic of texts or a community.
    vocabularies
        External id ↔ index, for ``user`` and each domain; of ``interest`` the names.
    item_tables
        Arrow table by domain, row i being item i: title, category and every extra column of the
        item table, as text; empty where the graph was built without one.
    texts
        Arrow table by domain with one column, row i being the text of item i that its vector is of,
        so that `graphgen.updating.update_graph` needs those of new items only; empty without
        features.
    cutoff
        Interactions at or after this instant were left out; None where none were.
    provenance
        Resolved configuration, content hash of the log, encoder and package versions.
    folder
        Where it was saved or opened; None for a graph that is only in memory.
    """

    folder: Path | None = None

    def __init__(
        self,
        data: HeteroData,
        vocabularies: Mapping[str, Vocabulary],
        *,
        item_tables: Mapping[str, pa.Table] | None = None,
        texts: Mapping[str, pa.Table] | None = None,
        cutoff: datetime | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.data = data
        self.vocabularies = dict(vocabularies)
        self.cutoff = cutoff
        self.provenance = dict(provenance or {})
        self.item_tables = dict(item_tables or {})
        self.texts = dict(texts or {})
        self.validate()

    @cached_property
    def domains(self) -> list[str]:
        """Domains, sorted by name."""
        return sorted(set(self.vocabularies) - RESERVED_NODE_TYPES)

    @cached_property
    def adjacency(self) -> Adjacency:
        """Neighbours of every node, for looking around; built at the first use, in O(edges)."""
        return Adjacency(self.data, self.vocabularies)

    @cached_property
    def item_columns(self) -> dict[str, pd.DataFrame]:
        """`item_tables` as frames of text, such as ``graph.item_columns["books"]["price"]``."""
        return item_columns(self.item_tables)

    @property
    def n_users(self) -> int:
        """How many users the graph knows."""
        return len(self.vocabularies[USER])

    @property
    def n_items(self) -> int:
        """How many items there are in all domains together."""
        return sum(len(self.vocabularies[domain]) for domain in self.domains)

    @property
    def n_topics(self) -> int:
        """How many topics there are."""
        return len(self.vocabularies.get(INTEREST, ()))

    @property
    def topic_names(self) -> tuple[str, ...]:
        """Names of the topics; empty without any."""
        return tuple(self.vocabularies[INTEREST].ids.tolist()) if self.n_topics else ()

    @property
    def communities(self) -> np.ndarray:
        """Which topics are communities of items that the same users like; bool [n_topics]."""
        if self.n_topics and "community" in self.data[INTEREST]:
            return np.asarray(self.data[INTEREST].community.numpy())
        return np.zeros(self.n_topics, dtype=bool)

    @property
    def has_time(self) -> bool:
        """Whether interactions say when they happened."""
        return self.order == "time"

    @property
    def order(self) -> str | None:
        """What orders the interactions of a user: "time", "position", or None."""
        for name in ("time", "position"):
            if all(name in self.data[USER, INTERACTS, domain] for domain in self.domains):
                return name
        return None

    @property
    def feature_dim(self) -> int:
        """Width of the features of items; 0 where there are none."""
        widths = (int(self.data[d].x.shape[1]) for d in self.domains if "x" in self.data[d])
        return next(widths, 0)

    @property
    def modalities(self) -> dict[str, int]:
        """Width of each modality in the features of items, in the order of their columns."""
        if not self.feature_dim:
            return {}
        named = self.provenance.get("modalities", [])
        return {m["name"]: m["dim"] for m in named} or {"text": self.feature_dim}

    def described(self, domain: str) -> np.ndarray:
        """Return bool [n], which items of a domain have features of any modality, or a text."""
        store, some = self.data[domain], np.zeros(len(self.vocabularies[domain]), dtype=bool)
        if "has_text" in store:
            some |= store.has_text.numpy()
        if "x" in store and list(self.modalities) != ["text"]:
            some |= (store.x != 0).any(dim=1).numpy()
        return some

    def interactions(self, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``edge_index`` [2, E] and ``weight`` [E] of ``(user, interacts, domain)``.

        Raises
        ------
        UnknownIdError
            If the graph has no such domain.
        """
        self.require_domain(domain)
        store = self.data[USER, INTERACTS, domain]
        return store.edge_index, store.weight

    def rejections(self, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``edge_index`` [2, E] and ``weight`` [E] of ``(user, rejects, domain)``.

        The weight is 0 for items that were seen only and below 0 for disliked ones.
        """
        self.require_domain(domain)
        if (USER, REJECTS, domain) not in self.data.edge_types:
            return torch.empty(2, 0, dtype=torch.int64), torch.empty(0)
        store = self.data[USER, REJECTS, domain]
        return store.edge_index, store.weight

    def to_networkx(self) -> nx.MultiDiGraph:
        """Return the graph as networkx has it; see `graphgen.networks.to_network`."""
        return to_network(self)

    def to_pandas_edgelist(self) -> pd.DataFrame:
        """Return a row for each edge; see `graphgen.networks.edge_table`."""
        return edge_table(self)

    def explore(self, user: str | None = None, **settings: Any) -> Any:
        """Return a widget to look around in a notebook; see `graphgen.looking.widget.explore`."""
        # By name, at the call: looking imports the graph, never the other way.
        return import_module("graphgen.looking.widget").explore(self, user=user, **settings)

    def require_domain(self, domain: str) -> None:
        """Raise `UnknownIdError`, naming the domains there are, if `domain` is not one."""
        if domain not in self.domains:
            raise UnknownIdError(
                f"There is no domain {domain!r} in this graph; it has {', '.join(self.domains)}."
            )

    def item_frame(self, domain: str, rows: np.ndarray | None = None) -> pd.DataFrame:
        """Return item_id, title and category of a domain, row i describing item i (or `rows[i]`).

        Titles and categories are "" where nothing is known.
        """
        self.require_domain(domain)
        vocabulary = self.vocabularies[domain]
        ids = vocabulary.ids if rows is None else vocabulary.decode(rows)
        table = self.item_tables.get(domain)
        frame = pd.DataFrame({ITEM_ID: ids})
        for name in (TITLE, CATEGORY):
            if table is None:
                frame[name] = np.full(len(ids), "", dtype=object)
            else:
                column = table[name] if rows is None else table[name].take(rows)
                frame[name] = column.to_numpy(zero_copy_only=False)
        return frame

    def with_data(self, data: HeteroData, **provenance: Any) -> Self:
        """Return a graph over other edges, or fewer node types, of the same users and items.

        Parameters
        ----------
        data
            Its node types are those that stay.
        **provenance
            Entries to add to the provenance.
        """
        kept = set(data.node_types)
        return type(self)(
            data,
            {name: ids for name, ids in self.vocabularies.items() if name in kept},
            item_tables={name: t for name, t in self.item_tables.items() if name in kept},
            texts={name: t for name, t in self.texts.items() if name in kept},
            cutoff=self.cutoff,
            provenance={**self.provenance, **provenance},
        )

    def validate(self) -> None:
        """Check that vocabularies, features and edges agree.

        Raises
        ------
        InputError
            Naming the node or edge type, the expected and the found shape.
        """
        if USER not in self.vocabularies:
            raise InputError("An interest graph needs a vocabulary of 'user'.")
        if not self.domains:
            raise InputError("An interest graph needs at least one domain.")
        for node_type, vocabulary in self.vocabularies.items():
            store = self.data[node_type]
            for name in NODE_TENSORS:
                if name in store and store[name].shape[0] != len(vocabulary):
                    raise InputError(
                        f"Node type {node_type!r}: {name} must have {len(vocabulary)} rows, one "
                        f"for each id; got {store[name].shape[0]}."
                    )
        for edge_type in self.data.edge_types:
            source, _, target = edge_type
            store = self.data[edge_type]
            index = store.edge_index
            if index.dim() != 2 or index.shape[0] != 2:
                raise InputError(
                    f"Edge type {edge_type}: edge_index must have shape [2, E]; "
                    f"got {list(index.shape)}."
                )
            for ends, node_type in zip(index, (source, target), strict=True):
                size = len(self.vocabularies[node_type])
                low, high = (int(ends.min()), int(ends.max())) if len(ends) else (0, -1)
                if low < 0 or high >= size:
                    raise InputError(
                        f"Edge type {edge_type}: indices of {node_type!r} must lie in "
                        f"[0, {size}); got {low} to {high}."
                    )

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> None:
        """Write the graph to a folder: Arrow for ids and tables, npy for arrays, JSON for the rest.

        The folder appears whole or not at all. Reverse edges are not written; `load` turns the
        forward ones round. For `overwrite` and `made_from` see `graphgen.storage.atomic_directory`.
        """
        with atomic_directory(
            path, kind="graph", overwrite=overwrite, made_from=made_from
        ) as folder:
            nodes = []
            for number, (node_type, vocabulary) in enumerate(self.vocabularies.items()):
                prefix = f"node{number}"
                vocabulary.save(folder / f"{prefix}.ids.arrow")
                if node_type in self.item_tables:
                    write_arrow(self.item_tables[node_type], folder / f"{prefix}.items.arrow")
                if node_type in self.texts:
                    write_arrow(self.texts[node_type], folder / f"{prefix}.texts.arrow")
                tensors = self._save_tensors(node_type, NODE_TENSORS, folder, prefix)
                nodes.append({"type": node_type, "files": prefix, "tensors": tensors})
            edges = []
            for number, edge_type in enumerate(self.data.edge_types):
                if edge_type[1] == REV_INTERACTS:
                    continue
                prefix = f"edge{number}"
                tensors = self._save_tensors(edge_type, EDGE_TENSORS, folder, prefix)
                edges.append({"type": list(edge_type), "files": prefix, "tensors": tensors})
            manifest = {
                "nodes": nodes,
                "edges": edges,
                "cutoff": self.cutoff.isoformat() if self.cutoff else None,
                "provenance": self.provenance,
            }
            write_json(folder / MANIFEST, manifest, schema_version=SCHEMA_VERSION)
        self.folder = Path(path)

    def _save_tensors(
        self, key: str | tuple[str, str, str], names: tuple[str, ...], folder: Path, prefix: str
    ) -> list[str]:
        store = self.data[key]
        present = [name for name in names if name in store]
        for name in present:
            np.save(folder / f"{prefix}.{name}.npy", store[name].numpy())
        return present

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a saved graph; see `load_graph`."""
        folder = Path(path)
        manifest = read_json(
            folder / MANIFEST, schema_version=SCHEMA_VERSION, what="a graph (see `interest build`)"
        )
        data = HeteroData()
        vocabularies: dict[str, Vocabulary] = {}
        tables: dict[str, pa.Table] = {}
        texts: dict[str, pa.Table] = {}
        try:
            for node in manifest["nodes"]:
                node_type, prefix = node["type"], node["files"]
                vocabularies[node_type] = Vocabulary.load(folder / f"{prefix}.ids.arrow")
                data[node_type].num_nodes = len(vocabularies[node_type])
                for name in node["tensors"]:
                    data[node_type][name] = _map_tensor(folder / f"{prefix}.{name}.npy")
                if (folder / f"{prefix}.items.arrow").exists():
                    tables[node_type] = read_arrow(folder / f"{prefix}.items.arrow")
                if (folder / f"{prefix}.texts.arrow").exists():
                    texts[node_type] = read_arrow(folder / f"{prefix}.texts.arrow")
            for edge in manifest["edges"]:
                store = data[tuple(edge["type"])]
                for name in edge["tensors"]:
                    store[name] = _map_tensor(folder / f"{edge['files']}.{name}.npy")
        except (OSError, ValueError, pa.ArrowInvalid) as error:
            raise StorageError(f"{folder} is damaged: {error}. Build it again.") from error
        add_reverse_edges(data)
        cutoff = manifest["cutoff"]
        graph = cls(
            data,
            vocabularies,
            item_tables=tables,
            texts=texts,
            cutoff=datetime.fromisoformat(cutoff) if cutoff else None,
            provenance=manifest["provenance"],
        )
        graph.folder = folder
        return graph

    def _repr_html_(self) -> str:
        return str(import_module("graphgen.looking.overview").summary(self))

    def __repr__(self) -> str:
        edges = sum(
            self.data[t].edge_index.shape[1] for t in self.data.edge_types if t[1] != REV_INTERACTS
        )
        return (
            f"InterestGraph({counted(self.n_users, 'user')}, {counted(self.n_items, 'item')} in "
            f"{counted(len(self.domains), 'domain')}, {counted(edges, 'edge')}, "
            f"{self.feature_dim}-d features)"
        )


def load_graph(path: str | Path) -> InterestGraph:
    """Open a folder written by `InterestGraph.save` or ``interest build``, memory-mapped.

    Features are read from disk when they are used, so opening takes well under a second.

    Raises
    ------
    StorageError
        If the folder is no graph, is damaged, or was written by a newer version.

    Examples
    --------
    >>> load_graph("no/such/folder")
    Traceback (most recent call last):
        ...
    graphgen.errors.StorageError: no/such/folder is not a graph (see `interest build`): ...
    """
    return InterestGraph.load(path)


def as_graph(source: Any) -> InterestGraph:
    """Return a graph, or the one in a folder.

    Raises
    ------
    InputError
        If it is something else.
    """
    if isinstance(source, InterestGraph):
        return source
    if isinstance(source, str | Path):
        return load_graph(source)
    raise InputError(
        "A graph is needed, of graphgen.build_graph(log, items), or the folder of one; got "
        f"{type(source).__name__}."
    )


def add_reverse_edges(data: HeteroData) -> None:
    """Add ``(domain, rev_interacts, user)`` for each ``(user, interacts, domain)``, in place."""
    for source, relation, target in list(data.edge_types):
        if relation != INTERACTS:
            continue
        forward, reverse = data[source, relation, target], data[target, REV_INTERACTS, source]
        reverse.edge_index = forward.edge_index.flip(0)
        for name in EDGE_VALUES:
            if name in forward:
                reverse[name] = forward[name]


def _map_tensor(path: Path) -> torch.Tensor:
    # Copy-on-write: PyTorch wants writable memory, and the file must never change.
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
