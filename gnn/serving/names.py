"""Names of users and titles of items, as the page shows and finds them."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gnn.candidates import item_frame
from gnn.data import TrainingData
from gnn.serving.problems import Problem
from graphgen.errors import near_miss
from graphgen.ids import HASH_LENGTH, hashed_id, masked_id
from graphgen.schema import TITLE

__all__ = ["Names"]

# Kinds of a match of a search, from the best: the whole text, its start, a word's start, inside.
WHOLE, START, WORD, INSIDE = range(4)


class Names:
    """Names of users, titles of items and names of interests, read once.

    Parameters
    ----------
    data
        Training data of the model.
    interests
        Names of its interests.
    show_ids
        Show user ids as they are, rather than their hashes.
    """

    def __init__(self, data: TrainingData, interests: tuple[str, ...], *, show_ids: bool) -> None:
        self.data, self.interests, self.show_ids = data, interests, show_ids
        self.titles = {
            domain: item_frame(data, domain)[TITLE].to_numpy(object) for domain in data.domains
        }
        self._folded = {domain: _folded(titles) for domain, titles in self.titles.items()}
        self._topics = _folded(np.asarray(interests, dtype=object))

    def user(self, user_id: str) -> str:
        """Return the name that is shown of a user."""
        return user_id if self.show_ids else hashed_id(user_id)

    def label(self, user_id: str) -> str:
        """Return what stands beside a user's dot."""
        return f"user {user_id}" if self.show_ids else masked_id(user_id)

    def user_id(self, name: str, field: str = "id") -> str:
        """Return the id of a user by id or by hash.

        Raises
        ------
        Problem
            If there is none.
        """
        if (user_id := self.known_id(name)) is not None:
            return user_id
        raise Problem(404, f"This model knows no user {name!r}.", field=field)

    def known_id(self, name: str) -> str | None:
        """Return the id of a user by id or by hash; None if there is none."""
        if name in self._ids or name in self.data.users:
            return name
        row = self._hashes.get(name) if len(name) == HASH_LENGTH else None
        return None if row is None else str(self.data.users.ids[row])

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.data.users.ids)

    @cached_property
    def _hashes(self) -> dict[str, int]:
        return {hashed_id(user_id): row for row, user_id in enumerate(self.data.users.ids)}

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self._hashes)

    def domain(self, name: str, field: str = "domain") -> str:
        """Return a domain; a `Problem` names the near miss."""
        if name in self.data.items:
            return name
        hint = near_miss(name, self.data.items, f"it knows {', '.join(self.data.items)}.")
        raise Problem(404, f"This model knows no domain {name!r}; {hint}", field=field)

    def column(self, domain: str, item_id: str, field: str = "item") -> int:
        """Return the place of an item in the joint index; a `Problem` if there is none."""
        self.domain(domain)
        place = int(self.data.items[domain].encode([item_id], missing="mark")[0])
        if place < 0:
            raise Problem(404, f"This model knows no item {item_id!r} of {domain}.", field=field)
        return self.data.span(domain).start + place

    def item(self, column: int) -> tuple[str, str, str]:
        """Return domain, id and title (the id without one) of an item of the joint index."""
        domain = self.data.domains[self.data.item_domain[column]]
        place = column - self.data.span(domain).start
        item_id = str(self.data.items[domain].ids[place])
        return domain, item_id, str(self.titles[domain][place] or item_id)

    def listed(
        self, columns: np.ndarray, values: np.ndarray, chances: np.ndarray | None = None
    ) -> list[dict[str, Any]]:
        """Return items of one domain of the joint index, with scores, as fields of `answers.Item`.

        All at once: one by one they cost as long as to rank them.
        """
        if not len(columns):
            return []
        domain = self.data.domains[self.data.item_domain[columns[0]]]
        places = columns - self.data.span(domain).start
        ids, titles = self.data.items[domain].ids[places], self.titles[domain][places]
        rows = zip(ids.tolist(), titles.tolist(), values.tolist(), strict=False)
        items = [
            {"domain": domain, "item_id": i, "title": t or i, "score": score, "rank": rank}
            for rank, (i, t, score) in enumerate(rows, start=1)
        ]
        for item, chance in zip(items, () if chances is None else chances.tolist(), strict=False):
            item["propensity"] = chance
        return items

    def search(self, text: str, limit: int) -> list[tuple[str, str, str]]:
        """Return kind ("user", "interest" or a domain), id and label of what bears a name.

        Whole names first, then starts, then words, then parts, the more popular of two first;
        every word of the text must occur. O(items).
        """
        words = text.casefold().split()
        if not words:
            return []
        found: list[tuple[int, float, tuple[str, str, str]]] = []
        for row in self._users(text.strip(), limit):
            user_id = str(self.data.users.ids[row])
            found.append((WHOLE, 0.0, ("user", self.user(user_id), self.label(user_id))))
        joined = " ".join(words)
        for row, rank in _matches(self._topics, words, joined):
            name = self.interests[row]
            found.append((rank, -np.inf if rank < INSIDE else 0.0, ("interest", name, name)))
        for domain, folded in self._folded.items():
            popular = self.data.popularity[self.data.span(domain)]
            ids, titles = self.data.items[domain].ids, self.titles[domain]
            if text.strip() in self.data.items[domain]:
                place = int(self.data.items[domain].encode([text.strip()])[0])
                found.append((WHOLE, 0.0, (domain, ids[place], titles[place] or ids[place])))
            for row, rank in _matches(folded, words, joined):
                found.append((rank, -float(popular[row]), (domain, str(ids[row]), titles[row])))
        found.sort(key=lambda one: (one[0], one[1], one[2][2]))
        return list(dict.fromkeys(hit for _, _, hit in found))[:limit]

    def _users(self, text: str, limit: int) -> list[int]:
        """Return rows of users of an id, or whose shown name starts with the text."""
        if text in self.data.users:
            return [int(self.data.users.encode([text])[0])]
        start = text.removeprefix("user ").rstrip("…")
        if len(start) < 4:
            return []
        if self.show_ids:
            low = int(np.searchsorted(self.data.users.ids, start))
            ids = self.data.users.ids[low : low + limit]
            return [low + n for n, user_id in enumerate(ids) if user_id.startswith(start)]
        low = bisect_left(self._sorted, start)
        near = self._sorted[low : low + limit]
        return [self._hashes[name] for name in near if name.startswith(start)]


def _folded(texts: np.ndarray) -> pa.Array:
    plain = pd.Series(texts, dtype="str").str.normalize("NFKC").str.casefold()
    return pa.array(plain.fillna("").to_numpy(object), pa.large_string())


def _matches(texts: pa.Array, words: list[str], joined: str) -> list[tuple[int, int]]:
    """Return row and kind of match of the texts that hold all words."""
    kept = pc.match_substring(texts, words[0])
    for word in words[1:]:
        kept = pc.and_(kept, pc.match_substring(texts, word))
    result = []
    for row in np.flatnonzero(kept.to_numpy(zero_copy_only=False)).tolist():
        text = texts[row].as_py()
        if text == joined:
            rank = WHOLE
        elif text.startswith(joined):
            rank = START
        else:
            rank = WORD if f" {joined}" in text else INSIDE
        result.append((row, rank))
    return result
