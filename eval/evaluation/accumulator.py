"""Accumulation of all metrics over blocks of ranked lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.evaluation.inputs import ALL, DomainTruth
from eval.evaluation.result import DOMAIN, SLICE, Curve
from eval.evaluation.sources import Block
from eval.metrics.base import Array, Catalogue, DomainTotals, Metric, RankedLists
from eval.metrics.links import ScoreHistogram
from graphgen.schema import ITEM_ID, USER_ID
from graphgen.vocabulary import Vocabulary

__all__ = ["Accumulator"]

NO_SCORES: Final = (
    "it needs a score for every item, and recommendation lists hold only the best; "
    "evaluate the model itself"
)
REASONS: Final = {
    "pair_auc": NO_SCORES,
    "histogram": NO_SCORES,
    "features": "it needs item features: pass `graph` (built with an encoder)",
    "categories": "it needs item categories: pass a `graph` built with an items table",
    "popularity": "it needs training interactions: pass `graph`",
    "complete": "it needs the whole catalogue: pass `graph`",
    "pair_rank": "it needs a scorer and a file of negatives: pass `negatives`",
    "pair_probability": "it needs probabilities: `interest compare --task next-domain` has them",
    "profile_popularity": "it needs training interactions: pass `graph`",
    "profile": "it needs item categories and training interactions: pass `graph`",
    "relevant_categories": "it needs item categories: pass a `graph` built with an items table",
}


class Accumulator:
    """Collects metric values block by block, and how often each item is shown.

    `exposure` holds one table per domain, as in `EvaluationResult`, over the longest k; `curves`
    the ROC curve of all links, by domain, where it was asked for.
    """

    def __init__(self, metrics: list[Metric], ks: tuple[int, ...]) -> None:
        self.ks = ks
        self.exposure: list[pd.DataFrame] = []
        self.curves: dict[str, Curve] = {}
        self._metrics = [metric for metric in metrics if metric.columns(ks)]
        self._domain_metrics = [metric for metric in metrics if not metric.columns(ks)]
        self._frames: list[pd.DataFrame] = []
        self._reasons: dict[str, dict[str, str]] = {}
        self._totals: dict[str, DomainTotals] = {}
        self._shown: Array | None = None
        self._of_domains: list[dict[str, Any]] = []

    def add(
        self,
        truth: DomainTruth,
        slices: list[str],
        catalogue: Catalogue,
        codes: Array,
        block: Block,
    ) -> None:
        """Compute the metrics of a block of users, in each slice."""
        start, stop = block.start, block.stop
        pairs = slice(*np.searchsorted(truth.pair_user, [start, stop]))
        pair_row, member = truth.pair_user[pairs] - start, truth.member[pairs]
        found, pair = _match(block.items, pair_row, codes[pairs])
        everywhere: dict[str, Array] = {}
        for number, name in enumerate(slices):
            inside = member[:, number]
            counts = np.bincount(pair_row[inside], minlength=stop - start)
            rows = np.flatnonzero(counts)
            if not rows.size:
                continue
            hits = found & inside[pair]
            whole = len(rows) == stop - start
            lists = RankedLists(
                items=block.items if whole else block.items[rows],
                hits=hits if whole else hits[rows],
                n_relevant=counts[rows],
                catalogue=catalogue,
                profile=_part(block.profile, rows),
                profile_popularity=_part(block.profile_popularity, rows),
                relevant_categories=_relevant_categories(
                    catalogue, rows, pair_row[inside], codes[pairs][inside]
                ),
                pair_row=np.searchsorted(rows, pair_row[inside]),
                pair_auc=_part(block.pair_auc, inside),
                pair_rank=_part(block.pair_rank, inside),
                **_grades(truth.grade, pairs, pair, inside, hits, rows),
            )
            values: dict[str, Any] = {
                SLICE: name,
                USER_ID: truth.user_ids[start:stop][rows],
                DOMAIN: truth.domain,
            }
            if block.history is not None:
                values["history"] = block.history[rows]
            values["n_relevant"] = lists.n_relevant
            values["answered"] = lists.sizes > 0
            for metric in self._metrics:
                if not self._possible(metric, lists, truth.domain):
                    continue
                if metric.uses_truth or number == 0:
                    measured = metric.per_user(lists, self.ks)
                    values |= measured
                    if not metric.uses_truth:
                        everywhere |= measured
                else:
                    values |= {c: everywhere[c][rows] for c in metric.columns(self.ks)}
            self._frames.append(pd.DataFrame(values))
            if self._domain_metrics:
                self._count(name, lists)
            if number == 0:
                self._expose(lists)

    def _possible(self, metric: Metric, known: RankedLists | DomainTotals, domain: str) -> bool:
        missing = metric.missing(known)
        if missing:
            self._reasons.setdefault(metric.name, {})[domain] = REASONS[missing[0]]
        return not missing

    def _count(self, name: str, lists: RankedLists) -> None:
        size = lists.catalogue.n_items
        known = self._totals.get(name)
        before = known.exposure if known else dict.fromkeys(self.ks, 0)
        counts = {
            k: before[k] + np.bincount(lists.items[:, :k][lists.known[:, :k]], minlength=size)
            for k in self.ks
        }
        n_lists = len(lists.items) + (known.n_lists if known else 0)
        self._totals[name] = DomainTotals(lists.catalogue, counts, n_lists)

    def _expose(self, lists: RankedLists) -> None:
        weight = np.broadcast_to(lists.discounts, lists.items.shape)[lists.known]
        shown = np.bincount(
            lists.items[lists.known], weights=weight, minlength=lists.catalogue.n_items
        )
        self._shown = shown if self._shown is None else self._shown + shown

    def close(
        self, domain: str, items: Vocabulary, codes: Array, histogram: ScoreHistogram | None
    ) -> None:
        """Finish a domain: metrics of the whole catalogue, and of all its links."""
        if histogram is not None:
            false, true = histogram.roc_curve()
            self.curves[domain] = {"fpr": false.round(5).tolist(), "tpr": true.round(5).tolist()}
        if ALL in self._totals:
            self._totals[ALL] = replace(self._totals[ALL], histogram=histogram)
            totals = self._totals[ALL]
            possible = [m for m in self._domain_metrics if self._possible(m, totals, domain)]
        for name, totals in self._totals.items():
            for metric in possible:
                for column, value in metric.per_domain(totals).items():
                    row = {SLICE: name, DOMAIN: domain, "metric": column, "value": value}
                    self._of_domains.append({**row, "n_users": totals.n_lists})
        self._totals.clear()
        if self._shown is not None:
            size = len(self._shown)
            merit = np.bincount(codes[(codes >= 0) & (codes < size)], minlength=size)
            used = np.flatnonzero((self._shown > 0) | (merit > 0))
            self.exposure.append(
                pd.DataFrame(
                    {
                        DOMAIN: domain,
                        ITEM_ID: items.ids[used].astype(str),
                        "exposure": self._shown[used],
                        "merit": merit[used].astype(np.float64),
                    }
                )
            )
            self._shown = None

    def per_user(self) -> pd.DataFrame:
        """Return all rows, sorted by slice, domain and user."""
        frame = pd.concat(self._frames, ignore_index=True)
        metrics = self.columns()
        for column in (SLICE, DOMAIN, "history"):
            if column in frame.columns:
                frame[column] = frame[column].astype("category")
        return frame[[*(c for c in frame.columns if c not in metrics), *metrics]]

    def columns(self) -> list[str]:
        """Return the columns of metrics with a value per user."""
        present = {column for frame in self._frames for column in frame.columns}
        return [c for metric in self._metrics for c in metric.columns(self.ks) if c in present]

    def of_domains(self) -> pd.DataFrame:
        """Return the values of metrics that have none per user."""
        return pd.DataFrame(self._of_domains)

    def not_computed(self) -> dict[str, str]:
        """Return why metrics are missing, per metric."""
        return {
            metric: f"{next(iter(reasons.values()))} (domains: {', '.join(reasons)})"
            for metric, reasons in self._reasons.items()
        }


def _part(values: Any, rows: Array) -> Any:
    return None if values is None else values[rows]


def _grades(
    grade: Array | None,
    pairs: slice,
    pair: Array,
    inside: Array,
    hits: Array,
    rows: Array,
) -> dict[str, Array]:
    """Return the grades of hits and of relevant items, as in `RankedLists`."""
    if grade is None:
        return {}
    own = grade[pairs]
    return {
        "hit_grades": np.where(hits, own[pair], 0.0)[rows],
        "pair_grades": own[inside],
    }


def _match(items: Array, pair_row: Array, pair_code: Array) -> tuple[Array, Array]:
    """Find each recommended item among its user's relevant pairs: found, and which pair."""
    width = int(max(items.max(initial=0), pair_code.max(initial=0))) + 1
    usable = np.flatnonzero(pair_code >= 0)
    if not usable.size:
        return np.zeros(items.shape, dtype=bool), np.zeros(items.shape, dtype=np.int64)
    key = pair_row[usable] * width + pair_code[usable]
    order = np.argsort(key, kind="stable")
    key = key[order]
    asked = items + np.arange(len(items))[:, None] * width
    place = np.minimum(np.searchsorted(key, asked), len(key) - 1)
    found = (key[place] == asked) & (items >= 0)
    return found, usable[order][place]


def _relevant_categories(
    catalogue: Catalogue, rows: Array, pair_row: Array, pair_code: Array
) -> Array | None:
    if catalogue.categories is None:
        return None
    known = (pair_code >= 0) & (pair_code < catalogue.n_items)
    kinds = np.where(known, catalogue.categories[np.where(known, pair_code, 0)], -1)
    return np.stack([np.searchsorted(rows, pair_row), kinds], axis=1)
