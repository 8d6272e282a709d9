"""Against trec_eval, the reference program of the field, through pytrec-eval-terrier."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics import MAP, MRR, NDCG, HitRate, Precision, RankedLists, Recall, RPrecision

pytrec_eval = pytest.importorskip("pytrec_eval")

LENGTH = 20
SAME = {
    "recall": Recall,
    "P": Precision,
    "success": HitRate,
    "ndcg_cut": NDCG,
    "map_cut": MAP,
}


@pytest.fixture(scope="module")
def judged():
    generator = np.random.default_rng(0)
    items = np.stack([generator.permutation(60)[:LENGTH] for _ in range(150)])
    sizes = generator.integers(1, 31, 150)
    relevant = [{int(i) for i in generator.permutation(60)[:size]} for size in sizes]
    measures = {f"{name}.5,10,20" for name in SAME} | {"recip_rank", "Rprec"}
    truth = {f"{u}": {f"{i}": 1 for i in good} for u, good in enumerate(relevant)}
    run = {
        f"{u}": {f"{i}": float(LENGTH - place) for place, i in enumerate(row)}
        for u, row in enumerate(items)
    }
    found = pytrec_eval.RelevanceEvaluator(truth, measures).evaluate(run)
    theirs = {m: np.array([found[f"{u}"][m] for u in range(150)]) for m in found["0"]}
    return RankedLists.of(items, relevant), sizes, theirs


@pytest.mark.parametrize("k", [5, 10, 20])
@pytest.mark.parametrize("name", ["recall", "P", "success", "ndcg_cut"])
def test_equal_at_every_k(judged, name, k):
    lists, _, theirs = judged
    np.testing.assert_allclose(SAME[name]()(lists, k), theirs[f"{name}_{k}"], atol=1e-9)


@pytest.mark.parametrize("k", [5, 10, 20])
def test_average_precision_differs_where_more_than_k_items_are_relevant(judged, k):
    """trec_eval divides by all relevant items, we by as many as a list of k can hold."""
    lists, sizes, theirs = judged
    ours = MAP()(lists, k)
    np.testing.assert_allclose(ours * np.minimum(sizes, k) / sizes, theirs[f"map_cut_{k}"])
    assert (ours[sizes > k] >= theirs[f"map_cut_{k}"][sizes > k]).all()


def test_reciprocal_rank_and_r_precision_of_the_whole_list(judged):
    lists, sizes, theirs = judged
    np.testing.assert_allclose(MRR()(lists, LENGTH), theirs["recip_rank"], atol=1e-9)
    held = sizes <= LENGTH  # trec_eval looks at more places than the list has
    ours = RPrecision()(lists, LENGTH)
    np.testing.assert_allclose(ours[held], theirs["Rprec"][held], atol=1e-9)
