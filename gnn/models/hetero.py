"""R-GCN and HGT over users, items and interests, in sampled neighbourhoods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import pydantic
import scipy.sparse as sp
import torch
from torch import nn

from gnn.data import TrainingData, UserBatch
from gnn.encoders import TEXTS, Encoder, EncoderConfig, EncoderModel, text_vectors
from gnn.numerics.propagation import normalized_adjacency
from gnn.numerics.sparse import entry_rows, keep_largest, pack_csr, rows_or_empty, unpack_csr
from gnn.training import dividing_width
from graphgen.schema import CO_CONSUMED, FRIEND

__all__ = ["HeteroGNN", "HeteroGNNConfig", "sample_entries"]

ITEM, USER, INTEREST, ATTRIBUTE = "item", "user", "interest", "attribute"
# Relations, from source to destination.
HISTORY, LIKED_BY = (ITEM, "history", USER), (USER, "liked_by", ITEM)
SIMILAR, ABOUT, HOLDS = (
    (ITEM, "similar", ITEM),
    (INTEREST, "about", ITEM),
    (ITEM, "holds", INTEREST),
)
RELATIONS = HISTORY, LIKED_BY, SIMILAR, ABOUT, HOLDS
# Those of graphs with these edges; items that friends like are a second history.
CO_LIKED, SHARED = (ITEM, "co_consumed", ITEM), (ATTRIBUTE, "shared", ITEM)
HAS, OF_FRIENDS = (ITEM, "has", ATTRIBUTE), (ITEM, "of_friends", USER)
# Most items of a user's friends, those that most of them like.
FRIENDS_ITEMS = 50
# Items whose vectors are made at once when all are.
ITEM_CHUNK = 4096
ATTRIBUTE_VECTORS = "attribute_vectors"

Relation: TypeAlias = tuple[str, str, str]
Edges: TypeAlias = dict[Relation, torch.Tensor]
Vectors: TypeAlias = dict[str, torch.Tensor]


class HeteroGNNConfig(EncoderConfig):
    """Settings of `HeteroGNN`."""

    convolution: Literal["rgcn", "hgt"] = "rgcn"
    """Convolution of PyTorch Geometric: a matrix for each relation, or attention by types."""
    num_layers: int = pydantic.Field(2, ge=1)
    """Layers, and steps that a neighbourhood reaches."""
    heads: int = pydantic.Field(2, ge=1)
    """Attention heads of "hgt"; they divide `embedding_dim`."""
    id_dropout: float = pydantic.Field(0.2, ge=0, lt=1)
    """Share of the items that a step trains as new, so that their text learns to stand alone."""
    fan_out: int = pydantic.Field(6, ge=1)
    """Neighbours of a node by each relation, drawn in each training step."""
    eval_fan_out: int = pydantic.Field(24, ge=1)
    """The same where the vectors of all items are made."""
    batch_size: int = pydantic.Field(2048, ge=1)
    """Users a gradient step."""
    num_negatives: int = pydantic.Field(512, ge=1)
    """Items of a domain, drawn uniformly, that a batch is ranked against."""
    epochs: int = pydantic.Field(10, ge=1)
    """Passes over the users at the most."""

    _divide = pydantic.field_validator("heads")(dividing_width)


class HeteroGNN(EncoderModel):
    """Relational convolutions over the heterogeneous graph with its text features.

    Nodes are items (text through a linear map, and an embedding), users (one learned vector: a user
    is the history) and interests (embeddings); relations are interactions both ways, semantic
    neighbours, and topics both ways; where the graph has them, co-consumption, attributes both
    ways, and the items that friends like. R-GCN: Schlichtkrull et al., "Modeling relational data
    with graph convolutional networks", ESWC 2018; HGT: Hu et al., "Heterogeneous graph
    transformer", WWW 2020; both as in PyTorch Geometric. Neighbourhoods are sampled (Hamilton et
    al., "Inductive representation learning on large graphs", NIPS 2017), without the users of the
    batch, whose hidden interactions would be seen. The layers of all items are kept, so users who
    arrive later are exact functions of their histories. An epoch costs
    O(users · fan_out^layers · d²).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = HeteroGNN(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> model.recommend(["c"], k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "hetero-gnn"
    Config = HeteroGNNConfig

    _encoder: _HeteroEncoder

    def _make(self, data: TrainingData) -> Encoder:
        encoder = _HeteroEncoder(data, self.config)
        self.reaches_cold = bool(encoder.texts.any())
        return encoder

    def _loss(self, users: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        self._encoder.left_out[:] = False
        self._encoder.left_out[users] = True
        self._encoder.asked = users
        return super()._loss(users, generator)

    def _user_vectors(self, users: UserBatch, place: int) -> torch.Tensor:
        return self._encoder.users(users.history, [place], users.index)[place]

    def _state(self) -> dict[str, torch.Tensor]:
        links, more = self.data.links, {}
        if FRIEND in links:
            more = pack_csr(FRIEND, links[FRIEND])
        if CO_CONSUMED in links:
            more[CO_CONSUMED] = torch.ones(1)
        return super()._state() | more

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        # The layers depend on the kinds of links, scoring only on friends.
        links, n_items = {}, self.data.n_items
        if f"{FRIEND}.indptr" in state:
            links[FRIEND] = unpack_csr(FRIEND, state)
        if CO_CONSUMED in state:
            links[CO_CONSUMED] = sp.csr_matrix((n_items, n_items), dtype=np.float32)
        if ATTRIBUTE_VECTORS in state:
            shape = (n_items, len(state[ATTRIBUTE_VECTORS]))
            links[ATTRIBUTE] = sp.csr_matrix(shape, dtype=np.float32)
        self._data = replace(self.data, links=links)
        own = {n: t for n, t in state.items() if n.partition(".")[0] not in (FRIEND, CO_CONSUMED)}
        super()._load_state(own)


class _HeteroEncoder(Encoder):
    texts: torch.Tensor
    tables: torch.Tensor

    def __init__(self, data: TrainingData, config: HeteroGNNConfig) -> None:
        super().__init__()
        from torch_geometric.nn import HGTConv, RGCNConv

        self._config, dim = config, config.embedding_dim
        self._starts = [data.span(domain).start for domain in data.domains]
        self._neighbors = _neighbors(data)
        self._of_friends = _of_friends(data)
        self.left_out = np.zeros(data.n_users, dtype=bool)
        # Rows of the training matrix of the users of a training step.
        self.asked = np.zeros(0, dtype=np.int64)
        self._warm = torch.from_numpy(data.warm)
        texts = torch.zeros(data.n_items, 1) if data.features is None else text_vectors(data)
        self.register_buffer(TEXTS, texts)
        self.text_map = nn.Linear(texts.shape[1], dim, bias=False)

        def drawn(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, dim) / dim**0.5)

        self.item_vectors, self.user_vector = drawn(data.n_items), drawn(1)
        self.interest_vectors = drawn(max(1, len(data.topics)))
        self._types, self._relations = [ITEM, USER, INTEREST], list(RELATIONS)
        if CO_CONSUMED in data.links:
            self._relations += [CO_LIKED]
        if data.attributes:
            self._types += [ATTRIBUTE]
            self._relations += [SHARED, HAS]
            self.attribute_vectors = drawn(data.links[data.attributes[0]].shape[1])
        if self._of_friends is not None:
            self._relations += [OF_FRIENDS]
        self.layers = nn.ModuleList(
            RGCNConv(dim, dim, len(self._relations))
            if config.convolution == "rgcn"
            else HGTConv(dim, dim, (self._types, self._relations), heads=config.heads)
            for _ in range(config.num_layers)
        )
        # The vectors of all items before each layer and after the last.
        self.register_buffer("tables", torch.zeros(config.num_layers + 1, data.n_items, dim))

    def users(
        self, history: sp.csr_matrix, places: Sequence[int], index: np.ndarray | None = None
    ) -> dict[int, torch.Tensor]:
        """Return the same vectors for every domain; `index` as in `UserBatch`, to find friends."""
        liked = {HISTORY: history}
        if self._of_friends is not None:
            rows = self.asked if index is None else index
            liked[OF_FRIENDS] = rows_or_empty(self._of_friends, rows)
        if not self.training:
            vectors = self._users_by_tables(liked)
        else:
            generator, fan_out = self._generator(), self._config.fan_out**2
            ends = {
                relation: sample_entries(matrix, np.arange(history.shape[0]), fan_out, generator)
                for relation, matrix in liked.items()
            }
            seeds = np.unique(np.concatenate([items for _, items in ends.values()]))
            nodes, edges = self._around({ITEM: seeds}, self._config.num_layers - 1)
            # Users of the batch are new nodes behind those that were found.
            start = len(nodes[USER])
            nodes[USER] = np.concatenate([nodes[USER], np.zeros(history.shape[0], np.int64)])
            for relation, (rows, items) in ends.items():
                own = np.stack([np.searchsorted(nodes[ITEM], items), start + rows])
                edges[relation] = torch.cat([edges[relation], torch.from_numpy(own)], dim=1)
            vectors = self._layers(self._start(nodes), edges)[-1][USER][start:]
        return dict.fromkeys(places, vectors)

    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        """Return the vectors of items, in training from a sampled neighbourhood."""
        rows = index + self._starts[domain]
        if not self.training:
            return self.tables[-1][rows]
        seeds, place = rows.unique(return_inverse=True)
        nodes, edges = self._around({ITEM: seeds.numpy()}, self._config.num_layers)
        found = torch.from_numpy(np.searchsorted(nodes[ITEM], seeds.numpy()))
        vectors = self._layers(self._start(nodes), edges)[-1][ITEM]
        return vectors.index_select(0, found).index_select(0, place)

    @torch.no_grad()
    def refresh(self) -> None:
        """Make the vectors of all items before each layer and after the last."""
        self.left_out[:] = False
        n_items = self.tables.shape[1]
        for low in range(0, n_items, ITEM_CHUNK):
            seeds = np.arange(low, min(low + ITEM_CHUNK, n_items))
            nodes, edges = self._around({ITEM: seeds}, self._config.num_layers)
            found = torch.from_numpy(np.searchsorted(nodes[ITEM], seeds))
            for place, vectors in enumerate(self._layers(self._start(nodes), edges)):
                self.tables[place, low : low + len(seeds)] = vectors[ITEM][found]

    def _users_by_tables(self, liked: Mapping[Relation, sp.csr_matrix]) -> torch.Tensor:
        """Return the vectors of users over the items' vectors before each layer."""
        items = np.unique(np.concatenate([matrix.indices for matrix in liked.values()]))
        edges = {relation: torch.zeros(2, 0, dtype=torch.int64) for relation in self._relations}
        for relation, matrix in liked.items():
            own = np.stack([np.searchsorted(items, matrix.indices), entry_rows(matrix)])
            edges[relation] = torch.from_numpy(own)
        vectors = self.user_vector.expand(liked[HISTORY].shape[0], -1)
        rows = torch.from_numpy(items.astype(np.int64))
        for place_, layer in enumerate(self.layers):
            known = dict.fromkeys(self._types, self.interest_vectors[:0])
            known |= {ITEM: self.tables[place_][rows], USER: vectors}
            vectors = self._layer(layer, known, edges)[USER]
        return vectors

    def _start(self, nodes: Mapping[str, np.ndarray]) -> Vectors:
        item = torch.from_numpy(nodes[ITEM])
        texts = self.text_map(self.texts.index_select(0, item))
        known = self._warm[item]
        if self.training:
            known = known & (torch.rand(len(item)) >= self._config.id_dropout)
        own = self.item_vectors.index_select(0, item) * known.unsqueeze(1)
        interest = torch.from_numpy(nodes[INTEREST])
        vectors = {
            ITEM: texts + own,
            USER: self.user_vector.expand(len(nodes[USER]), -1),
            INTEREST: self.interest_vectors.index_select(0, interest),
        }
        if ATTRIBUTE in self._types:
            attribute = torch.from_numpy(nodes[ATTRIBUTE])
            vectors[ATTRIBUTE] = self.attribute_vectors.index_select(0, attribute)
        return vectors

    def _layers(self, vectors: Vectors, edges: Edges) -> list[Vectors]:
        """Return the vectors before each layer and after the last."""
        found = [vectors]
        for layer in self.layers:
            found.append(self._layer(layer, found[-1], edges))
        return found

    def _layer(self, layer: nn.Module, vectors: Vectors, edges: Edges) -> Vectors:
        """Return the vectors after a layer, to which those before it are added."""
        if self._config.convolution == "hgt":
            made = layer(vectors, edges)
        else:
            sizes = [len(part) for part in vectors.values()]
            first = dict(zip(vectors, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
            index = torch.cat(
                [edges[r] + torch.tensor([[first[r[0]]], [first[r[2]]]]) for r in self._relations],
                dim=1,
            )
            count = torch.tensor([edges[relation].shape[1] for relation in self._relations])
            kind = torch.repeat_interleave(torch.arange(len(self._relations)), count)
            joint = layer(torch.cat(list(vectors.values())), index, kind)
            made = dict(zip(vectors, joint.split(sizes), strict=True))
        return {
            name: part if made.get(name) is None else part + torch.relu(made[name])
            for name, part in vectors.items()
        }

    def _generator(self) -> np.random.Generator:
        if not self.training:
            return np.random.default_rng(0)
        return np.random.default_rng(int(torch.randint(1 << 62, ())))

    def _around(
        self, seeds: Mapping[str, np.ndarray], hops: int
    ) -> tuple[dict[str, np.ndarray], Edges]:
        """Return the sampled nodes around seeds by type, sorted, and edges between their places."""
        generator = self._generator()
        fan_out = self._config.fan_out if self.training else self._config.eval_fan_out
        none = np.zeros(0, dtype=np.int64)
        nodes = {name: seeds.get(name, none) for name in self._types}
        frontier = nodes
        found = {relation: [np.zeros((2, 0), np.int64)] for relation in self._relations}
        for _ in range(hops):
            reached = {name: [nodes[name]] for name in nodes}
            for relation, matrix in self._neighbors.items():
                source, _, target = relation
                if not len(frontier[target]):
                    continue
                place, near = sample_entries(matrix, frontier[target], fan_out, generator)
                if source == USER:
                    place, near = place[~self.left_out[near]], near[~self.left_out[near]]
                found[relation].append(np.stack([near, frontier[target][place]]))
                reached[source].append(near)
            every = {name: np.unique(np.concatenate(parts)) for name, parts in reached.items()}
            frontier = {name: np.setdiff1d(every[name], nodes[name]) for name in nodes}
            nodes = every
        edges = {}
        for relation, parts in found.items():
            ends = zip(np.concatenate(parts, axis=1), (relation[0], relation[2]), strict=True)
            places = [np.searchsorted(nodes[name], part) for part, name in ends]
            edges[relation] = torch.from_numpy(np.stack(places).astype(np.int64))
        return nodes, edges


def _neighbors(data: TrainingData) -> dict[tuple[str, str, str], sp.csr_matrix]:
    """Return, by relation, CSR [destinations, sources]."""
    matrices = {HISTORY: data.matrix, LIKED_BY: data.matrix.T, SIMILAR: data.similar}
    if data.about is not None:
        matrices |= {ABOUT: data.about, HOLDS: data.about.T}
    matrices |= {CO_LIKED: data.links.get(CO_CONSUMED)}
    if data.attributes:
        shared = sum(data.links[name] for name in data.attributes)
        matrices |= {SHARED: shared, HAS: shared.T}
    return {name: sp.csr_matrix(m) for name, m in matrices.items() if m is not None}


def _of_friends(data: TrainingData) -> sp.csr_matrix | None:
    """Return CSR [n_users, n_items], the items that most friends of a user like; or None."""
    if FRIEND not in data.links:
        return None
    liked = normalized_adjacency(data.links[FRIEND], 1.0, 0.0) @ data.matrix
    return keep_largest(sp.csr_matrix(liked), FRIENDS_ITEMS)


def sample_entries(
    matrix: sp.csr_matrix, rows: np.ndarray, k: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw at most `k` entries of each row, with replacement where it has more.

    Returns
    -------
    places, columns
        int64 [e]: the place in `rows`, and the column of the entry. O(len(rows) · k).

    Examples
    --------
    >>> matrix = sp.csr_matrix([[1, 0, 1], [0, 1, 0]])
    >>> [part.tolist() for part in sample_entries(matrix, np.array([1, 0]), 2, None)]
    [[0, 1, 1], [1, 0, 2]]
    """
    start, degree = matrix.indptr[rows].astype(np.int64), np.diff(matrix.indptr)[rows]
    taken = np.minimum(degree, k).astype(np.int64)
    place = np.repeat(np.arange(len(rows)), taken)
    offset = np.arange(len(place)) - np.repeat(np.cumsum(taken) - taken, taken)
    many = degree[place] > k
    if many.any():
        offset[many] = (generator.random(int(many.sum())) * degree[place[many]]).astype(np.int64)
    return place, matrix.indices[start[place] + offset].astype(np.int64)
