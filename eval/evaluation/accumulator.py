"""Accumulation of all metrics over blocks of ranked lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from eval.evaluation.inputs import ALL, DomainTruth
from eval.evaluation.result import DOMAIN, SLICE
from eval.evaluation.sources import Block
from eval.metrics.base import Array, Catalogue, CatalogueMetric, ListMetric, Metric, RankedLists
from eval.metrics.binary import LinkMetric, ScoreHistogram
from eval.metrics.classification import AUC
from eval.metrics.sampled import SampledMetric
from graphgen.schema import USER_ID

__all__ = ["Tally"]

REASONS = {
    "scores": "it needs a score for every item, and recommendation lists hold only the best; "
    "evaluate the model itself",
    "features": "it needs item features: pass `graph` (built with an encoder) or `item_features`",
    "categories": "it needs item categories: pass a `graph` built with an items table",
    "popularity": "it needs training interactions: pass `graph`",
    "complete": "it needs the whole catalogue: pass `graph`",
    "negatives": "it needs a scorer and a file of negatives: pass `negatives`",
    "profile_popularity": "it needs training interactions: pass `graph`",
    "profile": "it needs item categories and training interactions: pass `graph`",
    "relevant_categories": "it needs item categories: pass a `graph` built with an items table",
}


class Tally:
    """Collects metric values block by block."""

    def __init__(self, metrics: list[Metric], ks: tuple[int, ...]) -> None:
        self.ks = ks
        self.list_metrics = [m for m in metrics if isinstance(m, ListMetric)]
        self.catalogue_metrics = [m for m in metrics if isinstance(m, CatalogueMetric)]
        self.sampled_metrics = [m for m in metrics if isinstance(m, SampledMetric)]
        self.link_metrics = [m for m in metrics if isinstance(m, LinkMetric)]
        self.curves: dict[str, dict[str, list[float]]] = {}
        self.auc = next((m for m in metrics if isinstance(m, AUC)), None)
        self.order = metrics
        self.frames: list[pd.DataFrame] = []
        self.reasons: dict[str, dict[str, str]] = {}
        self.exposure: dict[tuple[str, int], Array] = {}
        self.n_users: dict[str, int] = {}
        self.whole: list[dict[str, Any]] = []
        self.n_units: dict[str, int] = {}

    def add(
        self,
        truth: DomainTruth,
        slices: list[str],
        catalogue: Catalogue,
        codes: Array,
        block: Block,
    ) -> None:
        """Compute all list metrics of a block of users, in each slice."""
        start, stop = block.start, block.stop
        self.n_units[truth.domain] = stop
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
                profile=None if block.profile is None else block.profile[rows],
                profile_popularity=(
                    None if block.profile_popularity is None else block.profile_popularity[rows]
                ),
                relevant_categories=_relevant_categories(
                    catalogue, rows, pair_row[inside], codes[pairs][inside]
                ),
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
            for metric in self.list_metrics:
                if not self._possible(metric, lists, truth.domain):
                    continue
                for k in self.ks:
                    column = metric.column(metric.name, k)
                    if metric.uses_truth:
                        values[column] = metric(lists, k)
                        continue
                    if number == 0:
                        everywhere[column] = metric(lists, k)
                    values[column] = everywhere[column][rows]
            if self.auc is not None:
                if block.pair_auc is None:
                    self._note(self.auc.name, truth.domain, REASONS["scores"])
                else:
                    total = np.bincount(
                        pair_row[inside], weights=block.pair_auc[inside], minlength=stop - start
                    )
                    values[self.auc.name] = (total[rows] / counts[rows]).astype(np.float64)
            for sampled in self.sampled_metrics:
                if block.pair_rank is None:
                    self._note(sampled.name, truth.domain, REASONS["negatives"])
                    continue
                lengths: tuple[int | None, ...] = self.ks if sampled.has_k else (None,)
                for length in lengths:
                    each = sampled(block.pair_rank[inside], length or 0)
                    total = np.bincount(pair_row[inside], weights=each, minlength=stop - start)
                    values[sampled.column(sampled.name, length)] = total[rows] / counts[rows]
            self.frames.append(pd.DataFrame(values))
            self._expose(name, lists)

    def _possible(self, metric: Metric, lists: RankedLists, domain: str) -> bool:
        missing = metric.missing(lists)
        if missing:
            self._note(metric.name, domain, REASONS[missing[0]])
        return not missing

    def _note(self, metric: str, domain: str, reason: str) -> None:
        self.reasons.setdefault(metric, {})[domain] = reason

    def _expose(self, name: str, lists: RankedLists) -> None:
        if not self.catalogue_metrics:
            return
        self.n_users[name] = self.n_users.get(name, 0) + len(lists.items)
        size = lists.catalogue.n_items
        for k in self.ks:
            shown = lists.items[:, :k][lists.known[:, :k]]
            counts = np.bincount(shown, minlength=size)
            key = (name, k)
            self.exposure[key] = counts + self.exposure.get(key, 0)

    def close(self, domain: str, catalogue: Catalogue, histogram: ScoreHistogram | None) -> None:
        """Finish a domain: metrics of the whole catalogue, and of all its links."""
        for link_metric in self.link_metrics:
            if histogram is None:
                self._note(link_metric.name, domain, REASONS["scores"])
                continue
            self.whole.append(
                {
                    SLICE: ALL,
                    DOMAIN: domain,
                    "metric": link_metric.name,
                    "value": link_metric(histogram),
                    "n_users": self.n_units.get(domain, 0),
                }
            )
            false, true = histogram.roc_curve()
            self.curves[domain] = {"fpr": false.round(5).tolist(), "tpr": true.round(5).tolist()}
        for (name, k), counts in self.exposure.items():
            for metric in self.catalogue_metrics:
                missing = [n for n in metric.needs if getattr(catalogue, n) is None]
                if missing:
                    self._note(metric.name, domain, REASONS[missing[0]])
                    continue
                self.whole.append(
                    {
                        SLICE: name,
                        DOMAIN: domain,
                        "metric": metric.column(metric.name, k),
                        "value": metric(counts, catalogue, n_lists=self.n_users[name], k=k),
                        "n_users": self.n_users[name],
                    }
                )
        self.exposure.clear()
        self.n_users.clear()

    def per_user(self) -> pd.DataFrame:
        """Return all rows, sorted by slice, domain and user."""
        frame = pd.concat(self.frames, ignore_index=True)
        lead = [c for c in frame.columns if c not in self._columns_of(self.order)]
        order = [c for c in self._columns_of(self.order) if c in frame.columns]
        for column in (SLICE, DOMAIN, "history"):
            if column in frame.columns:
                frame[column] = frame[column].astype("category")
        return frame[[*lead, *order]]

    def columns(self) -> list[str]:
        """Return the columns of metrics with a value per user."""
        present = {column for frame in self.frames for column in frame.columns}
        return [c for c in self._columns_of(self.order) if c in present]

    def _columns_of(self, metrics: list[Metric]) -> list[str]:
        columns = []
        for metric in metrics:
            per_k = isinstance(metric, SampledMetric) and metric.has_k
            if isinstance(metric, ListMetric) or per_k:
                columns += [metric.column(metric.name, k) for k in self.ks]
            elif isinstance(metric, AUC | SampledMetric):
                columns.append(metric.name)
        return columns

    def catalogue_values(self) -> pd.DataFrame:
        """Return the values of metrics that have none per user."""
        return pd.DataFrame(self.whole)

    def not_computed(self) -> dict[str, str]:
        """Return why metrics are missing, per metric."""
        return {
            metric: f"{next(iter(reasons.values()))} (domains: {', '.join(reasons)})"
            for metric, reasons in self.reasons.items()
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
