"""One rule for ids: what becomes text, what is missing and what is refused."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from graphgen.errors import InputError
from graphgen.ids import as_ids
from graphgen.vocabulary import Vocabulary

U = UUID("00000000-0000-0000-0000-000000000007")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["007", " 7 ", "NA", "1.0", "1e5"], ["007", "7", "NA", "1.0", "1e5"]),
        ([7, "7 ", 7.0, np.int32(7), np.float32(7), Decimal("7"), b"7", np.str_("7")], ["7"] * 8),
        ([2**70, 2**70 + 1], [str(2**70), str(2**70 + 1)]),
        ([9007199254740993, 1.0], ["9007199254740993", "1"]),
        (pd.Series([1, None]), ["1", None]),
        (pd.Series([2**60, None], dtype="Int64"), [str(2**60), None]),
        (pd.Categorical([2, None, 1]), ["2", None, "1"]),
        ([U], [str(U)]),
        (pa.array([U.bytes], pa.uuid()), [str(U)]),
        (["e\u0301"], ["\u00e9"]),
        (["", "  ", None, float("nan"), pd.NA, pd.NaT], [None] * 6),
        ((str(n) for n in range(2)), ["0", "1"]),
        (np.array([b"x", b"y"]), ["x", "y"]),
        ([], []),
    ],
)
def test_values_of_many_types_become_the_same_text(values, expected):
    assert as_ids(values).to_pylist() == expected


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ([1.0, 0.5], 2),
        ([1e17, 1.0], 1),
        ([9007199254740992.0], 1),  # may have been ...993
        ([1, float("inf")], 2),
        ([Decimal("3.5")], 1),
        (["a", True], 2),
        ([True], 1),
        (["a", b"\xff"], 2),
        (["\ud800"], 1),
        ([(1, 2)], 1),
        (np.zeros((2, 2)), 1),
        (pd.Categorical(["a", "b"]).rename_categories([0.5, 1.0]), 1),
        (pa.array([["a"]]), 1),
    ],
)
def test_a_value_that_cannot_be_an_id_is_named_with_its_row(values, row):
    with pytest.raises(InputError, match=rf"^users, row {row}: must be .*found"):
        as_ids(values, name="users")


@pytest.mark.parametrize("values", ["ann", b"ann", 7, None, {"ann": 1}])
def test_one_value_is_no_list(values):
    with pytest.raises(InputError, match="Expected a list of ids"):
        as_ids(values)


def test_a_vocabulary_finds_ids_whatever_their_type():
    vocabulary = Vocabulary([7, "caf\u00e9", U])
    found = vocabulary.encode([" 7", 7.0, "cafe\u0301 ", U])
    assert vocabulary.decode(found).tolist() == ["7", "7", "caf\u00e9", str(U)]
    assert 7 in vocabulary and "8" not in vocabulary and [7] not in vocabulary
