"""Inputs that do not match one another: counted and said, or refused when all is lost."""

from __future__ import annotations

import pandas as pd
import pytest

from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.errors import InputError
from graphgen.log import InteractionLog

LOG = pd.DataFrame({"user_id": list("aabb"), "item_id": ["1", "2", "1", "3"], "domain": "film"})


def test_an_item_table_in_another_spelling_is_refused():
    items = pd.DataFrame({"item_id": ["1.0x", "2.0x"], "domain": "film", "title": ["A", "B"]})
    with pytest.raises(InputError, match="No item of the table occurs in the log"):
        build_graph(LOG, items, encoder="none")


def test_validation_rows_that_were_trained_on_are_refused_or_left_out(caplog):
    graph = build_graph(LOG, encoder="none")
    with pytest.raises(InputError, match="All 4 validation rows are training interactions"):
        make_model("popularity").fit(graph, valid=InteractionLog(LOG))
    some = pd.DataFrame({"user_id": ["a", "b"], "item_id": ["1", "2"], "domain": "film"})
    make_model("popularity").fit(graph, valid=InteractionLog(some))
    assert "1 of 2 validation rows are training interactions" in caplog.text
