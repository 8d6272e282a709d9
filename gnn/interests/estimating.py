"""How much of a user is an interest: shares with a prior learned from all users, and their odds."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import betainc, betaincinv

from gnn.data import UserBatch
from gnn.numerics.sparse import entry_rows

__all__ = ["DAY", "Posterior", "Prior", "learn_prior", "posterior", "recent"]

DAY: Final = 86_400_000  # milliseconds
# Bounds of the prior's strength, in interactions; moments of few users may be anywhere.
WEAKEST, STRONGEST = 0.5, 200.0
# Probability that lies inside the credible interval of a share.
CREDIBLE: Final = 0.9
# Least share of the population, so that odds of an interest that nobody has are finite.
RAREST: Final = 1e-6
# Of the smallest shares that items have in an interest.
LEAST_DISPERSED: Final = 0.05


class Prior(NamedTuple):
    """What is known of a user's shares in advance.

    `shares` [interests] are those of the population, `strength` the number of interactions of a
    user for which they count, and `dispersion` [interests] the variance of an interaction's share
    over that of an interaction which has one interest only: 1 where items have one, less where
    they are shared out.
    """

    shares: np.ndarray
    strength: float
    dispersion: np.ndarray


class Posterior(NamedTuple):
    """Shares of users in interests, one entry for each interest that a user has met.

    `share` is the expected share of a user's interactions, `low` and `high` bound its credible
    interval (90 %), `weight` is the logarithm of its odds over those of the population, `error`
    the standard error of `weight`, and `more` the probability that the share is above the
    population's.
    """

    user: np.ndarray
    interest: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    error: np.ndarray
    more: np.ndarray


def recent(users: UserBatch, half_life: float | None) -> sp.csr_matrix:
    """Return float32 CSR [n, n_items], each interaction halved every `half_life` days.

    Days are counted back from the user's latest interaction: a user who has left stays as
    certain. All are 1 without times, or with None.
    """
    if half_life is None or users.times is None:
        return users.history
    row, when = entry_rows(users.times), users.times.data
    last = np.zeros(len(users), dtype=np.int64)
    np.maximum.at(last, row, when)
    weight = np.exp2((when - last[row]) / (DAY * half_life)).astype(np.float32)
    return sp.csr_matrix((weight, users.times.indices, users.times.indptr), users.history.shape)


def learn_prior(history: sp.csr_matrix, joint: sp.csr_matrix) -> Prior:
    """Learn from all users how much they differ from the population; O(nnz · topics of an item).

    The strength is the variance of the interactions within users over that between users, both by
    the analysis of variance with one random effect; where each item has one interest, it is the
    moment estimate of the concentration of a Dirichlet-multinomial distribution.

    Parameters
    ----------
    history
        CSR [users, n_items], such as `TrainingData.matrix`.
    joint
        As `Interests.joint`.

    References
    ----------
    Searle, Casella and McCulloch, "Variance components", 1992; Mosimann, "On the compound
    multinomial distribution", Biometrika 1962.
    """
    amounts = sp.csr_matrix(history @ joint, dtype=np.float64)
    total = np.asarray(amounts.sum(axis=1)).ravel()
    liking = np.bincount(history.indices, minlength=history.shape[1]).astype(np.float64)
    squares = np.asarray(joint.power(2).T @ liking).ravel()
    everything = np.asarray(amounts.sum(axis=0)).ravel()
    n, users = total.sum(), np.count_nonzero(total)
    of_users = (amounts.data**2 / np.maximum(total, RAREST)[entry_rows(amounts)]).sum()
    within = (squares.sum() - of_users) / max(n - users, 1)
    size = (n - (total**2).sum() / max(n, 1)) / max(users - 1, 1)
    between = (of_users - (everything**2).sum() / max(n, 1)) / max(users - 1, 1)
    between = (between - within) / max(size, RAREST)
    strength = within / between if between > 0 else STRONGEST
    shares = np.clip(everything / max(n, 1), RAREST, 1 - RAREST)
    dispersion = (squares / max(n, 1) - shares**2) / (shares * (1 - shares))
    strength = float(np.clip(strength, WEAKEST, STRONGEST))
    return Prior(shares / shares.sum(), strength, np.clip(dispersion, LEAST_DISPERSED, 1.0))


def posterior(amounts: sp.csr_matrix, prior: Prior) -> Posterior:
    """Return the shares of users in the interests they have met; O(nnz).

    A share has a beta posterior, that of the Dirichlet prior; its odds over those of the
    population are the log-odds ratio with an informative prior. To like what everybody likes
    gives a weight of 0.

    References
    ----------
    Monroe, Colaresi and Quinn, "Fightin' words", Political Analysis 2008.
    """
    user, interest = entry_rows(amounts), amounts.indices.astype(np.int64)
    total = np.asarray(amounts.sum(axis=1), dtype=np.float64).ravel()[user]
    usual = prior.shares[interest]
    a = amounts.data + prior.strength * usual
    b = np.maximum(total - amounts.data, 0) + prior.strength * (1 - usual)
    a, b = a / prior.dispersion[interest], b / prior.dispersion[interest]
    tail = (1 - CREDIBLE) / 2
    return Posterior(
        user,
        interest,
        share=a / (a + b),
        low=betaincinv(a, b, tail),
        high=betaincinv(a, b, 1 - tail),
        weight=np.log(a / b) - np.log(usual / (1 - usual)),
        error=np.sqrt(1 / a + 1 / b),
        more=1 - betainc(a, b, usual),
    )
