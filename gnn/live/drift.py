"""How far new interactions are from those a model was trained on, and when a full retrain is due.

The first update after a training sets the reference: the latest tenth of the training likes for
the distributions of features, and its own new likes for the order and the calibration of scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gnn.base import Model
from gnn.growth import Growth
from gnn.numerics.sparse import entry_rows, without
from gnn.selection import sample_users
from gnn.validation import RankingQuality, ValidationRows, best_labels
from graphgen.arrays import place_among
from graphgen.schema import TEXT

__all__ = ["measure_drift", "population_stability", "reference_of", "retrain_reasons"]

# Above 0.25 a population has shifted (Siddiqi, "Credit risk scorecards", 2006).
PSI_LIMIT = 0.25
# Largest difference of the shares of likes by score from those expected.
CALIBRATION_LIMIT = 0.25
# Relative loss of NDCG@20 against the first updates, if it is also above two standard errors.
NDCG_LOSS, STANDARD_ERRORS, FIRST = 0.1, 2.0, 3
# New likes as a share of those at the last training: the chosen settings are of a smaller log.
GROWTH_LIMIT = 0.5
# Share of the training likes that are the reference, and the bins of counts (powers of two).
LATEST, COUNT_BINS = 0.1, 16
COSINE_BINS = np.linspace(-1, 1, 21)[1:-1]
# Standard deviations of a score above the mean of a user's unseen items.
SCORE_BINS = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0])


def population_stability(expected: Any, found: Any) -> float:
    """Return the population stability index of two histograms, without what chance makes of it.

    Σ (q − p) ln(q / p) over the shares of bins, half a row being added to each, less its mean
    under no change, (bins − 1)(1/n + 1/m) over bins that are not empty; not below 0.

    Examples
    --------
    >>> population_stability([50, 50], [50, 50])
    0.0
    >>> round(population_stability([5000, 5000], [9000, 1000]), 2)
    0.88
    """
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    used = (expected + found) > 0
    n, m = expected.sum(), found.sum()
    if not n or not m:
        return 0.0
    p, q = ((part[used] + 0.5) / (part[used] + 0.5).sum() for part in (expected, found))
    chance = (used.sum() - 1) * (1 / n + 1 / m)
    return float(max(0.0, ((q - p) * np.log(q / p)).sum() - chance))


def reference_of(growth: Growth) -> dict[str, Any]:
    """Return the histograms of the latest tenth of the former likes, against the earlier ones.

    The latest are those of the log where it has times, else a tenth of all.
    """
    data = growth.former
    latest = np.arange(data.matrix.nnz) % round(1 / LATEST) == 0
    if data.times is not None and data.matrix.nnz:
        latest = data.times.data >= np.quantile(data.times.data, 1 - LATEST)
    user, item = entry_rows(data.matrix)[latest], data.matrix.indices[latest]
    popularity = data.popularity - np.bincount(item, minlength=data.n_items)
    history = np.diff(data.matrix.indptr) - np.bincount(user, minlength=data.n_users)
    when = None if data.times is None else data.times.data[latest]
    found: dict[str, Any] = {
        **_counts(popularity[item] + _earlier(item, when), history[user] + _earlier(user, when)),
        "domain": _domains(growth, growth.items[item]),
    }
    if growth.data.features is not None and len(item):
        centre = growth.data.features[growth.items[item]].mean(axis=0)
        found["centre"] = np.round(centre, 4).astype(float).tolist()
        found[TEXT] = _cosines(growth, growth.items[item], found["centre"])
    return {"likes": int(data.matrix.nnz), **found}


def measure_drift(
    former: Model, growth: Growth, reference: Mapping[str, Any], *, seed: int = 0
) -> dict[str, Any]:
    """Return what the likes of an update say of the model before it.

    Parameters
    ----------
    former
        The model before the update, which has not seen these likes.
    growth
        Its data and the later one.
    reference
        As `reference_of`; without ``score``, the calibration is not compared.
    seed
        Draws the users whose items are ranked.

    Returns
    -------
    dict
        ``likes``, ``psi`` by feature (popularity of items, length of histories, domain, text),
        ``ndcg`` (NDCG@20 of known items, by the histories before), ``error``, its standard error,
        ``lists``, their number, ``score``, likes and pairs by bin of the score, and
        ``calibration``, half the sum of the differences between the shares of likes by score and
        those expected, less what chance makes of it; None without lists or reference.
    """
    data = growth.data
    cells = without(growth.change, growth.before).tocoo()
    new = cells.data > 0
    user, item = cells.row[new], cells.col[new].astype(np.int64)
    former_user, former_item = (
        _places(growth.users, data.n_users),
        _places(growth.items, data.n_items),
    )
    history = np.append(np.diff(former.data.matrix.indptr), 0)[former_user[user]]
    popularity = np.append(former.data.popularity, 0)[former_item[item]]
    when = None
    if data.times is not None and len(user):  # SciPy refuses to look nothing up.
        when = np.asarray(data.times[user, item]).ravel()
    found: dict[str, Any] = {
        **_counts(popularity + _earlier(item, when), history + _earlier(user, when)),
        "domain": _domains(growth, item),
    }
    if TEXT in reference and data.features is not None:
        found[TEXT] = _cosines(growth, item, reference["centre"])
    psi = {name: _stability(reference[name], part) for name, part in found.items()}
    known = (former_user[user] >= 0) & (former_item[item] >= 0)
    user, item = former_user[user][known], former_item[item][known]
    domain = former.data.item_domain[item]
    own = former.data.history_lengths()[user, domain]
    kind = np.where(~former.data.warm[item], 2, np.where(own == 0, 1, 0))
    quality, score = _ranked(former, ValidationRows(user, item, domain, kind), seed)
    values = torch.cat(quality) if quality else torch.empty(0)
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return {
        "likes": int(new.sum()),
        "psi": psi,
        "ndcg": float(values.mean()) if len(values) else None,
        "error": error,
        "lists": len(values),
        "score": score,
        "calibration": _calibration(reference.get("score"), score),
    }


def retrain_reasons(
    reference: Mapping[str, Any], updates: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return why a full retrain is due, by the `measure_drift` of each update since the last one.

    Empty if it is not.

    Examples
    --------
    >>> update = {"likes": 60, "psi": {"domain": 0.4}, "ndcg": None, "calibration": None}
    >>> for reason in retrain_reasons({"likes": 100}, [update]):
    ...     print(reason)
    60 likes came since the last training, 60 % of the 100 it had (limit 50 %).
    The distribution by domain has shifted: PSI 0.40 (limit 0.25).
    """
    reasons = []
    came = sum(update["likes"] for update in updates)
    if came > GROWTH_LIMIT * reference["likes"]:
        reasons.append(
            f"{came:,} likes came since the last training, {came / reference['likes']:.0%} of the "
            f"{reference['likes']:,} it had (limit {GROWTH_LIMIT:.0%}).".replace("%", " %")
        )
    for name, value in (updates[-1]["psi"] if updates else {}).items():
        if value > PSI_LIMIT:
            reasons.append(
                f"The distribution by {name} has shifted: PSI {value:.2f} (limit {PSI_LIMIT})."
            )
    off = updates[-1]["calibration"] if updates else None
    if off is not None and off > CALIBRATION_LIMIT:
        reasons.append(
            f"Scores no longer mean what they did: {off:.2f} of the likes are at other scores than "
            f"expected (limit {CALIBRATION_LIMIT})."
        )
    judged = [update for update in updates if update["ndcg"] is not None]
    if len(judged) > FIRST and judged[-1]["error"] is not None:
        first = float(np.mean([update["ndcg"] for update in judged[:FIRST]]))
        last, error = judged[-1]["ndcg"], judged[-1]["error"]
        if last < (1 - NDCG_LOSS) * first and first - last > STANDARD_ERRORS * error:
            reasons.append(
                f"NDCG@20 of new likes has fallen to {last:.4f} from {first:.4f} in the first "
                f"{FIRST} updates."
            )
    return reasons


def _earlier(group: np.ndarray, when: np.ndarray | None) -> np.ndarray:
    """Return int64 [n], how many of the likes of the same user or item came before each."""
    return place_among(group, *(() if when is None else (when,)))


def _counts(popularity: np.ndarray, history: np.ndarray) -> dict[str, list[int]]:
    """Return histograms of counts by powers of two; 0 is the first bin."""
    parts = {"popularity of items": popularity, "length of histories": history}
    return {
        name: np.bincount(
            np.minimum(np.ceil(np.log2(1 + part)).astype(np.int64), COUNT_BINS - 1),
            minlength=COUNT_BINS,
        ).tolist()
        for name, part in parts.items()
    }


def _domains(growth: Growth, item: np.ndarray) -> dict[str, int]:
    """Return the number of likes by domain."""
    count = np.bincount(growth.data.item_domain[item], minlength=len(growth.data.domains))
    return dict(zip(growth.data.domains, count.tolist(), strict=True))


def _cosines(growth: Growth, item: np.ndarray, centre: Sequence[float]) -> list[int]:
    """Return the histogram of the cosines of texts with the centre of the reference."""
    direction = np.asarray(centre, np.float32)
    features = growth.data.features
    vectors = np.zeros((0, len(direction)), np.float32) if features is None else features[item]
    cosine = vectors[vectors.any(axis=1)] @ direction / max(float(np.linalg.norm(direction)), 1e-12)
    return np.bincount(np.digitize(cosine, COSINE_BINS), minlength=len(COSINE_BINS) + 1).tolist()


def _stability(expected: Any, found: Any) -> float:
    if isinstance(found, dict):
        names = list(dict.fromkeys([*expected, *found]))
        expected, found = ([part.get(name, 0) for name in names] for part in (expected, found))
    return round(population_stability(expected, found), 4)


def _places(index: np.ndarray, n: int) -> np.ndarray:
    """Return int64 [n], the former place of each; -1 for new ones."""
    place = np.full(n, -1, dtype=np.int64)
    place[index] = np.arange(len(index))
    return place


def _ranked(
    model: Model, rows: ValidationRows, seed: int
) -> tuple[list[torch.Tensor], dict[str, list[int]]]:
    """Return the NDCG@20 of users, and likes and pairs by bin of the standardised score."""
    quality, bins = RankingQuality(), len(SCORE_BINS) + 1
    likes, pairs = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
    for block in sample_users(rows, model.data, seed=seed):
        users = model.data.batch(block.users)
        scores = torch.from_numpy(model.score_batch(users, block.domain))
        label, relevant = block.labels()
        unseen = torch.ones_like(scores, dtype=torch.bool)
        unseen[users.seen_cells(model.data.span(block.domain))] = False
        count = unseen.sum(1, keepdim=True).clamp(min=1)
        centred = scores - (scores * unseen).sum(1, keepdim=True) / count
        spread = ((centred * unseen).square().sum(1, keepdim=True) / count).sqrt()
        place = np.digitize((centred / spread.clamp(min=1e-12)).numpy(), SCORE_BINS)
        pairs += np.bincount(place[unseen.numpy()], minlength=bins)
        likes += np.bincount(place[(unseen & (label > 0)).numpy()], minlength=bins)
        quality.add(
            block.domain, best_labels(scores.masked_fill(~unseen, -torch.inf), label), relevant
        )
    values = [part for parts in quality._values.values() for part in parts]
    return values, {"likes": likes.tolist(), "pairs": pairs.tolist()}


def _calibration(reference: Mapping[str, Any] | None, score: Mapping[str, Any]) -> float | None:
    """Return half the sum of the differences between expected and found shares of likes.

    Without their mean under no change, √(2/π) times the standard errors, as far as it is above.
    """
    n = sum(score["likes"])
    if reference is None or not n:
        return None
    rate = (np.asarray(reference["likes"]) + 0.5) / (np.asarray(reference["pairs"]) + 1.0)
    expected = rate * np.asarray(score["pairs"])
    expected /= expected.sum()
    off = np.abs(expected - np.asarray(score["likes"]) / n).sum() / 2
    variance = expected * (1 - expected) * (1 / n + 1 / max(1, sum(reference["likes"])))
    chance = np.sqrt(2 / np.pi * variance).sum() / 2
    return round(float(max(0.0, off - chance)), 4)
