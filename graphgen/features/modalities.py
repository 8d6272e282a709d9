"""Features of several modalities: vectors made elsewhere, their weights, and one matrix of all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.errors import InputError

__all__ = ["Vectors", "given_vectors", "join_modalities", "likes_in_common", "standardize"]

Vectors = dict[str, np.ndarray]
"""By domain, float32 [n, dim], row i of item i, of length 1; zeros where the item has none."""

# Column of the item table that holds the row in a file of vectors.
ROW = "row"
# Items that are compared, and nearest neighbours of each, to weigh a modality.
SAMPLE, NEAREST = 4_000, 10
# A lift below so many standard errors is taken as none.
CERTAIN = 3.0
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


def likes_in_common(
    v: Vectors, likes: sp.csr_matrix, sizes: Mapping[str, int], *, seed: int = 0
) -> float:
    """Return how much more often the same users like similar items than any two items.

    The mean cosine of the users of an item and of its 10 nearest by `v`, less that of random
    pairs; of at most 4,000 items with likes. 0 where it is within 3 standard errors of none, as it
    is for noise. O(4,000² · dim).

    Parameters
    ----------
    v
        Vectors of a modality.
    likes
        CSR [items of all domains, users].
    sizes
        Items by domain, in the order of `likes`.
    seed
        Draws items and pairs.
    """
    generator = np.random.default_rng(seed)
    has = np.concatenate([v[d].any(axis=1) if d in v else np.zeros(sizes[d], bool) for d in sizes])
    known = generator.permutation(np.flatnonzero((np.diff(likes.indptr) > 0) & has))[:SAMPLE]
    if len(known) <= NEAREST:
        return 0.0
    known.sort()
    starts = np.cumsum([0, *sizes.values()])
    own = np.split(known, np.searchsorted(known, starts[1:-1]))
    parts = zip(sizes, own, starts[:-1], strict=True)
    table = np.concatenate([v[domain][rows - start] for domain, rows, start in parts if len(rows)])
    users = likes[known].astype(np.float32)
    users.data[:] = 1.0
    users = sp.diags(1 / np.sqrt(np.diff(users.indptr))) @ users
    cosine = table @ table.T
    np.fill_diagonal(cosine, -np.inf)
    near = np.argpartition(-cosine, NEAREST, axis=1)[:, :NEAREST]
    lift = np.zeros(len(known))
    for column in near.T:
        other = (np.arange(len(known)) + generator.integers(1, len(known))) % len(known)
        lift += np.asarray(users.multiply(users[column] - users[other]).sum(axis=1)).ravel()
    lift /= NEAREST
    mean, error = float(lift.mean()), float(lift.std() / np.sqrt(len(lift)))
    return mean if mean > CERTAIN * error else 0.0


def join_modalities(
    modalities: Mapping[str, Vectors], lifts: Mapping[str, float], sizes: Mapping[str, int]
) -> tuple[Vectors, dict[str, float]]:
    """Put the vectors of all modalities side by side.

    Parameters
    ----------
    modalities
        By name.
    lifts
        By name, `likes_in_common`.
    sizes
        Items by domain.

    Returns
    -------
    features, shares
        `Vectors`, whose cosine is the mean of the cosines of the modalities, weighed by `shares`
        (which sum to 1 and follow the lifts; equal where no modality has any), where two items have
        all of them.
    """
    total = sum(lifts.values())
    shares = {n: max(LEAST, lifts[n] / total) if total else 1.0 for n in modalities}
    shares = {name: share / sum(shares.values()) for name, share in shares.items()}
    if len(modalities) == 1:
        return next(iter(modalities.values())), shares
    joined: Vectors = {}
    for domain in {d: None for vectors in modalities.values() for d in vectors}:
        parts = [
            np.sqrt(np.float32(shares[name])) * vectors[domain]
            if domain in vectors
            else np.zeros((sizes[domain], _width(vectors)), np.float32)
            for name, vectors in modalities.items()
        ]
        joined[domain] = unit(np.concatenate(parts, axis=1))
    return joined, shares


def _width(vectors: Vectors) -> int:
    return int(next(iter(vectors.values())).shape[1])
