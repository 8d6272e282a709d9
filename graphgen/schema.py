"""Column names, written once. Every table in the project speaks these."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABOUT",
    "ATTRIBUTE",
    "AUDIO",
    "CATEGORY",
    "CO_CONSUMED",
    "DOMAIN",
    "DURING",
    "EVENT",
    "FRIEND",
    "FRIEND_ID",
    "GROUP",
    "IMAGE",
    "INTERACTS",
    "INTEREST",
    "INTERESTS",
    "ITEM_ID",
    "NEXT",
    "POSITION",
    "PROPENSITY",
    "PROVIDER",
    "RANK",
    "RATING",
    "RECOMMENDATION_COLUMNS",
    "REJECTS",
    "RELATIONS",
    "RESERVED_NODE_TYPES",
    "REV_INTERACTS",
    "REWARD",
    "SCORE",
    "SETTING",
    "SHARED_USERS",
    "SIMILAR",
    "TEXT",
    "TIMESTAMP",
    "TITLE",
    "USER",
    "USER_ID",
    "WEIGHT",
]

# Interaction logs
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
DOMAIN: Final = "domain"
TIMESTAMP: Final = "timestamp"
# Orders the interactions of one user where there is no timestamp; not comparable between users.
POSITION: Final = "position"
RATING: Final = "rating"
WEIGHT: Final = "weight"
EVENT: Final = "event"

# Held-out rows: warm, cold_user, cold_item and the like
SETTING: Final = "setting"

# Item and user tables
TITLE: Final = "title"
TEXT: Final = "text"
CATEGORY: Final = "category"
GROUP: Final = "group"
FRIEND_ID: Final = "friend_id"
PROVIDER: Final = "provider"
# Files of an item
IMAGE: Final = "image"
AUDIO: Final = "audio"

# Recommendations
SCORE: Final = "score"
RANK: Final = "rank"
# Probability that the item was shown at its place.
PROPENSITY: Final = "propensity"
REWARD: Final = "reward"
RECOMMENDATION_COLUMNS: Final = (USER_ID, DOMAIN, ITEM_ID, SCORE, RANK)

# Node and edge types of an InterestGraph; every other node type is a domain
USER: Final = "user"
INTEREST: Final = "interest"
# The domain of interests, where they are ranked and evaluated as items are.
INTERESTS: Final = "interests"
# What items share, such as an author, or the period in which they were chosen.
ATTRIBUTE: Final = "attribute"
RESERVED_NODE_TYPES: Final = frozenset({USER, INTEREST, ATTRIBUTE})
INTERACTS: Final = "interacts"
REV_INTERACTS: Final = "rev_interacts"
# Seen and not liked: masked, and a negative where the weight is below 0.
REJECTS: Final = "rejects"
SIMILAR: Final = "similar"
ABOUT: Final = "about"
# Items that follow each other in the histories of users.
NEXT: Final = "next"
# Items that the same users like more often than chance.
CO_CONSUMED: Final = "co_consumed"
FRIEND: Final = "friend"
# Items and the periods of their interactions.
DURING: Final = "during"
# All relations but those of columns of the item table.
RELATIONS: Final = (
    INTERACTS, REV_INTERACTS, REJECTS, SIMILAR, ABOUT, NEXT, CO_CONSUMED, FRIEND, DURING,
)  # fmt: skip
# Two items that the same users interacted with, in a neighbourhood without other users; its weight
# counts them.
SHARED_USERS: Final = "shared users"
