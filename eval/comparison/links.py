"""Links as binary decisions: a table of scored links, or those of a scorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.evaluation.inputs import DomainTruth, read_table, read_truth
from eval.evaluation.negatives import NegativeTable, sample_negatives
from eval.evaluation.resampling import percentile_interval
from eval.evaluation.result import records
from eval.evaluation.sources import Scorer, holds
from eval.metrics.base import Array
from eval.metrics.links import (
    best_threshold,
    binary_curve,
    curve_auc,
    expected_calibration_error,
    reliability_curve,
    threshold_metrics,
)
from graphgen.arrays import place_in_group
from graphgen.errors import ConfigError, InputError
from graphgen.schema import DOMAIN, ITEM_ID, SCORE, USER_ID
from graphgen.storage import provenance

__all__ = ["LinkEvaluation", "evaluate_links", "evaluate_scorer_links", "score_links"]

LABEL: Final = "label"
CURVE_POINTS: Final = 101
# Irrelevant links drawn for each user and domain.
N_NEGATIVES: Final = 20
# Users of a domain looked at, so that the cost does not grow with the log.
MAX_USERS: Final = 2_000
BLOCK_SCORES: Final = 8_000_000


@dataclass(frozen=True, eq=False)
class LinkEvaluation:
    """What an evaluation of labelled links found.

    Attributes
    ----------
    summary
        metric, value, low, high: ``roc-auc``, ``pr-auc``; at the threshold chosen on validation
        ``accuracy``, ``precision``, ``recall``, ``f1``; of the calibrated probabilities ``ece`` and
        ``brier``, and ``ece-raw`` where the scores themselves lie in [0, 1]. Intervals: 95 %
        bootstrap over users (over links without a user_id).
    curves
        ``roc`` (fpr, tpr) and ``reliability`` (predicted, observed, count).
    meta
        Threshold, counts, notes, provenance.
    """

    summary: pd.DataFrame
    curves: dict[str, dict[str, list[float]]]
    meta: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``links.json`` holds."""
        return {"summary": records(self.summary), "curves": self.curves, "meta": self.meta}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take back what `to_dict` gave."""
        return cls(pd.DataFrame(content["summary"]), content["curves"], content["meta"])


def evaluate_links(
    scored: Any, *, valid: Any = None, bins: int = 10, bootstrap: int = 200, seed: int = 0
) -> LinkEvaluation:
    """Judge scored links that carry a label.

    Parameters
    ----------
    scored
        DataFrame or path with ``label`` (0 or 1) and ``score``; optional ``user_id``.
    valid
        Validation links in the same form. The threshold and the calibration (isotonic regression)
        are chosen on them; without them neither is reported.
    bins
        Bins of the reliability curve.
    bootstrap
        Replicates of the intervals; 0 for none.
    seed
        Seed of the bootstrap.

    Raises
    ------
    InputError
        If a column is missing, a label is not 0 or 1, a score is not finite, or one kind is absent.

    Examples
    --------
    >>> links = pd.DataFrame({"label": [1, 0, 1, 0], "score": [0.9, 0.2, 0.6, 0.7]})
    >>> found = evaluate_links(links, valid=links, bootstrap=0).summary.set_index("metric")["value"]
    >>> float(found["roc-auc"]), float(found["accuracy"])
    (0.75, 0.75)
    """
    if bootstrap < 0:
        raise ConfigError(f"`bootstrap` must be at least 0; got {bootstrap}.")
    frame, labels, scores = _links(scored, "The links")
    threshold: float | None = None
    probabilities: Any = None
    notes: list[str] = []
    if valid is not None:
        from sklearn.isotonic import IsotonicRegression

        _, valid_labels, valid_scores = _links(valid, "The validation links")
        threshold = best_threshold(valid_labels, valid_scores)
        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        fitted.fit(valid_scores, valid_labels.astype(float))
        probabilities = np.clip(fitted.predict(scores), 0, 1)
    else:
        notes.append(
            "No validation links: no threshold was chosen and no calibration fitted, so accuracy, "
            "F1 and ECE are missing."
        )
    raw = scores if bool(((scores >= 0) & (scores <= 1)).all()) else None

    def measure(rows: Any) -> dict[str, float]:
        relevant = labels[rows]
        roc, precision = curve_auc(binary_curve(relevant, scores[rows]))
        found = {"roc-auc": roc, "pr-auc": precision}
        if threshold is not None:
            calibrated = probabilities[rows]
            found |= threshold_metrics(relevant, scores[rows], threshold)
            found["ece"] = expected_calibration_error(relevant, calibrated, bins=bins)
            found["brier"] = float(np.mean((calibrated - relevant) ** 2))
        if raw is not None:
            found["ece-raw"] = expected_calibration_error(relevant, raw[rows], bins=bins)
        return found

    observed = measure(slice(None))
    summary = pd.DataFrame({"metric": list(observed), "value": list(observed.values())})
    low: Any = np.nan
    high: Any = np.nan
    if bootstrap:
        by = frame[USER_ID].astype(str) if USER_ID in frame else pd.Series(np.arange(len(frame)))
        unit, _ = pd.factorize(by, sort=True)
        low, high = percentile_interval(_resampled(measure, unit, bootstrap, seed))
    summary = summary.assign(low=low, high=high)
    curve = binary_curve(labels, scores)
    where = np.unique(np.linspace(0, len(curve["true"]) - 1, CURVE_POINTS).astype(np.int64))
    curves = {
        "roc": {
            "fpr": [0.0, *(curve["false"][where] / curve["false"][-1]).round(5).tolist()],
            "tpr": [0.0, *(curve["true"][where] / curve["true"][-1]).round(5).tolist()],
        }
    }
    shown = probabilities if probabilities is not None else raw
    if shown is not None:
        found = reliability_curve(labels, shown, bins=bins)
        curves["reliability"] = {name: found[name].round(6).tolist() for name in found}
    meta = {
        "n_links": len(labels),
        "n_relevant": int(labels.sum()),
        "threshold": threshold,
        "bootstrap": bootstrap,
        "seed": seed,
        "notes": notes,
        "provenance": provenance(),
    }
    return LinkEvaluation(summary, curves, meta)


def _links(source: Any, what: str) -> tuple[pd.DataFrame, Array, Array]:
    frame = read_table(source, (LABEL, SCORE), what)
    labels = pd.to_numeric(frame[LABEL], errors="coerce").to_numpy(np.float64)
    if not np.isin(labels, (0.0, 1.0)).all():
        raise InputError(f"{what}: column 'label' must hold 0 or 1.")
    if labels.min() == labels.max():
        raise InputError(f"{what} must hold links of both kinds; all labels are {labels[0]:g}.")
    scores = pd.to_numeric(frame[SCORE], errors="coerce").to_numpy(np.float64)
    if not np.isfinite(scores).all():
        raise InputError(
            f"{what}: {int((~np.isfinite(scores)).sum())} scores are no finite number."
        )
    return frame.reset_index(drop=True), labels.astype(bool), scores


def _resampled(
    measure: Callable[[Array], dict[str, float]], unit: Array, bootstrap: int, seed: int
) -> Array:
    """Measure on users (or links) drawn with replacement; float64 [bootstrap, metrics]."""
    order = np.argsort(unit, kind="stable")
    size = np.bincount(unit)
    start = np.cumsum(size) - size
    generator = np.random.default_rng(seed)
    draws = []
    for _ in range(bootstrap):
        chosen = generator.integers(0, len(size), len(size))
        length = size[chosen]
        draw = np.repeat(np.arange(len(chosen)), length)
        rows = order[start[chosen][draw] + place_in_group(draw)]
        draws.append(list(measure(rows).values()))
    return np.array(draws)


def score_links(
    scorer: Scorer,
    truth: Any,
    negatives: Any = None,
    *,
    n: int = N_NEGATIVES,
    max_users: int = MAX_USERS,
    seed: int = 0,
) -> pd.DataFrame:
    """Score the relevant links of users, and irrelevant ones drawn for them.

    Parameters
    ----------
    scorer, truth
        A fitted model, and the relevant links: InteractionLog, DataFrame or path.
    negatives
        DataFrame or path of irrelevant links; default: `n` for each user and domain, drawn from
        the catalogue without the relevant and the seen items.
    n, max_users, seed
        Links to draw, users of a domain (more are sampled), and the seed of both draws.

    Returns
    -------
    pandas.DataFrame
        user_id, domain, item_id, label (1 relevant, 0 not) and score. Relevant links that the
        scorer has no finite score for (unknown, seen) are left out. O(users * items).

    Raises
    ------
    InputError
        If the scorer does not know a domain, or a negative is not in its catalogue.
    """
    domains = read_truth(truth, ()).domains
    unknown = [domain.domain for domain in domains if domain.domain not in scorer.domains]
    if unknown:
        raise InputError(
            f"The scorer does not know the domain {unknown[0]!r}; it knows "
            f"{', '.join(scorer.domains)}."
        )
    chosen = [_some_users(domain, max_users, seed) for domain in domains]
    if negatives is None:
        relevant = [
            pd.DataFrame({USER_ID: d.user_ids[d.pair_user], DOMAIN: d.domain, ITEM_ID: d.pair_item})
            for d in chosen
        ]
        drawn_for = pd.concat(relevant, ignore_index=True)
        negatives = sample_negatives(drawn_for, scorer=scorer, n=n, seed=seed)
    table = NegativeTable(negatives)
    return pd.concat([_scored(scorer, domain, table) for domain in chosen], ignore_index=True)


def _some_users(domain: DomainTruth, most: int, seed: int) -> DomainTruth:
    n = len(domain.user_ids)
    if n <= most:
        return domain
    rows = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    place = np.full(n, -1)
    place[rows] = np.arange(most)
    user = place[domain.pair_user]
    kept = user >= 0
    ids, items, member = domain.user_ids[rows], domain.pair_item[kept], domain.member[kept]
    return DomainTruth(domain.domain, ids, user[kept], items, member)


def _scored(scorer: Scorer, domain: DomainTruth, negatives: NegativeTable) -> pd.DataFrame:
    items = scorer.items(domain.domain)
    code = items.encode(domain.pair_item, missing="mark")
    drawn = negatives.matrix(domain, items)
    user, place = np.nonzero(drawn >= 0)
    relevant = pd.DataFrame({"row": domain.pair_user, "code": code, LABEL: 1})
    irrelevant = pd.DataFrame({"row": user, "code": drawn[user, place], LABEL: 0})
    links = pd.concat([relevant, irrelevant]).sort_values("row", kind="stable")
    links = links[links["code"] >= 0]
    parts = []
    step = max(1, BLOCK_SCORES // max(len(items), 1))
    for start in range(0, len(domain.user_ids), step):
        ids = domain.user_ids[start : start + step]
        part = links[links["row"].between(start, start + len(ids) - 1)]
        cells = part["row"].to_numpy() - start, part["code"].to_numpy()
        score = np.asarray(scorer.score(ids, domain=domain.domain))[cells].astype(np.float64)
        seen = holds(sp.csr_matrix(scorer.seen(ids, domain=domain.domain)), *cells)
        parts.append(part.assign(**{SCORE: score})[np.isfinite(score) & ~seen])
    found = pd.concat(parts)
    return pd.DataFrame(
        {
            USER_ID: domain.user_ids[found["row"]],
            DOMAIN: domain.domain,
            ITEM_ID: items.ids[found["code"]],
            LABEL: found[LABEL].to_numpy(),
            SCORE: found[SCORE].to_numpy(),
        }
    )


def evaluate_scorer_links(
    scorer: Scorer,
    truth: Any,
    valid: Any,
    *,
    negatives: Any = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> dict[str, LinkEvaluation | None]:
    """Judge a scorer's links in each domain, with what validation rows chose.

    Scores of two domains need not be comparable, so each domain has a threshold and a calibration
    (isotonic regression) of its own. Accuracy, precision, F1 and calibration depend on the share of
    links that are relevant, here that of the sample: they compare systems on the same links, and
    say nothing of the whole catalogue.

    Parameters
    ----------
    scorer, truth
        As in `score_links`.
    valid
        Relevant links to choose on.
    negatives
        Irrelevant links of the test users; those of validation are always drawn, as many a user.
    bootstrap, seed
        Replicates of the intervals over users, and the seed of all draws.

    Returns
    -------
    dict
        A `LinkEvaluation` by domain; None where test or validation rows hold links of one kind
        only.
    """
    tested = score_links(scorer, truth, negatives, seed=seed)
    sizes = tested[tested[LABEL] == 0].groupby([DOMAIN, USER_ID], observed=True).size()
    n = max(1, round(float(sizes.median()))) if len(sizes) else N_NEGATIVES
    # Another seed: a pair drawn in both would be counted on both sides.
    chosen_on = score_links(scorer, valid, n=n, seed=seed + 1)
    found: dict[str, LinkEvaluation | None] = {}
    for domain in sorted(set(tested[DOMAIN])):
        test, rows = tested[tested[DOMAIN] == domain], chosen_on[chosen_on[DOMAIN] == domain]
        if rows[LABEL].nunique() < 2 or test[LABEL].nunique() < 2:
            found[domain] = None
            continue
        links = evaluate_links(test, valid=rows, bootstrap=bootstrap, seed=seed)
        links.meta["negatives_per_user"] = n
        found[domain] = links
    return found
