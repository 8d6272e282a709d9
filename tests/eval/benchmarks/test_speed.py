"""The evaluation benchmark: one problem, the same figures everywhere."""

import sys

import numpy as np
import pytest

from eval.benchmarks import speed
from eval.benchmarks.speed import make_problem, measure_evaluation
from graphgen.errors import ConfigError, InterestError


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(speed, "CATALOGUES", {"a": (300, 2.0), "b": (200, 1.0)})


def test_the_problem_is_sound(small):
    problem = make_problem(200, seed=1)
    assert [len(problem.users[domain]) for domain in "ab"] == [133, 67]
    for domain in problem.domains:
        ids = problem.users[domain].ids
        seen, true = problem.seen(ids, domain=domain), problem.truth[domain]
        assert not seen.multiply(true).nnz
        assert seen.getnnz(axis=1).min() >= 1 and set(true.getnnz(axis=1)) <= {1, 2, 3}
        scores = problem.score(ids, domain=domain)
        assert scores.shape == (len(ids), len(problem.items(domain)))
        relevant = scores[true.nonzero()].reshape(-1, 1)
        better = (scores[true.nonzero()[0]] < relevant).mean()
        assert 0.85 < better < 0.995  # relevant items score high, and not trivially highest


def test_a_part_holds_the_first_users_of_each_domain(small):
    problem = make_problem(90)
    arrays, users = problem.part(30)
    assert users.domain.value_counts().to_dict() == {"a": 20, "b": 10}
    np.testing.assert_array_equal(arrays["a/users"], problem.user_factors["a"][:20])
    np.testing.assert_array_equal(np.diff(arrays["b/true_ptr"]), problem.truth["b"].getnnz(1)[:10])


@pytest.mark.slow
def test_pyg_finds_the_same_figures_on_the_same_problem(small):
    found = measure_evaluation(n_users=900, rivals={"pyg": sys.executable}, rival_users=600)
    assert found.table.users.tolist() == [900, 900, 900, 600]
    assert found.table.agrees.tolist() == [None, None, None, True]
    assert not found.strange and found.to_markdown().count("yes") == 1


def test_other_figures_are_noticed(small, tmp_path):
    liar = tmp_path / "python"
    liar.write_text(
        """#!/bin/sh
echo '{"version": "liar 1", "what": "invents", "users": 300, "seconds": 1, \
"peak_gigabytes": 1, "metrics": {"recall@20": 0.9, "ndcg@20": 0.9}}'
"""
    )
    liar.chmod(0o755)
    found = measure_evaluation(n_users=300, rivals={"pyg": str(liar)})
    assert found.strange == ["liar 1"]
    assert "| NO |" in found.to_markdown()


def test_a_rival_that_fails_says_why(small, tmp_path):
    with pytest.raises(ConfigError, match="no rival 'surprise'"):
        measure_evaluation(n_users=50, rivals={"surprise": sys.executable})
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'No module named lenskit' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(InterestError, match="No module named lenskit"):
        measure_evaluation(n_users=50, rivals={"lenskit": str(broken)})
    with pytest.raises(InterestError, match="cannot be run"):
        measure_evaluation(n_users=50, rivals={"lenskit": str(tmp_path / "nowhere")})
