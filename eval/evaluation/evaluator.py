"""The entry point: evaluate the recommendations of any system on held-out interactions."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype

from eval.evaluation.accumulator import Accumulator
from eval.evaluation.catalogue import GraphContext
from eval.evaluation.inputs import read_truth
from eval.evaluation.negatives import NegativeTable
from eval.evaluation.result import EvaluationResult, summarise
from eval.evaluation.sources import ListSource, Scorer, ScorerSource
from eval.metrics.registry import sampled_metrics, select_metrics
from graphgen.errors import ConfigError, counted
from graphgen.log import InteractionLog
from graphgen.progress import progress_bar
from graphgen.schema import GROUP, INTERACTS, TIMESTAMP, USER, USER_ID
from graphgen.storage import provenance

if TYPE_CHECKING:
    from graphgen.graph import InterestGraph

__all__ = ["EvaluationResult", "Scorer", "evaluate"]

logger = logging.getLogger(__name__)

DEFAULT_K = 20
# Share of the training interactions after the first relevant one that is told.
SHARE_LATER = 0.01


def evaluate(
    recommendations: Any,
    truth: Any,
    *,
    k: int | Sequence[int] = DEFAULT_K,
    graph: InterestGraph | GraphContext | None = None,
    by: Sequence[str] | None = None,
    metrics: Iterable[str] | None = None,
    negatives: Any = None,
    graded: bool = False,
    bootstrap: int = 1000,
    seed: int = 0,
) -> EvaluationResult:
    """Compute every metric that the input allows, with intervals over users.

    Each (user, domain) with relevant items counts once in each slice it has relevant items in. A
    user whom the recommendations do not mention scores 0 and is counted as unanswered. What else
    there is to know of a result is a function of it: `eval.analyse`, `eval.compare_results`.

    Parameters
    ----------
    recommendations
        Lists of any system (DataFrame or path of CSV or Parquet: user_id, domain, item_id, rank
        or score), or a `Scorer` such as a fitted model. A scorer ranks the whole catalogue of the
        domain with the items it has seen in training masked, and also gives the exact AUC.
    truth
        InteractionLog, DataFrame or path with user_id, domain, item_id. A column ``group``, the
        same in all rows of a user (`eval.with_groups` adds it), makes a slice per group.
    k
        One or several lengths of list.
    graph
        The graph trained on: brings catalogue, features, categories, popularity, and who is cold.
        A `GraphContext` has item features of your own in the place of the graph's.
    by
        Columns of `truth` whose values make slices; default ``setting`` where there is one. In a
        slice only its rows are relevant; the ranking stays the same. With a graph also
        ``activity``, ``popularity``, ``source_domain``, ``domain_count`` and ``overlap_share``
        (see `eval.evaluation.slices`).
    metrics
        Names such as ``["recall", "ndcg", "auc"]``; default all that can be computed but the
        global ``roc-auc`` and ``pr-auc``, which take as long again.
    negatives
        DataFrame or path of fixed negatives (see `eval.sample_negatives`): adds the metrics named
        ``sampled-...`` beside the full ones. For a scorer only.
    graded
        Relevant are the rows with a rating above 0, and NDCG weighs them by it; else relevant are
        the likes, and the rating (4 of 5 or more) or a weight above 0 makes a like.
    bootstrap, seed
        Replicates of the intervals (0 for none), and the seed of them and of ties.

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
    if not isinstance(graph, GraphContext):
        from graphgen.graph import as_graph

        graph = GraphContext(graph if graph is None else as_graph(graph))
    context = graph
    relevant = read_truth(truth, by, context.graph, graded=graded)
    source: ScorerSource | ListSource
    if isinstance(recommendations, Scorer):
        needed = {need for metric in chosen for need in metric.needs}
        source = ScorerSource(
            recommendations,
            context,
            seed=seed,
            want_auc="pair_auc" in needed,
            want_links="histogram" in needed,
            negatives=None if negatives is None else NegativeTable(negatives),
        )
    else:
        domains = [domain.domain for domain in relevant.domains]
        source = ListSource(recommendations, context, seed=seed, domains=domains)
    source.check(relevant)

    found = Accumulator(chosen, ks)
    n_units = sum(len(domain.user_ids) for domain in relevant.domains)
    with progress_bar("Evaluating", n_units) as advance:
        for domain in relevant.domains:
            advance(0, domain.domain)
            catalogue, codes = source.open(domain)
            for block in source.blocks(domain, codes, max(ks)):
                found.add(domain, relevant.slices, catalogue, codes, block)
                advance(block.stop - block.start, domain.domain)
            found.close(domain.domain, source.items, codes, source.histogram)
    per_user = found.per_user()
    if relevant.groups is not None:
        groups = relevant.groups.reindex(per_user[USER_ID].astype(str)).to_numpy()
        per_user.insert(3, GROUP, groups)
    ranked = time.perf_counter()
    summary = summarise(
        per_user, found.columns(), found.of_domains(), bootstrap=bootstrap, seed=seed
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
        "graded": graded,
        "files": {"test": _files(truth), "train": _training_files(context.graph)},
        "notes": [
            *_refused(relevant.n_refused, graded),
            *_later_training(truth, context.graph, recommendations),
            *source.notes(),
        ],
        "not_computed": found.not_computed(),
        "seconds": {
            "ranking": round(ranked - started, 3),
            "intervals": round(time.perf_counter() - ranked, 3),
        },
        "provenance": provenance(),
    }
    for note in meta["notes"]:
        logger.info("%s", note)
    exposure = pd.concat(found.exposure, ignore_index=True)
    return EvaluationResult("system", per_user, summary, meta, found.curves, exposure)


def _refused(n: int, graded: bool) -> list[str]:
    why = "without a rating above 0" if graded else "that are no likes (by rating, weight or event)"
    return [f"{counted(n, 'row')} of the truth {why}: not relevant."] if n else []


def _later_training(truth: Any, graph: InterestGraph | None, scorer: Any) -> list[str]:
    """Return a note where training holds interactions later than some of the truth, and warn.

    Training is that of the graph, else of the model, where it is one of ours.
    """
    if graph is not None and graph.order:
        by_time = graph.has_time
        times = [graph.data[USER, INTERACTS, d][graph.order].numpy() for d in graph.domains]
    elif graph is None and getattr(getattr(scorer, "data", None), "order", None) is not None:
        by_time, times = scorer.data.has_time, [scorer.data.order.data]
    else:
        return []
    frame = truth.frame if isinstance(truth, InteractionLog) else truth
    if not by_time:
        note = "Positions order the interactions of one user only: training may hold later events"
        remedy = "Where the log has timestamps, prefer `interest split LOG --protocol temporal`."
    elif TIMESTAMP in getattr(frame, "columns", ()) and is_datetime64_any_dtype(frame[TIMESTAMP]):
        first = frame[TIMESTAMP].min().timestamp() * 1000
        share = np.mean(np.concatenate(times) >= first)
        if not share >= SHARE_LATER:
            return []
        note = f"{share:.0%} of the training interactions are later than the first held-out one: "
        note += "training holds later events"
        remedy = "Prefer `interest split LOG --protocol temporal`."
    else:
        return []
    note += " of other users, as in every split by user (leave-last-out, random)."
    note += f" {remedy}"
    logger.warning("%s", note)
    return [note]


def _lengths(k: Any) -> tuple[int, ...]:
    lengths = (k,) if np.ndim(k) == 0 else tuple(k)
    for length in lengths:
        if not isinstance(length, int | np.integer) or isinstance(length, bool) or length < 1:
            raise ConfigError(f"`k` must be a whole number of at least 1; got {length!r}.")
    if not lengths:
        raise ConfigError("`k` must hold at least one length of list; got none.")
    return tuple(sorted({int(length) for length in lengths}))


def _files(truth: Any) -> list[str]:
    """Return the names of the files that a log was read from."""
    report = getattr(truth, "report", None)
    return [] if report is None else _names(report.sources)


def _training_files(graph: InterestGraph | None) -> list[str]:
    report = {} if graph is None else graph.provenance.get("log", {}).get("report", {})
    return _names(report.get("sources", []))


def _names(sources: Iterable[str]) -> list[str]:
    return [Path(source).name for source in sources if Path(source).suffix]  # no DataFrame
