"""Answers about one model and its graph: all is loaded once, a request touches one user."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from functools import cached_property
from threading import Semaphore
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd
import scipy.sparse as sp

from gnn.base import Model
from gnn.data import UserBatch
from gnn.explaining import Explainer
from gnn.interests.expansion import SEPARATOR, Expansions, expand
from gnn.interests.profiling import Asked, Profiler, as_dates
from gnn.recommending import FALLBACKS
from gnn.serving import answers
from gnn.serving.batching import Ranking
from gnn.serving.exploring import Exploring
from gnn.serving.histories import with_changes
from gnn.serving.names import Names
from gnn.serving.overview import Overview
from gnn.serving.problems import Problem
from gnn.serving.profiles import profile_of, records
from gnn.similar import similar_scores
from gnn.users import user_batch
from graphgen.errors import ConfigError
from graphgen.schema import ATTRIBUTE, DOMAIN, INTEREST, ITEM_ID, USER, USER_ID
from graphgen.topk import top_k

if TYPE_CHECKING:
    from gnn.live.state import LiveState
    from graphgen.graph import InterestGraph

__all__ = ["Service"]

# A user of a request who is in no log.
STRANGER = "interest:stranger"
TYPICAL_ITEMS = 10
# Users among whom some to begin with are chosen, and the interactions that they should have.
EXAMPLES_FROM, ENOUGH = 20_000, (8, 60)

Answer = TypeVar("Answer")
Rest = ParamSpec("Rest")


def _in_turn(
    method: Callable[Concatenate[Service, Rest], Answer],
) -> Callable[Concatenate[Service, Rest], Answer]:
    """Let one thread at a time compute: Python has one anyway, and they would delay each other."""

    @functools.wraps(method)
    def waiting(self: Service, *given: Rest.args, **named: Rest.kwargs) -> Answer:
        with self._turn:
            return method(self, *given, **named)

    return waiting


class Service:
    """What the routes of `gnn.serving.app` call.

    Parameters
    ----------
    model
        A fitted model.
    graph
        The graph that it was trained on; without it there are no neighbourhoods and no paths.
    show_ids
        Show user ids as they are, rather than their hashes.
    exploring
        Of a server that logs what it shows.
    """

    def __init__(
        self, model: Model, graph: InterestGraph | None = None, *, show_ids: bool = False,
        exploring: Exploring | None = None,
    ) -> None:  # fmt: skip
        self.model, self.graph, self.data = model, graph, model.data
        self.exploring = exploring or Exploring(model)
        self.profiler: Profiler | None = None
        self.expanding: Expansions | None = None
        self.no_interests = ""
        try:
            self.profiler = Profiler(model)
            self.expanding = Expansions(model, self.profiler.interests)
        except ConfigError as error:
            self.no_interests = str(error)
        topics = self.profiler.interests.names if self.profiler else ()
        self.names = Names(self.data, topics, show_ids=show_ids)
        # Of a server that takes events (`gnn.serving.live`), opened in each process that answers.
        self.state: LiveState | None = None
        self._rank = Ranking(model, self._now, self.exploring)
        self._turn = Semaphore(1)
        self.overview = Overview(model, self.profiler)

    def warm_up(self) -> None:
        """Make what is made at the first use, so that the first request is as fast as others."""
        user_id = str(self.data.users.ids[0])
        name = self.names.user(user_id)
        self.names.search(name, 1)
        asked = self.asked(user_id)
        first = self.recommendations(asked, None, 1).lists[0].items[0]
        if self.profiler is not None:
            self.profile(name, 1, "auto")
            self.expansions(name, None, 0.0, 1)
        if self.graph is not None:
            self.neighborhood(USER, name, hops=2, limit=60)
        if self.model.inductive:
            self.explain(name, first.domain, first.item_id)

    # Users ---------------------------------------------------------------------------------

    def asked(
        self,
        user_id: str | None,
        added: Sequence[answers.Interaction] = (),
        removed: Sequence[answers.Interaction] = (),
    ) -> Asked:
        """Return a user, or a stranger, with changes to the history."""
        if (added or removed) and not self.model.inductive:
            raise Problem(
                409, f"{self.model.name} scores only users as they were in training.",
                field="history",
            )  # fmt: skip
        ids = np.array([STRANGER if user_id is None else user_id], dtype=object)
        users = self._now(ids)
        gone, new = self._columns(removed, "without"), self._columns(added, "history")
        if len(gone) or len(new):
            users = with_changes(users, self.data.order, new, gone)
        return Asked(ids, users)

    def _now(self, ids: np.ndarray) -> UserBatch:
        """Return users with their histories in training and, with a state, since."""
        return user_batch(self.data, ids, None) if self.state is None else self.state.users(ids)

    def _later(self, user_id: str) -> Any:
        """Return the history since training as functions of the library take it; None without."""
        return None if self.state is None else self.state.later(np.array([user_id], dtype=object))

    def user_id(self, name: str, field: str = "id") -> str:
        """Return the id of a user of training, by id or hash, or of one with events since, by id.

        Raises
        ------
        Problem
            If there is none.
        """
        if (known := self.names.known_id(name)) is not None:
            return known
        return name if self._later(name) is not None else self.names.user_id(name, field)

    def _columns(self, items: Sequence[answers.Interaction], field: str) -> np.ndarray:
        return np.array(
            [
                self.names.column(item.domain, item.item_id, f"{field}.{place}.item_id")
                for place, item in enumerate(items)
            ],
            dtype=np.int64,
        )

    def user(self, name: str, field: str = "id") -> Asked:
        """Return a user by name; see `user_id`."""
        return self.asked(self.user_id(name, field))

    def examples(self, limit: int) -> answers.Users:
        """Return some users to begin with: of several domains, with neither few nor many items."""
        rows = np.random.default_rng(0).permutation(self.data.n_users)[:EXAMPLES_FROM]
        history = self.data.matrix[rows]
        by_domain = np.column_stack(
            [np.diff(history[:, self.data.span(d)].indptr) for d in self.data.domains]
        )
        total = by_domain.sum(axis=1)
        some = (total >= ENOUGH[0]) & (total <= ENOUGH[1])
        order = np.lexsort((-total, -(by_domain > 0).sum(axis=1), ~some))[:limit]
        return answers.Users(
            users=[self._summary(str(self.data.users.ids[r])) for r in rows[order]]
        )

    def _summary(self, user_id: str, history: sp.csr_matrix | None = None) -> answers.UserSummary:
        history = self.asked(user_id).users.history if history is None else history
        domain = self.data.item_domain[history.indices]
        counts = np.bincount(domain, minlength=len(self.data.domains)).tolist()
        return answers.UserSummary(
            user=self.names.user(user_id),
            label=self.names.label(user_id),
            interactions=dict(zip(self.data.domains, counts, strict=True)),
        )

    def history(self, name: str) -> answers.History:
        """Return what a user liked, the latest first."""
        user_id = self.user_id(name)
        users = self.asked(user_id).users
        columns, order = users.history.indices, np.zeros(0)
        times: Any = None
        if users.order is not None:
            columns, order = users.order.indices, users.order.data
            times = as_dates(order) if users.has_time else None
        places = np.argsort(-order, kind="stable") if len(order) else np.arange(len(columns))
        items = []
        for place in places.tolist():
            domain, item_id, title = self.names.item(int(columns[place]))
            time = None if times is None else times[place].to_pydatetime()
            items.append(
                answers.HistoryItem(domain=domain, item_id=item_id, title=title, time=time)
            )
        summary = self._summary(user_id, users.history)
        return answers.History(**summary.model_dump(), items=items)

    # Lists ---------------------------------------------------------------------------------

    def recommendations(
        self, asked: Asked | str, domains: Sequence[str] | None, k: int, *, reasons: bool = False,
        explore: str | None = "",
    ) -> answers.Recommendations:  # fmt: skip
        """Return the lists of a user, as `gnn.base.Model.recommend` ranks them.

        Those of a user asked for by id can `explore`; None: as the server does by default.
        """
        explore = self.exploring.checked(explore, k)
        user = asked if isinstance(asked, str) else asked.users
        user_id = asked if isinstance(asked, str) else str(asked.ids[0])
        wanted = [self.names.domain(name) for name in dict.fromkeys(domains or self.data.domains)]
        lists = [
            {
                "domain": domain,
                "fallback": FALLBACKS[ranked.reason],
                "items": self.names.listed(ranked.columns, ranked.scores, ranked.propensities),
            }
            for domain, ranked in zip(wanted, self._rank(user, wanted, k, explore), strict=True)
        ]
        name = None if user_id == STRANGER else self.names.user(user_id)
        made = {"user": name, "model": self.model.name, "lists": lists}
        answer = answers.Recommendations.model_validate(made)
        if reasons:
            items = [item for part in answer.lists for item in part.items]
            rows = [(user_id, item.domain, item.item_id) for item in items]
            frame = pd.DataFrame(rows, columns=[USER_ID, DOMAIN, ITEM_ID])
            sentences = self._explainer.reasons(frame, self._later(user_id))
            for item, sentence in zip(items, sentences, strict=True):
                item.because = sentence
        return answer

    @_in_turn
    def similar(
        self, domain: str, item_id: str, to: Sequence[str] | None, k: int
    ) -> answers.Similar:
        """Return items similar to an item; see `gnn.similar.similar_items`."""
        column = self.names.column(domain, item_id, "id")
        lists = []
        for target in to or self.data.domains:
            start = self.data.span(self.names.domain(target, "to")).start
            places, values = top_k(similar_scores(self.model, column, target), k)
            items = self.names.listed(start + places[0][places[0] >= 0], values[0])
            lists.append(answers.Listed.model_validate({"domain": target, "items": items}))
        return answers.Similar(
            item=answers.Item(domain=domain, item_id=item_id, title=self.names.item(column)[2]),
            lists=lists,
        )

    # Interests -----------------------------------------------------------------------------

    def _needs_interests(self) -> tuple[Profiler, Expansions]:
        if self.profiler is None or self.expanding is None:
            raise Problem(409, self.no_interests)
        return self.profiler, self.expanding

    @_in_turn
    def profile(self, name: str, k: int, windows: str | None) -> answers.Profile:
        """Return the interests of a user, and with `windows` how they moved."""
        (profiler, _), asked = self._needs_interests(), self.user(name)
        shown = self.names.user(str(asked.ids[0]))
        table = profiler.table(asked, k=k, items=self._columns_as_text)
        return profile_of(profiler, asked, table, windows, user=shown, item=self._item)

    @cached_property
    def _columns_as_text(self) -> np.ndarray:
        return np.arange(self.data.n_items).astype(str).astype(object)

    def _item(self, column: int) -> answers.Item:
        domain, item_id, title = self.names.item(column)
        return answers.Item(domain=domain, item_id=item_id, title=title)

    @_in_turn
    def expansions(
        self, name: str, domains: Sequence[str] | None, boldness: float, k: int
    ) -> answers.Expansions:
        """Return new interests of a user; see `gnn.interests.expand`."""
        _, expanding = self._needs_interests()
        for domain in domains or ():
            self.names.domain(domain)
        user_id = self.user_id(name)
        found = expand(
            expanding, [user_id], k=k, boldness=boldness, domain=domains or None,
            history=self._later(user_id),
        )  # fmt: skip
        rows = []
        for row in records(found):
            starts = [i for i in row["item_ids"].split(SEPARATOR) if i]
            items = [self._item(self.names.column(row["domain"], i)) for i in starts]
            fields = {key: row[key] for key in answers.Expansion.model_fields if key in row}
            rows.append(answers.Expansion(**fields, items=items))
        return answers.Expansions(user=self.names.user(user_id), boldness=boldness, expansions=rows)

    def interest(self, name: str) -> answers.Typical:
        """Return an interest with its most typical items by domain."""
        profiler, expanding = self._needs_interests()
        interests = profiler.interests
        if name not in interests.names:
            raise Problem(404, f"This model knows no interest {name!r}.", field="name")
        number = interests.names.index(name)
        lists = []
        liking = np.log1p(self.data.liking)
        for domain, members in expanding.expander.columns.items():
            low, high = members.indptr[number : number + 2]
            place, start = members.indices[low:high], self.data.span(domain).start
            weight = members.data[low:high] * liking[start + place]
            order = np.argsort(-weight, kind="stable")[:TYPICAL_ITEMS]
            if len(order):
                items = self.names.listed(start + place[order], weight[order])
                lists.append(answers.Listed.model_validate({"domain": domain, "items": items}))
        users = int(expanding.evidence.users[number])
        return answers.Typical(interest=name, users=users, lists=lists)

    # The graph -----------------------------------------------------------------------------

    @_in_turn
    def neighborhood(
        self, kind: str, key: str, *, hops: int, limit: int, others: bool = False
    ) -> answers.Neighborhood:
        """Return what lies around a user, an item or an interest, with other users or without."""
        from graphgen.looking.elements import elements
        from graphgen.looking.neighborhoods import neighborhood

        if self.graph is None:
            raise Problem(409, "The graph is not loaded; start with --graph GRAPH.")
        if kind == USER:
            key = self.names.user_id(key)
        elif kind not in (INTEREST, ATTRIBUTE):
            self.names.column(kind, key, "id")
        found = neighborhood(self.graph, (kind, key), hops=hops, limit=limit, users=others)
        return answers.Neighborhood(**elements(found, show_ids=self.names.show_ids))

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self.model, self.graph)

    @_in_turn
    def explain(self, name: str, domain: str, item_id: str) -> dict[str, Any]:
        """Return why an item is recommended to a user; see `gnn.explain`."""
        user_id = self.user_id(name, "user")
        self.names.column(domain, item_id)
        made = self._explainer.explain(user_id, item_id, domain, self._later(user_id))
        found: dict[str, Any] = made.to_dict() | {"user": self.names.user(user_id)}
        found["paths"] = made.paths.to_dict("records")
        for path in found["paths"]:
            path["nodes"] = [self._shown(**node) for node in path["nodes"]]
        return found

    def _shown(self, kind: str, id: str, label: str) -> dict[str, str]:
        """Return a node of a path; a user under the name that is shown."""
        if kind == USER:
            id, label = self.names.user(id), self.names.label(id)
        return {"kind": kind, "id": id, "label": label}

    # The whole -----------------------------------------------------------------------------

    def described(self) -> answers.ServedModel:
        """Return what is served."""
        known, data = self.model.provenance_, self.data
        count = {d: int(data.popularity[data.span(d)].sum()) for d in data.domains}
        return answers.ServedModel(
            model=self.model.name,
            created=known.get("created"),
            domains=[
                answers.Domain(name=d, items=len(data.items[d]), interactions=count[d])
                for d in data.domains
            ],
            users=data.n_users,
            interests=len(self.names.interests),
            has_time=data.has_time,
            inductive=self.model.inductive,
            graph=self.graph is not None,
            show_ids=self.names.show_ids,
            digest=known.get("graph_digest"),
        )

    @_in_turn
    def map(self, name: str | None) -> answers.InterestMap:
        """Return the interest map, with the way of a user over it."""
        self._needs_interests()
        way = []
        if name is not None:
            shown = self.history(name).items[::-1]
            way = [self.names.column(item.domain, item.item_id) for item in shown]
        return self.overview.map(self._item, way)
