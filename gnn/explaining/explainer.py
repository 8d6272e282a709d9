"""Reasons for recommendations: interactions, experts, paths, interests and words."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from gnn.asked import asked_users, history_log
from gnn.candidates import item_frame
from gnn.data import UserBatch
from gnn.explaining.attribution import Attribution, attribute, masked, parts_of
from gnn.explaining.explanation import Explanation
from gnn.explaining.sentences import Facts, because
from gnn.interests.interests import Interests
from gnn.recommending import FALLBACKS
from gnn.similar import look_up
from gnn.users import user_batch
from graphgen.builders.naming import words_of
from graphgen.errors import ConfigError
from graphgen.ids import masked_id
from graphgen.schema import CATEGORY, DOMAIN, INTERACTS, ITEM_ID, TEXT, TITLE, USER, USER_ID

if TYPE_CHECKING:
    from gnn.base import Model
    from graphgen.graph import InterestGraph

__all__ = ["Explainer", "explain"]

# Interactions that paths and words start from, and paths of each.
STARTS: Final = 3
PATHS_OF_EACH: Final = 2
# Words that are shown.
WORDS: Final = 6


class Explainer:
    """Reasons by one model, read once for many calls.

    Parameters
    ----------
    model
        A fitted model that scores a user by the history (`gnn.base.Model.inductive`).
    graph
        The graph that it was trained on, for paths and interests; None for no paths, and for the
        interests that the model remembers.

    Raises
    ------
    ConfigError
        If the model scores a user by what it learned about the user and not by the history.
    """

    def __init__(self, model: Model, graph: InterestGraph | None = None) -> None:
        if not model.inductive:
            raise ConfigError(
                f"{model.name} scores a user by a vector learned for the user, not by the history, "
                "so no interaction carries a recommendation. Models that give reasons: "
                "interest-gnn, item-knn, graph-filter, ease, and all others that score new users."
            )
        self.model, self.graph = model, graph
        try:
            self._interests: Interests | None = Interests.of(model.data, graph)
        except ConfigError:
            self._interests = None

    def explain(
        self, user: Any, item: Any, domain: str | None = None, history: Any = None
    ) -> Explanation:
        """Say why an item is recommended to a user; see `explain`."""
        domain, _, column = look_up(self.model.data, item, domain)
        ids = asked_users(user)[:1]
        batch = _without(self._users(ids, history), column)
        span = self.model.data.span(domain)
        places = np.array([column - span.start])
        scores, why = self.model.scored(batch, domain)
        score = scores[0, places[0]]
        scores[0, batch.seen_cells(span)[1]] = -np.inf
        found, experts = self._attributed(batch, domain, places, popular=bool(why[0]))
        fallback = FALLBACKS[int(why[0])]
        facts = self._facts(batch, self._amounts(batch), column, found[0], experts[0])
        title, item_id = self._titles[column], self._ids[column]
        through = self._paths(str(ids[0]), facts.interactions[:STARTS], domain, item_id)
        return Explanation(
            str(ids[0]), domain, item_id, title, float(score), 1 + int((scores[0] > score).sum()),
            because(title, domain, facts, fallback),
            pd.DataFrame(facts.interactions, columns=[DOMAIN, ITEM_ID, TITLE, "share"]),
            pd.DataFrame(facts.experts, columns=["expert", "share"]),
            pd.DataFrame(through, columns=["nodes", "relations", "share"]),
            pd.DataFrame(facts.interests, columns=["interest", "user_share", "item_share"]),
            facts.words,
        )  # fmt: skip

    def reasons(self, lists: pd.DataFrame, history: Any = None) -> list[str]:
        """Return the sentence of each row of recommendations (user_id, domain, item_id).

        The items of one list are explained together, at the cost of 2 · history + 2 scored users.
        """
        data, result = self.model.data, np.full(len(lists), "", dtype=object)
        frame = lists[[DOMAIN, ITEM_ID]].reset_index(drop=True)
        frame["place"], ids = pd.factorize(asked_users(lists[USER_ID]))
        users = self._users(ids, history)
        for (user, domain), rows in frame.groupby(["place", DOMAIN], sort=False, observed=True):
            batch = users.rows_of(slice(user, user + 1))
            why = FALLBACKS[int(self.model.scored(batch, domain)[1][0])]
            places = data.items[domain].encode(rows[ITEM_ID].to_numpy(object))
            found = self._attributed(batch, domain, places, popular=bool(why))
            columns, own = places + data.span(domain).start, self._amounts(batch)
            for at, column, one, experts in zip(rows.index, columns, *found, strict=True):
                facts = self._facts(batch, own, column, one, experts)
                result[at] = because(self._titles[column], domain, facts, why)
        return result.tolist()

    def _attributed(
        self, user: UserBatch, domain: str, places: np.ndarray, *, popular: bool
    ) -> tuple[list[Attribution], list[dict[str, float]]]:
        """Return what interactions and experts add to the scores of items; nothing if `popular`."""
        whole: dict[str, np.ndarray] = {}

        def value(masks: np.ndarray) -> np.ndarray:
            parts = parts_of(self.model, user, domain, places, masks)
            # The first row of `attribute` is the whole history.
            whole.update({name: values[0] for name, values in parts.items()})
            return np.asarray(sum(parts.values()))

        if popular:
            value(np.ones((1, user.history.nnz), dtype=bool))
            none = np.empty(0), np.empty(0, dtype=np.int64)
            found = [Attribution(*none, 0.0, 0.0)] * len(places)
        else:
            found = attribute(value, user.history.nnz)
        experts = [
            {name: float(values[number]) for name, values in whole.items()}
            for number in range(len(places))
        ]
        return found, experts

    def _users(self, ids: np.ndarray, history: Any) -> UserBatch:
        return user_batch(self.model.data, ids, history_log(history, self.model.data, ids))

    def _facts(
        self,
        user: UserBatch,
        own: np.ndarray | None,
        column: int,
        found: Attribution,
        experts: dict[str, float],
    ) -> Facts:
        """Return what there is to say; `own` are the user's `_amounts`."""
        data = self.model.data
        columns = user.history.indices[found.order]
        shares = found.added[found.order] / (found.whole or 1.0)
        interactions = [
            (data.domains[domain], item_id, title, share)
            for domain, item_id, title, share in zip(
                data.item_domain[columns].tolist(), self._ids[columns], self._titles[columns],
                shares.tolist(), strict=True,
            )
        ]  # fmt: skip
        total = sum(experts.values()) or 1.0
        by_share = sorted(experts.items(), key=lambda pair: -pair[1])
        interests: list[tuple[str, float, float]] = []
        if self._interests is not None and own is not None:
            item = self._interests.joint[[column]]
            both = own[item.indices]
            order = np.argsort(-both * item.data, kind="stable")
            names = self._interests.names
            interests = [
                (names[item.indices[place]], float(both[place]), float(item.data[place]))
                for place in order
                if both[place] > 0
            ]
        words = self._words(column, columns[:STARTS][shares[:STARTS] > 0], shares)
        told = [(name, value / total) for name, value in by_share if value]
        return Facts(interactions, told, interests, words)

    def _amounts(self, user: UserBatch) -> np.ndarray | None:
        """Return float64 [interests], their shares of a user's history; None without interests."""
        if self._interests is None:
            return None
        amounts = self._interests.amounts(user.history).toarray()[0].astype(float)
        return np.asarray(amounts / max(amounts.sum(), 1e-12))

    @cached_property
    def _ids(self) -> np.ndarray:
        return np.concatenate([part.ids for part in self.model.data.items.values()])

    @cached_property
    def _titles(self) -> np.ndarray:
        """Object [n_items], titles, or ids where there are none."""
        titles = self._column(TITLE)
        return np.where(titles == "", self._ids, titles)

    @cached_property
    def _texts(self) -> np.ndarray:
        """Object [n_items], what is known in words."""
        return self._column(TITLE) + " " + self._column(CATEGORY) + " " + self._column(TEXT)

    def _column(self, name: str) -> np.ndarray:
        """Return object [n_items], a column of the item tables, "" where unknown."""
        data = self.model.data
        frames = (item_frame(data, domain) for domain in data.domains)
        empty = (np.full(len(items), "", dtype=object) for items in data.items.values())
        return np.concatenate(
            [
                frame[name].to_numpy(object) if name in frame else nothing
                for frame, nothing in zip(frames, empty, strict=True)
            ]
        )

    def _words(self, column: int, others: np.ndarray, shares: np.ndarray) -> tuple[str, ...]:
        """Return words of the item in texts of interactions, those with the largest share first."""
        weight: dict[str, float] = {}
        wanted = set(words_of(self._texts[column])) if len(others) else set()
        for other, share in zip(others, shares, strict=False):
            for word in wanted.intersection(words_of(self._texts[other])):
                weight[word] = weight.get(word, 0.0) + share
        return tuple(sorted(weight, key=lambda word: (-weight[word], word))[:WORDS])

    def _paths(
        self, user: str, rows: list[tuple[str, str, str, float]], domain: str, item_id: str
    ) -> list[dict[str, Any]]:
        """Return the paths from the user through the most important interactions to the item."""
        found: list[dict[str, Any]] = []
        if self.graph is None:
            return found
        from graphgen.looking.connections import connect

        for *source, _, share in rows:
            if share <= 0:
                continue
            ends: Any = tuple(source), (domain, item_id)
            several = connect(self.graph, *ends, max_paths=PATHS_OF_EACH)
            total = sum(path.score for path in several)
            for path in several:
                # Other users appear masked.
                labels = [
                    masked_id(id_) if kind == USER else label
                    for (kind, id_), label in zip(path.nodes, path.labels, strict=True)
                ]
                nodes = zip([(USER, user), *path.nodes], [user, *labels], strict=True)
                found.append(
                    {
                        "nodes": [
                            {"kind": kind, "id": id_, "label": label}
                            for (kind, id_), label in nodes
                        ],
                        "relations": [INTERACTS, *path.kinds],
                        "share": share * path.score / total,
                    }
                )
        return sorted(found, key=lambda path: -path["share"])


def explain(
    model: Model | Explainer,
    user: Any,
    item: Any,
    domain: str | None = None,
    *,
    graph: InterestGraph | None = None,
    history: Any = None,
) -> Explanation:
    """Say why an item is recommended to a user.

    What an interaction adds is measured on the model itself: the score is computed again without
    it, as for a user who never had it; see `gnn.explaining.attribute`. In models whose score is a
    sum over the history, such as item-knn, graph-filter and ease, the result is exact.

    Parameters
    ----------
    model
        A fitted model, or an `Explainer` of it, which has read everything once for many calls.
    user
        Known, or with a history. An item that the user has interacted with already is explained as
        if that had not happened.
    item
        An id or a title; see `graphgen.titles.find_item`.
    domain
        Domain of the item; None to look in all.
    graph
        The graph that the model was trained on, for the paths.
    history
        Interactions since training, or of a user who arrived after it.

    Raises
    ------
    UnknownIdError
        For an unknown item or domain.
    ConfigError
        If the model scores users by what it learned about each, and not by the history.

    Examples
    --------
    >>> import pandas as pd, graphgen, gnn
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("xyxyx"), "domain": "book"})
    >>> model = gnn.make_model("item-knn").fit(graphgen.build_graph(log, encoder="none"))
    >>> explain(model, "c", "y").interactions[["item_id", "share"]].values.tolist()
    [['x', 1.0]]
    """
    explainer = model if isinstance(model, Explainer) else Explainer(model, graph)
    return explainer.explain(user, item, domain, history)


def _without(user: UserBatch, column: int) -> UserBatch:
    """Return the user without the interaction with an item."""
    kept = user.history.indices != column
    return user if kept.all() else masked(user, kept[None])
