"""Features of several modalities: vectors made elsewhere, their weights, and one matrix of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import nnls

from graphgen.errors import InputError

__all__ = ["Vectors", "given_vectors", "join_modalities", "modality_shares", "standardize"]

Vectors = dict[str, np.ndarray]
"""By domain, float32 [n, dim], row i of item i, of length 1; zeros where the item has none."""

# Column of the item table that holds the row in a file of vectors.
ROW = "row"
# Items that are compared, and nearest neighbours of each, to weigh a modality.
SAMPLE, NEAREST = 4_000, 10
# The least share of a modality in the features.
LEAST = 0.01


def given_vectors(name: str, source: str, items: Mapping[str, pd.DataFrame]) -> Vectors:
    """Read vectors that were made elsewhere.

    Parameters
    ----------
    name
        Of the modality, for errors.
    source
        ``FILE.npy``, float [rows, dim], or ``FILE.npy#COLUMN``.
    items
        By domain, the item table, whose column ``row``, or COLUMN, holds the row in the file
        (from 0); "" where an item has no vector.

    Returns
    -------
    dict
        `Vectors`, standardised; domains without any are left out.

    Raises
    ------
    InputError
        If file, column or row do not exist.
    """
    path, _, column = source.partition("#")
    column = column or ROW
    try:
        table = np.load(Path(path).expanduser(), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"The vectors of {name!r} cannot be read from {path}: {error}.") from None
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise InputError(
            f"The vectors of {name!r} must be numbers [rows, dim]; {path} holds {table.dtype} "
            f"{list(table.shape)}."
        )
    found: Vectors = {}
    for domain, frame in items.items():
        if column not in frame:
            continue
        row = pd.to_numeric(frame[column].replace("", np.nan), errors="coerce")
        wrong = frame[column].ne("") & ~(row.ge(0) & row.lt(len(table)) & row.mod(1).eq(0))
        if wrong.any():
            raise InputError(
                f"`{column}` of item {frame.index[wrong][0]!r} must be a row of {path}, "
                f"from 0 to {len(table) - 1}; got {frame[column][wrong].iloc[0]!r}."
            )
        has = row.notna().to_numpy()
        if has.any():
            vectors = np.zeros((len(frame), table.shape[1]), dtype=np.float32)
            vectors[has] = table[row[has].to_numpy(dtype=np.int64)]
            found[domain] = vectors
    if not found:
        raise InputError(
            f"The vectors of {name!r} belong to no item: the item table needs a column {column!r} "
            f"with rows of {path} (another one: --vectors {name}={path}#COLUMN)."
        )
    return standardize(found)


def standardize(vectors: Vectors) -> Vectors:
    """Return vectors with columns of mean 0 and deviation 1, over all domains, rows of length 1.

    Vectors of sound and pictures lie in a narrow cone, in which all cosines are close to 1.

    Examples
    --------
    >>> standardize({"film": np.array([[1.0, 5.0], [3.0, 5.0], [0.0, 0.0]])})["film"].tolist()
    [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    has = {domain: part.any(axis=1) for domain, part in vectors.items()}
    stacked = np.concatenate([part[has[domain]] for domain, part in vectors.items()])
    mean, deviation = stacked.mean(axis=0), stacked.std(axis=0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    result = {}
    for domain, part in vectors.items():
        table = np.zeros(part.shape, dtype=np.float32)
        table[has[domain]] = (part[has[domain]] - mean) * scale
        result[domain] = unit(table)
    return result


def unit(table: np.ndarray) -> np.ndarray:
    """Return rows of length 1; those of zeros stay."""
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return np.divide(table, length, out=np.zeros_like(table), where=length > 0)


def modality_shares(
    modalities: Mapping[str, Vectors],
    likes: sp.csr_matrix,
    sizes: Mapping[str, int],
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Return how much each modality says about which items the same users like; they sum to 1.

    The coefficients, none below 0, of a linear regression of the cosine of two items' users on
    their cosines by each modality, over the 10 nearest by each and as many random pairs, of at most
    4,000 items with likes. Equal where no modality says anything. O(modalities · 4,000² · dim).

    Parameters
    ----------
    modalities
        By name.
    likes
        CSR [items of all domains, users].
    sizes
        Items by domain, in the order of `likes`.
    seed
        Draws items and pairs.
    """
    generator = np.random.default_rng(seed)
    known = generator.permutation(np.flatnonzero(np.diff(likes.indptr)))[:SAMPLE]
    if len(known) <= NEAREST:
        return dict.fromkeys(modalities, 1 / len(modalities))
    known.sort()
    tables = [_rows(vectors, sizes, known) for vectors in modalities.values()]
    others = [generator.integers(0, len(known), (len(known), NEAREST))]
    for table in tables:
        cosine = table @ table.T
        np.fill_diagonal(cosine, -np.inf)
        others.append(np.argpartition(-cosine, NEAREST, axis=1)[:, :NEAREST])
    right = np.concatenate(others, axis=1).ravel()
    left = np.repeat(np.arange(len(known)), len(right) // len(known))
    left, right = left[left != right], right[left != right]
    cosines = np.stack([np.einsum("nd,nd->n", t[left], t[right]) for t in tables], axis=1)
    users = likes[known].astype(np.float32)
    users.data[:] = 1.0
    users = (sp.diags(1 / np.sqrt(np.diff(users.indptr))) @ users).tocsr()
    together = np.asarray(users[left].multiply(users[right]).sum(axis=1)).ravel()
    told, _ = nnls(cosines - cosines.mean(axis=0), together - together.mean())
    told = told / told.sum() if told.any() else np.full(len(told), 1 / len(told))
    told = np.maximum(told, LEAST)
    return dict(zip(modalities, (told / told.sum()).tolist(), strict=True))


def _rows(vectors: Vectors, sizes: Mapping[str, int], rows: np.ndarray) -> np.ndarray:
    """Return float32 [len(rows), dim], by rows (sorted) of the items of all domains."""
    starts = np.cumsum([0, *sizes.values()])
    own = np.split(rows, np.searchsorted(rows, starts[1:-1]))
    nothing = next(iter(vectors.values()))[:0]
    parts = [
        vectors[domain][part - start]
        if domain in vectors
        else np.zeros((len(part), nothing.shape[1]), np.float32)
        for domain, part, start in zip(sizes, own, starts[:-1], strict=True)
    ]
    return np.concatenate([nothing, *parts])


def join_modalities(
    modalities: Mapping[str, Vectors], shares: Mapping[str, float], sizes: Mapping[str, int]
) -> Vectors:
    """Put the vectors of all modalities side by side.

    Parameters
    ----------
    modalities
        By name.
    shares
        By name, as `modality_shares`.
    sizes
        Items by domain.

    Returns
    -------
    dict
        `Vectors`; the cosine of two items that have all modalities is the mean of their cosines by
        each, weighed by `shares`.
    """
    if len(modalities) == 1:
        return next(iter(modalities.values()))
    joined: Vectors = {}
    for domain in {d: None for vectors in modalities.values() for d in vectors}:
        parts = [
            np.sqrt(np.float32(shares[name])) * vectors[domain]
            if domain in vectors
            else np.zeros((sizes[domain], _width(vectors)), np.float32)
            for name, vectors in modalities.items()
        ]
        joined[domain] = unit(np.concatenate(parts, axis=1))
    return joined


def _width(vectors: Vectors) -> int:
    return int(next(iter(vectors.values())).shape[1])
