"""Sources of ranked lists: a scorer that ranks the whole catalogue, or a file of lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.evaluation.catalogue import GraphContext, history_labels, liked_part
from eval.evaluation.inputs import DomainTruth, Truth
from eval.evaluation.lists import read_recommendations
from eval.evaluation.negatives import NegativeTable, encode
from eval.metrics.base import Array, Catalogue
from eval.metrics.links import ScoreHistogram
from eval.metrics.pairs import pair_auc, sampled_rank
from graphgen.errors import InputError
from graphgen.joins import check_items, check_join, found_in
from graphgen.reading.normalise import DEFAULT_DOMAIN
from graphgen.schema import DOMAIN, ITEM_ID, RANK, USER, USER_ID
from graphgen.topk import top_k
from graphgen.vocabulary import Vocabulary

__all__ = ["Block", "ListSource", "Scorer", "ScorerSource", "holds"]

RECOMMENDATIONS, TRUTH = "the recommendations", "the truth"
# With so many different items, lists and truth that have none in common have other ids.
MEETING = 10
# Size of a block of scores; memory stays flat in the number of users.
BLOCK_BYTES = 32 * 2**20
# Users of a file of lists handled at a time.
LIST_BLOCK = 16_384


@runtime_checkable
class Scorer(Protocol):
    """What the evaluator asks of a model: a score for every item of a domain, and what to mask."""

    @property
    def domains(self) -> list[str]:
        """Names of the domains it can rank."""
        ...

    def items(self, domain: str) -> Vocabulary:
        """Return the catalogue of a domain."""
        ...

    def score(self, user_ids: Any, *, domain: str) -> np.ndarray:
        """Return float32 [users, items]; ``-inf`` for what must not be recommended."""
        ...

    def seen(self, user_ids: Any, *, domain: str) -> sp.csr_matrix:
        """Return training interactions of the same shape; they are masked."""
        ...


@dataclass(frozen=True, eq=False)
class Block:
    """Ranked lists of the users ``start:stop`` of a domain; None is unknown.

    `items` holds int64 [users, length] codes of items, -1 where a list is shorter; `history`
    ``cold`` or ``warm`` by user; `pair_auc` and `pair_rank` (among the negatives) float64 [pairs of
    these users]; the rest is as in `RankedLists`.
    """

    start: int
    stop: int
    items: Array
    pair_auc: Array | None
    history: Array | None
    profile: sp.csr_matrix | None
    profile_popularity: Array | None
    pair_rank: Array | None = None


class ScorerSource:
    """Ranks the whole catalogue by a scorer, block of users by block."""

    kind = "scorer"

    def __init__(
        self,
        scorer: Scorer,
        context: GraphContext,
        *,
        seed: int,
        want_auc: bool,
        want_links: bool = False,
        negatives: NegativeTable | None = None,
    ) -> None:
        self.scorer = scorer
        self.context = context
        self.seed = seed
        self.want_auc = want_auc
        self.want_links = want_links
        self.negatives = negatives
        self.histogram: ScoreHistogram | None = None
        self.unknown = self.already_seen = self.without_negatives = 0

    def check(self, truth: Truth) -> None:
        """Raise `InputError` for a domain that the scorer does not know, or items it never does."""
        known = set(self.scorer.domains)
        unknown = [d.domain for d in truth.domains if d.domain not in known]
        if unknown:
            of = f" A file of {min(known)} without domains is given as {min(known)}=PATH."
            raise InputError(
                f"The truth has rows in {', '.join(map(repr, unknown))}, which the scorer does not "
                f"know; it knows {', '.join(map(repr, sorted(known)))}."
                + of
                * (unknown == [DEFAULT_DOMAIN])
            )
        items = {d.domain: self.scorer.items(d.domain) for d in truth.domains}
        effect = "They count as missed."
        check_items(TRUTH, _pairs(truth), items, "the catalogue of the model", effect=effect)
        graph = self.context.graph
        users = getattr(self.scorer, "users", graph and graph.vocabularies[USER])
        if isinstance(users, Vocabulary):
            _check_users(truth, users)
        if self.negatives is not None:
            self.negatives.check(truth)

    def open(self, truth: DomainTruth) -> tuple[Catalogue, Array]:
        """Return the scorer's catalogue and where each relevant item stands in it."""
        items = self.scorer.items(truth.domain)
        if not len(items):
            raise InputError(f"The scorer's catalogue of domain {truth.domain!r} is empty.")
        codes = np.asarray(items.encode(truth.pair_item, missing="mark"), dtype=np.int64)
        self.unknown += int((codes < 0).sum())
        self.items = items
        self.catalogue = self.context.catalogue(truth.domain, items)
        self.histogram = ScoreHistogram() if self.want_links else None
        return self.catalogue, codes

    def blocks(self, truth: DomainTruth, codes: Array, length: int) -> Iterator[Block]:
        """Score, mask, rank and count, one block of users at a time."""
        domain = truth.domain
        n_items = len(self.scorer.items(domain))
        step = max(1, BLOCK_BYTES // (4 * n_items))
        keys = pd.util.hash_array(truth.user_ids).view(np.int64)
        profiles = _Profiles(self.catalogue)
        drawn = self._drawn(truth)
        for start in range(0, len(truth.user_ids), step):
            stop = min(start + step, len(truth.user_ids))
            ids = truth.user_ids[start:stop]
            scores = np.asarray(self.scorer.score(ids, domain=domain), dtype=np.float32)
            seen = sp.csr_matrix(self.scorer.seen(ids, domain=domain), copy=True)
            due = (stop - start, n_items)
            for what, shape in (("score", scores.shape), ("seen", seen.shape)):
                if shape != due:
                    raise InputError(
                        f"`{what}` must return the shape {list(due)} for domain {domain!r}; got "
                        f"{list(shape)}."
                    )
            if not scores.flags.writeable:
                scores = scores.copy()
            seen.eliminate_zeros()
            seen.sum_duplicates()
            masked = (np.repeat(np.arange(stop - start), np.diff(seen.indptr)), seen.indices)
            kept = scores[masked]
            scores[masked] = -np.inf
            try:
                items, _ = top_k(scores, length, keys=keys[start:stop], seed=self.seed)
            except InputError as error:
                raise InputError(f"Domain {domain!r}: {error}") from None
            pairs = slice(*np.searchsorted(truth.pair_user, [start, stop]))
            rows, columns = truth.pair_user[pairs] - start, codes[pairs]
            hidden = (columns >= 0) & holds(seen, rows, columns)
            self.already_seen += int(hidden.sum())
            placed = np.where(hidden, -1, columns)
            n_masked = np.diff(seen.indptr)
            auc = pair_auc(scores, rows, placed, n_masked) if self.want_auc else None
            if self.histogram is not None:
                self.histogram.add(scores, rows, placed, n_masked)
            rank = None
            if drawn is not None:
                rank = sampled_rank(
                    scores, rows, placed, drawn[start:stop], keys[start:stop], self.seed
                )
            scores[masked] = kept  # it may be the scorer's own
            liked = liked_part(seen)
            yield Block(start, stop, items, auc, history_labels(liked), *profiles.of(liked), rank)

    def _drawn(self, truth: DomainTruth) -> Array | None:
        if self.negatives is None:
            return None
        drawn = self.negatives.matrix(truth, self.scorer.items(truth.domain))
        self.without_negatives += int((~(drawn >= 0).any(axis=1)).sum())
        return drawn

    def notes(self) -> list[str]:
        """Return counts of relevant items that could not be recommended."""
        counts = {
            "(user, domain) have no negatives; sampled metrics leave them out.": (
                self.without_negatives
            ),
            "relevant items are not in the scorer's catalogue; they count as missed.": self.unknown,
            "relevant pairs are in the training interactions, so they are masked and count as "
            "missed: is the truth part of the training log?": self.already_seen,
        }
        return [f"{count} {note}" for note, count in counts.items() if count]


class ListSource:
    """Takes the lists of a recommendations table."""

    kind = "lists"
    histogram: ScoreHistogram | None = None

    def __init__(
        self, recommendations: Any, context: GraphContext, *, seed: int, domains: Sequence[str] = ()
    ) -> None:
        self.frame = read_recommendations(recommendations, seed=seed, domains=domains)
        self.context = context
        self.unanswered = self.used = self.short = self.repeated = self.length = 0

    def check(self, truth: Truth) -> None:
        """Raise `InputError` if no list belongs to a user of the truth, or no item is known.

        Items are known if the truth or the graph has them; many unknown ones are warned of.
        """
        answered = {
            d.domain: np.asarray(self.frame.loc[self.frame[DOMAIN] == d.domain, USER_ID].unique())
            for d in truth.domains
        }
        found = [found_in(d.user_ids, answered[d.domain]) for d in truth.domains]
        if not np.concatenate(found).any():
            listed, relevant = self.frame.iloc[0], truth.domains[0]
            raise InputError(
                "No recommended (user, domain) occurs in the truth. The recommendations hold for "
                f"instance user {listed[USER_ID]!r} in {listed[DOMAIN]!r}, the truth user "
                f"{relevant.user_ids[0]!r} in {relevant.domain!r}: do ids and domains match?"
            )
        check_join(
            "user",
            TRUTH,
            np.concatenate(found),
            RECOMMENDATIONS,
            ours=np.concatenate([d.user_ids for d in truth.domains]),
            theirs=np.concatenate(list(answered.values())),
            effect="They score 0 (a user counts once in each domain).",
        )
        items = {d.domain: Vocabulary.from_values(d.pair_item) for d in truth.domains}
        here = self.frame[self.frame[DOMAIN].isin(list(items))]
        # A few items without a hit are a bad system, but many are other ids. Systems that never
        # recommend new items have no hit where only new items are relevant: the graph knows those.
        graph = self.context.graph
        distinct = min(here[ITEM_ID].nunique(), sum(map(len, items.values())))
        refuse = distinct >= MEETING and graph is None
        remedy = "Do ids and domains match? If they do, name the graph, which has all items."
        check_items(RECOMMENDATIONS, here, items, TRUTH, many=1.0, refuse=refuse, remedy=remedy)
        if graph is not None:
            known = {domain: graph.vocabularies[domain] for domain in graph.domains}
            effect = "No metric knows them."
            check_items(RECOMMENDATIONS, here, known, "the graph", effect=effect)
            check_items(TRUTH, _pairs(truth), known, "the graph", refuse=False)
            _check_users(truth, graph.vocabularies[USER])

    def open(self, truth: DomainTruth) -> tuple[Catalogue, Array]:
        """Number the items of the domain: the graph's catalogue first, then any others."""
        chosen = self.frame[self.frame[DOMAIN] == truth.domain]
        rows = encode(chosen[USER_ID], Vocabulary(truth.user_ids))
        chosen, rows = chosen[rows >= 0], rows[rows >= 0]
        listed = chosen[ITEM_ID].cat.remove_unused_categories()
        items = self.context.vocabulary(truth.domain)
        base = 0 if items is None else len(items)
        together = Vocabulary.from_values(
            np.asarray(listed.cat.categories, dtype=object), truth.pair_item
        )
        number = np.arange(len(together), dtype=np.int64)
        if items is not None:
            known = items.encode(together.ids, missing="mark")
            number = np.where(known >= 0, known, base + number)
        names = together.encode(np.asarray(listed.cat.categories, dtype=object))
        self._codes = number[names][listed.cat.codes.to_numpy()] if len(listed) else number[:0]
        self._rows, self._ranks = rows, chosen[RANK].to_numpy()
        self.used += len(chosen)
        self.items = items if items is not None else together
        self.catalogue = self.context.catalogue(truth.domain, self.items)
        if items is None:
            self.catalogue = replace(self.catalogue, complete=None)
        return self.catalogue, number[together.encode(truth.pair_item)]

    def blocks(self, truth: DomainTruth, codes: Array, length: int) -> Iterator[Block]:
        """Cut the lists at `length` and lay them out as rows."""
        self.length = length
        order = np.argsort(self._rows, kind="stable")
        order = order[self._ranks[order] <= length]
        rows, ranks, listed = self._rows[order], self._ranks[order], self._codes[order]
        seen = self.context.seen(truth.domain, truth.user_ids, self.items)
        if seen is not None:
            inside = listed < len(self.items)
            self.repeated += int(holds(seen, rows[inside], listed[inside]).sum())
        profiles = _Profiles(self.catalogue)
        for start in range(0, len(truth.user_ids), LIST_BLOCK):
            stop = min(start + LIST_BLOCK, len(truth.user_ids))
            part = slice(*np.searchsorted(rows, [start, stop]))
            items = np.full((stop - start, length), -1, dtype=np.int64)
            items[rows[part] - start, ranks[part] - 1] = listed[part]
            sizes = np.count_nonzero(items >= 0, axis=1)
            self.unanswered += int((sizes == 0).sum())
            self.short += int(((sizes > 0) & (sizes < length)).sum())
            here = None if seen is None else liked_part(seen[start:stop])
            history = None if here is None else history_labels(here)
            yield Block(start, stop, items, None, history, *profiles.of(here))

    def notes(self) -> list[str]:
        """Return counts of what the file lacks or holds in vain."""
        n = len(self.frame)
        counts = {
            "(user, domain) of the truth have no recommendation (unanswered); they score 0.": (
                self.unanswered
            ),
            f"lists are shorter than k={self.length}; missing places are misses.": self.short,
            f"of {n} recommendations are for users or domains without truth; they are ignored.": (
                n - self.used
            ),
            "recommended items are in the user's training interactions: the system did not leave "
            "out what was seen.": self.repeated,
        }
        return [f"{count} {note}" for note, count in counts.items() if count]


def _pairs(truth: Truth) -> pd.DataFrame:
    """Return domain and item_id of the relevant items."""
    frames = [pd.DataFrame({DOMAIN: d.domain, ITEM_ID: d.pair_item}) for d in truth.domains]
    return pd.concat(frames, ignore_index=True)


def _check_users(truth: Truth, known: Vocabulary) -> None:
    """Warn where many users of the truth are unknown; an evaluation may be of such users only."""
    ours = np.unique(np.concatenate([d.user_ids for d in truth.domains]))
    found = known.encode(ours, missing="mark") >= 0
    effect = "They are users without any history."
    sides: dict[str, Any] = {"ours": ours, "theirs": known.ids, "many": 0.5, "refuse": False}
    check_join("user", TRUTH, found, "the training data", **sides, effect=effect)


class _Profiles:
    """Describes users by the categories and the popularity of their training interactions."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.popularity = catalogue.popularity
        self.matrix: sp.csr_matrix | None = None
        if catalogue.categories is not None:
            known = np.flatnonzero(catalogue.categories >= 0)
            self.matrix = sp.csr_matrix(
                (np.ones(len(known)), (known, catalogue.categories[known])),
                shape=(catalogue.n_items, catalogue.n_categories),
            )

    def of(self, seen: sp.csr_matrix | None) -> tuple[sp.csr_matrix | None, Array | None]:
        """Return the profile and its mean popularity, as in `RankedLists`."""
        if seen is None:
            return None, None
        ones = seen.astype(np.float64)
        profile = popularity = None
        if self.matrix is not None:
            counts = sp.csr_matrix(ones @ self.matrix)
            total = np.asarray(counts.sum(axis=1)).ravel()
            profile = sp.csr_matrix(sp.diags_array(1.0 / np.maximum(total, 1.0)) @ counts)
        if self.popularity is not None:
            size = np.diff(seen.indptr)
            total = ones @ self.popularity
            popularity = np.divide(total, size, out=np.full(len(size), np.nan), where=size > 0)
        return profile, popularity


def holds(matrix: sp.csr_matrix, rows: Array, columns: Array) -> Array:
    """Whether each (row, column) is stored; column -1 is not."""
    if not len(rows):
        return np.zeros(0, dtype=bool)
    stored = np.asarray(matrix[rows, np.maximum(columns, 0)]).ravel() != 0
    return stored & (columns >= 0)
