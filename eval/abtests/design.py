"""The statistics of an A/B test: planning it, checking the assignment, measuring a difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from scipy import stats

from eval.metrics.base import Array
from graphgen.errors import ConfigError

__all__ = ["RatioCheck", "cuped", "difference", "power", "sample_ratio_check", "sample_size"]

# A sample ratio mismatch is claimed below this p; Fabijan et al., KDD 2019, use a strict level too.
MISMATCH_LEVEL: Final = 0.001
MIN_USERS: Final = 2


class RatioCheck(NamedTuple):
    """Whether users were assigned in the planned shares.

    Attributes
    ----------
    counts
        Users per variant.
    expected
        Planned share per variant.
    p_value
        Of a chi-square test.
    passed
        False where the shares are off by more than chance: do not trust the test then.
    """

    counts: dict[str, int]
    expected: dict[str, float]
    p_value: float
    passed: bool

    @property
    def sentence(self) -> str:
        """The check in words."""
        shares = ", ".join(f"{name} {n:,}" for name, n in self.counts.items())
        if self.passed:
            return f"Users: {shares}. The shares are as planned (p = {self.p_value:.3g})."
        return (
            f"Users: {shares}. SAMPLE RATIO MISMATCH (p = {self.p_value:.2g}): users were lost or "
            "assigned unevenly, and no difference below can be trusted until it is explained."
        )


def sample_ratio_check(
    counts: Mapping[str, int], expected: Mapping[str, float] | None = None
) -> RatioCheck:
    """Test whether the numbers of users fit the planned shares.

    Parameters
    ----------
    counts
        Users per variant.
    expected
        Planned shares (any positive numbers); default equal.

    Raises
    ------
    ConfigError
        If `expected` does not name the same variants.

    References
    ----------
    Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019.

    Examples
    --------
    >>> sample_ratio_check({"a": 5000, "b": 5050}).passed
    True
    >>> sample_ratio_check({"a": 5000, "b": 5400}).passed
    False
    """
    planned = dict.fromkeys(counts, 1.0) if expected is None else dict(expected)
    if set(planned) != set(counts) or min(planned.values()) <= 0:
        raise ConfigError(
            f"`expected` must give a positive share for each variant ({', '.join(counts)}); "
            f"got {planned}."
        )
    total = sum(planned.values())
    shares = {name: planned[name] / total for name in counts}
    n = sum(counts.values())
    p_value = float(stats.chisquare(list(counts.values()), [n * s for s in shares.values()]).pvalue)
    return RatioCheck(dict(counts), shares, p_value, p_value >= MISMATCH_LEVEL)


def cuped(outcome: Array, before: Array) -> tuple[Array, float]:
    """Remove from an outcome the part that behaviour before the test explains.

    Returns
    -------
    adjusted : numpy.ndarray
        float64, with the same mean.
    reduction : float
        Share of the variance removed, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> before = np.array([1.0, 2.0, 3.0, 4.0])
    >>> adjusted, reduction = cuped(2 * before, before)
    >>> adjusted.tolist(), round(reduction, 3)
    ([5.0, 5.0, 5.0, 5.0], 1.0)
    """
    variance = before.var()
    if variance == 0 or outcome.var() == 0:
        return outcome.astype(np.float64), 0.0
    theta = np.mean((outcome - outcome.mean()) * (before - before.mean())) / variance
    adjusted = outcome - theta * (before - before.mean())
    return adjusted, float(max(0.0, 1.0 - adjusted.var() / outcome.var()))


def difference(
    control: Array, variant: Array, alpha: float, planned: int | None
) -> dict[str, float]:
    """Return the difference of two means with interval and p value.

    Parameters
    ----------
    control, variant
        float64, one value per user.
    alpha
        The interval holds with a probability of 1 - alpha.
    planned
        Users for which an always-valid interval is tightest; None for Welch's interval.
    """
    n, m = len(control), len(variant)
    gain = float(variant.mean() - control.mean())
    v, w = control.var(ddof=1) / n, variant.var(ddof=1) / m
    error = float(np.sqrt(v + w))
    if error == 0:
        p_value, radius = (1.0 if gain == 0 else 0.0), 0.0
    elif planned is None:
        freedom = (v + w) ** 2 / (v**2 / (n - 1) + w**2 / (m - 1))
        p_value = float(2 * stats.t.sf(abs(gain) / error, freedom))
        radius = float(stats.t.ppf(1 - alpha / 2, freedom)) * error
    else:
        p_value, radius = _always_valid(gain, error, n + m, alpha, planned)
    base = float(control.mean())
    return {
        "n_control": n,
        "n_variant": m,
        "value_control": base,
        "value_variant": float(variant.mean()),
        "difference": gain,
        "low": gain - radius,
        "high": gain + radius,
        "relative": gain / base if base else float("nan"),
        "p_value": p_value,
    }


def _always_valid(
    difference: float, error: float, n: int, alpha: float, planned: int
) -> tuple[float, float]:
    """Return p value and half-width of the normal-mixture confidence sequence at n users."""
    log = -2 * np.log(alpha)
    rho = (log + np.log(log) + 1) / planned  # tightest at `planned` users
    spread = n * rho
    radius = error * np.sqrt(2 * (spread + 1) / spread * np.log(np.sqrt(spread + 1) / alpha))
    z = difference / error
    p_value = np.sqrt(spread + 1) * np.exp(-(z**2) * spread / (2 * (spread + 1)))
    return float(min(1.0, p_value)), float(radius)


def sample_size(
    baseline: float,
    effect: float,
    *,
    sd: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    ratio: float = 1.0,
) -> int:
    """Return how many users the control group needs.

    Parameters
    ----------
    baseline
        Conversion rate (or mean) of the control.
    effect
        Absolute difference to detect.
    sd
        Standard deviation of the outcome; None for a conversion rate.
    alpha
        Two-sided level.
    power
        Probability of detecting the effect.
    ratio
        Users of the variant per user of the control.

    Raises
    ------
    ConfigError
        If a number is out of range.

    Examples
    --------
    >>> sample_size(0.10, 0.02)
    3839
    """
    variance = _variance(baseline, effect, sd, alpha, ratio)
    if not 0 < power < 1:
        raise ConfigError(f"`power` must lie between 0 and 1; got {power}.")
    z = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return int(np.ceil(variance * (z / effect) ** 2))


def power(
    baseline: float,
    effect: float,
    users: int,
    *,
    sd: float | None = None,
    alpha: float = 0.05,
    ratio: float = 1.0,
) -> float:
    """Return the probability of detecting an effect with so many users in the control group.

    Parameters as in `sample_size`.

    Examples
    --------
    >>> round(power(0.10, 0.02, 3839), 2)
    0.8
    """
    variance = _variance(baseline, effect, sd, alpha, ratio)
    if users < MIN_USERS:
        raise ConfigError(f"`users` must be at least {MIN_USERS}; got {users}.")
    shift = abs(effect) / np.sqrt(variance / users)
    z = stats.norm.ppf(1 - alpha / 2)
    return float(stats.norm.sf(z - shift) + stats.norm.cdf(-z - shift))


def _variance(
    baseline: float, effect: float, sd: float | None, alpha: float, ratio: float
) -> float:
    """Check a design; return the variance of the difference, times the users of the control."""
    if effect == 0:
        raise ConfigError("`effect` must not be 0; no sample shows the absence of a difference.")
    if not 0 < alpha < 1:
        raise ConfigError(f"`alpha` must lie between 0 and 1; got {alpha}.")
    if ratio <= 0:
        raise ConfigError(f"`ratio` must be above 0; got {ratio}.")
    if sd is not None and sd <= 0:
        raise ConfigError(f"`sd` must be above 0; got {sd}.")
    if sd is not None:
        return sd**2 * (1 + 1 / ratio)
    other = baseline + effect
    if not (0 < baseline < 1 and 0 < other < 1):
        raise ConfigError(
            f"A conversion rate must lie between 0 and 1, with and without the effect; got "
            f"{baseline} and {other}. For a mean, give `sd`."
        )
    return baseline * (1 - baseline) + other * (1 - other) / ratio
