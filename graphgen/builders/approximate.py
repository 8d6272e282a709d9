"""Similar items by approximate search, for catalogues that are too large to compare all pairs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from graphgen.errors import MissingDependencyError

__all__ = ["ApproximateSearch", "Found"]

logger = logging.getLogger(__name__)

# Width of the vectors that stand for words in the index; similarities are then computed exactly.
WORD_DIM = 256
# Cells of the index for each root of the number of vectors, and vectors it learns from a cell.
CELLS, LEARNED = 4, 40
# Items on which the effort is chosen, and the recall that is wanted there.
SAMPLE, RECALL = 400, 0.95
# Cells searched and candidates for each neighbour wanted, at first; they grow until it is reached.
PROBES, CANDIDATES = 16, 5
# Rows at a time, and the largest block of words or of candidates' features, in float32.
ROWS, BLOCK = 512, 1 << 24
TOLERANCE = 1e-5


class Found(NamedTuple):
    """Neighbours of rows: int64 [rows, k], and float32, falling; -inf where there are fewer."""

    columns: np.ndarray
    values: np.ndarray


class ApproximateSearch:
    """Nearest rows by a mixture of the cosines of two kinds of vectors.

    An inverted file (Jégou et al., "Product quantization for nearest neighbor search", PAMI 2011)
    over features and words side by side, the words hashed to 256 places (Weinberger et al.,
    "Feature hashing for large scale multitask learning", ICML 2009), gives candidates, whose
    similarity is then computed exactly. The effort is chosen on a sample of 400 rows, so that 95 %
    of their true neighbours are found.

    O(n^1.5 · (d + 256)) for n rows of width d.

    Parameters
    ----------
    table
        float32 [n, d], rows of length 1.
    bags
        float32 CSR [n, words], rows of length 1 or 0; None for none.
    share
        Share of the words in the similarity.
    bounds
        Where each domain begins, and n.
    k
        Neighbours wanted.
    threshold
        Least similarity of neighbours.

    Attributes
    ----------
    recall
        Share of the true neighbours of the sample that were found.

    Raises
    ------
    MissingDependencyError
        Without faiss.
    """

    def __init__(
        self,
        table: np.ndarray,
        bags: sp.csr_matrix | None,
        *,
        share: float,
        bounds: Sequence[int],
        k: int,
        threshold: float,
    ) -> None:
        self._table, self._bags, self._share = table, bags, share
        self._bounds, self._k, self._threshold = list(bounds), k, threshold
        self._vectors = _side_by_side(table, bags, share)
        n, width = self._vectors.shape
        faiss = _faiss()
        cells = max(1, int(CELLS * n**0.5))
        self._index = faiss.index_factory(width, f"IVF{cells},SQfp16", faiss.METRIC_INNER_PRODUCT)
        generator = np.random.default_rng(0)
        learned = np.sort(generator.permutation(n)[: LEARNED * cells])
        self._index.train(self._vectors[learned])
        self._index.add(self._vectors)
        self._probes, self._candidates = PROBES, CANDIDATES
        self._choose(np.sort(generator.permutation(n)[:SAMPLE]), cells)

    def search(
        self, on_progress: Callable[[int], None] | None = None
    ) -> Iterator[tuple[int, Found]]:
        """Yield the first row of a block and its neighbours: of its domain, then of the others."""
        for start, stop in pairwise(self._bounds):
            for low in range(start, stop, ROWS):
                rows = np.arange(low, min(low + ROWS, stop))
                for inside in (True, False)[: len(self._bounds) - 1]:
                    yield low, self._nearest(rows, start, stop, inside=inside)
                if on_progress is not None:
                    on_progress(len(rows))

    def _choose(self, sample: np.ndarray, cells: int) -> None:
        """Raise the effort until the neighbours of the sample are found."""
        parts = []
        for start, stop in pairwise(self._bounds):
            rows = sample[(sample >= start) & (sample < stop)]
            for inside in (True, False)[: len(self._bounds) - 1 if len(rows) else 0]:
                true = self._exact(rows, start, stop, inside)
                parts += [(rows, start, stop, inside, true)]
        while True:
            hits = wanted = 0
            for rows, start, stop, inside, true in parts:
                values = self._nearest(rows, start, stop, inside=inside).values
                least = np.maximum(true[:, -1:], self._threshold)
                count = (true >= self._threshold).sum(axis=1)
                hits += int(np.minimum((values >= least - TOLERANCE).sum(axis=1), count).sum())
                wanted += int(count.sum())
            self.recall = hits / max(1, wanted)
            if self.recall >= RECALL or self._probes >= cells:
                break
            self._probes, self._candidates = 2 * self._probes, self._candidates + CANDIDATES
        logger.info(
            "Approximate search: recall %.3f with %d of %d cells.", self.recall, self._probes, cells
        )

    def _exact(self, rows: np.ndarray, start: int, stop: int, inside: bool) -> np.ndarray:
        """Return the largest similarities of some rows, falling; float32 [rows, k]."""
        n = len(self._table)
        wanted = slice(start, stop) if inside else np.r_[:start, stop:n]
        best = []
        step = max(1, BLOCK // n)
        for part in (rows[low : low + step] for low in range(0, len(rows), step)):
            scores = (1 - self._share) * (self._table[part] @ self._table.T)
            if self._bags is not None:
                scores += self._share * (self._bags[part] @ self._bags.T).toarray()
            scores[np.arange(len(part)), part] = -np.inf
            scores = scores[:, wanted]
            k = min(self._k, scores.shape[1])
            best.append(-np.sort(np.partition(-scores, k - 1, axis=1)[:, :k], axis=1))
        return np.concatenate(best)

    def _nearest(self, rows: np.ndarray, start: int, stop: int, *, inside: bool) -> Found:
        faiss = _faiss()
        own = faiss.IDSelectorRange(start, stop)
        chosen = faiss.SearchParametersIVF(
            sel=own if inside else faiss.IDSelectorNot(own), nprobe=self._probes
        )
        n_candidates = self._candidates * self._k + 1
        _, columns = self._index.search(self._vectors[rows], n_candidates, params=chosen)
        values = self._similarity(rows, np.maximum(columns, 0))
        values[(columns < 0) | (columns == rows[:, None])] = -np.inf
        order = np.argsort(-values, axis=1, kind="stable")[:, : self._k]
        return Found(
            np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
        )

    def _similarity(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the exact similarity of each row and each of its columns; float32."""
        width = columns.shape[1] * self._table.shape[1]
        words = 0 if self._bags is None else self._bags.shape[1]
        step = max(1, BLOCK // max(width, words))
        values = np.empty(columns.shape, dtype=np.float32)
        for low in range(0, len(rows), step):
            part = slice(low, low + step)
            near = self._table[columns[part]]
            values[part] = (1 - self._share) * np.matmul(near, self._table[rows[part], :, None])[
                ..., 0
            ]
            if self._bags is not None:
                values[part] += self._share * _overlap(self._bags, rows[part], columns[part])
        return values


def _side_by_side(table: np.ndarray, bags: sp.csr_matrix | None, share: float) -> np.ndarray:
    """Return vectors whose inner products are about the similarities; float32 [n, d + 256]."""
    if bags is None or not share:
        return np.ascontiguousarray(table)
    generator = np.random.default_rng(0)
    n_words = bags.shape[1]
    sign = generator.choice(np.array([-1, 1], np.float32), n_words)
    place = generator.integers(WORD_DIM, size=n_words)
    hashing = sp.csr_matrix((sign, (np.arange(n_words), place)), shape=(n_words, WORD_DIM))
    hashed = (bags @ hashing).toarray()
    return np.hstack([(1 - share) ** 0.5 * table, share**0.5 * hashed]).astype(np.float32)


def _overlap(bags: sp.csr_matrix, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the inner products of rows of a sparse matrix with some others each."""
    dense = bags[rows].toarray()
    others = bags[columns.ravel()]
    owner = np.repeat(np.arange(len(rows)), columns.shape[1])
    entry = np.repeat(owner, np.diff(others.indptr))
    products = others.data * dense[entry, others.indices]
    sums = np.append(0.0, np.cumsum(products, dtype=np.float64))
    return np.diff(sums[others.indptr]).reshape(columns.shape)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingDependencyError(
            "Approximate search needs faiss. Run: pip install 'interest-expansion[large]' (or "
            "compare all items: --set approximate_from=null)."
        ) from None
    return faiss
