"""Lists of a server that explore: ranked with others, logged before they are answered, learned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("fastapi")

from gnn.live.events import read_events
from gnn.live.exposures import SHOWN_FILE, Exposures
from gnn.live.state import STATE_FILE, LiveState
from gnn.registry import make_model
from gnn.serving.exploring import Exploring
from gnn.serving.problems import Problem
from gnn.serving.service import Service
from graphgen.errors import ConfigError

IDS = [f"u{number:03d}" for number in range(60)]


@pytest.fixture(scope="module")
def model(plain_graph):
    return make_model("item-knn").fit(plain_graph, valid=None)


def served(model, folder, default=""):
    return Service(model, exploring=Exploring(model, folder, default))


def items(answer):
    return [(one.item_id, one.propensity) for part in answer.lists for one in part.items]


def test_what_is_answered_is_logged_whoever_else_asks(model, tmp_path):
    service = served(model, tmp_path, "epsilon=0.4")

    def ask(number):
        # Half of them by default, the others without chance.
        method = (None, "")[number % 2]
        return service.recommendations(IDS[number], None, 2 + number % 5, explore=method)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(len(IDS))))
    frame = Exposures(tmp_path / SHOWN_FILE).frame()
    assert set(frame["variant"]) == {"epsilon=0.4"}
    for number, answer in enumerate(answers):
        logged = frame[frame["user_id"] == IDS[number]]
        if number % 2:
            plain = model.recommend([IDS[number]], k=2 + number % 5)["item_id"].tolist()
            assert items(answer) == [(item, None) for item in plain]
            assert logged.empty
        else:
            rows = logged[["item_id", "propensity"]].itertuples(index=False, name=None)
            assert items(answer) == list(rows)
            assert logged["rank"].tolist() == list(range(1, 3 + number % 5))
    again = [items(service.recommendations(IDS[0], None, 5, explore="epsilon=1")) for _ in range(5)]
    assert len(set(map(str, again))) > 1  # drawn anew for each request


def test_a_server_learns_from_what_it_showed(model, tmp_path):
    service, state = served(model, tmp_path), LiveState(tmp_path / STATE_FILE, model)
    ordered = {}
    for user in IDS * 2:
        found = items(service.recommendations(user, None, 4, explore="epsilon=1"))
        taken = [
            {"user_id": user, "item_id": item, "event": kind}
            for item, _ in found
            if (kind := "like" if int(item[1:]) % 3 == 0 else "skip")
        ]
        state.apply(read_events(taken, domain="book")[0])
    state.close()
    for method in ("greedy", "thompson=0", "linucb=0"):
        learned = served(model, tmp_path, method)
        found = [items(learned.recommendations(u, None, 4, explore=None)) for u in IDS]
        ordered[method] = np.mean([int(item[1:]) % 3 == 0 for one in found for item, _ in one])
    assert min(ordered["thompson=0"], ordered["linucb=0"]) > ordered["greedy"] + 0.1
    learned.recommendations(IDS[0], None, 4, explore="thompson=0.2")  # they learn the same
    with pytest.raises(Problem, match="has not learned"):
        service.recommendations(IDS[0], None, 4, explore="thompson")


def test_without_a_log_nothing_explores(model, tmp_path):
    with pytest.raises(Problem, match="Only `interest serve` explores"):
        Service(model).recommendations(IDS[0], None, 4, explore="epsilon")
    with pytest.raises(ConfigError, match="epsilon"):
        Exploring(model, tmp_path, "epsilom")
    for wrong in ("epsilom", "epsilon=2", "epsilon=much"):
        with pytest.raises(ConfigError):
            served(model, tmp_path).recommendations(IDS[0], None, 4, explore=wrong)
    with pytest.raises(Problem, match="at most 30"):
        served(model, tmp_path).recommendations(IDS[0], None, 31, explore="epsilon")
    (tmp_path / SHOWN_FILE).mkdir()
    service = served(model, tmp_path)
    with pytest.raises(Problem, match="cannot be logged"):
        service.recommendations(IDS[0], None, 4, explore="epsilon")
    assert items(service.recommendations(IDS[0], None, 4))
