"""Order without clocks: positions of a log, and what follows them."""

import logging

import numpy as np
import pandas as pd
import pytest

from eval.splits.protocols import make_split
from gnn import load_model, make_model
from gnn.data import TrainingData, known_histories
from gnn.holdout import hold_out
from gnn.numerics.order import sequences
from gnn.users import user_batch
from graphgen import build_graph, load_graph, read_log
from graphgen.errors import BadRowsError, InputError
from graphgen.log import InteractionLog

FRAME = pd.DataFrame(
    {
        "user_id": list("aaaabbbb"),
        "item_id": list("wxyzzyxw"),
        "domain": "book",
        "position": [3, 1, 0, 2, 0, 1, 2, 3],
    }
)


@pytest.fixture
def path(tmp_path):
    FRAME.to_csv(tmp_path / "log.csv", index=False)
    return tmp_path / "log.csv"


def test_positions_order_the_interactions_of_a_user(path):
    log = read_log(path)
    assert log == InteractionLog(FRAME)
    assert not log.has_time and log.order.tolist() == FRAME.position.tolist()
    assert repr(log).endswith("in order)")
    data = TrainingData.from_graph(build_graph(log, encoder="none"))
    assert data.times is None and not data.has_time
    # Columns w x y z; 1 + the position.
    assert data.order.toarray().tolist() == [[4, 2, 1, 3], [4, 3, 2, 1]]


@pytest.mark.parametrize("wrong", ["", "-1", "1.5", "first", "1e300"])
def test_a_position_is_a_whole_number(tmp_path, wrong):
    frame = FRAME.astype({"position": str})
    frame.loc[2, "position"] = wrong
    frame.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(BadRowsError, match="whole number of at least 0"):
        read_log(tmp_path / "log.csv")


def test_rows_in_order(path):
    frame = FRAME.drop(columns="position")
    frame.to_csv(path, index=False)
    assert read_log(path).order is None
    assert read_log(path, ordered=True).order.tolist() == list(range(8))


def test_timestamps_win_over_positions(tmp_path):
    FRAME.assign(timestamp=range(1_600_000_000, 1_600_000_008)).to_csv(
        tmp_path / "both.csv", index=False
    )
    log = read_log(tmp_path / "both.csv", ordered=True)
    assert log.has_time and "position" not in log.frame


def test_of_two_logs_one_without_positions(caplog):
    logs = InteractionLog(FRAME), InteractionLog(FRAME.drop(columns="position").assign(user_id="c"))
    with caplog.at_level(logging.WARNING):
        assert InteractionLog.concat(*logs).order is None
    assert "No positions in" in caplog.text


def test_the_last_position_of_each_user_is_held_out():
    (split,) = make_split(InteractionLog(FRAME), "leave-last-out")
    assert split.test.frame.item_id.tolist() == ["w", "w"]
    assert sorted(split.valid.frame.item_id) == ["x", "z"]
    with pytest.raises(InputError, match="needs timestamps and the log has none"):
        make_split(InteractionLog(FRAME), "temporal")


def test_rows_that_a_model_holds_out_are_the_latest():
    many = pd.DataFrame(
        {"user_id": np.repeat([f"u{n}" for n in range(30)], 6), "domain": "book"}
    ).assign(
        item_id=[f"i{n}" for n in np.random.default_rng(0).integers(0, 50, 180)],
        position=np.tile([5, 4, 3, 2, 1, 0], 30),
    )
    many = many.drop_duplicates(["user_id", "item_id"])
    smaller, rows = hold_out(build_graph(many, encoder="none"), seed=0)
    latest = many.sort_values("position").groupby("user_id").item_id.last()
    assert (rows.frame.item_id == latest[rows.frame.user_id].to_numpy()).all()
    data = TrainingData.from_graph(smaller)
    assert data.order.nnz == data.matrix.nnz == len(many) - len(rows)


def test_graph_and_model_keep_positions(tmp_path):
    graph = build_graph(FRAME, encoder="none")
    graph.save(tmp_path / "graph")
    assert load_graph(tmp_path / "graph").order == "position"
    model = make_model("transition-graph").fit(graph)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert (again.data.order != model.data.order).nnz == 0 and not again.data.has_time
    np.testing.assert_array_equal(
        again.score(["a"], domain="book"), model.score(["a"], domain="book")
    )


def test_a_history_follows_the_log():
    data = TrainingData.from_graph(build_graph(FRAME.query("position < 3"), encoder="none"))

    later = pd.DataFrame({"user_id": ["a"], "item_id": ["z"], "domain": "book"})
    assert user_batch(data, np.array(["a"], dtype=object), InteractionLog(later)).order.max() == 4
    dated = later.assign(timestamp="2024-01-01")
    assert user_batch(data, np.array(["a"], dtype=object), InteractionLog(dated)).order.max() == 4


def test_the_rows_of_a_history_are_in_order_after_training_on_positions():
    data = TrainingData.from_graph(build_graph(FRAME.query("position < 3"), encoder="none"))
    rows = InteractionLog(
        pd.DataFrame({"user_id": "new", "item_id": list("zyx"), "domain": "book"})
    )
    order = user_batch(data, np.array(["new"], dtype=object), rows).order.toarray()[0]
    assert order[[2, 1, 0]].tolist() == [4, 5, 6]


def several_domains(apart):
    """Each user goes through two books, then two films, numbered in each domain or over both."""
    films = [0, 1] if apart else [2, 3]
    return pd.DataFrame(
        {
            "user_id": np.repeat(list("abc"), 4),
            "domain": ["book", "book", "film", "film"] * 3,
            "item_id": ["x", "y", "u", "v"] * 3,
            "position": [0, 1, *films] * 3,
        }
    )


@pytest.mark.parametrize("apart", [True, False])
def test_positions_that_start_anew_in_each_domain_order_no_two_domains(apart):
    graph = build_graph(several_domains(apart), encoder="none", next_weight=0)
    across = {(a, b) for a, kind, b in graph.data.edge_types if kind == "next" and a != b}
    assert across == (set() if apart else {("book", "film")})
    data = TrainingData.from_graph(graph)
    assert data.orders_apart is apart
    histories = known_histories(data)
    assert histories.nnz == data.matrix.nnz
    assert histories.shape[0] == (6 if apart else 3)
    # What comes next in a domain is told by its own latest events first.
    users = data.batch(np.arange(3))
    latest = {name: sequences(data.order_in(name, users), 1)[0, 0] for name in data.domains}
    spans = {name: data.span(name).stop - 1 for name in data.domains}
    assert latest == (spans if apart else {"book": spans["film"], "film": spans["film"]})


def test_users_who_begin_two_domains_at_one_position_are_few_in_a_log_of_baskets():
    frame = several_domains(apart=False)
    frame.loc[:3, "position"] = [0, 1, 0, 1]
    data = TrainingData.from_graph(build_graph(frame, encoder="none"))
    assert not data.orders_apart
