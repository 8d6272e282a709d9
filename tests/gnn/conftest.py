"""Small graphs with a planted answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from graphgen.build import build_graph
from graphgen.graph import InterestGraph

N_USERS, N_ITEMS, N_TASTES = 120, 24, 3


def planted_log(seed: int = 0) -> pd.DataFrame:
    """Two domains, three tastes: a person meets items of one taste, in both domains.

    User u has taste u % 3; item i has taste i % 3; every user misses a few items of the taste.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for domain in ("book", "film"):
        user = np.repeat(np.arange(N_USERS), N_ITEMS)
        item = np.tile(np.arange(N_ITEMS), N_USERS)
        met = (user % N_TASTES == item % N_TASTES) & (generator.random(len(user)) < 0.7)
        rows.append(
            pd.DataFrame(
                {
                    "user_id": [f"u{u:03d}" for u in user[met]],
                    "item_id": [f"{domain[0]}{i:02d}" for i in item[met]],
                    "domain": domain,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def planted_items() -> pd.DataFrame:
    """Texts that tell the taste, and one cold item of each taste in each domain."""
    words = ("dragons and wizards", "murder and detectives", "love and weddings")
    return pd.DataFrame(
        [
            {
                "item_id": f"{domain[0]}{i:02d}",
                "domain": domain,
                "title": f"{domain} number {i}",
                "text": f"a story of {words[i % N_TASTES]}",
            }
            for domain in ("book", "film")
            for i in range(N_ITEMS + N_TASTES)
        ]
    )


@pytest.fixture(scope="session")
def log() -> pd.DataFrame:
    return planted_log()


@pytest.fixture(scope="session")
def items() -> pd.DataFrame:
    return planted_items()


@pytest.fixture(scope="session")
def graph(log, items, tmp_path_factory) -> InterestGraph:
    return build_graph(log, items, encoder="hashing", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def plain_graph(log) -> InterestGraph:
    """One domain, no text: the least a model must live with."""
    return build_graph(log[log.domain == "book"], encoder="none")
