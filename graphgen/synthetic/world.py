"""The model behind the built-in example: a catalogue, users with interests, interactions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from graphgen.config import Config
from graphgen.synthetic.wording import SYNTHETIC_DOMAINS

__all__ = [
    "AGE_GROUPS",
    "DAY",
    "Catalogue",
    "Drift",
    "SynthConfig",
    "interact",
    "later_share",
    "make_catalogue",
    "make_drift",
    "make_users",
]

DAY: Final = 86_400  # seconds
AGE_GROUPS: Final = ("18-29", "30-44", "45-64", "65+")
AGE_SHARES: Final = (0.30, 0.33, 0.25, 0.12)
AGE_ACTIVITY: Final = (1.15, 1.0, 0.95, 0.8)  # factor on the expected number of interactions
DOMAIN_WEIGHTS: Final = (0.26, 0.32, 0.20, 0.22)  # share of the users, as SYNTHETIC_DOMAINS
THEMES_PER_USER: Final = 3
OLD_STOCK: Final = 0.6  # share of the items that are older than the log
DRIFT_SPAN: Final = (0.3, 0.6)  # part of a history in which its planted drift lies
TURN: Final = 0.125  # part of the log in which a gradual drift ends, and recurring ones alternate
ZIPF_OFFSET: Final = 2.0  # flattens the very top: no single item takes a tenth of its domain


class SynthConfig(Config):
    """How the example is made.

    Attributes
    ----------
    n_users, n_items
        Size. Items are shared out evenly among the four domains.
    seed
        Same seed, same bytes.
    days
        Length of the log.
    domain_counts
        Share of the users who are active in 1, 2, 3 and 4 domains. The overlap of .4 is far above
        that of real logs (6 % in Amazon reviews), so that a small example has enough cold users.
    mean_interactions, spread, min_interactions, max_interactions
        Interactions of a user in one domain: log-normal with this mean and standard deviation of
        the logarithm, and clipped.
    concentration
        Dirichlet parameter of a user's weights over three themes; small is one-sided.
    popularity_exponent
        Zipf exponent of item popularity within a domain.
    chart_share, noise_share
        Part of the interactions that follow popularity whatever the theme, and part at random.
    domain_drift
        Share of the interests that a user has in one domain only.
    time_drift
        Share of the interests that has moved to a new theme by the end of a history.
    drift_share
        Share of the users who replace all themes at one moment; the other users are then steady,
        without `time_drift`. None for `time_drift` alone.
    drift_kind
        ``sudden``: from that moment on; ``gradual``: more and more, until `TURN` of the log later;
        ``recurring``: the old and the new themes take turns of `TURN` of the log.
    drift_start
        Part of the log after which all drift; None for a moment of each user's own.
    cold_user_share
        Part of the overlap users whose history in one domain is held out whole.
    cold_item_share
        Part of the items, all of them released late, that no training row mentions.
    warm_share
        Part of each longer history (five rows or more) that is held out, its end.
    """

    n_users: int = Field(4000, ge=40)
    n_items: int = Field(3000, ge=400, le=8_000)
    seed: int = Field(0, ge=0)
    days: int = Field(730, ge=30)
    domain_counts: tuple[float, float, float, float] = (0.60, 0.24, 0.11, 0.05)
    mean_interactions: float = Field(13.0, ge=3)
    spread: float = Field(0.7, gt=0, le=2)
    min_interactions: int = Field(4, ge=1)
    max_interactions: int = Field(120, ge=1)
    concentration: float = Field(0.45, gt=0)
    popularity_exponent: float = Field(0.6, ge=0)
    chart_share: float = Field(0.12, ge=0, le=1)
    noise_share: float = Field(0.05, ge=0, le=1)
    domain_drift: float = Field(0.15, ge=0, le=1)
    time_drift: float = Field(0.2, ge=0, le=1)
    drift_share: float | None = Field(None, ge=0, le=1)
    drift_kind: Literal["sudden", "gradual", "recurring"] = "sudden"
    drift_start: float | None = Field(None, gt=0, lt=1)
    cold_user_share: float = Field(0.5, ge=0, le=1)
    cold_item_share: float = Field(0.08, ge=0, lt=0.5)
    warm_share: float = Field(0.2, ge=0, lt=1)

    @field_validator("domain_counts")
    @classmethod
    def _some_domain(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if min(value) < 0 or sum(value) <= 0:
            raise ValueError("needs four shares of at least 0, not all of them 0")
        return value

    @field_validator("max_interactions")
    @classmethod
    def _ordered(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_interactions", value):
            raise ValueError("must be at least min_interactions")
        return value

    @field_validator("noise_share", "time_drift")
    @classmethod
    def _shares(cls, value: float, info: ValidationInfo) -> float:
        other = "chart_share" if info.field_name == "noise_share" else "domain_drift"
        if value + info.data.get(other, 0) > 1:
            raise ValueError(f"{other} and {info.field_name} must not be more than 1 together")
        return value


@dataclass(frozen=True)
class Catalogue:
    """Items as arrays ``[n_items]``, one domain after the other."""

    domain: np.ndarray
    theme: np.ndarray
    popularity: np.ndarray  # sums to 1 within a domain
    released: np.ndarray  # seconds since the log began; negative for the older stock


@dataclass(frozen=True)
class SynthUsers:
    """Users as arrays, one row for each."""

    group: np.ndarray  # an index into `AGE_GROUPS`
    joined: np.ndarray  # seconds since the log began
    themes: np.ndarray  # [n_users, 3]: themes liked in all domains
    weights: np.ndarray  # [n_users, 3], sums to 1
    new_theme: np.ndarray  # the theme that grows with time
    domain_theme: np.ndarray  # [n_users, n_domains]: the theme of one domain only
    counts: np.ndarray  # [n_users, n_domains]: interactions to draw; 0 where not active


@dataclass(frozen=True)
class Drift:
    """Planted drift: users who replace their themes at one moment, one row for each user."""

    at: np.ndarray  # seconds since the log began; -1 for steady users
    themes: np.ndarray  # [n_users, 3]: themes from then on, none of those before
    weights: np.ndarray  # [n_users, 3], sums to 1


def make_catalogue(
    config: SynthConfig, prevalence: np.ndarray, rng: np.random.Generator
) -> Catalogue:
    """Share out themes, popularity ranks and release dates, domain by domain."""
    n_domains, n_themes = len(SYNTHETIC_DOMAINS), len(prevalence)
    sizes = np.full(n_domains, config.n_items // n_domains)
    sizes[: config.n_items % n_domains] += 1
    end = config.days * DAY
    theme, popularity, released = [], [], []
    for size in sizes:
        # Each theme four times to begin with: none is missing in a domain.
        first = np.tile(np.arange(n_themes), 4)
        rest = rng.choice(n_themes, size - len(first), p=rng.dirichlet(60 * prevalence))
        fresh = rng.random(size) > OLD_STOCK
        fresh[:n_themes] = False  # one of each theme is old: there is always something to choose
        when = np.where(fresh, rng.uniform(0, 0.9 * end, size), -rng.uniform(1, 4 * end, size))
        zipf = (rng.permutation(size) + 1 + ZIPF_OFFSET) ** -config.popularity_exponent
        order = rng.permutation(size)
        theme.append(np.concatenate([first, rest])[order])
        released.append(when[order])
        popularity.append(zipf / zipf.sum())
    return Catalogue(
        domain=np.repeat(np.arange(n_domains), sizes),
        theme=np.concatenate(theme),
        popularity=np.concatenate(popularity),
        released=np.concatenate(released).astype(np.int64),
    )


def make_users(config: SynthConfig, prevalence: np.ndarray, rng: np.random.Generator) -> SynthUsers:
    """Draw interests, domains and activity of each user."""
    n, n_domains = config.n_users, len(SYNTHETIC_DOMAINS)
    group = rng.choice(len(AGE_GROUPS), n, p=AGE_SHARES)
    joined = (rng.random(n) ** 1.5 * 0.75 * config.days * DAY).astype(np.int64)
    themes = _gumbel_ranked(np.log(prevalence), n, rng)[:, :THEMES_PER_USER]
    weights = _weights(config, n, rng)

    active = 1 + rng.choice(
        n_domains, n, p=np.divide(config.domain_counts, sum(config.domain_counts))
    )
    ranked = _gumbel_ranked(np.log(DOMAIN_WEIGHTS), n, rng)
    is_active = np.zeros((n, n_domains), dtype=bool)
    np.put_along_axis(is_active, ranked, np.arange(n_domains) < active[:, None], axis=1)

    # Half of the spread belongs to the user, half to the user in one domain.
    scale = config.spread * np.sqrt(0.5)
    level = np.log(config.mean_interactions) - config.spread**2 / 2
    noise = scale * (rng.standard_normal((n, 1)) + rng.standard_normal((n, n_domains)))
    expected = np.exp(level + noise) * np.asarray(AGE_ACTIVITY)[group][:, None]
    counts = np.clip(np.rint(expected), config.min_interactions, config.max_interactions)
    return SynthUsers(
        group=group,
        joined=joined,
        themes=themes,
        weights=weights,
        new_theme=rng.choice(len(prevalence), n, p=prevalence),
        domain_theme=rng.choice(len(prevalence), (n, n_domains), p=prevalence),
        counts=np.where(is_active, counts, 0).astype(np.int64),
    )


def make_drift(
    config: SynthConfig, prevalence: np.ndarray, users: SynthUsers, rng: np.random.Generator
) -> Drift:
    """Draw who drifts, when, and towards which themes."""
    n = config.n_users
    drifting = rng.permutation(n) < round((config.drift_share or 0) * n)
    span = config.days * DAY - users.joined
    at = users.joined + (rng.uniform(*DRIFT_SPAN, n) * span).astype(np.int64)
    if config.drift_start is not None:
        at[:] = round(config.drift_start * config.days * DAY)
    log_weights = np.tile(np.log(prevalence), (n, 1))  # none of the themes before
    np.put_along_axis(log_weights, users.themes, -np.inf, axis=1)
    themes = _gumbel_ranked(log_weights, n, rng)[:, :THEMES_PER_USER]
    weights = _weights(config, n, rng)
    return Drift(np.where(drifting, at, -1), themes, weights)


def later_share(config: SynthConfig, since: np.ndarray) -> np.ndarray:
    """Return float64 [n], the part of the later themes, `since` seconds after the drift began.

    Examples
    --------
    >>> config = SynthConfig(drift_kind="gradual", days=80)
    >>> later_share(config, np.array([-1, 0, 5 * DAY, 50 * DAY])).tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    turns = since / (TURN * config.days * DAY)
    if config.drift_kind == "gradual":
        return np.asarray(np.clip(turns, 0, 1))
    begun = since >= 0
    return (begun & ((config.drift_kind == "sudden") | (turns % 2 < 1))).astype(float)


def _weights(config: SynthConfig, n: int, rng: np.random.Generator) -> np.ndarray:
    weights = rng.standard_gamma(config.concentration, (n, THEMES_PER_USER)) + 1e-9
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _gumbel_ranked(log_weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return `n` rows of indices, drawn one after the other without replacement."""
    keys = log_weights + rng.gumbel(size=(n, log_weights.shape[-1]))
    return np.argsort(-keys, axis=1)


def interact(
    config: SynthConfig,
    catalogue: Catalogue,
    users: SynthUsers,
    rng: np.random.Generator,
    *,
    drift: Drift | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the interactions of all users: int64 arrays user, item and time, sorted by time.

    Time is in seconds since the log began. No user takes an item twice, nor before its release;
    repeated draws are left out. With `drift`, no theme grows with time.
    """
    n_domains = users.counts.shape[1]
    flat = np.repeat(np.arange(users.counts.size), users.counts.ravel())
    user, domain = np.divmod(flat, n_domains)
    progress = rng.random(len(user))
    end = config.days * DAY
    time = users.joined[user] + (progress * (end - users.joined[user])).astype(np.int64)

    # Theme of each interaction: the user's, that of the domain, or the one that grows with time.
    themes, weights = users.themes[user], users.weights[user]
    if drift is not None:
        since = np.where(drift.at[user] >= 0, time - drift.at[user], -1)
        after = later_share(config, since)
        if config.drift_kind == "gradual":
            after = rng.random(len(user)) < after
        after = after.astype(bool)
        themes[after], weights[after] = drift.themes[user[after]], drift.weights[user[after]]
    above = rng.random(len(user))[:, None] > weights.cumsum(axis=1)
    place = above.sum(axis=1, keepdims=True).clip(max=THEMES_PER_USER - 1)
    theme = np.take_along_axis(themes, place, axis=1)[:, 0]
    voice = rng.random(len(user))
    in_domain = voice < config.domain_drift
    theme[in_domain] = users.domain_theme[user[in_domain], domain[in_domain]]
    if drift is None:
        moved = ~in_domain & (voice < config.domain_drift + config.time_drift * progress)
        theme[moved] = users.new_theme[user[moved]]

    # Which pool the item comes from: a theme, the charts (all themes), or anything at all.
    n_themes = int(catalogue.theme.max()) + 1
    kind = rng.random(len(user))
    pool = np.where(kind < config.chart_share, n_themes, theme)
    pool[kind > 1 - config.noise_share] = n_themes + 1
    item = _choose(catalogue, domain, pool, time, n_themes, rng)

    order = np.lexsort((item, user, time))
    user, item, time = user[order], item[order], time[order]
    _, first = np.unique(user * len(catalogue.domain) + item, return_index=True)
    first.sort()
    return user[first], item[first], time[first]


def _choose(
    catalogue: Catalogue,
    domain: np.ndarray,
    pool: np.ndarray,
    time: np.ndarray,
    n_themes: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw an item of each pool by popularity among those released by then.

    One pass a pool (26 in each domain), each O(n log items).
    """
    item = np.empty(len(pool), dtype=np.int64)
    point = rng.random(len(pool))
    n_pools = n_themes + 2
    key = domain * n_pools + pool
    order = np.argsort(key, kind="stable")
    bounds = np.searchsorted(key[order], np.arange(len(SYNTHETIC_DOMAINS) * n_pools + 1))
    for code, (start, stop) in enumerate(pairwise(bounds)):
        rows = order[start:stop]
        of_domain = catalogue.domain == code // n_pools
        which = code % n_pools
        members = np.flatnonzero(
            of_domain & (catalogue.theme == which) if which < n_themes else of_domain
        )
        members = members[np.argsort(catalogue.released[members], kind="stable")]
        mass = catalogue.popularity[members] if which <= n_themes else np.ones(len(members))
        total = np.concatenate([[0.0], np.cumsum(mass)])
        available = np.searchsorted(catalogue.released[members], time[rows], side="right")
        drawn = np.searchsorted(total, point[rows] * total[available], side="right") - 1
        item[rows] = members[np.minimum(drawn, available - 1)]
    return item
