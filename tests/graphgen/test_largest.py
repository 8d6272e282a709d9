"""The largest values against a plain sort, on rows of every kind."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from graphgen import pieces
from graphgen.topk import largest

KINDS = {
    "smooth": lambda generator, shape: generator.normal(size=shape),
    "few levels": lambda generator, shape: generator.integers(0, 4, shape),
    "constant": lambda generator, shape: np.zeros(shape),
    "mostly masked": lambda generator, shape: np.where(
        generator.random(shape) < 0.02, generator.normal(size=shape), -np.inf
    ),
    "rising": lambda generator, shape: np.arange(np.prod(shape)).reshape(shape),
    "infinite": lambda generator, shape: np.where(generator.random(shape) < 0.01, np.inf, 0.0),
}


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=12),
    columns=st.integers(1, 900),
    count=st.integers(1, 25),
    seed=st.integers(0, 2**32),
)
def test_equals_sorting(kinds, columns, count, seed):
    generator = np.random.default_rng(seed)
    count = min(count, columns)
    block = np.concatenate([KINDS[kind](generator, (1, columns)) for kind in kinds])
    block = block.astype(np.float32)
    values, places = largest(torch.from_numpy(block), count)
    np.testing.assert_array_equal(values, -np.sort(-block, axis=1)[:, :count])
    np.testing.assert_array_equal(values, np.take_along_axis(block, places, axis=1))
    assert all(len(set(row)) == count for row in places.tolist())


@pytest.mark.parametrize("column", [0, 700, 998, 999])
def test_a_row_that_holds_nan_says_so(column):
    block = torch.randn(4, 999 + 1, generator=torch.Generator().manual_seed(0))
    block[2, column] = torch.nan
    values, _ = largest(block, 5)
    assert np.isnan(values).sum(axis=1).tolist() == [0, 0, 1, 0]
    assert np.isnan(values[2, 0])


def test_pieces_and_threads_change_nothing(monkeypatch):
    block = torch.randn(50, 2000, generator=torch.Generator().manual_seed(0))
    whole = largest(block, 20)
    monkeypatch.setattr(pieces, "PIECE_SCORES", 6000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for one, other in zip(whole, largest(block, 20), strict=True):
        np.testing.assert_array_equal(one, other)


def test_map_pieces_leaves_no_limits_behind():
    def limits():
        blas = {
            m["filepath"]: m["num_threads"] for m in threadpool_info() if m["user_api"] == "blas"
        }
        return torch.get_num_threads(), blas

    def nested(n):
        return limits(), sum(pieces.map_pieces(abs, range(n)))

    def fails(n):
        if n == 3:
            raise ValueError("the third")
        return n

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        before = limits()
        seen = []
        with ThreadPoolExecutor(3) as pool:  # several callers at a time
            found = list(pool.map(lambda _: pieces.map_pieces(nested, range(6)), range(3)))
        assert [[total for _, total in one] for one in found] == [[0, 0, 1, 3, 6, 10]] * 3
        assert limits() == before
        results = pieces.map_pieces(nested, range(4), done=seen.append)
        assert seen == results
        for torch_threads, blas in (at for at, _ in results[1:]):
            assert torch_threads == 1
            assert set(blas.values()) <= {1}
        with pytest.raises(ValueError, match="the third"):
            pieces.map_pieces(fails, range(5))
        assert limits() == before
    finally:
        torch.set_num_threads(threads)
