"""Re-ranking measured: the cost in accuracy of more diverse lists, and speed beside pyversity."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.comparison.significance import paired_test
from eval.evaluation.cells import number
from eval.evaluation.evaluator import evaluate
from eval.evaluation.result import EvaluationResult, aligned
from eval.reports.tables import markdown_table
from eval.reports.writing import write_frontier
from gnn.base import Model
from gnn.data import TrainingData
from gnn.interests.interests import Interests
from gnn.interests.reranking import (
    BY_VECTORS,
    RERANKERS,
    Reranker,
    relative_scores,
    rerank,
)
from gnn.numerics.reranking import SMOOTHING
from graphgen.errors import ConfigError
from graphgen.graph import InterestGraph
from graphgen.pieces import map_pieces
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID
from graphgen.vocabulary import Vocabulary

__all__ = ["Frontier", "RerankingSpeed", "measure_frontier", "measure_speed"]

PLAIN: Final = "by score"
STRENGTHS: Final = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
TITLES: Final = {
    "ild": "Intra-list distance",
    "coverage": "Catalogue coverage",
    "interests": "Interests in a list",
    "miscalibration": "Miscalibration (nats)",
}
# Share of NDCG that diverse lists should keep.
KEPT: Final = 0.98
# The made-up problem: about as many items and topics as the largest domain of an Amazon log.
ITEMS, TOPICS, TOPICS_OF_ITEM, HISTORY = 18_000, 160, 3, 10
RIVAL_COLUMNS: Final = {"pyversity": "{:,.0f}", "agree": "{:.1%}"}
# Users of a piece of work of one thread.
PIECE: Final = 256


@dataclass(frozen=True)
class Frontier:
    """Accuracy and diversity of lists by re-ranker and strength.

    Attributes
    ----------
    table
        A row each: method, strength, and, macro over domains, ndcg, its share of that of the lists
        by score (``kept``, with a 95 % interval ``kept_low`` to ``kept_high``), ild, coverage and,
        where there are interests, ``interests`` (effective number in a list) and
        ``miscalibration`` (nats from the user's history). The first row is the lists by score.
    k, n_users
        Length of the lists, and number of users.
    """

    table: pd.DataFrame
    k: int
    n_users: int

    @property
    def best(self) -> pd.DataFrame:
        """The rows of `table`, one for each method, with the largest intra-list distance (coverage
        where there is none) among those that keep `KEPT` of the NDCG; first the lists by score.
        """
        kept = self.table[self.table["kept"] >= KEPT]
        by = kept["ild"] if "ild" in kept else kept["coverage"]
        places = by.groupby(kept["method"], sort=False).idxmax()
        return self.table.loc[[0, *(place for place in places if place)]]

    def sentence(self) -> str:
        """Return the largest gains in diversity that keep `KEPT` of the NDCG, in words."""
        kept = self.table[self.table["kept"] >= KEPT]
        gains = []
        for name in [name for name in ("ild", "coverage") if name in self.table]:
            most = kept.loc[kept[name].idxmax()]
            more = 100 * (most[name] / self.table[name].iloc[0] - 1)
            setting = f"{most.method} {most.strength:g}"
            gains.append(f"{TITLES[name].lower()} {more:+.1f} % ({setting})")
        return f"The most that keeps {100 * KEPT:g} % of NDCG@{self.k}: {' and '.join(gains)}."

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        shown = [name for name in self.table if name not in ("kept_low", "kept_high")]
        rows = []
        for row in self.table.to_dict("records"):
            cells = [number(row[name]) for name in shown[2:]]
            cells[1] = "{kept:.3f} [{kept_low:.3f}, {kept_high:.3f}]".format(**row)
            rows.append([str(row["method"]), f"{row['strength']:g}", *cells])
        return markdown_table(shown, rows)

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write the table and a page with plots; see `eval.reports.writing.write_frontier`."""
        titles = {name: title for name, title in TITLES.items() if name in self.table}
        facts = {"distinct users": f"{self.n_users:,}", "k": str(self.k)}
        return write_frontier(
            self.table, self.best, path, lead=self.sentence(), titles=titles, facts=facts,
            overwrite=overwrite, made_from=made_from,
        )  # fmt: skip


def measure_frontier(
    model: Model,
    truth: Any,
    graph: InterestGraph,
    *,
    k: int = 20,
    methods: Sequence[str] | None = None,
    strengths: Sequence[float] | None = STRENGTHS,
    users: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Frontier:
    """Measure lists by score and re-ranked ones on the same held-out rows.

    Parameters
    ----------
    model
        A model fitted on `graph`.
    truth
        Held-out interactions, an InteractionLog.
    graph
        Gives text features for distances, and interests.
    k
        Length of the lists.
    methods, strengths
        Each method is measured with each strength; None for all methods, and for the default
        strength of each.
    users
        Number of users, drawn at random; None for all.
    seed
        Of users, ties, random choices and intervals.
    progress
        Show a progress bar.
    """
    frame = truth.frame
    ids = frame[USER_ID].astype(object).unique()
    if users is not None and users < len(ids):
        ids = np.random.default_rng(seed).choice(ids, users, replace=False)
        frame = frame[frame[USER_ID].isin(ids)]
    requests = frame[[USER_ID, DOMAIN]].astype(object).drop_duplicates()
    chooser = Reranker(model.data, "epsilon")
    lists = model.recommend(requests, k=chooser.depth(k), seed=seed, progress=progress)
    try:
        interests = Interests.of(model.data, graph)
    except ConfigError:
        interests = None
    metrics = [name for name in ("ndcg", "ild", "coverage") if name != "ild" or graph.feature_dim]

    settings: Any = {"k": k, "by": (), "bootstrap": 0, "seed": seed}

    def judged(part: pd.DataFrame) -> tuple[EvaluationResult, dict[str, float]]:
        result = evaluate(part, frame, graph=graph, metrics=metrics, **settings)
        found = {name: result.value(f"{name}@{k}") for name in metrics}
        return result, found | _interest_metrics(part, model, interests)

    plain, found = judged(lists[lists["rank"] <= k])
    rows = [{"method": PLAIN, "strength": 0.0, **_kept(plain, plain, k, seed), **found}]
    cells = [
        (method, strength)
        for method in methods or RERANKERS
        for strength in strengths or [RERANKERS[method]]
    ]
    with progress_bar("Re-ranking", len(cells), enabled=progress) as advance:
        for method, strength in cells:
            part = rerank(
                lists, model, k=k, method=method, strength=strength, graph=graph, seed=seed
            )
            result, found = judged(part)
            row = {"method": method, "strength": strength, **_kept(result, plain, k, seed)}
            rows.append(row | found)
            advance(1)
    order = ["method", "strength", "ndcg", "kept", "kept_low", "kept_high"]
    table = pd.DataFrame(rows)
    table = table[[*order, *(name for name in table if name not in order)]]
    return Frontier(table, k, requests[USER_ID].nunique())


@dataclass(frozen=True)
class RerankingSpeed:
    """Lists a second.

    Attributes
    ----------
    table
        A row each: method, lists_per_second, and for MMR and DPP pyversity (its lists a second) and
        agree (the share of its lists that are the same as ours).
    """

    table: pd.DataFrame

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        header = ["method", "lists/s", "pyversity, lists/s", "same lists"]
        rows = [
            [
                str(row["method"]),
                f"{row['lists_per_second']:,.0f}",
                *(
                    "–" if pd.isna(row.get(n)) else f.format(row[n])
                    for n, f in RIVAL_COLUMNS.items()
                ),
            ]
            for row in self.table.to_dict("records")
        ]
        return markdown_table(header, rows)


def _kept(result: EvaluationResult, plain: EvaluationResult, k: int, seed: int) -> dict[str, float]:
    """Return the share of the NDCG of the plain lists, macro over domains, and its interval."""
    ours, theirs = aligned(result, plain), plain.per_user
    column = f"ndcg@{k}"
    whole = plain.value(column)
    codes = [pd.factorize(theirs[name])[0] for name in (USER_ID, DOMAIN)]
    test = paired_test(ours[[column]].to_numpy(), theirs[[column]].to_numpy(), *codes, seed=seed)
    names = ("kept", "kept_low", "kept_high")
    parts = (test.difference, test.low, test.high)
    return {name: float(1 + part[0] / whole) for name, part in zip(names, parts, strict=True)}


def _interest_metrics(
    lists: pd.DataFrame, model: Model, interests: Interests | None
) -> dict[str, float]:
    """Return the effective number of interests in a list, exp(entropy), and its divergence from the
    user's history, as in `eval.metrics.interests.Miscalibration`; macro over domains.
    """
    if interests is None:
        return {}
    data, found = model.data, []
    for domain, part in lists.groupby(DOMAIN):
        members = interests.members[str(domain)]
        row, ids = pd.factorize(part[USER_ID])
        columns = data.items[str(domain)].encode(part[ITEM_ID].to_numpy(object))
        cells = sp.csr_matrix((np.ones(len(row), np.float32), (row, columns)))
        cells.resize(len(ids), members.shape[0])
        shown = _shares((cells @ members).toarray())
        number = np.exp(-(shown * np.log(np.maximum(shown, 1e-12))).sum(axis=1))
        users = data.users.encode(ids.to_numpy(object), missing="mark")
        here = np.asarray(members.sum(axis=0)).ravel() > 0
        wish = _shares(interests.amounts(data.matrix[users]).toarray() * here)
        wish[users < 0] = 0
        near = (1 - SMOOTHING) * shown + SMOOTHING * wish
        terms = wish * np.log(np.maximum(wish, 1e-12) / np.maximum(near, 1e-12))
        told = wish.any(axis=1) & shown.any(axis=1)
        found.append((number[shown.any(axis=1)].mean(), terms.sum(axis=1)[told].mean()))
    means = np.array(found).mean(axis=0)
    return {"interests": float(means[0]), "miscalibration": float(means[1])}


def _shares(amounts: np.ndarray) -> np.ndarray:
    """Divide rows by their sums, where these are above 0."""
    shares: np.ndarray = amounts / np.maximum(amounts.sum(axis=1, keepdims=True), 1e-12)
    return shares


def measure_speed(
    *,
    n_lists: int = 5_000,
    candidates: int = 200,
    k: int = 20,
    dim: int = 384,
    rival_lists: int = 500,
    repeats: int = 3,
    seed: int = 0,
) -> RerankingSpeed:
    """Time each re-ranker on made-up candidates, and pyversity on the same, one list at a time.

    Parameters
    ----------
    n_lists, candidates, k
        Users, candidates of each, and length of the lists.
    dim
        Size of the vectors; 384 is that of the packaged text encoder.
    rival_lists
        Users that pyversity is given; 0 for none. It needs ``pip install pyversity``.
    repeats
        Runs of each re-ranker; the fastest counts.
    seed
        Of the problem.
    """
    data, vectors, interests = _problem(n_lists, dim, seed)
    generator = np.random.default_rng(seed)
    users = data.batch(np.arange(n_lists))
    starts = generator.integers(0, data.n_items, (n_lists, 1))
    columns = (starts + np.arange(candidates) * 7) % data.n_items
    scores = -np.sort(-generator.random((n_lists, candidates), dtype=np.float32), axis=1)
    rows = []
    for method in RERANKERS:
        chooser = Reranker(data, method, vectors=vectors, interests=interests, seed=seed)

        def work(low: int, chooser: Reranker = chooser) -> np.ndarray:
            part = slice(low, low + PIECE)
            return chooser(users.rows_of(part), columns[part], scores[part], k)

        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            places = np.concatenate(map_pieces(work, range(0, n_lists, PIECE)))
            seconds.append(time.perf_counter() - started)
        row: dict[str, Any] = {"method": method, "lists_per_second": n_lists / min(seconds)}
        if method in BY_VECTORS and rival_lists:
            few = slice(0, rival_lists)
            row |= _rival(chooser, vectors, columns[few], scores[few], places[few])
        rows.append(row)
    return RerankingSpeed(pd.DataFrame(rows))


def _rival(
    chooser: Reranker,
    vectors: np.ndarray,
    columns: np.ndarray,
    scores: np.ndarray,
    ours: np.ndarray,
) -> dict[str, float]:
    """Choose with pyversity in a loop; its DPP is ours for a scale that the strength gives."""
    try:
        import pyversity
    except ImportError:
        raise ConfigError(
            "Comparing with pyversity needs it: pip install pyversity; or --rival-lists 0."
        ) from None
    k, strength = ours.shape[1], chooser.strength
    scores = relative_scores(scores)
    started, found = time.perf_counter(), []
    for column, score in zip(columns, scores, strict=True):
        if chooser.method == "mmr":
            chosen = pyversity.mmr(vectors[column], score, k, diversity=strength)
        else:
            scale = (1 - strength) / strength * float(score.std())
            chosen = pyversity.dpp(vectors[column], score, k, diversity=0.5, scale=scale)
        found.append(chosen.indices)
    seconds = time.perf_counter() - started
    same = (np.array(found) == ours).all(axis=1)
    return {"pyversity": len(columns) / seconds, "agree": float(same.mean())}


def _problem(n_users: int, dim: int, seed: int) -> tuple[TrainingData, np.ndarray, Interests]:
    """Make items around the centres of topics, and users with some of them."""
    generator = np.random.default_rng(seed)
    topics = np.sort(generator.integers(0, TOPICS, (ITEMS, TOPICS_OF_ITEM)), axis=1)
    cells = np.repeat(np.arange(ITEMS), TOPICS_OF_ITEM), topics.ravel()
    shares = np.full(topics.size, 1 / TOPICS_OF_ITEM, dtype=np.float32)
    members = sp.csr_matrix((shares, cells), shape=(ITEMS, TOPICS))
    centres = generator.standard_normal((TOPICS, dim), dtype=np.float32)
    vectors = centres[topics].mean(axis=1) + generator.standard_normal((ITEMS, dim), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    liked = generator.integers(0, ITEMS, (n_users, HISTORY))
    pairs = np.repeat(np.arange(n_users), HISTORY), liked.ravel()
    matrix = sp.csr_matrix((np.ones(liked.size, np.float32), pairs), shape=(n_users, ITEMS))
    ids = [
        Vocabulary([f"{name}{i}" for i in range(n)]) for name, n in (("u", n_users), ("i", ITEMS))
    ]
    names = tuple(f"topic {i}" for i in range(TOPICS))
    return (
        TrainingData(ids[0], {"all": ids[1]}, matrix),
        vectors,
        Interests(names, {"all": members}),
    )
