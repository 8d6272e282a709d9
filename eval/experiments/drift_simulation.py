"""Planted drift: what adapting gains, how fast, and at what regret."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.evaluation.resampling import bootstrap_means, percentile_interval
from eval.metrics.base import Catalogue, RankedLists
from eval.metrics.ranking import NDCG
from eval.reports.drift import write_simulation
from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.errors import ConfigError
from graphgen.log import InteractionLog
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, ITEM_ID, RANK, TIMESTAMP, USER_ID
from graphgen.storage import provenance
from graphgen.synthetic.generator import START, SyntheticData, synthesize
from graphgen.synthetic.world import DAY, later_share

__all__ = ["KINDS", "DriftSimulation", "simulate_drift"]

KINDS: Final = ("sudden", "gradual", "recurring")
KEY: Final = [USER_ID, DOMAIN, ITEM_ID]
K: Final = 20
# Parts of the log: training ends at the first, the drift begins at the second.
TRAINED, DRIFTED, BLOCKS = 0.4, 0.5, 24
# Blocks after which the model is trained anew.
RETRAIN: Final = 4
# Share of the quality before the drift that counts as recovered, and blocks that it is a mean of.
RECOVERED, SMOOTH = 0.9, 2
BOOTSTRAP: Final = 500
# Long histories, so that a user is seen before and after; themes in all domains, no cold items.
WORLD: Final[dict[str, Any]] = {
    "n_items": 6000, "days": 400, "mean_interactions": 60.0, "spread": 0.4, "domain_drift": 0.0,
    "cold_user_share": 0.0, "cold_item_share": 0.0, "warm_share": 0.0, "min_interactions": 20,
    "drift_share": 1.0, "drift_start": DRIFTED,
}  # fmt: skip
SYSTEMS: Final = ("frozen", "retrained", "adaptive", "adaptive, recent")
BEST: Final = "best possible"
# Interactions of a user that the last system knows.
RECENT: Final = 20


@dataclass(frozen=True, eq=False)
class DriftSimulation:
    """Findings of a simulation.

    Attributes
    ----------
    blocks
        A row for each block of time and system: block, start and day (since the drift began), and
        NDCG@20 with a 95 % interval over users, quality (its share of the best possible).
    summary
        A row for each system: before and after (quality, means over blocks), recovery_days (until
        quality is 90 % of that before the drift, as mean of two blocks; NaN if never) with the
        interactions of a user until then, regret (NDCG@20 lost to the best possible over all lists
        after the drift began) with a 95 % interval, and CPU seconds.
    meta
        Settings and provenance.
    """

    blocks: pd.DataFrame
    summary: pd.DataFrame
    meta: dict[str, Any]

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write the report; see `eval.reports.drift.write_simulation`."""
        return write_simulation(
            self.blocks, self.summary, self.meta, path, overwrite=overwrite, made_from=made_from
        )


def simulate_drift(
    kind: str = "sudden",
    *,
    model: str = "item-knn",
    n_users: int = 500,
    seed: int = 0,
    progress: bool = False,
    **settings: Any,
) -> DriftSimulation:
    """Let all users of a synthetic world change their themes, and compare ways to adapt.

    The model is trained on the first 40 % of the log; the rest comes in 24 blocks, each predicted
    and then revealed, without new users and items. The drift begins after four of them. ``frozen``
    never sees them; ``retrained`` is trained anew on everything after every fourth block;
    ``adaptive`` is never trained again and knows the interactions of each user since; ``adaptive,
    recent`` knows the last 20 interactions of each user only. The best possible lists come from
    the planted probabilities.

    Parameters
    ----------
    kind
        ``sudden``, ``gradual`` or ``recurring``; see `graphgen.synthetic.world.SynthConfig`.
    model
        A registered model that scores users by their histories.
    n_users, seed, **settings
        As of `graphgen.synthetic.generator.synthesize`.
    progress
        Show a progress bar.

    Raises
    ------
    ConfigError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise ConfigError(f"`drift` must be one of {', '.join(KINDS)}; got {kind!r}.")
    world = synthesize(n_users=n_users, seed=seed, **{**WORLD, "drift_kind": kind, **settings})
    log, edges = _live(world)
    trained = log[log["block"] < 0]
    # New users and items are another matter.
    log = log[log[USER_ID].isin(trained[USER_ID]) & log[ITEM_ID].isin(trained[ITEM_ID])]

    def fitted(rows: pd.DataFrame) -> Any:
        graph = build_graph(rows[[*KEY, TIMESTAMP]], encoder="none")
        return make_model(model).fit(graph, valid=None, seed=seed)

    seconds = dict.fromkeys(SYSTEMS, 0.0)
    frozen = retrained = fitted(trained)
    found = []
    with progress_bar("Simulating", BLOCKS, enabled=progress) as advance:
        for block in range(BLOCKS):
            truth = log[log["block"] == block]
            asked = truth[[USER_ID, DOMAIN]].drop_duplicates()
            before = log[(log["block"] < block) & log[USER_ID].isin(asked[USER_ID])]
            since = before[before["block"] >= 0]
            recent = before.groupby(USER_ID, sort=False).tail(RECENT)
            if block and block % RETRAIN == 0:
                started = time.process_time()
                retrained = fitted(log[log["block"] < block])
                seconds["retrained"] += time.process_time() - started
            for name, (of, history) in {
                "frozen": (frozen, None),
                "retrained": (retrained, None),
                "adaptive": (frozen, since),
                "adaptive, recent": (frozen, recent),
            }.items():
                started = time.process_time()
                lists = _lists(of, asked, history, before, apart=history is recent)
                seconds[name] += time.process_time() - started
                found.append(_ndcg(lists, truth).assign(system=name, block=block))
            best = _best(world, frozen, asked, before, edges[block])
            found.append(_ndcg(best, truth).assign(system=BEST, block=block))
            advance(1)
    values = pd.concat(found, ignore_index=True)
    blocks, summary = _summed(values, log, edges, seed)
    summary["cpu_seconds"] = summary["system"].map(seconds)
    meta = {
        "kind": kind, "model": model, "users": n_users, "seed": seed, "days": world.config.days,
        "lists": int(len(values) / (len(SYSTEMS) + 1)), "rows": int((log["block"] >= 0).sum()),
        "retrained_days": RETRAIN * (1 - TRAINED) / BLOCKS * world.config.days,
        "recent": RECENT, "settings": world.config.to_dict(), "provenance": provenance(),
    }  # fmt: skip
    return DriftSimulation(blocks, summary, meta)


def _live(world: SyntheticData) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the log with its blocks, -1 in training, and the days since the drift of each."""
    days = world.config.days
    part = (world.log[TIMESTAMP].dt.tz_localize(None) - START).dt.total_seconds() / (days * DAY)
    block = np.floor((part - TRAINED) / (1 - TRAINED) * BLOCKS).clip(-1, BLOCKS - 1)
    log = world.log.assign(block=block.astype(int))
    edges = (TRAINED + (1 - TRAINED) / BLOCKS * np.arange(BLOCKS) - DRIFTED) * days
    return log[[*KEY, TIMESTAMP, "block"]], edges


def _lists(
    model: Any,
    asked: pd.DataFrame,
    history: pd.DataFrame | None,
    before: pd.DataFrame,
    *,
    apart: bool = False,
) -> pd.DataFrame:
    """Return lists without the items of `before`; `apart` forgets the histories in training."""
    mark = "recent:"
    ids = mark + asked[USER_ID] if apart else asked[USER_ID]
    rows = None
    if history is not None and len(history):
        rows = history.assign(**{USER_ID: mark + history[USER_ID]}) if apart else history
        rows = InteractionLog(rows[[*KEY, TIMESTAMP]])
    # All systems leave out the same items, whatever they know.
    most = K + int(before.groupby([USER_ID, DOMAIN], observed=True).size().max())
    lists = model.recommend(
        asked.assign(**{USER_ID: ids}), k=most, history=rows, exclude_seen=False
    )
    if apart:
        lists[USER_ID] = lists[USER_ID].str.removeprefix(mark)
    return _unseen(lists, before)


def _unseen(lists: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return the first `K` rows of each list that are not in `before`."""
    seen = pd.MultiIndex.from_frame(before[KEY].astype(str))
    kept = lists[~pd.MultiIndex.from_frame(lists[KEY].astype(str)).isin(seen)]
    rank = kept.groupby([USER_ID, DOMAIN], sort=False).cumcount() + 1
    return kept.assign(**{RANK: rank})[rank <= K]


def _best(
    world: SyntheticData, model: Any, asked: pd.DataFrame, before: pd.DataFrame, day: float
) -> pd.DataFrame:
    """Return lists by the planted probabilities in the middle of the block."""
    truth, config = world.truth, world.config
    row = world.users.set_index(USER_ID).index.get_indexer(asked[USER_ID])
    length = (1 - TRAINED) / BLOCKS * config.days
    since = np.array([(day + length / 2) * DAY])
    later = truth.user_taste if truth.later_taste is None else truth.later_taste
    share = later_share(config, since)[0]
    taste = (1 - share) * truth.user_taste + share * later
    now = (DRIFTED * config.days + day + length / 2) * DAY
    out = (truth.item_released <= now).astype(float)
    parts = []
    for domain, rows in asked.assign(row=row).groupby(DOMAIN, observed=True):
        known = world.items[ITEM_ID].isin(model.items(str(domain)).ids)
        of_domain = ((world.items[DOMAIN] == domain) & known).to_numpy()
        popularity = truth.item_popularity[of_domain] * out[of_domain]
        theme = truth.item_theme[of_domain]
        mass = np.bincount(theme, popularity, taste.shape[1])
        own = taste[rows["row"]][:, theme] * popularity / np.maximum(mass[theme], 1e-12)
        chance = (1 - config.chart_share - config.noise_share) * own
        chance += config.chart_share * popularity / popularity.sum()
        most = min(chance.shape[1], K + config.max_interactions)
        order = np.argsort(-chance, axis=1)[:, :most]
        items = world.items[ITEM_ID].to_numpy(object)[of_domain][order]
        users = rows[USER_ID].to_numpy(object).repeat(most)
        parts.append(pd.DataFrame({USER_ID: users, DOMAIN: domain, ITEM_ID: items.ravel()}))
    return _unseen(pd.concat(parts, ignore_index=True), before)


def _ndcg(lists: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Return user_id, domain and ndcg of each (user, domain) with truth."""
    rows = truth[KEY].astype(str).merge(lists[[*KEY, RANK]].astype({DOMAIN: str}), "left", KEY)
    asked = rows.groupby([USER_ID, DOMAIN], sort=True)
    size = asked.size()
    hits = np.zeros((len(size), K), dtype=bool)
    found = rows[RANK].notna().to_numpy()
    hits[asked.ngroup()[found], rows[RANK][found].astype(int) - 1] = True
    ranked = RankedLists(np.where(hits, 0, -1), hits, size.to_numpy(), Catalogue(n_items=1))
    return pd.Series(NDCG()(ranked, K), size.index, name="ndcg").reset_index()


def _summed(
    values: pd.DataFrame, log: pd.DataFrame, edges: np.ndarray, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of `DriftSimulation`, without seconds."""
    wide = values.pivot_table("ndcg", ["block", USER_ID, DOMAIN], "system", observed=True)
    names = [*SYSTEMS, BEST]
    block, user = (wide.index.get_level_values(name) for name in ("block", USER_ID))
    code = pd.factorize(user)[0]
    draws = bootstrap_means(
        wide[names].to_numpy(), code, block.to_numpy(), BLOCKS, replicates=BOOTSTRAP, seed=seed
    )
    means = wide[names].groupby("block").mean().reindex(range(BLOCKS))
    low, high = percentile_interval(draws)
    after = edges >= 0
    rows = log[log["block"] >= 0].groupby("block").size().reindex(range(BLOCKS))
    active = log[log["block"] >= 0].groupby("block")[USER_ID].nunique().reindex(range(BLOCKS))
    each = (rows / active).to_numpy()
    length = edges[1] - edges[0]
    lost = wide[[BEST]].to_numpy() - wide[list(SYSTEMS)].to_numpy()
    lost = np.where(after[block.to_numpy()][:, None], lost, 0)
    regrets = bootstrap_means(
        lost, code, np.zeros(len(lost), int), 1, replicates=BOOTSTRAP, seed=seed
    )[:, 0] * len(lost)
    bounds = percentile_interval(regrets)
    blocks, summary = [], []
    for place, name in enumerate(names):
        quality = (means[name] / means[BEST]).to_numpy()
        table = {"system": name, "block": range(BLOCKS), "day": edges + length / 2}
        table |= {"ndcg@20": means[name].to_numpy(), "low": low[:, place], "high": high[:, place]}
        blocks.append(pd.DataFrame(table | {"quality": quality}))
        if name == BEST:
            continue
        start = quality[~after].mean()
        smooth = np.convolve(quality, np.ones(SMOOTH) / SMOOTH)[: len(quality)]
        at = np.flatnonzero(
            after & (edges >= (SMOOTH - 1) * length) & (smooth >= RECOVERED * start)
        )
        days, until = np.nan, np.nan
        if len(at):
            days = edges[at[0]] + length
            until = each[after & (np.arange(BLOCKS) <= at[0])].sum()
        summary.append(
            {
                "system": name, "before": start, "after": quality[after].mean(),
                "lowest": smooth[after][SMOOTH - 1 :].min(), "recovery_days": days,
                "interactions": until, "regret": lost[:, place].sum(),
                "regret_low": bounds[0][place], "regret_high": bounds[1][place],
            }
        )  # fmt: skip
    return pd.concat(blocks, ignore_index=True), pd.DataFrame(summary)
