"""Prequential replay: predict a block of a log, reveal it, adapt, and go on to the next.

Dawid, "Statistical theory: the prequential approach", JRSS A 1984; for recommenders Vinagre, Jorge
and Gama, "Evaluation of recommender systems in streaming environments", 2014.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.evaluation.resampling import bootstrap_means, percentile_interval
from eval.experiments.costs import PeakMemory
from eval.metrics.base import Catalogue, RankedLists
from eval.metrics.ranking import NDCG
from eval.reports.writing import write_replay
from gnn.base import Model
from gnn.live.drift import retrain_reasons
from gnn.live.updating import update_model
from gnn.registry import make_model
from gnn.users import user_batch
from graphgen.build import build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.graph import InterestGraph
from graphgen.log import InteractionLog
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, ITEM_ID, TIMESTAMP, USER_ID, WEIGHT
from graphgen.updating import update_graph

__all__ = ["SYSTEMS", "Replay", "replay"]

SYSTEMS: Final = {
    "frozen": "the model and the histories of the start",
    "history": "the model of the start, with all histories until the block",
    "updated": "the model updated after each block",
    "retrained": "the model trained again every few blocks, with all histories until the block",
}
TOP: Final = 20
BOOTSTRAP: Final = 1000
DAY: Final = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Replay:
    """What each system was worth over time.

    Attributes
    ----------
    blocks
        A row by block and system: block, start, likes, lists, system, ndcg@20 with low and high
        (95 % bootstrap over users), cpu_seconds to adapt after the block (``graph_seconds`` of
        them for the graph), ms_per_event, and peak_megabytes until then.
    summary
        A row by system over all blocks: ndcg@20 with its interval, gain over "frozen" with its
        interval, cpu_seconds, ms_per_event, peak_megabytes.
    meta
        Model, settings, sizes, and by block why a retrain was due.
    """

    blocks: pd.DataFrame
    summary: pd.DataFrame
    meta: dict[str, Any]

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write the report: a page, Markdown, JSON and CSV; see `eval.reports.writing`."""
        return write_replay(
            self.blocks, self.summary, self.meta, path, overwrite=overwrite, made_from=made_from
        )


class _Arm:
    """One system: its model, and the first block that is not in the model's data."""

    def __init__(self, name: str, model: Model) -> None:
        self.name, self.model, self.since = name, model, 0

    def adapt(self, graph: InterestGraph, number: int, retrain_every: int, seed: int) -> float:
        """Take in a block that was revealed, and return the CPU seconds.

        `graph` is that of all rows until then.
        """
        started = time.process_time()
        if self.name == "updated":
            self.model = update_model(self.model, graph, seed=seed)
        elif self.name == "retrained" and (number + 1) % retrain_every == 0:
            again = make_model(self.model.name, **self.model.config.to_dict())
            self.model = again.fit(graph, seed=seed)
        else:
            return 0.0
        self.since = number + 1
        return time.process_time() - started


def replay(
    log: InteractionLog,
    model: Model | str,
    *,
    graph: InterestGraph | None = None,
    items: Any = None,
    systems: Sequence[str] = tuple(SYSTEMS),
    warm_up: float = 0.5,
    blocks: int = 10,
    days: int | None = None,
    retrain_every: int = 1,
    settings: dict[str, Any] | None = None,
    build: dict[str, Any] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Replay:
    """Replay a log block by block: predict, reveal, adapt.

    Each user with likes in a block gets, in the domains of these likes, a list of 20 items by what
    was known before the block; items that are not known yet are never hit. Likes of pairs that were
    liked before do not count.

    Parameters
    ----------
    log
        Interactions with times; with a fitted model, those since its training.
    model
        A fitted model, or the name of one, which is fitted on the first part of the log.
    graph
        Graph of a fitted model.
    items
        Item table of all items, as for `graphgen.build_graph`; those of a fitted model's graph are
        known.
    systems
        Some of `SYSTEMS`.
    warm_up
        Share of the rows that a named model starts with.
    blocks, days
        Number of blocks with the same number of rows, or the days of each.
    retrain_every
        Blocks between two retrains of "retrained".
    settings, build
        Fields of the config of a named model, and of `BuildConfig` of its graph.
    seed
        Of fits and intervals.
    progress
        Show a progress bar.

    Raises
    ------
    ConfigError, InputError
        For an unknown system or number; for a log without times or with too few rows.
    """
    for name in systems:
        if name not in SYSTEMS:
            raise ConfigError(f"`systems` are {', '.join(SYSTEMS)}; got {name!r}.")
    if blocks < 1 or (days is not None and days < 1) or retrain_every < 1 or not 0 < warm_up < 1:
        raise ConfigError(
            "`blocks`, `days` and `retrain_every` must be at least 1, and `warm_up` between 0 and "
            f"1; got {blocks}, {days}, {retrain_every} and {warm_up}."
        )
    if not log.has_time:
        raise InputError("A replay needs a log with timestamps.")
    names = [n for n in (USER_ID, DOMAIN, ITEM_ID, TIMESTAMP, WEIGHT) if n in log.frame]
    frame = log.frame[names].sort_values(TIMESTAMP, kind="stable", ignore_index=True)
    if isinstance(model, str):
        first = int(len(frame) * warm_up)
        graph = build_graph(InteractionLog(frame[:first]), items, **(build or {}))
        fitted = make_model(model, **(settings or {})).fit(graph, seed=seed, progress=progress)
        items, frame = None, frame[first:].reset_index(drop=True)
    elif graph is None:
        raise ConfigError("`graph` must be given with a fitted model.")
    else:
        fitted = model
    place = _block_numbers(frame, blocks, days)
    if not len(place):
        raise InputError("The log has no row to replay.")
    arms = [_Arm(name, fitted) for name in systems]
    units, rows, due = [], [], {}
    with PeakMemory() as peak, progress_bar("Replaying", len(frame), enabled=progress) as advance:
        for number in range(int(place.max()) + 1):
            block = frame[place == number]
            truth = _truth(block, graph)
            for arm in arms:
                past = frame[(place >= arm.since) & (place < number)]
                known = InteractionLog(past) if len(past) and arm.name != "frozen" else None
                values = _ndcg(arm.model, truth, known)
                units.append(truth[[USER_ID]].assign(system=arm.name, block=number, ndcg=values))
            started = time.process_time()
            graph = update_graph(graph, block, items=items)
            spent = time.process_time() - started
            for arm in arms:
                seconds = arm.adapt(graph, number, retrain_every, seed)
                of_graph = spent if seconds else 0.0
                rows.append(
                    {
                        "block": number,
                        "start": block[TIMESTAMP].iloc[0],
                        "likes": len(block),
                        "lists": len(truth),
                        "system": arm.name,
                        "cpu_seconds": seconds + of_graph,
                        "graph_seconds": of_graph,
                        "ms_per_event": 1000 * (seconds + of_graph) / len(block),
                        "peak_megabytes": peak.megabytes,
                    }
                )
                if arm.name == "updated":
                    made = arm.model.provenance_
                    if reasons := retrain_reasons(made["reference"], made["updates"]):
                        due[number] = reasons
            advance(len(block), f"block {number + 1}")
    judged = pd.concat(units, ignore_index=True)
    if not len(judged):
        raise InputError(
            "No like of the log is new: all are in the graph already. Give the rows since the "
            "training of the model, or the name of a model, which is trained on the first rows."
        )
    table = _with_intervals(pd.DataFrame(rows), judged, seed)
    meta = {
        "model": fitted.name,
        "settings": fitted.config.to_dict(),
        "rows": len(frame),
        "start": str(frame[TIMESTAMP].iloc[0]),
        "end": str(frame[TIMESTAMP].iloc[-1]),
        "lists": len(judged) // len(arms),
        "retrain_every": retrain_every,
        "seed": seed,
        "bootstrap": BOOTSTRAP,
        "update": fitted.updates,
        "retrain_due": due,
    }
    return Replay(table, _summary(table, judged, seed), meta)


def _block_numbers(frame: pd.DataFrame, blocks: int, days: int | None) -> np.ndarray:
    """Return int64 [rows], the block of each, without empty blocks."""
    if days is None:
        return np.arange(len(frame)) * min(blocks, len(frame)) // max(1, len(frame))
    passed = (frame[TIMESTAMP] - frame[TIMESTAMP].iloc[0]) // (days * DAY)
    return np.unique(passed, return_inverse=True)[1]


def _truth(block: pd.DataFrame, graph: InterestGraph) -> pd.DataFrame:
    """Return user_id, domain and item_id (a list) of likes that are not in the graph."""
    liked = block[block[WEIGHT] > 0] if WEIGHT in block else block
    fresh = []
    for domain, part in liked.groupby(DOMAIN, observed=True, sort=True):
        if domain in graph.vocabularies:
            user = graph.vocabularies["user"].encode(part[USER_ID], missing="mark")
            item = graph.vocabularies[domain].encode(part[ITEM_ID], missing="mark")
            index = graph.data["user", "interacts", domain].edge_index.numpy()
            pairs = index[0].astype(np.int64) * len(graph.vocabularies[domain]) + index[1]
            known = np.isin(user * len(graph.vocabularies[domain]) + item, pairs)
            part = part[~(known & (user >= 0) & (item >= 0))]
        fresh.append(part)
    rows = pd.concat(fresh) if fresh else liked
    rows = rows.astype({DOMAIN: str, USER_ID: object, ITEM_ID: object})
    return rows.groupby([DOMAIN, USER_ID], sort=True)[ITEM_ID].agg(list).reset_index()


def _ndcg(model: Model, truth: pd.DataFrame, past: InteractionLog | None) -> np.ndarray:
    """Return float64 [lists], NDCG@20 of each row of `truth`, by the histories in `past`."""
    data, values = model.data, np.zeros(len(truth))
    for domain, part in truth.groupby(DOMAIN):
        if domain not in data.items:
            continue
        ids = part[USER_ID].to_numpy(object)
        users = user_batch(data, ids, past)
        size = part[ITEM_ID].str.len().to_numpy()
        user, item = (
            np.repeat(np.arange(len(part)), size),
            data.items[domain].encode(part[ITEM_ID].explode(), missing="mark"),
        )
        for low, some in model.blocks(users, domain):
            scores = model.score_batch(some, domain)
            scores[some.seen_cells(data.span(domain))] = -np.inf
            best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
            wanted = np.zeros(scores.shape, dtype=bool)
            here = (user >= low) & (user < low + len(some)) & (item >= 0)
            wanted[user[here] - low, item[here]] = True
            hits = np.take_along_axis(wanted, best, axis=1)
            if hits.shape[1] < TOP:  # A smaller domain.
                hits, best = (
                    np.pad(one, ((0, 0), (0, TOP - hits.shape[1])), constant_values=fill)
                    for one, fill in ((hits, False), (best, -1))
                )
            rows = slice(low, low + len(some))
            lists = RankedLists(best, hits, size[rows], Catalogue(scores.shape[1]))
            values[part.index[rows]] = NDCG()(lists, TOP)
    return values


def _with_intervals(table: pd.DataFrame, judged: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add ndcg@20, low and high to each row of blocks and systems."""
    keys = pd.MultiIndex.from_frame(table[["block", "system"]])
    cell = keys.get_indexer(pd.MultiIndex.from_frame(judged[["block", "system"]]))
    drawn = _draws(judged, cell, len(table), seed)
    low, high = percentile_interval(drawn)
    mean = judged.groupby(cell)["ndcg"].mean().reindex(range(len(table))).to_numpy()
    return table.assign(**{"ndcg@20": mean, "low": low, "high": high})


def _draws(judged: pd.DataFrame, cell: np.ndarray, n_cells: int, seed: int) -> np.ndarray:
    """Return float64 [replicates, cells], the means over users drawn with replacement."""
    user = pd.factorize(judged[USER_ID])[0]
    values = judged[["ndcg"]].to_numpy()
    found = bootstrap_means(values, user, cell, n_cells, replicates=BOOTSTRAP, seed=seed)
    return found[:, :, 0]


def _summary(table: pd.DataFrame, judged: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the means over all lists by system, and their gain over the first system."""
    names = list(dict.fromkeys(judged["system"]))
    cell = pd.Index(names).get_indexer(judged["system"])
    drawn = _draws(judged, cell, len(names), seed)
    mean = judged.groupby(cell)["ndcg"].mean().to_numpy()
    low, high = percentile_interval(drawn)
    gain_low, gain_high = percentile_interval(drawn - drawn[:, :1])
    costs = table.groupby("system", sort=False)
    spent = costs["cpu_seconds"].sum()[names].to_numpy()
    return pd.DataFrame(
        {
            "system": names,
            "ndcg@20": mean,
            "low": low,
            "high": high,
            "gain": mean - mean[0],
            "gain_low": gain_low,
            "gain_high": gain_high,
            "cpu_seconds": spent,
            "ms_per_event": 1000 * spent / costs["likes"].sum()[names].to_numpy(),
            "peak_megabytes": costs["peak_megabytes"].max()[names].to_numpy(),
        }
    )
