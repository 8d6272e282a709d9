"""The protocol `new-interest`: whole interests of users are held out."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.metrics.base import Array
from eval.splits.base import (
    PARTS,
    TEST,
    TRAIN,
    VALID,
    Split,
    assemble,
    check_shares,
    known_order,
)
from eval.splits.holdout import cut_instants
from graphgen.errors import ConfigError, InputError
from graphgen.graph import InterestGraph, as_graph
from graphgen.log import InteractionLog
from graphgen.schema import ABOUT, DOMAIN, INTEREST, ITEM_ID, USER_ID

__all__ = ["new_interest_split"]

BY: Final = ("time", "user", "random")
DROPPED: Final = -1


def new_interest_split(
    log: InteractionLog,
    *,
    graph: InterestGraph | str | None = None,
    by: Literal["time", "user", "random"] | None = None,
    least: int = 3,
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Split:
    """Hold out every interaction of users with an interest; the others train.

    The interests of a user are the topics of the items that the user likes. An interest is held
    out if no training row of the user has it. ``tables`` of the split hold the interests that were
    held out, with the domain of most of their rows and the number of rows.

    Parameters
    ----------
    log
        Rows of items without topics stay in training, except after a held-out instant.
    graph
        Graph with the topics of the items, or its folder. It may be of the whole log: of it only
        the topics are used, which are made of texts and categories where there are any.
    by
        ``time``: interests first touched after an instant, the same for all users; rows after it of
        interests that a user had are dropped. ``user``: the interest that each user touched last;
        the user's rows since then are dropped. ``random``: an interest of each user at random.
        None takes ``time`` where the log has timestamps, ``user`` where it has positions.
    least
        Interests that a user needs, one of them to hold out.
    valid, test
        By time, shares of the interactions; else of the users with enough interests.
    seed
        Chooses users and interests.

    Examples
    --------
    >>> import graphgen
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["ann"] * 3 + ["bob"] * 3, "domain": "d", "item_id": list("abc") * 2}))
    >>> items = pd.DataFrame({"item_id": list("abc"), "domain": "d", "category": list("xyz")})
    >>> graph = graphgen.build_graph(log, items, encoder="none", category_items=1)
    >>> split = new_interest_split(log, graph=graph, by="random", valid=0, test=0.5)
    >>> len(split.train), len(split.tables["test_interests"])
    (5, 1)
    """
    check_shares(valid=valid, test=test)
    if graph is None:
        raise ConfigError("The protocol 'new-interest' needs a graph with topics: --graph GRAPH.")
    if by is None:
        by = "time" if log.has_time else "random" if log.order is None else "user"
    if by not in BY:
        raise ConfigError(f"`by` must be one of {', '.join(BY)}; got {by!r}.")
    if least < 2:
        raise ConfigError(f"`least` must be at least 2; got {least}.")
    rows = _Rows.of(log, as_graph(graph))
    generator = np.random.default_rng(seed)
    settings: dict[str, Any] = {"by": by, "least": least, "valid": valid, "test": test}
    settings |= {"seed": seed, "graph": graph if isinstance(graph, str) else "in memory"}
    cutoff = None
    if by == "time":
        time = known_order(log, "new-interest", clock=True)
        valid_at, test_at = cut_instants(time, valid, test)
        part = np.where(time >= test_at, TEST, np.where(time >= valid_at, VALID, TRAIN))
        cutoff = pd.Timestamp(int(valid_at), unit="ms", tz="UTC").to_pydatetime()
    else:
        part = rows.drawn(by, log, least, valid, test, generator)
    part, lost = rows.held_out(part, least, backwards=by == "time")
    dropped = int((part == DROPPED).sum())
    if not (part == TEST).any():
        raise InputError(
            f"No user has {least} interests of which one can be held out by {by}; use another `by` "
            "or a lower `least`."
        )
    kept = InteractionLog(log.frame[part != DROPPED].reset_index(drop=True))
    split = assemble("new-interest", kept, part[part != DROPPED], settings, cutoff)
    for name in PARTS[1:]:
        table = lost[lost["part"] == PARTS.index(name)].drop(columns="part")
        if len(table):
            split.tables[f"{name}_interests"] = table.reset_index(drop=True)
    if dropped:
        split.dropped["held-out rows of no new interest"] = dropped
    return split


class _Rows(NamedTuple):
    """Rows of a log, with the topics of their items.

    `topics` is int64 CSR [rows, topics] of ones; `liked` has those of likes only.
    """

    frame: pd.DataFrame
    user: Array
    users: Array
    topics: sp.csr_matrix
    liked: sp.csr_matrix
    names: Array

    @classmethod
    def of(cls, log: InteractionLog, graph: InterestGraph) -> _Rows:
        if not graph.n_topics:
            raise InputError(
                "The graph has no topics, so there are no interests to hold out. Topics are made "
                "of the items' texts (`interest build --encoder`) or categories; see `interest "
                "build --help`."
            )
        frame, names = log.frame, graph.vocabularies[INTEREST].ids
        row, topic = [], []
        for domain, part in frame.reset_index(drop=True).groupby(DOMAIN, observed=True):
            if (domain, ABOUT, INTEREST) not in graph.data.edge_types:
                continue
            item, of = graph.data[domain, ABOUT, INTEREST].edge_index.numpy()
            shape = (len(graph.vocabularies[domain]), len(names))
            about = sp.csr_matrix((np.ones(len(item), np.int64), (item, of)), shape=shape)
            place = graph.vocabularies[domain].encode(part[ITEM_ID], missing="mark")
            found = about[place[place >= 0]].tocoo()
            row.append(part.index.to_numpy()[place >= 0][found.row])
            topic.append(found.col)
        if not row:
            raise InputError("No domain of the log has topics in the graph.")
        where = np.concatenate(row), np.concatenate(topic)
        topics = sp.csr_matrix(
            (np.ones(len(where[0]), np.int64), where), shape=(len(frame), len(names))
        )
        user, users = pd.factorize(frame[USER_ID], sort=True)
        liked = sp.csr_matrix(topics.multiply(log.liked[:, None]))
        liked.eliminate_zeros()
        return cls(frame, user.astype(np.int64), np.asarray(users, object), topics, liked, names)

    def by_user(self, chosen: Array) -> sp.csr_matrix:
        """Return int64 CSR [users, topics], the likes among the chosen rows (bool [rows])."""
        row = np.flatnonzero(chosen)
        one = np.ones(len(row), dtype=np.int64)
        pick = sp.csr_matrix((one, (self.user[row], row)), shape=(len(self.users), len(self.user)))
        return sp.csr_matrix(pick @ self.liked)

    def drawn(
        self,
        by: str,
        log: InteractionLog,
        least: int,
        valid: float,
        test: float,
        generator: np.random.Generator,
    ) -> Array:
        """Choose users and an interest of each; return the part of each row, int64 [rows]."""
        had = self.by_user(np.ones(len(self.user), dtype=bool)).tocoo()
        if by == "random":
            value = generator.random(had.nnz)
        else:
            # Of a user's interests the one whose first like is latest.
            order = known_order(log, "new-interest", clock=False)
            entry = self.liked.tocoo()
            cell = self.user[entry.row] * len(self.names) + entry.col
            first = pd.Series(order[entry.row]).groupby(cell).min()
            value = first.loc[had.row.astype(np.int64) * len(self.names) + had.col].to_numpy()
        best = np.lexsort((value, had.row))
        best = best[np.append(had.row[best][1:] != had.row[best][:-1], True)]
        hidden = np.full(len(self.users), -1, dtype=np.int64)
        hidden[had.row[best]] = had.col[best]
        hidden[np.bincount(had.row, minlength=len(self.users)) < least] = -1
        if by == "random":
            entry = self.topics.tocoo()
            held = np.zeros(len(self.user), dtype=bool)
            held[entry.row[entry.col == hidden[self.user[entry.row]]]] = True
        else:
            since = np.full(len(self.users), np.iinfo(np.int64).max)
            since[had.row[best]] = value[best]
            held = (order >= since[self.user]) & (hidden >= 0)[self.user]
        # Only users who keep enough can be tested: shares are of them.
        left = np.diff(self.by_user(~held).indptr)
        able = np.flatnonzero((hidden >= 0) & (left >= least - 1))
        able = generator.permutation(able)
        n_test, n_valid = round(len(able) * test), round(len(able) * valid)
        role = np.full(len(self.users), TRAIN)
        role[able[:n_test]], role[able[n_test : n_test + n_valid]] = TEST, VALID
        return np.where(held, role[self.user], TRAIN)

    def held_out(self, part: Array, least: int, *, backwards: bool) -> tuple[Array, pd.DataFrame]:
        """Keep the held-out rows of new interests; return the parts, and the interests held out.

        With `backwards`, an interest of the valid rows is not new in the test rows.
        """
        part, tables = part.copy(), []
        known = self.by_user(part == TRAIN)
        enough = np.diff(known.indptr) >= least - 1
        for which in (VALID, TEST):
            rows = part == which
            touched = self.by_user(rows)
            new = touched - touched.multiply(known > 0)
            if backwards:
                known = known + touched
            new = sp.csr_matrix(new.multiply(enough[:, None]))
            new.eliminate_zeros()
            fits = sp.csr_matrix(self.topics.multiply((new > 0)[self.user])).getnnz(axis=1) > 0
            part[rows & ~fits] = DROPPED
            tables.append(self._table(new, which, rows & fits))
        return part, pd.concat(tables, ignore_index=True)

    def _table(self, new: sp.csr_matrix, which: int, rows: Array) -> pd.DataFrame:
        """Return user_id, interest, domain and rows of each interest held out."""
        code, domains = pd.factorize(self.frame[DOMAIN].astype(str), sort=True)
        cells = new.tocoo()
        counts = np.zeros((cells.nnz, len(domains)), dtype=np.int64)
        for number in range(len(domains)):
            here = self.by_user(rows & (code == number))
            counts[:, number] = np.asarray(here[cells.row, cells.col]).ravel()
        return pd.DataFrame(
            {
                "part": which,
                USER_ID: self.users[cells.row],
                INTEREST: self.names[cells.col],
                DOMAIN: np.asarray(domains, object)[counts.argmax(axis=1)],
                "interactions": cells.data,
            }
        )
