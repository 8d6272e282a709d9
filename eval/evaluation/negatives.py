"""Fixed negatives for sampled metrics: drawn once, saved, and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.evaluation.catalogue import GraphContext
from eval.evaluation.inputs import DomainTruth, Truth, read_table, read_truth
from eval.metrics.base import Array
from graphgen.arrays import place_in_group
from graphgen.errors import ConfigError, InputError
from graphgen.joins import check_join
from graphgen.reading.normalise import with_own_users
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID
from graphgen.storage import atomic_file
from graphgen.topk import top_k
from graphgen.vocabulary import Vocabulary

__all__ = ["NegativeTable", "read_negatives", "sample_negatives", "write_negatives"]

COLUMNS: Final = (USER_ID, DOMAIN, ITEM_ID)
BLOCK_SCORES: Final = 8_000_000


def sample_negatives(
    truth: Any,
    items: Mapping[str, Vocabulary] | None = None,
    *,
    graph: Any = None,
    scorer: Any = None,
    n: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw negatives for every user of the truth, without replacement.

    Parameters
    ----------
    truth
        InteractionLog, DataFrame or path; its relevant items are never drawn for their user.
    items, graph, scorer
        ``{domain: vocabulary}``; or the graph trained on: its catalogues, without the items that a
        user has seen in training; or a `Scorer`: its catalogues, without the items that it masks.
    n
        Negatives per user and domain; fewer where the catalogue holds no more.
    seed
        The draw of a user depends on the seed, the user and the catalogue alone.

    Returns
    -------
    pandas.DataFrame
        user_id, domain, item_id (categories), sorted by domain and user.

    Raises
    ------
    InputError
        If there is neither a graph nor a scorer nor items for a domain.
    ConfigError
        If `n` is below 1.

    Examples
    --------
    >>> import pandas as pd
    >>> truth = pd.DataFrame({"user_id": ["u"], "domain": ["d"], "item_id": ["b"]})
    >>> sample_negatives(truth, {"d": Vocabulary(["a", "b", "c"])}, n=2)["item_id"].tolist()
    ['a', 'c']
    """
    if n < 1:
        raise ConfigError(f"`n` must be at least 1; got {n}.")
    context = GraphContext(graph)
    parts = []
    for domain in read_truth(truth, ()).domains:
        name = domain.domain
        vocabulary = (items or {}).get(name)
        if vocabulary is None:
            knows = scorer is not None and name in scorer.domains
            vocabulary = scorer.items(name) if knows else context.vocabulary(name)
        if vocabulary is None:
            raise InputError(
                f"No catalogue of domain {name!r} to draw from: pass `items` or `graph`."
            )
        codes = vocabulary.encode(domain.pair_item, missing="mark")
        seen = context.seen(name, domain.user_ids, vocabulary)
        if scorer is not None:
            masked = sp.csr_matrix(scorer.seen(domain.user_ids, domain=name), dtype=bool)
            seen = masked if seen is None else sp.csr_matrix(seen.astype(bool) + masked)
        keys = pd.util.hash_array(domain.user_ids).view(np.int64)
        step = max(1, BLOCK_SCORES // len(vocabulary))
        for start in range(0, len(domain.user_ids), step):
            stop = min(start + step, len(domain.user_ids))
            allowed = np.zeros((stop - start, len(vocabulary)), dtype=np.float32)
            pairs = slice(*np.searchsorted(domain.pair_user, [start, stop]))
            rows, columns = domain.pair_user[pairs] - start, codes[pairs]
            allowed[rows[columns >= 0], columns[columns >= 0]] = -np.inf
            if seen is not None:
                allowed[seen[start:stop].nonzero()] = -np.inf
            drawn = np.sort(top_k(allowed, n, keys=keys[start:stop], seed=seed)[0], axis=1)
            row, place = np.nonzero(drawn >= 0)
            users, found = domain.user_ids[start:stop][row], vocabulary.ids[drawn[row, place]]
            parts.append(pd.DataFrame({USER_ID: users, DOMAIN: name, ITEM_ID: found}))
    return pd.concat(parts, ignore_index=True).astype("category")


def write_negatives(negatives: pd.DataFrame, path: str | Path) -> Path:
    """Write negatives to Parquet or, by the name, CSV."""
    with atomic_file(path) as temporary:
        if Path(path).suffix.lower() in {".parquet", ".pq"}:
            negatives.to_parquet(temporary, index=False)
        else:
            negatives.to_csv(temporary, index=False)
    return Path(path)


def read_negatives(source: Any, separate_users: Sequence[str] = (), **options: Any) -> pd.DataFrame:
    """Read user_id, domain and item_id; parameters as of `eval.evaluation.inputs.read_lists`."""
    frame = read_table(source, COLUMNS, "The negatives", **options)
    return with_own_users(frame, separate_users)


class NegativeTable:
    """Negatives (DataFrame or path: user_id, domain, item_id) as item codes per domain."""

    def __init__(self, source: Any) -> None:
        self.frame = read_negatives(source)

    def check(self, truth: Truth) -> None:
        """Warn of users of the truth without negatives; an `InputError` if none has any."""
        names = self.frame[[DOMAIN, USER_ID]].astype(str).drop_duplicates()
        theirs = pd.MultiIndex.from_frame(names)
        ours = [(d.domain, user) for d in truth.domains for user in d.user_ids]
        check_join(
            "user", "the truth", pd.MultiIndex.from_tuples(ours).isin(theirs), "the negatives",
            ours=[user for _, user in ours], theirs=names[USER_ID],
            effect="Sampled metrics leave them out.",
        )  # fmt: skip

    def matrix(self, truth: DomainTruth, items: Vocabulary) -> Array:
        """Return int64 [users of the truth, most negatives], -1 where there are fewer.

        Raises
        ------
        InputError
            If a negative is not in the catalogue, or is relevant to its user.
        """
        mine = self.frame[(self.frame[DOMAIN].astype(str) == truth.domain).to_numpy()]
        users = Vocabulary(truth.user_ids)
        row = encode(mine[USER_ID], users)
        column = encode(mine[ITEM_ID], items)
        used = row >= 0
        if (column[used] < 0).any():
            unknown = mine[ITEM_ID][used].to_numpy()[column[used] < 0][0]
            raise InputError(f"Negative {unknown!r} is not in the catalogue of {truth.domain!r}.")
        row, column = row[used], column[used]
        relevant = truth.pair_user * len(items) + items.encode(truth.pair_item, missing="mark")
        wrong = np.isin(row * len(items) + column, relevant)
        if wrong.any():
            raise InputError(
                f"{int(wrong.sum())} negatives of domain {truth.domain!r} are relevant to their "
                "user; draw them for this truth."
            )
        order = np.argsort(row, kind="stable")
        row, column = row[order], column[order]
        size = np.bincount(row, minlength=len(truth.user_ids))
        result = np.full((len(size), int(size.max(initial=0))), -1, dtype=np.int64)
        result[row, place_in_group(row)] = column
        return result


def encode(column: pd.Series, vocabulary: Vocabulary) -> Array:
    """Return the code of each id of a column, -1 where the vocabulary lacks it."""
    categories = column.astype("category").cat
    names = np.asarray(categories.categories.astype(str), dtype=object)
    return vocabulary.encode(names, missing="mark")[categories.codes.to_numpy()]
