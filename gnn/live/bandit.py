"""A linear model of the reward of a candidate, with its uncertainty: of LinUCB and Thompson."""

from __future__ import annotations

import numpy as np

from gnn.data import UserBatch
from graphgen.config import Config

__all__ = ["BanditConfig", "CandidateFeatures", "LinearBandit"]

# Leading directions of the item vectors that are features; more need more feedback to learn from.
DIRECTIONS = 16


class BanditConfig(Config):
    """Settings of `LinearBandit`."""

    prior_sd: float = 0.1
    """Standard deviation of a weight before any feedback."""
    noise_sd: float = 0.5
    """Standard deviation of a reward in [0, 1]; 0.5 is the most that is possible."""
    score_weight: float = 0.5
    """Weight of the model's score before any feedback, which then alone decides the order."""
    alpha: float = 1.0
    """Standard deviations that LinUCB adds to the expected reward."""
    draws: int = 128
    """Draws from the posterior, of which Thompson takes one for each list."""


class CandidateFeatures:
    """Features of candidates: constant, relative score, item vector, and its product with the user.

    Parameters
    ----------
    vectors
        float32 [n_items, dim], rows of length 1 or 0; their leading directions are kept.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        values, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
        leading = directions[:, np.argsort(-values)[:DIRECTIONS]]
        self.vectors = (vectors @ leading).astype(np.float32)

    @property
    def dim(self) -> int:
        """Number of features."""
        return 2 + 2 * self.vectors.shape[1]

    def __call__(self, users: UserBatch, columns: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        """Return float32 [n, m, dim] of candidates [n, m] of the joint index; 0 where one is -1.

        `relevance` is [n, m] in [0, 1], as of `gnn.interests.reranking.relative_scores`.
        """
        mean = users.history @ self.vectors
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        own = self.vectors[columns]
        scores = np.maximum(relevance, 0)[..., None].astype(np.float32)
        parts = [np.ones_like(scores), scores, own, own * mean[:, None]]
        features = np.concatenate(parts, axis=2)
        features[columns < 0] = 0
        return features


class LinearBandit:
    """Bayesian linear regression of rewards in [0, 1] on features of candidates.

    Parameters
    ----------
    dim
        Number of features, of which the second is the relative score.
    config
        Settings.

    References
    ----------
    Li et al., "A contextual-bandit approach to personalized news article recommendation", WWW 2010.
    Agrawal and Goyal, "Thompson sampling for contextual bandits with linear payoffs", ICML 2013.

    Examples
    --------
    >>> bandit = LinearBandit(3, BanditConfig())
    >>> _ = bandit.learn(np.eye(3), np.array([0.0, 0.0, 1.0]))
    >>> bool(bandit.mean[2] > 0)
    True
    """

    def __init__(self, dim: int, config: BanditConfig) -> None:
        self.config = config
        self.precision = np.eye(dim) / config.prior_sd**2
        self.weighted = np.zeros(dim)
        self.weighted[1] = config.score_weight / config.prior_sd**2

    def learn(self, features: np.ndarray, rewards: np.ndarray) -> LinearBandit:
        """Take in float [n, dim] and the rewards [n]; exact, whatever the order; O(n · dim²)."""
        features = features.astype(np.float64)
        self.precision += features.T @ features / self.config.noise_sd**2
        self.weighted += features.T @ rewards / self.config.noise_sd**2
        return self

    @property
    def mean(self) -> np.ndarray:
        """float64 [dim], the expected weights."""
        return np.linalg.solve(self.precision, self.weighted)

    def bounds(self, features: np.ndarray) -> np.ndarray:
        """Return [n, m], the upper confidence bounds of the rewards of candidates [n, m, dim]."""
        root = np.linalg.inv(np.linalg.cholesky(self.precision))
        spread = np.linalg.norm(features @ root.T, axis=-1)
        bounds: np.ndarray = features @ self.mean + self.config.alpha * spread
        return bounds

    def sampled(self, seed: int) -> np.ndarray:
        """Return float64 [dim, draws], weights drawn from the posterior."""
        noise = np.random.default_rng(seed).standard_normal((len(self.mean), self.config.draws))
        root = np.linalg.cholesky(self.precision)
        drawn: np.ndarray = self.mean[:, None] + np.linalg.solve(root.T, noise)
        return drawn
