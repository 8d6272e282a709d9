"""Published figures, reproduced by measurement.

The data are not part of the repository: set INTEREST_GOWALLA to a folder that holds ``train.txt``
and ``test.txt`` (or ``.txt.gz``) of Gowalla in LightGCN's split (29,858 users, 40,981 items).
"""

import os
from pathlib import Path

import pytest

from eval import evaluate
from gnn import make_model
from graphgen import build_graph
from graphgen.log import read_log

GOWALLA = os.environ.get("INTEREST_GOWALLA")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(GOWALLA is None, reason="needs INTEREST_GOWALLA, a folder of the data"),
]


def part(name):
    [path] = sorted(Path(GOWALLA).glob(f"{name}.txt*"))[:1]
    return read_log(path)


@pytest.fixture(scope="module")
def gowalla():
    graph = build_graph(part("train"), encoder="none")
    assert len(graph.vocabularies["user"]) == 29_858
    return graph, part("test")


@pytest.mark.parametrize(
    ("model", "recall", "ndcg"),
    [
        ("popularity", 0.0416, 0.0317),
        ("graph-filter", 0.1849, 0.1518),  # Shen et al., CIKM 2021, GF-CF
    ],
)
def test_gowalla(gowalla, model, recall, ndcg):
    graph, test = gowalla
    fitted = make_model(model).fit(graph)
    result = evaluate(fitted, test, k=20, metrics=["recall", "ndcg"], bootstrap=0)
    assert result.value("recall@20") == pytest.approx(recall, abs=2e-4)
    assert result.value("ndcg@20") == pytest.approx(ndcg, abs=2e-4)
