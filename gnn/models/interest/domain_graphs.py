"""The joint graph cut between its domains: one graph for each, of the people active there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from gnn.data import TrainingData
from graphgen.errors import ConfigError

__all__ = ["checked_domains", "domains_apart"]


def domains_apart(data: TrainingData) -> tuple[sp.csr_matrix, np.ndarray] | None:
    """Return the interactions with a row for each person and domain, and whose row each is.

    No path leads from an item of one domain to an item of another; O(nnz).

    Parameters
    ----------
    data
        Training data.

    Returns
    -------
    tuple or None
        float32 CSR [p, n_items], p people active in a domain, domain by domain; and int64 [p], rows
        of the training matrix. None if nobody is active in two domains: they are apart as they are.

    Examples
    --------
    >>> from graphgen.vocabulary import Vocabulary
    >>> items = {"book": Vocabulary(["b"]), "film": Vocabulary(["f"])}
    >>> matrix = sp.csr_matrix(np.array([[1.0, 1.0], [0.0, 1.0]]))
    >>> matrix, people = domains_apart(TrainingData(Vocabulary(["ann", "bo"]), items, matrix))
    >>> people.tolist(), matrix.toarray().tolist()
    ([0, 0, 1], [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    """
    blocks = [data.matrix[:, data.span(domain)] for domain in data.domains]
    people = [np.flatnonzero(np.diff(block.indptr)) for block in blocks]
    if sum(map(len, people)) == np.count_nonzero(np.diff(data.matrix.indptr)):
        return None
    active = [block[rows] for block, rows in zip(blocks, people, strict=True)]
    return sp.block_diag(active, format="csr"), np.concatenate(people)


def checked_domains(names: Sequence[str], data: TrainingData) -> tuple[str, ...]:
    """Return `names`.

    Raises
    ------
    ConfigError
        If one is no domain of the data.
    """
    for name in names:
        if name not in data.items:
            raise ConfigError(
                f"joint_domains: there is no domain {name!r}; there are {', '.join(data.domains)}."
            )
    return tuple(names)
