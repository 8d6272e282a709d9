"""Whether generated vectors are like real ones: density, coverage, copies, two-sample tests."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import NearestNeighbors

__all__ = ["density_and_coverage", "nearest_ratio", "two_sample_accuracy"]


def density_and_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """Return density and coverage of generated vectors.

    Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020. Each
    real vector has a ball as far as its k-th nearest real neighbour. Density: in how many balls,
    over k, a generated vector lies on average (1 for samples of one distribution). Coverage: share
    of the balls that hold a generated one; a generator that collapsed covers few. O((n + m)² d),
    and memory for n · m distances.

    Parameters
    ----------
    real, fake
        float [n, d] and [m, d].
    k
        Neighbours that make a ball.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((500, 2))
    >>> y = np.random.default_rng(1).standard_normal((500, 2))
    >>> density, coverage = density_and_coverage(x, y)
    >>> 0.9 < density < 1.1, coverage > 0.9
    (True, True)
    >>> density_and_coverage(x, np.zeros((500, 2)))[1] < 0.1
    True
    """
    neighbors = NearestNeighbors().fit(real)
    radius = neighbors.kneighbors(n_neighbors=k)[0][:, -1]
    inside = pairwise_distances(real, fake) <= radius[:, None]
    return float(inside.sum() / (k * len(fake))), float(inside.any(axis=1).mean())


def nearest_ratio(train: np.ndarray, held_out: np.ndarray, fake: np.ndarray) -> float:
    """Return how far generated vectors are from training, relative to held-out real ones.

    It is the ratio of the median distances to the nearest training vector. 1: generated vectors are
    as new as held-out ones; near 0: they are copies.
    """
    neighbors = NearestNeighbors(n_neighbors=1).fit(train)
    ours, theirs = (np.median(neighbors.kneighbors(x)[0]) for x in (fake, held_out))
    return float(ours / max(theirs, 1e-12))


def two_sample_accuracy(real: np.ndarray, fake: np.ndarray, *, seed: int = 0) -> float:
    """Return the accuracy of a classifier of real and generated vectors, in five folds.

    Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017, with a logistic
    regression on the vectors and their squares: .5 if it cannot tell them apart, 1 if it can.
    """
    n = min(len(real), len(fake))
    rng = np.random.default_rng(seed)
    parts = [x[rng.permutation(len(x))[:n]] for x in (real, fake)]
    x = np.concatenate(parts)
    x = np.concatenate([x, x**2], axis=1)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    y = np.repeat([0, 1], n)
    order = rng.permutation(2 * n)
    classifier = LogisticRegression(max_iter=500)
    return float(cross_val_score(classifier, x[order], y[order], cv=5).mean())
