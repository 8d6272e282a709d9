"""Matrices over the joint index of the items of all domains, from the edges of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from graphgen.schema import ABOUT, ATTRIBUTE, CO_CONSUMED, FRIEND, INTEREST, USER

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph
    from graphgen.vocabulary import Vocabulary

__all__ = ["about_matrix", "edge_ends", "joint_matrix", "latest", "links_of", "starts_of"]


def starts_of(items: Mapping[str, Vocabulary]) -> dict[str, int]:
    """Return the first place of each domain in the joint index."""
    ends = np.cumsum([len(vocabulary) for vocabulary in items.values()]).tolist()
    return dict(zip(items, [0, *ends[:-1]], strict=True))


def edge_ends(
    graph: InterestGraph, relation: str, starts: Mapping[str, int]
) -> tuple[list[tuple[str, str, str]], list[np.ndarray], list[np.ndarray]]:
    """Return the edge types of a relation and their ends, node i of a type at starts[type] + i."""
    types = [edges for edges in graph.data.edge_types if edges[1] == relation]
    index = [graph.data[edges].edge_index.numpy() for edges in types]
    rows = [ends[0] + starts[edges[0]] for ends, edges in zip(index, types, strict=True)]
    columns = [ends[1] + starts[edges[2]] for ends, edges in zip(index, types, strict=True)]
    return types, rows, columns


def about_matrix(graph: InterestGraph) -> sp.csr_matrix | None:
    """Return float32 CSR [n_items, topics], the weights of a graph's ``about`` edges, or None."""
    starts = starts_of({domain: graph.vocabularies[domain] for domain in graph.domains})
    types, rows, columns = edge_ends(graph, ABOUT, {INTEREST: 0, **starts})
    if not types:
        return None
    strength = [graph.data[edges].weight.numpy() for edges in types]
    return joint_matrix(rows, columns, strength, (graph.n_items, graph.n_topics))


def links_of(graph: InterestGraph, starts: Mapping[str, int]) -> dict[str, sp.csr_matrix]:
    """Return co-consumption, friends and links to attributes by relation."""
    n_attributes = len(graph.vocabularies.get(ATTRIBUTE, ()))
    shapes = {
        edges[1]: (graph.n_items, n_attributes)
        for edges in graph.data.edge_types
        if edges[2] == ATTRIBUTE
    }
    relations = {edges[1] for edges in graph.data.edge_types}
    if CO_CONSUMED in relations:
        shapes[CO_CONSUMED] = graph.n_items, graph.n_items
    if FRIEND in relations:
        shapes[FRIEND] = graph.n_users, graph.n_users
    links = {}
    for relation, shape in shapes.items():
        types, rows, columns = edge_ends(graph, relation, {USER: 0, ATTRIBUTE: 0, **starts})
        strength = [graph.data[edges].weight.numpy() for edges in types]
        links[relation] = joint_matrix(rows, columns, strength, shape)
    return links


def joint_matrix(
    rows: list[np.ndarray],
    columns: list[np.ndarray],
    values: list[np.ndarray] | None,
    shape: tuple[int, int],
) -> sp.csr_matrix:
    """Return CSR of parts that lie one after the other; values add up, and are 1 if not given."""
    row, column = np.concatenate(rows), np.concatenate(columns)
    value = np.ones(len(row), np.float32) if values is None else np.concatenate(values)
    matrix = sp.csr_matrix((value, (row, column)), shape=shape)
    matrix.sort_indices()
    return matrix


def latest(
    rows: list[np.ndarray],
    columns: list[np.ndarray],
    order: list[np.ndarray],
    shape: tuple[int, int],
) -> sp.csr_matrix:
    """Return int64 CSR of the largest `order` of each cell, at least 1; O(nnz log nnz).

    A sum, as sparse matrices make it of equal cells, would say a time that never was.
    """
    row, column, when = (np.concatenate(part) for part in (rows, columns, order))
    by_cell = np.lexsort((when, column, row))
    row, column, when = row[by_cell], column[by_cell], np.maximum(when[by_cell], 1)
    last = np.ones(len(row), dtype=bool)
    last[:-1] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    return joint_matrix([row[last]], [column[last]], [when[last]], shape)
