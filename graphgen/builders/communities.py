"""Topics of items without texts: communities of items that the same users like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.builders.naming import LABEL, first_free, name_key

__all__ = ["community_names", "item_vectors"]

# The beginning of the names of communities.
LIKE = "like: "
# The most typical items that a name of two may be made of.
TRIED = 12
# Width of the vectors of items. Their likes come from at least so many users.
DIM = 64
MIN_USERS = 2
# A log in which fewer items have these is too small for communities.
MIN_ITEMS = 50
# Iterations of the decomposition, and further directions that make the last wanted ones exact.
POWER_ITERATIONS, OVERSAMPLES = 4, 10
# Of more likes than this, the iterations take those of a sample of the users; blocks of users.
MAX_LIKES, USER_ROWS = 1_000_000, 1 << 18


def item_vectors(likes: sp.csr_matrix, *, seed: int = 0) -> np.ndarray:
    """Return vectors of items in which items that the same users like lie near one another.

    The leading right singular vectors of ``D_u^(-1/2) · likes · D_i^(-1/2)``, times their singular
    values (Dhillon, "Co-clustering documents and words using bipartite spectral graph
    partitioning", KDD 2001).

    O(interactions · d) for width d.

    Parameters
    ----------
    likes
        1 where a user of ``[users, items]`` likes an item.
    seed
        Seed of the decomposition.

    Returns
    -------
    float32 ``[items, d]`` with rows of length 1, and rows of zeros where fewer than two users like
    an item, or all items where too few have two.
    """
    from sklearn.preprocessing import normalize

    known = np.flatnonzero(np.bincount(likes.indices, minlength=likes.shape[1]) >= MIN_USERS)
    result = np.zeros((likes.shape[1], DIM), dtype=np.float32)
    matrix = sp.csr_matrix(likes[:, known], dtype=np.float32)
    matrix = matrix[np.diff(matrix.indptr) > 0]
    if len(known) < MIN_ITEMS or matrix.shape[0] < MIN_USERS:
        return result
    degree = np.diff(matrix.indptr), np.bincount(matrix.indices, minlength=len(known))
    matrix = sp.diags_array(degree[0] ** -0.5) @ matrix @ sp.diags_array(degree[1] ** -0.5)
    rank = min(DIM, *matrix.shape)
    result[known, :rank] = normalize(_leading(matrix, rank, seed))
    return result


def _leading(matrix: sp.csr_matrix, rank: int, seed: int) -> np.ndarray:
    """Return the leading right singular vectors times their values, float32 [items, rank].

    Subspace iteration (Halko et al., "Finding structure with randomness", SIAM Review 2011) on the
    likes of a sample of users, and a last step over all, in blocks: nothing as large as users times
    rank is held. O(likes · rank + items · rank²).
    """
    generator = np.random.default_rng(seed)
    sample = matrix
    if matrix.nnz > MAX_LIKES:
        users = generator.permutation(matrix.shape[0])
        sample = matrix[np.sort(users[: int(len(users) * MAX_LIKES / matrix.nnz)])]
    width = min(rank + OVERSAMPLES, *matrix.shape)
    basis = generator.standard_normal((matrix.shape[1], width), dtype=np.float32)
    for _ in range(POWER_ITERATIONS):
        basis = _turned(_step(sample, basis))
    basis = _step(matrix, basis[:, :rank])
    # A step multiplies a singular vector by the square of its value.
    length = np.linalg.norm(basis, axis=0)
    return np.asarray(basis * np.where(length > 0, length, 1.0) ** -0.5)


def _step(matrix: sp.csr_matrix, basis: np.ndarray) -> np.ndarray:
    """Return ``matrix.T @ matrix @ basis``."""
    result = np.zeros_like(basis)
    for low in range(0, matrix.shape[0], USER_ROWS):
        part = matrix[low : low + USER_ROWS]
        result += part.T @ (part @ basis)
    return result


def _turned(basis: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the same space, the direction of the largest value first."""
    squares, turn = np.linalg.eigh((basis.T @ basis).astype(np.float64))
    kept = np.maximum(squares[::-1], squares[-1] * np.finfo(np.float32).eps)
    return basis @ (turn[:, ::-1] * kept**-0.5).astype(np.float32)


def community_names(
    labels: pd.Series,
    topic: np.ndarray,
    closeness: np.ndarray,
    popularity: np.ndarray,
    n_topics: int,
    *,
    given: Sequence[str] = (),
) -> list[str]:
    """Name communities by their two most typical items, such as ``like: Dune, Alien``.

    Typical is an item near the centre that many users like: cosine times the logarithm of one plus
    its likes. O(n log n).

    Parameters
    ----------
    labels
        Title or id of each of n items; the index holds ids, for communities of the same titles.
    topic, closeness, popularity
        The community of each, the cosine to its centre, and its likes.
    n_topics
        Number of communities; each has two items at least.
    given
        The name that each keeps; "" for a new one.

    Examples
    --------
    >>> labels = pd.Series(["Dune", "Alien", "Emma", "Persuasion"])
    >>> community_names(labels, np.array([0, 0, 1, 1]), np.ones(4), np.array([9, 3, 2, 5]), 2)
    ['like: Dune, Alien', 'like: Persuasion, Emma']
    """
    if not n_topics:
        return []
    typical = np.lexsort((np.arange(len(topic)), -closeness * np.log1p(popularity), topic))
    starts = np.searchsorted(topic[typical], np.arange(n_topics + 1))
    names = list(given) or [""] * n_topics
    used = {name_key(name): name for name in names if name}
    for i in range(n_topics):
        if not names[i]:
            own = labels.iloc[typical[starts[i] : starts[i + 1]][:TRIED]].str[:LABEL].str.strip()
            pairs = [_pairs(own.unique().tolist()), _pairs(own.index.tolist())]
            names[i] = first_free(chain(*pairs), used)
    return names


def _pairs(labels: list[str]) -> list[str]:
    """Return names of the first label and each other.

    Examples
    --------
    >>> _pairs(["Dune", "Alien", "Emma"]), _pairs(["Dune"])
    (['like: Dune, Alien', 'like: Dune, Emma'], ['like: Dune'])
    """
    first, *rest = labels
    return [f"{LIKE}{first}, {other}" for other in rest] or [f"{LIKE}{first}"]
