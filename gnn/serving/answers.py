"""The bodies of requests and answers, typed: they make the OpenAPI description."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import pydantic

__all__ = [
    "MAX_LIST",
    "Domain",
    "Evolution",
    "Expansion",
    "Expansions",
    "Feedback",
    "Health",
    "History",
    "Hit",
    "Interaction",
    "InterestMap",
    "Item",
    "Listed",
    "MapItem",
    "MapTopic",
    "Migration",
    "Move",
    "Neighborhood",
    "Profile",
    "ProfileRow",
    "Recommendations",
    "Refused",
    "Search",
    "ServedModel",
    "Similar",
    "Swap",
    "Taken",
    "Typical",
    "UserSummary",
    "Users",
    "WhatIf",
    "Window",
]

# Items of a list, and interactions in a body, at most.
MAX_LIST, MAX_HISTORY = 200, 2_000


class Item(pydantic.BaseModel):
    """An item, and where it stands in a list."""

    domain: str
    item_id: str
    title: str
    score: float | None = None
    rank: int | None = None
    propensity: float | None = pydantic.Field(
        None, description="Probability of its place, in a list that explores."
    )
    because: str | None = pydantic.Field(None, description="One sentence, if asked for.")


class Listed(pydantic.BaseModel):
    """The list of a domain."""

    domain: str
    fallback: str = pydantic.Field("", description="Why it is popularity, where it is.")
    items: list[Item]


class Recommendations(pydantic.BaseModel):
    """Lists of a user by domain."""

    user: str | None
    model: str
    lists: list[Listed]


class Interaction(pydantic.BaseModel):
    """A like of an item."""

    model_config = pydantic.ConfigDict(extra="forbid")
    domain: str
    item_id: str


class WhatIf(pydantic.BaseModel):
    """A history to recommend from: of a stranger, or changes to that of a known user."""

    model_config = pydantic.ConfigDict(extra="forbid")
    user: str | None = pydantic.Field(None, description="Known user, whose history counts too.")
    history: list[Interaction] = pydantic.Field([], max_length=MAX_HISTORY)
    without: list[Interaction] = pydantic.Field(
        [], max_length=MAX_HISTORY, description="Interactions of the user to leave out."
    )
    domain: list[str] | None = pydantic.Field(None, description="Default: every domain.")
    k: int = pydantic.Field(20, ge=1, le=MAX_LIST)


class Feedback(pydantic.BaseModel):
    """What a user thinks of an item that was recommended."""

    model_config = pydantic.ConfigDict(extra="forbid")
    user_id: str
    domain: str | None = None
    item_id: str
    feedback: Literal["like", "dislike", "skip", "dwell"]
    seconds: float | None = pydantic.Field(None, ge=0, description="Of a dwell.")
    time: str | int | None = None
    event_id: str | None = None

    def as_event(self) -> dict[str, Any]:
        """Return it as an event of that kind; the weight of a dwell is its seconds."""
        given = self.model_dump(exclude_none=True)
        event = {"event": given.pop("feedback")}
        if "seconds" in given:
            event["weight"] = given.pop("seconds")
        return given | event


class Refused(pydantic.BaseModel):
    """An event that cannot be used."""

    place: int | None = pydantic.Field(description="In the body, from 0.")
    reason: str


class Taken(pydantic.BaseModel):
    """What became of events."""

    new: int
    duplicates: int = pydantic.Field(description="Known by their `event_id`.")
    rejected: int
    reasons: list[Refused] = pydantic.Field(description="Of the first rejected ones.")
    unknown_users: int = pydantic.Field(description="New ones of users the model does not know.")
    unknown_items: int = pydantic.Field(description="New ones, kept for the next model.")
    unknown_domains: int = pydantic.Field(description="New ones, kept for the next model.")
    late: int = pydantic.Field(description="New ones before the latest of their user.")


class Swap(pydantic.BaseModel):
    """The model to serve from now on."""

    model_config = pydantic.ConfigDict(extra="forbid")
    model: str | None = pydantic.Field(None, description="Its folder; default: the same, anew.")


class Domain(pydantic.BaseModel):
    """A domain of the model."""

    name: str
    items: int
    interactions: int


class ServedModel(pydantic.BaseModel):
    """What is served."""

    model: str
    created: str | None
    domains: list[Domain]
    users: int
    interests: int
    has_time: bool
    inductive: bool
    graph: bool
    show_ids: bool
    digest: str | None = pydantic.Field(description="Of the graph that it was trained on.")


class Health(pydantic.BaseModel):
    """The service answers."""

    status: str = "ok"


class Hit(pydantic.BaseModel):
    """A user, an interest or an item that bears a name."""

    kind: str = pydantic.Field(description='"user", "interest" or a domain.')
    id: str
    label: str


class Search(pydantic.BaseModel):
    """Hits of a search, best first."""

    query: str
    hits: list[Hit]


class UserSummary(pydantic.BaseModel):
    """A user in a few figures."""

    user: str
    label: str
    interactions: dict[str, int] = pydantic.Field(description="By domain.")


class Users(pydantic.BaseModel):
    """Some users to begin with."""

    users: list[UserSummary]


class HistoryItem(Item):
    """An item that a user liked, and when."""

    time: datetime | None = None


class History(UserSummary):
    """What a user liked, the latest first."""

    items: list[HistoryItem]


class ProfileRow(pydantic.BaseModel):
    """An interest of a user; see `gnn.interests.profile`."""

    interest: str
    share: float
    low: float
    high: float
    weight: float
    interactions: int
    established: bool
    trend: float | None
    domains: list[str]
    first_seen: datetime | None
    last_seen: datetime | None
    items: list[Item]


class Window(pydantic.BaseModel):
    """Shares of a user's interests in a window of time."""

    start: datetime
    end: datetime
    interactions: int
    distance: float | None
    shares: dict[str, float]


class Evolution(pydantic.BaseModel):
    """How a user's interests moved; see `gnn.interests.drift` and `evolution`."""

    drifts: bool
    p_value: float
    since: datetime | None
    away_from: str
    towards: str
    changes: list[datetime] = pydantic.Field(description="Moments of change, if it drifts.")
    windows: list[Window]


class Profile(pydantic.BaseModel):
    """Interests of a user."""

    user: str
    sentence: str
    interests: list[ProfileRow]
    evolution: Evolution | None = pydantic.Field(
        description="With `windows`, where the log has times."
    )


class Expansion(pydantic.BaseModel):
    """An interest that a user does not have yet; see `gnn.interests.expand`."""

    interest: str
    domain: str
    score: float
    distance: float
    rank: int
    because: str
    items: list[Item]


class Expansions(pydantic.BaseModel):
    """New interests of a user."""

    user: str
    boldness: float
    expansions: list[Expansion]


class Similar(pydantic.BaseModel):
    """Items similar to an item, by domain."""

    item: Item
    lists: list[Listed]


class Typical(pydantic.BaseModel):
    """An interest with its typical items by domain."""

    interest: str
    users: int
    lists: list[Listed]


class Neighborhood(pydantic.BaseModel):
    """Nodes and edges around a node, as `graphgen.looking.elements.elements` has them."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    domains: list[str]


class MapTopic(pydantic.BaseModel):
    """An interest on the map."""

    interest: str
    x: float
    y: float
    share: float = pydantic.Field(description="Of all interactions.")


class MapItem(Item):
    """An item on the map."""

    x: float
    y: float


class InterestMap(pydantic.BaseModel):
    """Interests and items in two dimensions, in [-1, 1]; those of a user in order of time."""

    topics: list[MapTopic]
    items: list[MapItem]
    way: list[MapItem]
    ordered: bool = pydantic.Field(description="Whether the log orders interactions.")


class Move(pydantic.BaseModel):
    """Users' steps from one domain or interest to the next."""

    source: str
    target: str
    users: int
    steps: int


class Migration(pydantic.BaseModel):
    """What follows what in histories."""

    by: str = pydantic.Field(description='"domain", or "interest" in a single domain.')
    ordered: bool = pydantic.Field(description="False: users of both, in no order.")
    moves: list[Move]
