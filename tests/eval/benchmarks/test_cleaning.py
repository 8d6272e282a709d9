import numpy as np
import pandas as pd

from eval.benchmarks.cleaning import AS_GIVEN, default_steps, measure_cleaning
from graphgen.log_files import read_log


def planted():
    """A log of users and of bots that push ten items, and a held-out row of each user."""
    rng = np.random.default_rng(0)
    rows, held_out = [], []
    for user in range(20):
        *known, last = rng.permutation(12)[:6]
        rows += [(f"u{user}", f"i{i}", 10**9 + 10**6 * n, 5) for n, i in enumerate(known)]
        held_out.append((f"u{user}", f"i{last}", 10**9 + 10**8, 5))
    for bot in range(40):
        rows += [(f"bot{bot}", f"pushed{n}", 10**9 + n, 5) for n in range(10)]
    columns = ["user_id", "item_id", "timestamp", "rating"]
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(held_out, columns=columns)


def test_leaving_out_bots_that_push_items_helps():
    frame, rows = planted()
    log = read_log(frame, deduplicate=False)
    steps = {"bots": {"max_rate": 8}, "nothing": {"max_rate": 1000}}
    table = measure_cleaning(log, rows, ["popularity"], steps=steps, k=5).set_index("step")
    assert table.rows_left_out.to_dict() == {AS_GIVEN: 0, "bots": 400, "nothing": 0}
    assert table.value["nothing"] == table.value[AS_GIVEN] == 0
    assert table.value["bots"] > table.low["bots"] > 0
    assert table.significant["bots"]


def test_default_steps_are_those_that_a_log_allows():
    frame, _ = planted()
    found = [tuple(step) for step in default_steps(read_log(frame, deduplicate=False)).values()]
    assert ("ratings",) in found
    assert ("max_rate",) in found
    plain = read_log(frame[["user_id", "item_id"]], deduplicate=False)
    assert list(default_steps(plain).values()) == [{"min_user": 5, "min_item": 5}]
