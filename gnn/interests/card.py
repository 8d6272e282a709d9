"""A user in a notebook: the interests, how they moved, and those that are new."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from gnn.asked import whole_number
from gnn.candidates import item_frame
from gnn.interests.drifting import drift, evolution
from gnn.interests.expansion import expand
from gnn.interests.prediction import coming
from gnn.interests.profiling import Profiler, profiler_of
from gnn.interests.sentences import sentence
from graphgen.errors import InputError
from graphgen.html_tables import html_table
from graphgen.schema import ITEM_ID, TITLE

if TYPE_CHECKING:
    from gnn.base import Model

__all__ = ["Card", "NewInterests", "card", "new_interests"]

# Okabe and Ito, "Color universal design"; the last is for all other interests.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
OTHERS: Final = "#8C8C8C"
BAR: Final = 300  # pixels
ITEMS_SHOWN: Final = 3


@dataclass(frozen=True)
class Card:
    """The result of `card`, which shows itself in a notebook.

    Attributes
    ----------
    user
        The user's id.
    sentence
        Who the user is.
    profile
        Rows of `gnn.interests.profile`, with titles in ``item_ids``.
    moves
        Rows of `gnn.interests.evolution`; None without times.
    """

    user: str
    sentence: str
    profile: pd.DataFrame
    moves: pd.DataFrame | None = None

    def __repr__(self) -> str:
        return f"{self.user}: {self.sentence}"

    def _repr_html_(self) -> str:
        colours = self._colours()
        rows = [
            (
                row["interest"] + ("" if row["established"] else " (?)"),
                (
                    f"{100 * row['share']:.0f} %",
                    f"{100 * row['low']:.0f}–{100 * row['high']:.0f} %",
                ),
                f"{row['weight']:+.1f}",
                "" if pd.isna(row["trend"]) else f"{100 * row['trend']:+.0f}",
                row["domains"].replace("|", ", "),
                " · ".join(row["item_ids"].split("|")[:ITEMS_SHOWN]),
            )
            for row in self.profile.to_dict("records")
        ]
        header = ["interest", "share", "weight", "trend", "domains", "items"]
        note = "(?) not established: fewer than two interactions, or no more than everybody."
        table = html_table(header, rows, note=note)
        return f"<div><p><b>{escape(self.sentence)}</b></p>{table}{self._bars(colours)}</div>"

    def _colours(self) -> dict[str, str]:
        if self.moves is None:
            return {}
        largest = self.moves.groupby("interest")["share"].mean().nlargest(len(COLOURS)).index
        return dict(zip(largest, COLOURS, strict=False))

    def _bars(self, colours: dict[str, str]) -> str:
        """Draw a bar for each window of time, in parts by share."""
        if self.moves is None or not len(self.moves):
            return ""
        lines = []
        for (start, end), part in self.moves.groupby(["start", "end"], sort=True):
            shares = part.set_index("interest")["share"]
            shown = {name: float(shares.get(name, 0)) for name in colours}
            parts = [(name, share, colours[name]) for name, share in shown.items()]
            parts.append(("other interests", max(0.0, 1 - sum(shown.values())), OTHERS))
            bar = "".join(
                f'<span title="{escape(name)}: {100 * share:.0f} %" style="display:inline-block;'
                f'height:1em;width:{BAR * share:.0f}px;background:{colour}"></span>'
                for name, share, colour in parts
            )
            count = int(part["interactions"].iloc[0])
            lines.append(
                f'<tr><td style="text-align:left">{start:%Y-%m-%d} – {end:%Y-%m-%d}</td>'
                f'<td style="text-align:right">{count}</td>'
                f'<td style="text-align:left;white-space:nowrap">{bar}</td></tr>'
            )
        legend = " ".join(
            f'<span style="white-space:nowrap"><span style="display:inline-block;width:.8em;'
            f'height:.8em;background:{colour}"></span> {escape(name)}</span>'
            for name, colour in [*colours.items(), ("other interests", OTHERS)]
        )
        head = "<tr><th>window</th><th>interactions</th><th>shares of interests</th></tr>"
        return f"<p>Over time: {legend}</p><table>{head}{''.join(lines)}</table>"


def card(
    model: Model | Profiler,
    user: Any,
    *,
    history: Any = None,
    windows: str | float = "90d",
    k: int = 8,
    seed: int = 0,
) -> Card:
    """Return who a user is: a sentence, the interests, and, with times, how they moved.

    Parameters
    ----------
    model, history
        As for `gnn.interests.profile`.
    user
        One id.
    windows
        Length of the windows of time.
    k
        Most interests.
    seed
        Of the test for drift.

    Raises
    ------
    InputError, ConfigError
        If `user` is not one id; if there are no topics.
    """
    profiler = profiler_of(model, None)
    asked = profiler.users(user, history)
    if len(asked.ids) != 1:
        raise InputError(f"A card is for one user; got {len(asked.ids)}.")
    table = profiler.table(asked, k=whole_number("k", k, least=1), titles=True)
    known = bool(table["interactions"].any())
    timed = known and asked.users.times is not None
    moved = drift(profiler, asked, seed=seed).iloc[0] if timed else None
    moves = evolution(profiler, asked, windows=windows) if timed else None
    next_one = coming(profiler, asked).iloc[0] if known and asked.users.order is not None else None
    return Card(str(asked.ids[0]), sentence(table, moved, next_one), table, moves)


@dataclass(frozen=True)
class NewInterests:
    """The result of `new_interests`: the table of `gnn.interests.expand`, with titles."""

    title: str
    table: pd.DataFrame

    def __repr__(self) -> str:
        return f"{self.title}: {'; '.join(self.table['interest'])}"

    def _repr_html_(self) -> str:
        rows = [
            (
                row["interest"],
                row["domain"],
                f"{row['distance']:.2f}",
                " · ".join(row["item_ids"].split("|")[:ITEMS_SHOWN]),
                row["because"],
            )
            for row in self.table.to_dict("records")
        ]
        header = ["new interest", "in", "distance", "to start with", "because"]
        return html_table(header, rows, title=self.title)


def new_interests(
    model: Model, user: Any, *, boldness: float = 0.0, k: int = 5, **options: Any
) -> NewInterests:
    """Return interests that one user does not have yet, with the titles of items to start with.

    Parameters are those of `gnn.interests.expand`.
    """
    found = expand(model, [user], boldness=boldness, k=k, **options)
    titles: dict[tuple[str, str], str] = {}
    for domain in found["domain"].unique():
        frame = item_frame(model.data, domain)
        named = frame[TITLE].where(frame[TITLE] != "", frame[ITEM_ID])
        titles |= {
            (domain, item): str(title) for item, title in zip(frame[ITEM_ID], named, strict=True)
        }
    listed = [
        "|".join(titles[domain, item] for item in text.split("|") if item)
        for domain, text in zip(found["domain"], found["item_ids"], strict=True)
    ]
    return NewInterests(f"New interests at boldness {boldness:g}", found.assign(item_ids=listed))
