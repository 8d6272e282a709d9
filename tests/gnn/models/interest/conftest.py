"""Logs with times whose order tells the answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import graphgen
from graphgen.log import InteractionLog

N_ITEMS, N_USERS, LENGTH = 20, 200, 6
START = pd.Timestamp("2024-01-01", tz="UTC")


@pytest.fixture(scope="session")
def chains():
    """Every user walks from a random item i to i + 1, and on, one a day."""
    generator = np.random.default_rng(0)
    first = generator.integers(0, N_ITEMS, N_USERS)
    day = generator.integers(0, 300, N_USERS)
    step = np.arange(LENGTH)
    return pd.DataFrame(
        {
            "user_id": np.repeat([f"u{u:03d}" for u in range(N_USERS)], LENGTH),
            "item_id": [f"i{i:02d}" for i in ((first[:, None] + step) % N_ITEMS).ravel()],
            "domain": "book",
            "timestamp": START + pd.to_timedelta((day[:, None] + step).ravel(), unit="D"),
        }
    )


@pytest.fixture(scope="session")
def fashions():
    """Every twenty days another item is popular with all users; a user stays for ten days."""
    generator = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        day = np.sort(generator.integers(0, 10, LENGTH) + generator.integers(0, 390))
        popular = day // 20 % N_ITEMS
        item = np.where(
            generator.random(LENGTH) < 0.7, popular, generator.integers(0, N_ITEMS, LENGTH)
        )
        rows.append(
            pd.DataFrame(
                {
                    "user_id": f"u{user:03d}",
                    "item_id": [f"i{i:02d}" for i in item],
                    "domain": "book",
                    "timestamp": START + pd.to_timedelta(day, unit="D"),
                }
            )
        )
    return pd.concat(rows, ignore_index=True).drop_duplicates(["user_id", "item_id"])


@pytest.fixture(scope="session")
def built():
    """Return a graph of a log without texts."""
    return lambda frame: graphgen.build_graph(frame, encoder="none")


@pytest.fixture(scope="session")
def split_last():
    """Return all rows but the last of each user, and these."""

    def split(frame):
        last = frame.groupby("user_id").cumcount(ascending=False) == 0
        return frame[~last], InteractionLog(frame[last].reset_index(drop=True))

    return split
