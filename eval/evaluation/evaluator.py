"""The entry point: evaluate the recommendations of any system on held-out interactions."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.comparison.equity import ExposureTally
from eval.comparison.people import people_tables
from eval.comparison.scorer_links import evaluate_scorer_links
from eval.evaluation.accumulator import REASONS, Tally
from eval.evaluation.catalogue import GraphContext, user_groups
from eval.evaluation.inputs import read_truth
from eval.evaluation.negatives import NegativeTable
from eval.evaluation.records import records
from eval.evaluation.result import EvaluationResult, summarise
from eval.evaluation.sources import ListSource, Scorer, ScorerSource, Source
from eval.metrics.binary import LinkMetric
from eval.metrics.classification import AUC
from eval.metrics.registry import sampled_metrics, select_metrics
from graphgen.errors import ConfigError
from graphgen.progress import progress_bar
from graphgen.schema import USER_ID
from graphgen.storage import provenance

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["EvaluationResult", "Scorer", "evaluate"]

logger = logging.getLogger(__name__)

DEFAULT_K = 20


def evaluate(
    recommendations: Any,
    truth: Any,
    *,
    k: int | Sequence[int] = DEFAULT_K,
    graph: InterestGraph | None = None,
    by: Sequence[str] | None = None,
    users: Any = None,
    metrics: Iterable[str] | None = None,
    item_features: Mapping[str, Any] | None = None,
    negatives: Any = None,
    valid: Any = None,
    providers: Any = None,
    bootstrap: int = 1000,
    seed: int = 0,
    chunk_bytes: int = 32 * 2**20,
    progress: bool = False,
    name: str = "system",
) -> EvaluationResult:
    """Compute every metric that the input allows, with intervals over users.

    Each (user, domain) with relevant items counts once in each slice it has relevant items in. A
    user whom the recommendations do not mention scores 0 and is counted as unanswered.

    Parameters
    ----------
    recommendations
        Lists of any system (DataFrame or path of CSV or Parquet: user_id, domain, item_id, rank
        or score), or a `Scorer` such as a fitted model. A scorer ranks the whole catalogue of the
        domain with the items it has seen in training masked, and also gives the exact AUC.
    truth
        InteractionLog, DataFrame or path with user_id, domain, item_id.
    k
        One or several lengths of list.
    graph
        The graph trained on: brings catalogue, features, categories, popularity, and who is cold.
    by
        Columns of `truth` whose values make slices; default ``setting`` where there is one. In a
        slice only its rows are relevant; the ranking stays the same. With a graph also
        ``activity``, ``popularity``, ``source_domain``, ``domain_count`` and ``overlap_share``
        (see `eval.evaluation.slices`).
    users
        UserTable or DataFrame with user_id and group: adds a slice per group. Groups are compared
        (as are cold and warm users, and the slices by activity and domain count) in
        ``meta["fairness"]``.
    metrics
        Names such as ``["recall", "ndcg", "auc"]``; default all that can be computed but the
        global ``roc-auc`` and ``pr-auc``, which take as long again.
    item_features
        ``{domain: float [items, dim]}`` in the place of the graph's features.
    negatives
        DataFrame or path of fixed negatives (see `eval.sample_negatives`): adds the metrics named
        ``sampled-...`` beside the full ones. For a scorer only.
    valid
        Rows of the form of `truth` to choose on: adds accuracy and F1 at the threshold chosen
        on them, and calibration (`scorer_links`), as ``meta["links"]``. For a scorer only;
        it scores up to 2,000 users of each domain of both once more.
    providers
        DataFrame or path with domain, item_id and provider: adds the exposure that each gets
        against what it merits, as ``meta["providers"]``.
    bootstrap
        Replicates of the intervals; 0 for none, and for no comparison of groups and no
        ``meta["reach"]`` (in how many of their domains people are served).
    seed
        Seed of ties and of the bootstrap.
    chunk_bytes
        Size of a block of scores; memory stays flat in the number of users.
    progress
        Show a progress bar.
    name
        What the system is called in tables.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    InputError
        If the input cannot be judged: no truth, missing columns, ids that never meet, a list that
        holds an item twice, gaps in ranks, NaN scores.
    ConfigError
        If `k`, `metrics` or `bootstrap` is out of range.

    Examples
    --------
    >>> import pandas as pd
    >>> recs = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "domain": "books",
    ...                      "item_id": ["emma", "dune", "emma"], "rank": [1, 2, 1]})
    >>> truth = pd.DataFrame({"user_id": ["ann", "bob"], "domain": "books",
    ...                       "item_id": ["dune", "dune"]})
    >>> result = evaluate(recs, truth, k=2, metrics=["recall", "mrr"])
    >>> result.value("recall@2"), result.value("mrr@2")
    (0.5, 0.25)
    """
    started = time.perf_counter()
    ks = _lengths(k)
    if bootstrap < 0:
        raise ConfigError(f"`bootstrap` must be at least 0; got {bootstrap}.")
    chosen = select_metrics(metrics)
    if negatives is not None:
        asked = {metric.name for metric in chosen}
        chosen += [m for m in sampled_metrics() if m.name not in asked]
    relevant = read_truth(truth, by, graph)
    context = GraphContext(graph, item_features)
    source: Source
    if isinstance(recommendations, Scorer):
        want_auc = any(isinstance(metric, AUC) for metric in chosen)
        source = ScorerSource(
            recommendations,
            context,
            seed=seed,
            chunk_bytes=chunk_bytes,
            want_auc=want_auc,
            negatives=None if negatives is None else NegativeTable(negatives),
            want_links=any(isinstance(metric, LinkMetric) for metric in chosen),
        )
    else:
        source = ListSource(recommendations, context, seed=seed)
    source.check(relevant)
    shown = None if providers is None else ExposureTally(providers, max(ks))

    tally = Tally(chosen, ks)
    n_units = sum(len(domain.user_ids) for domain in relevant.domains)
    with progress_bar(f"Evaluating {name}", n_units, enabled=progress) as advance:
        for domain in relevant.domains:
            advance(0, domain.domain)
            catalogue, codes = source.open(domain)
            if shown is not None:
                shown.open(domain.domain, source.items, codes)
            for block in source.blocks(domain, codes, max(ks)):
                tally.add(domain, relevant.slices, catalogue, codes, block)
                if shown is not None:
                    shown.add(domain.domain, block.items)
                advance(block.stop - block.start, domain.domain)
            tally.close(domain.domain, catalogue, source.histogram)
    per_user = tally.per_user()
    if users is not None:
        groups = user_groups(users)
        per_user.insert(3, "group", groups.reindex(per_user[USER_ID].astype(str)).to_numpy())
    ranked = time.perf_counter()
    summary = summarise(
        per_user, tally.columns(), tally.catalogue_values(), bootstrap=bootstrap, seed=seed
    )
    meta: dict[str, Any] = {
        "k": list(ks),
        "seed": seed,
        "bootstrap": bootstrap,
        "kind": source.kind,
        "slices": relevant.slices,
        "n_people": int(per_user[USER_ID].nunique()),
        "n_truth_rows": relevant.n_rows,
        "domains": {d.domain: {"users": len(d.user_ids)} for d in relevant.domains},
        "notes": source.notes(),
        "not_computed": tally.not_computed(),
        "curves": tally.curves,
        "seconds": {
            "ranking": round(ranked - started, 3),
            "intervals": round(time.perf_counter() - ranked, 3),
        },
        "provenance": provenance(),
    }
    result = EvaluationResult(name, per_user, summary, meta)
    if shown is not None:
        meta["providers"] = {"k": max(ks), "rows": records(shown.table())}
    if bootstrap:
        tables, notes = people_tables(result, bootstrap=bootstrap, seed=seed)
        meta.update(tables)
        meta["notes"] += notes
    if valid is not None and isinstance(recommendations, Scorer):
        meta["links"] = evaluate_scorer_links(
            recommendations,
            truth,
            valid,
            negatives=negatives,
            bootstrap=min(bootstrap, 200),
            seed=seed,
        )
    elif valid is not None:
        meta["not_computed"]["links"] = REASONS["scores"]
    for note in meta["notes"]:
        logger.info("%s: %s", name, note)
    return result


def _lengths(k: Any) -> tuple[int, ...]:
    lengths = (k,) if np.ndim(k) == 0 else tuple(k)
    for length in lengths:
        if not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1:
            raise ConfigError(f"`k` must be a whole number of at least 1; got {length!r}.")
    if not lengths:
        raise ConfigError("`k` must hold at least one length of list; got none.")
    return tuple(sorted({int(length) for length in lengths}))
