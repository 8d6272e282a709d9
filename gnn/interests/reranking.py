"""Re-ranking of lists: less of the same, the user's own mix of interests, quotas, exploration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.asked import history_log
from gnn.base import Model
from gnn.data import TrainingData, UserBatch
from gnn.interests.interests import Interests
from gnn.numerics.reranking import calibrated, dpp, explored, mmr, quota, sampled_shares
from gnn.numerics.sparse import entry_rows
from gnn.numerics.svd import spectral_vectors
from gnn.recommending import reordered
from gnn.users import user_batch
from graphgen.errors import ConfigError, InputError, near_miss
from graphgen.schema import DOMAIN, ITEM_ID, RANK, SCORE, USER_ID
from graphgen.topk import tie_noise

if TYPE_CHECKING:
    # At run time it would bring torch_geometric: seconds, and a saved model does not need it.
    from graphgen.graph import InterestGraph

__all__ = [
    "BY_VECTORS", "CANDIDATES", "LENGTHS", "RERANKERS", "Reranker", "item_vectors",
    "relative_scores", "rerank", "uniforms",
]  # fmt: skip

# Default strength of each: NDCG@20 of warm validation rows stays at 98 % or more of the order by
# score (amazon4 and ml_latest_small).
RERANKERS: Final[Mapping[str, float]] = {
    "mmr": 0.2,
    "dpp": 0.1,
    "calibrated": 0.2,
    "quota": 0.75,
    "epsilon": 0.02,
    "thompson": 0.1,
}
BY_VECTORS: Final = frozenset({"mmr", "dpp"})
BY_INTERESTS: Final = frozenset({"calibrated", "quota", "thompson"})
# Candidates of a list, at least; and in lengths of the list.
CANDIDATES, LENGTHS = 200, 4
# Bytes of the vectors or topics of a block's candidates, which should stay in the cache.
BLOCK_BYTES: Final = 1 << 22
# Size of vectors from the interactions, where neither texts nor the model give any.
DIM: Final = 64
# Interactions that everybody's share of an interest counts as, where interests are drawn.
PRIOR: Final = 10.0
# Random numbers of places, and of the first and second draw of interests, by their first column.
PLACES, FIRST, SECOND = -(1 << 20), -(1 << 40), -(1 << 41)


class Reranker:
    """Chooses a list out of the best-scored candidates of a user.

    Parameters
    ----------
    data
        Training data of the model whose candidates these are.
    method
        ``mmr`` and ``dpp`` put items with similar vectors apart; ``calibrated`` brings the mix of
        interests in the list near that of the user's history; ``quota`` bounds the share of the
        list that an interest takes, and that a domain takes in a list over several; ``epsilon``
        gives places to random candidates; ``thompson`` prefers items of interests that are drawn
        from what is known of the user, so that the little known ones have a chance.
    strength
        In [0, 1]: 0 is the order by score, 1 ignores the score. With ``quota`` an interest takes at
        most ``1 - strength`` of the list, but never less than one place. With ``epsilon`` it is
        the share of random places. None for the default of the method.
    vectors
        float32 [n_items, dim], rows of 0 where there is none; for ``mmr`` and ``dpp``.
    interests
        Interests of the items; for the others, but not for ``epsilon``.
    seed
        Of the random choices of ``epsilon`` and ``thompson``: same seed, same list.

    Raises
    ------
    ConfigError
        If the method is unknown, the strength out of range, or vectors or interests missing.
    """

    def __init__(
        self,
        data: TrainingData,
        method: str,
        strength: float | None = None,
        *,
        vectors: np.ndarray | None = None,
        interests: Interests | None = None,
        seed: int = 0,
    ) -> None:
        if method not in RERANKERS:
            known = near_miss(method, RERANKERS, f"there are {', '.join(RERANKERS)}.")
            raise ConfigError(f"There is no re-ranker {method!r}; {known}")
        if strength is None:
            strength = RERANKERS[method]
        if not 0 <= strength <= 1:
            raise ConfigError(f"`strength` must lie in [0, 1]; got {strength}.")
        if (method in BY_VECTORS and vectors is None) or (
            method in BY_INTERESTS and interests is None
        ):
            need = "vectors" if method in BY_VECTORS else "interests"
            raise ConfigError(f"{method!r} needs {need}; `Reranker.of(model, ...)` finds them.")
        self.data, self.method, self.strength, self.seed = data, method, float(strength), seed
        self.vectors, self.interests = vectors, interests
        if interests is not None:
            self._topics, self._weights = _padded(interests)
            self._prior = PRIOR * interests.population(data.liking)

    @classmethod
    def of(
        cls,
        model: Model,
        method: str,
        strength: float | None = None,
        *,
        graph: InterestGraph | None = None,
        seed: int = 0,
    ) -> Reranker:
        """Take vectors and interests from a model, or from a graph of the same items.

        Vectors are those of the texts where `graph` is given or the model was just fitted, else
        those that the model has learned, else spectral vectors of its interactions.

        Raises
        ------
        ConfigError
            As above; if neither has the interests that a method needs.
        """
        vectors = item_vectors(model, graph) if method in BY_VECTORS else None
        interests = Interests.of(model.data, graph) if method in BY_INTERESTS else None
        return cls(model.data, method, strength, vectors=vectors, interests=interests, seed=seed)

    def depth(self, k: int) -> int:
        """Return how many candidates a list of `k` is chosen from."""
        return max(CANDIDATES, LENGTHS * k)

    def __call__(
        self, users: UserBatch, columns: np.ndarray, scores: np.ndarray, k: int
    ) -> np.ndarray:
        """Choose from candidates; no loop over users.

        Parameters
        ----------
        users
            Users, for their histories and the random choices.
        columns
            int64 [n, m], candidates in the joint index of the items, the best first; -1 where
            there are fewer.
        scores
            float32 [n, m], not rising within a row; ``-inf`` where there is no candidate.
        k
            Length of the lists.

        Returns
        -------
        numpy.ndarray
            int64 [n, k], places of the chosen candidates; -1 where there are fewer.
        """
        lacking = ((0, 0), (0, max(0, k - columns.shape[1])))
        columns = np.pad(columns, lacking, constant_values=-1)
        scores = np.pad(scores, lacking, constant_values=-np.inf)
        n, m = columns.shape
        width = 4 * m * (DIM if self.vectors is None else self.vectors.shape[1])
        step = max(1, BLOCK_BYTES // width)
        amounts = sp.csr_matrix((n, 0), dtype=np.float32)
        if self.interests is not None:
            amounts = self.interests.amounts(users.history)
        relevance = relative_scores(scores)
        places = np.empty((n, k), dtype=np.int64)
        for low in range(0, n, step):
            part = slice(low, low + step)
            liked = amounts[part].toarray()
            places[part] = self._chosen(columns[part], relevance[part], liked, users.keys[part], k)
        return places

    def _chosen(
        self,
        columns: np.ndarray,
        relevance: np.ndarray,
        liked: np.ndarray,
        keys: np.ndarray,
        k: int,
    ) -> np.ndarray:
        """Choose for a block; `liked` float32 [n, interests], what the users liked of each."""
        if self.method == "epsilon":
            noise = tie_noise(keys[:, None], columns, seed=self.seed)
            at = uniforms(keys, PLACES, k, self.seed) < self.strength
            return explored(relevance, noise, at)
        if self.vectors is not None and self.method in BY_VECTORS:
            choose = mmr if self.method == "mmr" else dpp
            vectors = self.vectors.take(columns, axis=0, mode="clip")
            return choose(relevance, vectors, k, self.strength)
        topics = self._topics[columns]
        weights = np.where((columns >= 0)[..., None], self._weights[columns], 0)
        if self.method == "quota":
            return self._within_quota(columns, relevance, topics, weights, k)
        if self.method == "thompson":
            return self._drawn(relevance, topics, weights, liked, keys)[:, :k]
        profile = liked * _reached(topics, weights, liked.shape[1])
        profile /= np.maximum(profile.sum(axis=1, keepdims=True), 1e-12)
        return calibrated(relevance, topics, weights, profile, k, self.strength)

    def _drawn(
        self,
        relevance: np.ndarray,
        topics: np.ndarray,
        weights: np.ndarray,
        liked: np.ndarray,
        keys: np.ndarray,
    ) -> np.ndarray:
        """Order all candidates by relevance and the weights of their interests that are drawn."""
        width = liked.shape[1]
        noise = (uniforms(keys, first, width, self.seed) for first in (FIRST, SECOND))
        drawn = sampled_shares(liked + self._prior, *noise)
        fit = np.einsum("nms,nms->nm", drawn[np.arange(len(liked))[:, None, None], topics], weights)
        fit /= np.maximum(fit.max(axis=1, keepdims=True), 1e-12)
        there = np.isfinite(relevance)
        mixed = (1 - self.strength) * np.where(there, relevance, 0) + self.strength * fit
        order = np.argsort(np.where(there, -mixed, np.inf), axis=1, kind="stable")
        return np.where(np.take_along_axis(there, order, axis=1), order, -1)

    def _within_quota(
        self,
        columns: np.ndarray,
        relevance: np.ndarray,
        topics: np.ndarray,
        weights: np.ndarray,
        k: int,
    ) -> np.ndarray:
        """Bound interests, and domains where the candidates are of several."""
        share, n_topics = (1 - self.strength) * k, self._prior.size
        most = np.full((len(columns), n_topics), max(1, share), dtype=np.float32)
        domain = self.data.item_domain[columns]
        row = np.nonzero(columns >= 0)[0]
        present = np.zeros((len(columns), len(self.data.domains)), dtype=bool)
        present[row, domain[columns >= 0]] = True
        here = present.sum(axis=1, keepdims=True)
        if (here > 1).any():
            topics = np.concatenate([topics, n_topics + domain[..., None]], axis=2)
            weights = np.concatenate([weights, np.ones_like(weights[..., :1])], axis=2)
            even = np.maximum(np.ceil(k / np.maximum(here, 1)), share)
            most = np.hstack([most, np.where(present, even, k)]).astype(np.float32)
        return quota(relevance, topics, weights, most, k)


def rerank(
    recommendations: pd.DataFrame,
    model: Model,
    *,
    k: int = 20,
    method: str = "mmr",
    strength: float | None = None,
    graph: InterestGraph | None = None,
    history: Any = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose shorter lists out of longer ones.

    `gnn.base.Model.recommend` with a `Reranker` does both at once.

    Parameters
    ----------
    recommendations
        user_id, domain, item_id, rank and score, and other columns, as of `Model.recommend`; each
        list some times as long as `k`.
    model
        A fitted model, whose items, vectors, interests and histories are used. The lists may be of
        another system.
    k
        Length of the new lists.
    method, strength, graph, seed
        As of `Reranker.of`.
    history
        Interactions since training, as of `Model.recommend`.

    Returns
    -------
    pandas.DataFrame
        The rows that were chosen, with their new rank; scores stay and no longer fall with it.

    Raises
    ------
    InputError
        If a column is missing.
    ConfigError
        As `Reranker.of`.

    Examples
    --------
    >>> from gnn import make_model
    >>> from graphgen import build_graph
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyyzx"), "domain": "book"})
    >>> model = make_model("item-knn").fit(build_graph(log, encoder="none"))
    >>> rerank(model.recommend(["c"], k=3), model, k=1).item_id.tolist()
    ['y']
    """
    missing = {USER_ID, DOMAIN, ITEM_ID, RANK, SCORE} - set(recommendations.columns)
    if missing:
        raise InputError(f"The recommendations have no column {', '.join(sorted(missing))}.")
    chooser = Reranker.of(model, method, strength, graph=graph, seed=seed)
    data = model.data
    user, ids = pd.factorize(recommendations[USER_ID].to_numpy(object))
    users = user_batch(data, ids, history_log(history, data, ids))
    names = recommendations[DOMAIN].astype(object)
    column = np.full(len(recommendations), -1)
    for domain, items in data.items.items():
        rows = np.flatnonzero(names == domain)
        found = items.encode(recommendations[ITEM_ID].to_numpy(object)[rows], missing="mark")
        column[rows] = np.where(found >= 0, found + data.span(domain).start, -1)
    one_list = not recommendations.duplicated([USER_ID, RANK]).any()
    number = np.zeros(len(names), np.int64) if one_list else pd.factorize(names, sort=True)[0]
    kept = np.flatnonzero(column >= 0)
    order = kept[np.lexsort((recommendations[RANK].to_numpy()[kept], number[kept], user[kept]))]
    unit = user[order] * (number.max(initial=0) + 1) + number[order]
    _, first, row = np.unique(unit, return_index=True, return_inverse=True)
    batch = users.rows_of(user[order][first])
    scores = recommendations[SCORE].to_numpy(np.float32)[order]
    chosen, rank = reordered(batch, row, column[order], scores, k, chooser)
    return recommendations.iloc[order[chosen]].assign(**{RANK: rank}).reset_index(drop=True)


def uniforms(keys: np.ndarray, first: int, width: int, seed: int) -> np.ndarray:
    """Return float64 [n, width] in (0, 1), of user, number (from `first`) and seed only."""
    noise = tie_noise(keys[:, None], np.arange(first, first + width)[None], seed=seed)
    uniform: np.ndarray = (noise + 0.5) / 2.0**63
    return uniform


def relative_scores(scores: np.ndarray) -> np.ndarray:
    """Return scores as shares of the way from a user's last candidate to the best, in [0, 1]."""
    there = np.isfinite(scores)
    best = scores.max(axis=1, keepdims=True, initial=-np.inf)
    least = np.where(there, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    spread = np.where(there, scores - least, 0) / np.maximum(best - least, 1e-30)
    return np.where(there, spread, -np.inf).astype(np.float32)


def _reached(topics: np.ndarray, weights: np.ndarray, n_topics: int) -> np.ndarray:
    """Return bool [n, topics], whether any candidate is of an interest."""
    reached = np.zeros((len(topics), n_topics), dtype=bool)
    row, item, slot = np.nonzero(weights)
    reached[row, topics[row, item, slot]] = True
    return reached


def _padded(interests: Interests) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and shares of the interests of each item [n_items, most]."""
    joint = interests.joint
    most = max(1, int(np.diff(joint.indptr).max(initial=0)))
    topics = np.zeros((joint.shape[0], most), dtype=np.int64)
    weights = np.zeros((joint.shape[0], most), dtype=np.float32)
    row = entry_rows(joint)
    place = np.arange(joint.nnz) - joint.indptr[row]
    topics[row, place], weights[row, place] = joint.indices, joint.data
    return topics, weights


def item_vectors(model: Model, graph: InterestGraph | None = None) -> np.ndarray:
    """Return float32 [n_items, dim], rows of length 1 or 0; see `Reranker.of`."""
    data = model.data
    vectors = data.features
    if graph is not None and graph.feature_dim:
        vectors = np.zeros((data.n_items, graph.feature_dim), dtype=np.float32)
        for domain in set(graph.domains).intersection(data.items):
            if "x" in graph.data[domain]:
                found = graph.vocabularies[domain].encode(data.items[domain].ids, missing="mark")
                rows = np.where((found >= 0)[:, None], graph.data[domain].x.numpy()[found], 0)
                vectors[data.span(domain)] = rows
    if vectors is None:
        vectors = model.item_vectors()
    if vectors is None:
        generator = np.random.default_rng(0)
        vectors = spectral_vectors(data.matrix, min(DIM, *data.matrix.shape), generator).numpy()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-6)
    return unit
