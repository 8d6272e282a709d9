"""The printed description of a graph."""

import numpy as np
import pandas as pd

from eval.commands.describe import show_description
from graphgen import build_graph
from graphgen.description import describe


def test_only_the_largest_of_many_domains_are_listed(capsys):
    number = np.repeat(np.arange(40), np.arange(1, 41))
    log = pd.DataFrame({"user_id": [f"u{i % 50}" for i in range(len(number))]})
    log = log.assign(item_id=[f"i{i}" for i in range(len(log))])
    log["domain"] = [f"d{n:02d}" for n in number]
    show_description(describe(build_graph(log, encoder="none")))
    printed = capsys.readouterr().out
    assert "d39" in printed
    assert "d10" in printed
    assert "d09" not in printed
    assert "the largest of 40 domains" in printed
