"""Edges of users and items: ``interacts``, with weight and time or position, and ``rejects``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
import torch

from graphgen.arrays import sorted_rows
from graphgen.ids import as_ids
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, INTERACTS, ITEM_ID, REJECTS, USER, USER_ID, WEIGHT
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphgen.tables import ItemTable, UserTable

__all__ = ["Numbered", "add_interactions", "likes_matrix", "number_log"]


class Numbered(NamedTuple):
    """The rows of a log as indices of `vocabularies`, ``user`` first, then the domains by name.

    `user` and `item` are int32 [n], `domain` is int64 [n], the number of the domain among them.
    """

    vocabularies: dict[str, Vocabulary]
    user: np.ndarray
    domain: np.ndarray
    item: np.ndarray


def number_log(
    log: InteractionLog, items: ItemTable | None = None, users: UserTable | None = None
) -> Numbered:
    """Number the users and the items of each domain, those of the tables too. O(n + m log m).

    Parameters
    ----------
    log
        n interactions of m users and items.
    items, users
        Further ones.
    """
    coded = log.codes(USER_ID)
    used = np.flatnonzero(np.bincount(coded.codes, minlength=len(coded.values)))
    more = None if users is None else users.frame[USER_ID]
    vocabulary, place = _numbered(coded.values, used, more)
    vocabularies = {USER: vocabulary}
    user = place[coded.codes]

    codes, pairs = log.item_codes()
    values = log.codes(ITEM_ID).values
    owner, value = np.divmod(pairs, max(len(values), 1))
    bounds = np.searchsorted(owner, np.arange(len(log.domains) + 1))
    own = dict(zip(log.domains, itertools.pairwise(bounds), strict=True))
    tables = {} if items is None else dict(list(items.frame.groupby(DOMAIN)[ITEM_ID]))
    local = np.empty(len(pairs), dtype=np.int32)
    names = sorted({*own, *map(str, tables)})
    for name in names:
        low, high = own.get(name, (0, 0))
        vocabularies[name], place = _numbered(values, value[low:high], tables.get(name))
        local[low:high] = place[value[low:high]]
    number = np.array([names.index(name) for name in log.domains], dtype=np.int64)
    domain = number[log.domain_codes]
    return Numbered(vocabularies, user, domain, local[codes])


def _numbered(
    values: pa.Array, used: np.ndarray, more: object = None
) -> tuple[Vocabulary, np.ndarray]:
    """Return a vocabulary of the `used` of some ids and of others; int32, the index of each id."""
    ids = values.take(pa.array(used))
    n = len(ids)
    if more is not None:
        others = pc.unique(as_ids(more))  # type: ignore[arg-type]
        ids = pa.concat_arrays([ids, others.filter(pc.invert(pc.is_in(others, value_set=ids)))])
    vocabulary, index = Vocabulary.numbered(ids)
    place = np.empty(len(values), dtype=np.int32)
    place[used] = index[:n]
    return vocabulary, place


def add_interactions(data: HeteroData, log: InteractionLog, numbered: Numbered) -> None:
    """Add one edge per row of the log, in place, to ``user`` and the domains.

    Likes are ``(user, interacts, domain)``; a domain without any gets zero edges, so that code need
    not ask. Rows with a weight of 0 (seen) or below (disliked) are ``(user, rejects, domain)``,
    which is there only where a domain has such rows.
    O(E log E) for the sort by user; 60 bytes an edge at the peak.
    """
    frame = log.frame_of_codes
    weight = frame[WEIGHT].to_numpy(np.float32) if WEIGHT in frame else None
    liked = None if weight is None else weight > 0
    when, clock = log.order, log.has_time
    domains = [name for name in numbered.vocabularies if name != USER]
    # Of 16 bits the sort is a radix sort. It is stable: without any order the rows of a user keep
    # the order of the log.
    narrow = numbered.domain.astype(np.int16 if len(domains) < 2**15 else np.int64)
    by_domain = np.argsort(narrow, kind="stable")
    bounds = np.cumsum([0, *np.bincount(numbered.domain, minlength=len(domains))])

    def add(relation: str, domain: str, rows: np.ndarray) -> None:
        store = data[USER, relation, domain]
        ends = np.empty((2, len(rows)), dtype=np.int64)
        ends[0], ends[1] = numbered.user[rows], numbered.item[rows]
        store.edge_index = torch.from_numpy(ends)
        store.weight = torch.ones(len(rows)) if weight is None else torch.from_numpy(weight[rows])
        if when is not None:
            store["time" if clock else "position"] = torch.from_numpy(when[rows])

    for domain, low, high in zip(domains, bounds[:-1], bounds[1:], strict=True):
        rows = by_domain[low:high]
        if liked is not None:
            others = rows[~liked[rows]]
            if len(others):
                add(REJECTS, domain, others)
            rows = rows[liked[rows]]
        order = sorted_rows(numbered.user[rows], None if when is None else when[rows])
        add(INTERACTS, domain, rows[order])


def likes_matrix(data: HeteroData, domains: list[str]) -> sp.csr_matrix:
    """Return CSR [users, items], 1 where a user likes an item, domains one after the other."""
    parts = []
    for domain in domains:
        user, item = data[USER, INTERACTS, domain].edge_index.numpy()
        shape = (data[USER].num_nodes, data[domain].num_nodes)
        parts.append(sp.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=shape))
    return sp.csr_matrix(sp.hstack(parts, format="csr"))
