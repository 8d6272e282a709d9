"""Edges between users: ``(user, friend, user)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from graphgen.joins import check_join
from graphgen.schema import FRIEND, FRIEND_ID, USER, USER_ID
from graphgen.tables import FriendTable
from graphgen.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

__all__ = ["add_friends"]


def add_friends(data: HeteroData, friends: FriendTable, users: Vocabulary) -> int:
    """Link each user to the friends, in place; a friendship holds in both directions.

    Rows of users that `users` does not hold are left out, with a warning where they are many.
    O(rows log rows).

    Returns
    -------
    int
        Rows left out.

    Raises
    ------
    InputError
        If no row is of two known users.
    """
    columns = [friends.frame[name] for name in (USER_ID, FRIEND_ID)]
    ends = np.stack([users.encode(column, missing="mark") for column in columns])
    known = (ends[0] >= 0) & (ends[1] >= 0)
    ours = np.where(ends[0] < 0, *(column.to_numpy(dtype=object) for column in columns))
    lost = check_join(
        "row", "the table of friends", known, "the log", ours=ours, theirs=users.ids,
        effect="They are left out.",
    )  # fmt: skip
    head, tail = ends[:, known & (ends[0] != ends[1])]
    both = np.concatenate([head, tail]) * len(users) + np.concatenate([tail, head])
    index = np.stack(np.divmod(np.unique(both), max(1, len(users))))
    store = data[USER, FRIEND, USER]
    store.edge_index = torch.from_numpy(index)
    store.weight = torch.ones(index.shape[1])
    return lost
