"""Clusters of vectors: spherical k-means that can continue the clusters of an earlier build."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

__all__ = ["Clusters", "choose_n_clusters", "find_clusters", "n_learned"]

MIN_CLUSTERS, MAX_CLUSTERS = 2, 512
# A row is linked to its nearest centre and to every other whose cosine is at least this share of
# the best, at most so many, none below the floor. On the validation rows of a log of four domains,
# users' topics predict held-out items as well as three links for each item.
RELATIVE, MAX_LINKS, FLOOR = 0.8, 5, 0.2
# A cluster of one row would link it to no other.
MIN_ROWS = 2
# Rows of a mini-batch. Rows learned from in all: ten passes over 50,000 rows. With few
# rows the search starts several times, because one start often finds a poor division.
BATCH_ROWS = 4096
LEARNED_ROWS = 1 << 19
MAX_PASSES = 10
MAX_STARTS = 10
# Passes over all rows at the end, so that centres are the means of their rows: clusters that are
# continued from their rows then keep them. Of more rows than this, so many.
LAST_PASSES, LAST_ROWS = 3, 1 << 17
# So much of the centre of its former cluster is added to a row, so that noise does not move it to
# another one. Of 0.25 to 1.5, on a log of games and films whose items have few likes, users'
# topics tell held-out items from others as well; from 0.75 on the strongest topics persist.
STAY = 0.75
# A new row fits no former cluster where its best cosine is below this quantile of former rows.
UNFIT = 0.05
# Scores held at once: 2^22 float32 are 16 MB.
BLOCK_SCORES = 1 << 22


class Clusters(NamedTuple):
    """Clusters of n rows and E links of rows to clusters, sorted by row, then falling cosine.

    `nearest` int64 [n] and `closeness` float32 [n] are the nearest cluster of each row and the
    cosine to its centre; `former` int64 [n_clusters] is the former cluster that each continues, -1
    for a new one; `row` and `cluster` are int64 [E], `cosine` float32 [E].
    """

    nearest: np.ndarray
    closeness: np.ndarray
    former: np.ndarray
    row: np.ndarray
    cluster: np.ndarray
    cosine: np.ndarray


def choose_n_clusters(n_rows: int) -> int:
    """Return the number of clusters for a number of rows: the rule of thumb √(n/2), within bounds.

    Examples
    --------
    >>> [choose_n_clusters(n) for n in (5, 800, 50_000, 10_000_000)]
    [2, 20, 158, 512]
    """
    return int(np.clip(round((n_rows / 2) ** 0.5), MIN_CLUSTERS, MAX_CLUSTERS))


def find_clusters(
    vectors: np.ndarray,
    *,
    n_clusters: int | None = None,
    former: np.ndarray | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Clusters:
    """Cluster rows by spherical k-means.

    Mini-batch k-means (Sculley, "Web-scale k-means clustering", WWW 2010) on vectors of length 1,
    its centres drawn out to length 1 (Dhillon and Modha, "Concept decompositions for large sparse
    text data", Machine Learning 42, 2001). A row belongs to about as many clusters as fit it: the
    nearest, and those whose cosine is at least 0.8 of the best. A cluster that is nearest to fewer
    than two rows is none.

    With `former`, each former cluster goes on from the mean of its rows, towards which these rows
    are drawn, and only new rows that fit none of them make new clusters.

    O((n + 500,000) · d · k) for n vectors of width d and k clusters.

    Parameters
    ----------
    vectors
        float32 ``[n, d]`` with rows of length 1.
    n_clusters
        Most clusters, not counting former ones; None for `choose_n_clusters`.
    former
        int64 [n], the former cluster of each row, -1 for none; None to begin anew.
    seed
        Draws the first centres and the order of the rows.
    on_progress
        Called with the number of rows learned from since the last call; `n_learned` in all.
    """
    n = len(vectors)
    k = min(n_clusters or choose_n_clusters(n), n)
    if n < MIN_ROWS:
        centers, number = np.empty((0, vectors.shape[1]), np.float32), np.empty(0, np.int64)
    elif former is not None and (former >= 0).any():
        vectors, centers, number = _continued(vectors, former, k, seed)
        if on_progress is not None:
            on_progress(n_learned(n))
    else:
        centers = _centers(vectors, k, seed, on_progress)
        number = np.full(len(centers), -1, np.int64)
    nearest, _ = _nearest(vectors, centers, min(1, len(centers)))
    kept = np.bincount(nearest.ravel(), minlength=len(centers)) >= MIN_ROWS
    centers, number = centers[kept], number[kept]
    cluster, cosine = _nearest(vectors, centers, min(MAX_LINKS, len(centers)))
    row, place = np.nonzero(cosine >= np.maximum(FLOOR, RELATIVE * cosine[:, :1]))
    first = slice(None), slice(0, 1)
    return Clusters(
        cluster[first].ravel(), cosine[first].ravel(), number,
        row, cluster[row, place], cosine[row, place],
    )  # fmt: skip


def n_learned(n_rows: int) -> int:
    """Return how many rows `find_clusters` learns from, counting each pass of each start."""
    starts, passes = _effort(n_rows)
    return n_rows * starts * passes


def _effort(n_rows: int) -> tuple[int, int]:
    """Return the number of starts and of passes over the rows after each."""
    passes = LEARNED_ROWS // max(1, n_rows)
    starts, passes = np.clip([passes // MAX_PASSES, passes], 1, [MAX_STARTS, MAX_PASSES]).tolist()
    return starts, passes


def _centers(
    vectors: np.ndarray, k: int, seed: int, on_progress: Callable[[int], None] | None = None
) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.preprocessing import normalize

    starts, passes = _effort(len(vectors))
    generator = np.random.default_rng(seed)
    # Batch by batch rather than `fit`, which cannot tell how far it is. Batches of one size: the
    # first must hold at least k rows.
    n_batches = -(-len(vectors) // BATCH_ROWS)
    best, most = np.empty(0), -np.inf
    for _ in range(starts):
        model = MiniBatchKMeans(k, n_init=1, random_state=int(generator.integers(2**32)))
        for _ in range(passes):
            for batch in np.array_split(generator.permutation(len(vectors)), n_batches):
                model.partial_fit(vectors[batch])
                if on_progress is not None:
                    on_progress(len(batch))
        centers = normalize(model.cluster_centers_)
        total = _nearest(vectors, centers, 1)[1].sum() if starts > 1 else 0.0
        if total > most:
            best, most = centers, total
    if len(vectors) > LAST_ROWS:
        vectors = vectors[np.sort(generator.permutation(len(vectors))[:LAST_ROWS])]
    for _ in range(LAST_PASSES):
        means = _means(vectors, _nearest(vectors, best, 1)[0][:, 0], k)
        best = np.where(means.any(axis=1, keepdims=True), means, best)
    return best


def _continued(
    vectors: np.ndarray, former: np.ndarray, k: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows drawn to former clusters, centres, and the former cluster of each centre.

    The centres are the means of the former clusters, then those of new rows that fit none.
    """
    from sklearn.preprocessing import normalize

    size = np.bincount(former[former >= 0])
    number = np.flatnonzero(size >= MIN_ROWS)
    known = np.isin(former, number)
    if not len(number):
        centers = _centers(vectors, k, seed)
        return vectors, centers, np.full(len(centers), -1, np.int64)
    centers = _means(vectors, np.where(known, former, -1), len(size))[number]
    closeness = _nearest(vectors, centers, 1)[1][:, 0]
    unfit = np.flatnonzero((former < 0) & (closeness < np.quantile(closeness[known], UNFIT)))
    pull = STAY * centers[np.searchsorted(number, former[known])]
    n_new = min(k - len(number), len(unfit) // MIN_ROWS)
    if n_new > 0:
        centers = np.concatenate([centers, _centers(vectors[unfit], n_new, seed)])
        number = np.concatenate([number, np.full(n_new, -1)])
    vectors = vectors.copy()
    vectors[known] = normalize(vectors[known] + pull)
    return vectors, centers, number


def _means(vectors: np.ndarray, cluster: np.ndarray, k: int) -> np.ndarray:
    """Return the mean of the rows of each cluster, drawn out to length 1; zeros for no rows."""
    from sklearn.preprocessing import normalize

    row = np.flatnonzero(cluster >= 0)
    one = np.ones(len(row), np.float32)
    members = sp.csr_matrix((one, (cluster[row], row)), shape=(k, len(vectors)))
    return np.asarray(normalize(members @ vectors), np.float32)


def _nearest(vectors: np.ndarray, centers: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each vector the `k` nearest centres and their cosines, nearest first."""
    cluster = np.zeros((len(vectors), k), dtype=np.int64)
    cosine = np.zeros((len(vectors), k), dtype=np.float32)
    rows = max(1, BLOCK_SCORES // max(1, len(centers)))
    for low in range(0, len(vectors) if k else 0, rows):
        scores = vectors[low : low + rows] @ centers.T
        if k == 1:
            best = scores.argmax(axis=1)[:, None]
        else:
            best = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
            found = np.take_along_axis(scores, best, axis=1)
            order = np.argsort(-found, axis=1, kind="stable")
            best = np.take_along_axis(best, order, axis=1)
        cluster[low : low + rows] = best
        cosine[low : low + rows] = np.take_along_axis(scores, best, axis=1)
    return cluster, cosine.clip(max=1.0)
