"""A reason for one recommendation, as tables, JSON, text and a piece of a page."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from graphgen.ids import masked_id
from graphgen.schema import INTERACTS, USER

__all__ = ["Explanation"]


@dataclass(frozen=True)
class Explanation:
    """Why an item is recommended to a user.

    Attributes
    ----------
    user, domain, item_id, title
        The user and the item; the title is the id where there is none.
    score, rank
        By the model, among the items that the user has not interacted with.
    sentence
        The reason in plain words.
    interactions
        domain, item_id, title, share: what each interaction of the user adds, as a share of the
        score, signed, the most important first. The shares sum to `explained`.
    experts
        expert, share: what each expert of the mixture adds; the shares sum to 1.
    paths
        nodes, relations, share: the best short paths from the user through an interaction to the
        item; those through one interaction divide its share. Empty without a graph.
    interests
        interest, user_share, item_share: the interests that user and item have in common.
    words
        Words that the item has in common with the most important interactions.
    """

    user: str
    domain: str
    item_id: str
    title: str
    score: float
    rank: int
    sentence: str
    interactions: pd.DataFrame
    experts: pd.DataFrame
    paths: pd.DataFrame
    interests: pd.DataFrame
    words: tuple[str, ...]

    @property
    def explained(self) -> float:
        """The share of the score that comes from the history; the rest is popularity."""
        return float(self.interactions["share"].sum())

    def path_texts(self) -> list[str]:
        """Return each path written out; other users appear masked."""
        texts = []
        for path in self.paths.itertuples():
            first, *rest = (node["label"] for node in path.nodes)
            text = first
            for relation, label in zip(path.relations, rest, strict=True):
                text += (" — " if relation == INTERACTS else f" ~{relation}~ ") + label
            texts.append(text)
        return texts

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types; ids of other users on the paths are masked."""
        paths = self.paths.to_dict("records")
        for path in paths:
            path["nodes"] = [self._shown(node) for node in path["nodes"]]
        tables = {
            name: getattr(self, name).to_dict("records")
            for name in ("interactions", "experts", "interests")
        }
        names = ("user", "domain", "item_id", "title", "score", "rank", "sentence")
        return {
            **{name: getattr(self, name) for name in names},
            "interactions": tables["interactions"],
            "experts": tables["experts"],
            "paths": paths,
            "interests": tables["interests"],
            "words": [*self.words],
        }

    def _shown(self, node: dict[str, str]) -> dict[str, str]:
        if node["kind"] != USER or node["id"] == self.user:
            return node
        return {**node, "id": masked_id(node["id"])}

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(row.title)}</td><td>{escape(row.domain)}</td>"
            f'<td style="text-align:right">{row.share:.1%}</td><td style="text-align:left">'
            f'<span style="display:inline-block;height:.8em;width:{120 * abs(row.share):.0f}px;'
            f'background:{"#0072b2" if row.share > 0 else "#d55e00"}"></span></td></tr>'
            for row in self.interactions.itertuples()
        )
        experts = ", ".join(f"{row.expert} {row.share:.0%}" for row in self.experts.itertuples())
        return (
            f"<p>{escape(self.sentence)}</p><table><thead><tr><th>interaction</th><th>domain</th>"
            f'<th colspan="2">share of the score</th></tr></thead><tbody>{rows}</tbody></table>'
            f"<p>Experts: {escape(experts)}.</p>"
        )
