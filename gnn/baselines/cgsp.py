"""A closed-form filter across domains: similarity inside the target, and over its shared users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import DOMAINS, TrainingData, UserBatch
from gnn.numerics.propagation import inverse_power
from graphgen.config import Config

__all__ = ["CGSP", "CGSPConfig"]


class CGSPConfig(Config):
    """Settings of `CGSP`."""

    alpha: float = pydantic.Field(0.85, ge=0, le=1)
    """Weight of the similarity over the source domains; its authors' 0.85."""


@dataclass(frozen=True)
class _Filter:
    """What one target domain is filtered with.

    Attributes
    ----------
    target, source
        float32 CSR [shared users, items], normalised interactions of the users who are in both.
    similar
        float32 CSR [items, items], R̃ᵀR̃ of the target.
    target_scale, source_scale
        float32 [items], the items' part of the normalisation.
    """

    target: sp.csr_matrix
    source: sp.csr_matrix
    similar: sp.csr_matrix
    target_scale: np.ndarray
    source_scale: np.ndarray


class CGSP(Model):
    """Smooth a history over a target's items, and over those of the other domains in between.

    Lee et al., "Graph signal processing for cross-domain recommendation", arXiv 2407.12374, in its
    item-only form (CGSP-IO): with R̃ = D_u^-½ R D_i^-½ of each side, and R̃_o its rows of the users
    who are in both, the items of the target have the similarity
    α · (R̃_otᵀ R̃_os)(R̃_osᵀ R̃_ot) R̃_tᵀR̃_t + (1 − α) R̃_tᵀR̃_t. It filters the history of a user in
    the target, or, of one who has none there, the history elsewhere as the shared users carry it
    over, r̃_s R̃_osᵀ R̃_ot. The paper has one source; here it is all other domains together. Nothing
    is multiplied out but R̃_tᵀR̃_t, which stays sparse: memory O(Σ_u d_u²), a user costs
    O(interactions of the shared users + items · neighbours).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"),
    ...                     "domain": ["book", "film", "book", "film", "book"]})
    >>> model = CGSP().fit(graphgen.build_graph(log, encoder="none"))
    >>> model.recommend(["c"], domain="film", k=1).item_id.tolist()
    ['y']
    """

    name: ClassVar[str] = "cgsp"
    random = False
    Config = CGSPConfig
    requires = frozenset({DOMAINS})

    def _fit(self, data: TrainingData, **_: Any) -> None:
        """Nothing is learned but what `_set_up` makes of the interactions."""

    def _set_up(self) -> None:
        self._filters = {domain: self._filter(domain) for domain in self.domains}

    def _filter(self, domain: str) -> _Filter:
        target, source = self._sides(self.data.matrix, domain)
        target_scale, source_scale = (
            inverse_power(np.bincount(side.indices, minlength=side.shape[1]), 0.5)
            for side in (target, source)
        )
        shared = np.flatnonzero((np.diff(target.indptr) > 0) & (np.diff(source.indptr) > 0))
        whole = _normalised(target, target_scale)
        return _Filter(
            target=whole[shared],
            source=_normalised(source, source_scale)[shared],
            similar=sp.csr_matrix(whole.T @ whole),
            target_scale=target_scale,
            source_scale=source_scale,
        )

    def _sides(self, matrix: sp.csr_matrix, domain: str) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        """Return the interactions in a domain, and in all others, CSR [n, items] each."""
        span = self.data.span(domain)
        others = np.r_[0 : span.start, span.stop : self.data.n_items]
        return matrix[:, span], matrix[:, others]

    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        part, alpha = self._filters[domain], self.config.alpha
        target, source = self._sides(users.history, domain)
        signal = _normalised(target, part.target_scale).toarray()
        new = np.flatnonzero(np.diff(target.indptr) == 0)
        if len(new):
            elsewhere = _normalised(source[new], part.source_scale)
            signal[new] = _times((elsewhere @ part.source.T).toarray(), part.target)
        bridged = _times(_times(signal, part.target.T), part.source)
        bridged = _times(_times(bridged, part.source.T), part.target)
        mixed = alpha * bridged + (1 - alpha) * signal
        return np.asarray(_times(mixed, part.similar), dtype=np.float32)


def _normalised(matrix: sp.csr_matrix, item_scale: np.ndarray) -> sp.csr_matrix:
    """Return D_u^-½ R D_i^-½ for the given D_i^-½, float32 CSR."""
    user_scale = inverse_power(np.diff(matrix.indptr), 0.5)
    return sp.csr_matrix(sp.diags(user_scale) @ matrix @ sp.diags(item_scale), dtype=np.float32)


def _times(dense: np.ndarray, matrix: sp.spmatrix) -> np.ndarray:
    """Return dense @ sparse."""
    product: np.ndarray = (matrix.T @ dense.T).T
    return product
