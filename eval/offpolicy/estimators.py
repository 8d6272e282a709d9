"""Estimators of the value of a policy from items that another policy has shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eval.evaluation.resampling import bootstrap_means, percentile_interval
from eval.metrics.base import Array
from graphgen.errors import ConfigError, InputError, counted

__all__ = ["ESTIMATORS", "Shown", "estimate"]

ESTIMATORS: Final = ("ips", "snips", "dr")
# Parts of the users: the rewards of each are predicted by a model of the others.
FOLDS: Final = 5
# Penalty of the reward model, in units of the mean squared feature: one interaction's worth.
PENALTY: Final = 1.0
# Below so many effective rows the intervals are too short: resampling cannot see what is not there.
LEAST_ROWS: Final = 100
# Standard errors by which the mean weight may miss 1: once in 1,000 sound logs it misses by more.
LEVEL: Final = 3.3


@dataclass(frozen=True)
class Shown:
    """Shown items, a row for each.

    Attributes
    ----------
    reward
        float [n], finite.
    logged
        float [n] in (0, 1], the probability that the item was shown at its place.
    target
        float [n] in [0, 1], the probability under the policy to judge.
    user
        [n], whom it was shown to; intervals are over users.
    features, expected
        float [n, d], of the item at its place, and their sum over all items weighted by the
        probability under the policy to judge: for the reward model of ``dr``. None without.
    """

    reward: Array
    logged: Array
    target: Array
    user: Array
    features: Array | None = None
    expected: Array | None = None

    def __post_init__(self) -> None:
        if not len(self.reward):
            raise InputError("There is no shown item to judge a policy by.")
        for name, low in (("logged", np.nextafter(0, 1)), ("target", 0.0)):
            values = getattr(self, name)
            bad = ~((values >= low) & (values <= 1 + 1e-9))
            if bad.any():
                raise InputError(
                    f"{counted(int(bad.sum()), 'row')} with a {name} probability outside "
                    f"{'(' if low else '['}0, 1] (first: {values[bad.argmax()]})."
                )
        if not np.isfinite(self.reward).all():
            raise InputError("Every shown item needs a finite reward.")


def estimate(
    shown: Shown, *, clip: float | None = None, bootstrap: int = 2000, seed: int = 0
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Estimate the mean reward of a shown item under another policy.

    ``ips`` weighs each reward by target / logged, ``snips`` divides by the mean weight, ``dr`` adds
    the expected reward of a model to the weighed error of the model. All hold if every item that
    the policy may show had a chance to be logged, and a reward depends on the item and its place,
    not on the other items of the list.

    Parameters
    ----------
    shown
        Items with rewards and probabilities; without features there is no ``dr``.
    clip
        Largest weight; larger ones are cut, which costs bias. None for none.
    bootstrap, seed
        Replicates of the 95 % intervals over users, and their seed.

    Returns
    -------
    tuple
        Rows of estimator, value, low, high, gain (over the logged policy), gain_low and gain_high,
        of which the first is ``logged``, the mean reward as logged; and the diagnostics rows,
        users, effective_rows, mean_weight with its interval (1 is in it where the log covers the
        policy), largest_weight, clipped, and warnings.

    Raises
    ------
    ConfigError
        If `clip` is not above 0.

    References
    ----------
    Horvitz and Thompson, JASA 1952. Swaminathan and Joachims, "The self-normalized estimator for
    counterfactual learning", NIPS 2015. Dudík, Langford and Li, "Doubly robust policy evaluation
    and learning", ICML 2011. Li et al., "Offline evaluation of ranking policies with click models",
    KDD 2018.

    Examples
    --------
    >>> one, half = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    >>> rows, _ = estimate(Shown(one, half, one, np.arange(2)), bootstrap=50)
    >>> [(row["estimator"], float(row["value"])) for row in rows]
    [('logged', 0.5), ('ips', 1.0), ('snips', 1.0)]
    """
    if clip is not None and clip <= 0:
        raise ConfigError(f"`clip` must be above 0; got {clip}.")
    raw = shown.target / shown.logged
    weight = raw if clip is None else np.minimum(raw, clip)
    columns = {"logged": shown.reward, "ips": weight * shown.reward, "weight": weight}
    if shown.features is not None and shown.expected is not None:
        columns["dr"] = _doubly_robust(shown, weight, shown.features, shown.expected)
    values = np.column_stack(list(columns.values()))
    draws = bootstrap_means(
        values, shown.user, np.zeros(len(values), int), 1, replicates=bootstrap, seed=seed
    )[:, 0]
    found = dict(zip(columns, values.mean(axis=0), strict=True))
    drawn = dict(zip(columns, draws.T, strict=True))
    for of in (found, drawn):
        of["snips"] = of["ips"] / np.where(of["weight"] > 0, of["weight"], np.nan)
    rows = []
    for name in [name for name in ("logged", *ESTIMATORS) if name in found]:
        row: dict[str, Any] = {"estimator": name, "value": found[name]}
        row["low"], row["high"] = percentile_interval(drawn[name])
        row["gain"] = found[name] - found["logged"]
        row["gain_low"], row["gain_high"] = percentile_interval(drawn[name] - drawn["logged"])
        rows.append({key: v if key == "estimator" else float(v) for key, v in row.items()})
    squared = float((weight**2).sum())
    low, high = percentile_interval(drawn["weight"])
    facts: dict[str, Any] = {
        "rows": len(values),
        "users": len(np.unique(shown.user)),
        "effective_rows": float(weight.sum() ** 2 / squared) if squared else 0.0,
        "mean_weight": float(found["weight"]),
        "mean_weight_low": float(low),
        "mean_weight_high": float(high),
        "largest_weight": float(weight.max()),
        "clipped": int((raw > weight).sum()),
    }
    off = abs(found["weight"] - 1) > LEVEL * max(float(drawn["weight"].std()), 1e-12)
    facts["warnings"] = _warnings(facts, bool(off) and not facts["clipped"])
    return rows, facts


def _doubly_robust(shown: Shown, weight: Array, features: Array, expected: Array) -> Array:
    """Return float64 [n], the mean of which is the estimate; the reward model is cross-fitted."""
    _, user = np.unique(shown.user, return_inverse=True)
    generator = np.random.default_rng(0)
    fold = generator.permutation(int(user.max()) + 1)[user] % FOLDS
    result = np.empty(len(weight))
    level = PENALTY * np.maximum((features**2).mean(axis=0), 1e-12)
    for number in np.unique(fold):
        own = fold == number
        x = features[~own]
        weights = np.linalg.solve(x.T @ x + np.diag(level), x.T @ shown.reward[~own])
        error = shown.reward[own] - features[own] @ weights
        result[own] = expected[own] @ weights + weight[own] * error
    return result


def _warnings(facts: Mapping[str, Any], off: bool) -> list[str]:
    found = []
    if facts["effective_rows"] < LEAST_ROWS:
        found.append(
            f"Only {facts['effective_rows']:.0f} effective rows: the policy seldom shows the "
            "logged items, and the intervals are too short. Log with more exploration."
        )
    if off:
        found.append(
            f"The mean weight is {facts['mean_weight']:.2f} and should be 1: the policy shows "
            "items that were not candidates when the log was written, or the propensities are "
            "wrong. Do not trust the estimates."
        )
    return found
