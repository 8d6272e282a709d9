"""The evaluation benchmark: one problem, the same figures everywhere."""

import sys

import numpy as np
import pytest

from eval import benchmark
from eval.benchmark import FactorScorer, measure_evaluation
from graphgen.errors import ConfigError, InterestError


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(benchmark, "CATALOGUES", {"a": 300, "b": 200})


def test_the_problem_is_sound():
    scorer = FactorScorer({"a": 60, "b": 40}, 200, 8, seed=1)
    for domain in scorer.domains:
        seen = scorer.seen(scorer.ids, domain=domain)
        assert seen.multiply(scorer.truth[domain]).nnz == 0
        assert scorer.score(scorer.ids[:3], domain=domain).shape == (3, len(scorer.items(domain)))
    assert scorer.truth_frame().user_id.nunique() > 150


@pytest.mark.slow
def test_pyg_finds_the_same_figures_on_the_same_problem(small):
    table = measure_evaluation(n_users=2000, rivals={"pyg": sys.executable}).table
    ours, theirs = table.iloc[-2], table.iloc[-1]
    assert ours.users == theirs.users
    np.testing.assert_allclose([ours.recall, ours.ndcg], [theirs.recall, theirs.ndcg], rtol=1e-4)


def test_a_rival_that_fails_says_why(small, tmp_path):
    with pytest.raises(ConfigError, match="no rival 'surprise'"):
        measure_evaluation(n_users=50, rivals={"surprise": sys.executable})
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'No module named lenskit' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(InterestError, match="No module named lenskit"):
        measure_evaluation(n_users=50, rivals={"lenskit": str(broken)})
