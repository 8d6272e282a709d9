from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphgen.errors import ConfigError, InputError, StorageError, UnknownIdError
from graphgen.ids import as_ids
from graphgen.vocabulary import SMALL_QUERY, Vocabulary

# The machines of CI are slow at times; that is no failure.
unhurried = settings(deadline=None, max_examples=60)

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda text: as_ids([text])[0].as_py() == text
)


@unhurried
@given(st.sets(ids))
def test_decode_undoes_encode_and_order_is_of_the_set(names):
    vocabulary = Vocabulary(names)
    assert vocabulary.ids.tolist() == sorted(names)
    assert vocabulary == Vocabulary(sorted(names, reverse=True))
    assert vocabulary.decode(vocabulary.encode(sorted(names))).tolist() == sorted(names)


@unhurried
@given(st.lists(ids), st.lists(ids))
def test_from_values_is_the_sorted_union(a, b):
    assert Vocabulary.from_values(a, pd.Series(b, dtype="str")).ids.tolist() == sorted({*a, *b})


def test_large_and_small_queries_agree():
    vocabulary = Vocabulary(str(i) for i in range(0, 1000, 2))
    query = pd.Series(np.arange(SMALL_QUERY + 1) % 1001).astype(str)
    large = vocabulary.encode(query, missing="mark")
    small = vocabulary.encode(query[:1001], missing="mark")
    np.testing.assert_array_equal(large[:1001], small)
    assert large.dtype == small.dtype == np.int64
    assert (large == -1).sum() == (~query.isin(vocabulary.ids)).sum()


def test_columns_of_any_kind_are_taken():
    vocabulary = Vocabulary(["1", "2"])
    for column in (
        [2, 1],
        np.array([2, 1]),
        pd.Series(["2", "1"], dtype="category"),
        pa.chunked_array([["2"], ["1"]]),
        pa.array(["2", "1"]).dictionary_encode(),
        (x for x in ("2", 1)),
    ):
        assert vocabulary.encode(column).tolist() == [1, 0]
    assert vocabulary.encode([]).tolist() == []
    assert vocabulary.encode(pa.chunked_array([], pa.string())).tolist() == []
    assert vocabulary.decode(np.array([[0], [1]])).tolist() == [["1"], ["2"]]


def test_unknown_ids_are_named_with_the_near_miss():
    vocabulary = Vocabulary([f"film-{i}" for i in range(2000)])
    with pytest.raises(UnknownIdError, match=r"'film-1x', 'zz', 'a' and 1 more; did you mean 'fil"):
        vocabulary.encode(["film-1x", "zz", "a", "b", "film-7"])
    with pytest.raises(UnknownIdError, match=r"did you mean 'film-7'"):
        vocabulary.encode(["FILM-7"])
    assert vocabulary.encode([" film-7 "]).tolist() == vocabulary.encode(["film-7"]).tolist()
    with pytest.raises(UnknownIdError, match=r"did you mean '7'"):
        Vocabulary(["7"]).encode(["007"])
    assert "film-7" in vocabulary
    assert "film-x" not in vocabulary
    assert 7 not in vocabulary


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match=r"'a' occurs twice; use Vocabulary.from_values"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(InputError, match="An id is missing"):
        Vocabulary(["a", None])
    with pytest.raises(InputError, match=r"write \['abc'\]"):
        Vocabulary(["abc"]).encode("abc")
    with pytest.raises(InputError, match=r"must lie in 0 .. 0; got -1"):
        Vocabulary(["a"]).decode([-1])
    with pytest.raises(InputError, match="must be integers"):
        Vocabulary(["a"]).decode([0.0])
    with pytest.raises(ConfigError, match="got 'ignore'"):
        Vocabulary(["a"]).encode(["a"], missing="ignore")


def test_saved_vocabulary_comes_back(tmp_path):
    vocabulary = Vocabulary(["007", "七", 'a "b", c\nd'])
    vocabulary.save(tmp_path / "ids.arrow")
    loaded = Vocabulary.load(tmp_path / "ids.arrow")
    assert loaded == vocabulary
    assert hash(loaded) == hash(vocabulary)
    assert loaded.encode(["七"]).tolist() == vocabulary.encode(["七"]).tolist()
    Vocabulary([]).save(tmp_path / "none.arrow")
    assert len(Vocabulary.load(tmp_path / "none.arrow")) == 0


def test_foreign_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "ids.arrow"
    with pytest.raises(StorageError, match="No vocabulary at"):
        Vocabulary.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(StorageError, match="is not a vocabulary, or is damaged"):
        Vocabulary.load(path)
    table = pa.table({"id": pa.array(["a"], pa.large_string())})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(StorageError, match="but not a vocabulary"):
        Vocabulary.load(path)
    table = table.replace_schema_metadata({b"interest.vocabulary.schema_version": b"99"})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(StorageError, match=r"version 99, newer than 1.*Upgrade"):
        Vocabulary.load(path)
