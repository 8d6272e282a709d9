"""Twins, the same product under two ids in two domains: finding, dropping and joining."""

from __future__ import annotations

from itertools import combinations
from typing import Final, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
import scipy.sparse.csgraph

from eval.metrics.base import Array
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = ["find_twins", "resolve_twins"]

MIN_SHARED: Final = 3
MIN_JACCARD: Final = 0.8
# Pairs of items counted at a time.
BLOCK_PAIRS: Final = 20_000_000
FIRST: Final = [DOMAIN, ITEM_ID, "users"]
SECOND: Final = ["twin_domain", "twin_item_id", "twin_users"]


def find_twins(
    log: InteractionLog, *, min_shared: int = MIN_SHARED, min_jaccard: float = MIN_JACCARD
) -> pd.DataFrame:
    """List pairs of items of different domains that nearly the same users interacted with.

    Such pairs are usually one product filed twice. A model that has seen one of them then "finds"
    the other across domains, which is no transfer of interest.

    Parameters
    ----------
    log
        All interactions, before any split.
    min_shared
        Users who must have interacted with both.
    min_jaccard
        Users of both over users of either, at least.

    Returns
    -------
    pandas.DataFrame
        One row per pair: domain, item_id, users, twin_domain, twin_item_id, twin_users, shared,
        jaccard; the most alike first. The first of a pair has more users (or the earlier domain).

    Raises
    ------
    ConfigError
        If `min_shared` is below 1 or `min_jaccard` outside (0, 1].

    Notes
    -----
    Items too few of whose users are in the other domain at all cannot reach the Jaccard index and
    are left out before a sparse product counts the rest; no dense item-by-item matrix is made.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["a", "b", "c"] * 2, "domain": ["shop"] * 3 + ["sale"] * 3,
    ...     "item_id": ["pan"] * 3 + ["frying pan"] * 3}))
    >>> find_twins(log)[["item_id", "twin_item_id", "shared", "jaccard"]].values.tolist()
    [['frying pan', 'pan', 3, 1.0]]
    """
    if min_shared < 1:
        raise ConfigError(f"`min_shared` must be at least 1; got {min_shared}.")
    if not 0 < min_jaccard <= 1:
        raise ConfigError(f"`min_jaccard` must lie in (0, 1]; got {min_jaccard}.")
    frame = log.frame
    user, users = pd.factorize(frame[USER_ID])
    tables: dict[str, tuple[sp.csr_matrix, Array]] = {}
    for domain in log.domains:
        rows = np.flatnonzero((frame[DOMAIN] == domain).to_numpy())
        item, items = pd.factorize(frame[ITEM_ID].iloc[rows], sort=True)
        matrix = sp.csr_matrix(
            (np.ones(len(rows), np.int32), (item, user[rows])), shape=(len(items), len(users))
        )
        matrix.data[:] = 1  # repeats were added up
        enough = np.diff(matrix.indptr) >= min_shared
        tables[domain] = matrix[enough], np.asarray(items, dtype=object)[enough]
    parts = [
        _between(a, b, tables[a], tables[b], min_shared, min_jaccard)
        for a, b in combinations(log.domains, 2)
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=[*FIRST, *SECOND, "shared", "jaccard"])
    found = pd.concat(parts, ignore_index=True)
    keys = ["jaccard", "shared", "domain", "item_id", "twin_item_id"]
    return found.sort_values(keys, ascending=[False, False, True, True, True], ignore_index=True)


def _between(
    domain: str,
    other: str,
    first: tuple[sp.csr_matrix, Array],
    second: tuple[sp.csr_matrix, Array],
    min_shared: int,
    min_jaccard: float,
) -> pd.DataFrame:
    a, a_ids, a_size = _reachable(first, second, min_shared, min_jaccard)
    b, b_ids, b_size = _reachable(second, first, min_shared, min_jaccard)
    transposed = sp.csr_matrix(b.T)
    per_user = np.diff(transposed.indptr)
    work = np.concatenate([[0], np.cumsum(np.asarray(a @ per_user, dtype=np.int64).ravel())])
    pieces = []
    start = 0
    while start < a.shape[0]:
        # As many rows as together have few enough products, but at least one.
        stop = max(start + 1, int(np.searchsorted(work, work[start] + BLOCK_PAIRS)) - 1)
        counts = sp.coo_matrix(a[start:stop] @ transposed)
        i, j, shared = counts.row + start, counts.col, counts.data
        jaccard = shared / (a_size[i] + b_size[j] - shared)
        keep = (shared >= min_shared) & (jaccard >= min_jaccard)
        pieces.append((i[keep], j[keep], shared[keep], jaccard[keep]))
        start = stop
    if not pieces:
        return pd.DataFrame()
    i, j, shared, jaccard = (np.concatenate(part) for part in zip(*pieces, strict=True))
    ours, theirs = (domain, a_ids[i], a_size[i]), (other, b_ids[j], b_size[j])
    turned = b_size[j] > a_size[i]
    columns = {
        name: np.where(turned, second, first)
        for names, pairs in ((FIRST, (ours, theirs)), (SECOND, (theirs, ours)))
        for name, first, second in zip(names, *pairs, strict=True)
    }
    return pd.DataFrame({**columns, "shared": shared, "jaccard": jaccard})


def _reachable(
    table: tuple[sp.csr_matrix, Array],
    other: tuple[sp.csr_matrix, Array],
    min_shared: int,
    min_jaccard: float,
) -> tuple[sp.csr_matrix, Array, Array]:
    """Keep the items with enough users who are in the other domain; matrix, ids, users."""
    matrix, ids = table
    both = np.asarray(other[0].sum(axis=0)).ravel() > 0
    size = np.diff(matrix.indptr)
    meeting = np.asarray(matrix @ both.astype(np.int32)).ravel()
    keep = (meeting >= min_shared) & (meeting >= min_jaccard * size)
    return matrix[keep], ids[keep], size[keep]


def resolve_twins(
    log: InteractionLog, twins: pd.DataFrame, how: Literal["drop", "merge"]
) -> InteractionLog:
    """Take twins out of a log.

    Parameters
    ----------
    log, twins, how
        ``drop`` removes the interactions of the second item of each pair; ``merge`` counts them
        for the first, in its domain, and de-duplicates.

    Raises
    ------
    ConfigError
        If `how` is neither.

    Examples
    --------
    >>> import pandas as pd
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": list("abcabcd"), "domain": ["shop"] * 3 + ["sale"] * 4,
    ...     "item_id": ["pan"] * 3 + ["frying pan"] * 4}))
    >>> twins = find_twins(log, min_jaccard=0.75)
    >>> len(resolve_twins(log, twins, "drop")), len(resolve_twins(log, twins, "merge"))
    (4, 4)
    """
    if how not in ("drop", "merge"):
        raise ConfigError(f"`how` must be 'drop' or 'merge'; got {how!r}.")
    if not len(twins):
        return log
    frame = log.frame
    key = _items(frame, [DOMAIN, ITEM_ID])
    if how == "drop":
        return InteractionLog(frame[~key.isin(_items(twins, SECOND[:2]))])
    target = _chains(twins).reindex(key)
    kept = target[DOMAIN].isna().to_numpy()
    moved = {
        name: np.where(kept, frame[name].astype(str), target[name]) for name in (DOMAIN, ITEM_ID)
    }
    return InteractionLog(frame.assign(**moved)).deduplicate()


def _items(frame: pd.DataFrame, columns: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[columns].astype(str))


def _chains(twins: pd.DataFrame) -> pd.DataFrame:
    """Map every item of a group of twins to the item of the group with most users."""
    nodes = pd.concat([twins[FIRST], twins[SECOND].set_axis(FIRST, axis=1)])
    nodes = nodes.drop_duplicates([DOMAIN, ITEM_ID], ignore_index=True)
    index = _items(nodes, [DOMAIN, ITEM_ID])
    ends = (index.get_indexer(_items(twins, names[:2])) for names in (FIRST, SECOND))
    links = sp.csr_matrix((np.ones(len(twins)), tuple(ends)), shape=(len(nodes),) * 2)
    _, group = scipy.sparse.csgraph.connected_components(links, directed=False)
    nodes["group"] = group
    ranked = nodes.sort_values(["users", DOMAIN, ITEM_ID], ascending=[False, True, True])
    head = ranked.drop_duplicates("group").set_index("group")[[DOMAIN, ITEM_ID]]
    return head.loc[group].set_axis(index)
