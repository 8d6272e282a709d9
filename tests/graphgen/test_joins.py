"""Joins: what is lost is counted, many are warned of, all are refused."""

import logging

import numpy as np
import pandas as pd
import pytest

from graphgen.build import build_graph
from graphgen.errors import InputError, counted
from graphgen.joins import check_join, found_in

LOG = pd.DataFrame(
    {"user_id": list("aabbccdd"), "item_id": [f"{n}.5" for n in range(8)], "domain": "film"}
)


def said(caplog, *arguments, **options):
    with caplog.at_level(logging.WARNING):
        caplog.clear()
        lost = check_join(*arguments, **options)
    return lost, caplog.text


def test_few_are_only_counted_and_many_are_named(caplog):
    known = np.arange(100)
    few = found_in([*range(95), *range(200, 205)], known)
    assert said(caplog, "row", "the list", few, "the log") == (5, "")
    many = found_in([1, 300, 301], known)
    lost, text = said(
        caplog, "row", "the list", many, "the log", ours=["1", "300", "301"], theirs=["1", "2"],
        effect="They are left out.",
    )  # fmt: skip
    assert lost == 2
    assert "2 of 3 rows of the list do not occur in the log: the list has '300', '301'" in text
    assert text.rstrip().endswith("They are left out.")


@pytest.mark.parametrize(
    ("ours", "theirs", "hint"),
    [
        (["12.0", "13.0"], ["12", "13"], "'.0' behind"),
        (["ABC", "DEF"], ["abc", "def"], "upper and lower case"),
        (["0012", "0013"], ["12", "13"], "zeros"),
        (["tt12", "tt13"], ["12", "13"], "prefix"),
        (["x", "y"], ["12", "13"], "Do ids and domains match?"),
    ],
)
def test_all_are_refused_with_the_spelling_that_would_match(ours, theirs, hint):
    with pytest.raises(InputError, match="None of 2 items of the table occurs in the log") as error:
        check_join("item", "the table", found_in(ours, theirs), "the log", ours=ours, theirs=theirs)
    assert hint in str(error.value)


def test_no_row_is_no_loss():
    assert check_join("row", "the list", np.zeros(0, bool), "the log") == 0


def test_items_that_the_log_does_not_mention(caplog):
    strange = pd.DataFrame({"item_id": ["x1", "x2"], "domain": "film", "title": "T"})
    with pytest.raises(InputError, match="None of 2 items of the item table"):
        build_graph(LOG, strange, encoder="none")
    with pytest.raises(InputError, match=r"\(music\) occurs in the log of film"):
        build_graph(LOG, strange.assign(domain="music"), encoder="none")
    one = pd.DataFrame({"item_id": ["0.5"], "domain": "film", "title": "T"})
    with caplog.at_level(logging.WARNING):
        build_graph(LOG, one, encoder="none")
    assert "7 of 8 items of the log of film do not occur in the item table" in caplog.text


def test_users_that_the_log_does_not_mention():
    with pytest.raises(InputError, match="None of 2 users of the user table"):
        build_graph(LOG, users=pd.DataFrame({"user_id": ["A", "B"]}), encoder="none")


def test_numbers_take_the_right_form():
    assert [counted(n, "user") for n in (0, 1, 1234)] == ["0 users", "1 user", "1,234 users"]
