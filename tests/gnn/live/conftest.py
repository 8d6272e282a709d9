"""A small fitted model of two domains, with times, and events since."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gnn.baselines.popularity import Popularity
from graphgen.build import build_graph
from graphgen.log_files import read_log

TRAINED_UNTIL = 1_700_000_000_000


def training_log(seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    n = 600
    return pd.DataFrame(
        {
            "user_id": [f"u{i}" for i in generator.integers(0, 40, n)],
            "item_id": [f"i{i}" for i in generator.integers(0, 30, n)],
            "domain": generator.choice(["book", "film"], n),
            "timestamp": TRAINED_UNTIL - generator.integers(1, 10**9, n),
            "event": generator.choice(["play", "buy"], n),
        }
    )


@pytest.fixture(scope="session")
def trained_graph():
    meaning = {"play": 0.5, "buy": 2.0, "refund": "drop"}
    return build_graph(read_log(training_log(), events=meaning), encoder="none")


@pytest.fixture(scope="session")
def model(trained_graph):
    return Popularity().fit(trained_graph)


@pytest.fixture(scope="session")
def some_events():
    return make_events


def make_events(n: int, seed: int = 0) -> list[dict]:
    generator = np.random.default_rng(seed)
    kinds = ["play", "buy", "refund", "like", "dislike", "skip", "other", ""]
    return [
        {
            "event_id": f"{seed}-{number}",
            "user_id": f"u{generator.integers(0, 50)}",
            "item_id": f"i{generator.integers(0, 34)}",
            "domain": str(generator.choice(["book", "film", "game"], p=[0.5, 0.4, 0.1])),
            "event": str(generator.choice(kinds)),
            "weight": float(generator.choice([1, 1, 1, 3])),
            "time": int(TRAINED_UNTIL + generator.integers(0, 200)),
        }
        for number in range(n)
    ]
