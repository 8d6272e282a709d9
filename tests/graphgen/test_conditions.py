"""Conditions on item columns: the grammar, and what each comparison means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from graphgen.conditions import Condition, RowCondition
from graphgen.errors import ConfigError, InputError

ITEMS = pd.DataFrame(
    {
        "available": ["yes", "No", "YES", ""],
        "price": ["12,50", "8", "40.0", ""],
        "category": ["crime|satire", "crime", "drama", ""],
        "since": ["2020-01-05", "2021-03-01", "2019-12-31", ""],
        "Preis (EUR)": ["1", "2", "3", "4"],
    }
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("available=yes", [0, 2]),
        ("Available = yes and price < 20", [0]),
        ("price>=12.5", [0, 2]),
        ("not price<20", [2, 3]),
        ("available!=yes or price=40", [1, 2, 3]),
        ("(available=yes or available=no) and not (price in (8, 40))", [0]),
        ("category=crime", [0, 1]),
        ("category not in (drama, 'satire')", [1, 3]),
        ("price=''", [3]),
        ("since > 2019-12-31", [0, 1]),
        ('"Preis (EUR)" <= 2', [0, 1]),
    ],
)
def test_rows(text, rows):
    assert Condition(text).mask(ITEMS).nonzero()[0].tolist() == rows


@pytest.mark.parametrize(
    "text",
    ["", "price", "price<", "price<3 and", "(price<3", "price<3)", "price in 3", "price in (3",
     "price 'x", "and", "a=1 b=2", "\x00", 3,
     "(" * 3000 + "a=1" + ")" * 3000, "not " * 3000 + "a=1"],
)  # fmt: skip
def test_what_cannot_be_read_is_a_clear_error(text):
    with pytest.raises(ConfigError, match="condition"):
        Condition(text)


def test_columns_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="did you mean 'price'"):
        Condition("prise<3").mask(ITEMS)
    with pytest.raises(InputError, match="No row has a number in column 'available'"):
        Condition("available<3").mask(ITEMS)
    with pytest.raises(InputError, match="'price' holds numbers; 'cheap' is none"):
        Condition("price<cheap").mask(ITEMS)


LOG = pd.DataFrame(
    {
        "domain": pd.Categorical(["books", "books", "films", "films"]),
        "rating": np.array([4.1, 2.0, 4.1, np.nan], dtype="float32"),
        "event": pd.Categorical(["", "like", "skip", "like"]),
        "format": ["print", "audio book", "", "x"],
    }
)


@pytest.mark.parametrize(
    ("text", "about", "holds"),
    [
        ("rating>=4.1", [0, 1, 2], [0, 2]),
        ("Rating = 4.1", [0, 1, 2], [0, 2]),
        ("rating!=4.1", [0, 1, 2], [1]),
        ("books:rating>=4", [0, 1], [0]),
        ("films : event=LIKE", [2, 3], [3]),
        ("rating>=4 or event=like", [1, 2], [1, 2]),
        ("format='audio book' and not rating>3", [0, 1], [1]),
        ("rating in (2, 3)", [0, 1, 2], [1]),
        ("colour=red", [], []),
    ],
)
def test_rows_of_a_log(text, about, holds):
    found = RowCondition(text).rows(LOG)
    assert [rows.nonzero()[0].tolist() for rows in found] == [about, holds]
