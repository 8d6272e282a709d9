"""The whole way from a log to figures, against a published formula in dense matrices.

On Gowalla in LightGCN's split, ``interest bench models gowalla=FOLDER --models
popularity,graph-filter`` gives Recall@20 / NDCG@20 of .0416 / .0317 and .1849 / .1518; the latter
is what Shen et al. (CIKM 2021) print of GF-CF.
"""

import numpy as np
import pytest

from eval import evaluate
from gnn import make_model
from graphgen import build_graph
from graphgen.log import InteractionLog
from graphgen.synthetic.generator import synthesize

K = 20


def test_gf_cf_of_the_embedded_example():
    data = synthesize(n_users=300, n_items=400, seed=1)
    train, test = (
        frame[frame["domain"] == "film"].drop_duplicates(["user_id", "item_id"])
        for frame in (data.train, data.test)
    )
    test = test[test["user_id"].isin(train["user_id"]) & test["item_id"].isin(train["item_id"])]
    model = make_model("graph-filter").fit(build_graph(InteractionLog(train), encoder="none"))
    result = evaluate(
        model, InteractionLog(test), k=K, metrics=["recall", "ndcg"], by=[], bootstrap=0
    )

    users, items = (sorted(train[name].unique()) for name in ("user_id", "item_id"))
    seen = np.zeros((len(users), len(items)))
    for user, item in zip(train["user_id"], train["item_id"], strict=True):
        seen[users.index(user), items.index(item)] = 1
    # Equations 9 to 11: R~ = D_u^-1/2 R D_i^-1/2 and U, its leading right singular vectors.
    degree = seen.sum(axis=0)
    r = seen / np.sqrt(seen.sum(axis=1, keepdims=True) * degree)
    u = np.linalg.svd(r, full_matrices=False)[2][: model.config.rank].T
    ideal = np.diag(degree**-0.5) @ u @ u.T @ np.diag(degree**0.5)
    scores = np.where(seen > 0, -np.inf, seen @ (r.T @ r + model.config.alpha * ideal))

    recall, ndcg = [], []
    for user, rows in test.groupby("user_id", observed=True):
        wanted = set(rows["item_id"])
        best = [items[i] for i in np.argsort(-scores[users.index(user)], kind="stable")[:K]]
        gains = [1 / np.log2(place + 2) for place, item in enumerate(best) if item in wanted]
        recall.append(len(gains) / len(wanted))
        ndcg.append(sum(gains) / sum(1 / np.log2(p + 2) for p in range(min(K, len(wanted)))))
    assert len(recall) > 50
    assert result.value("recall@20") == pytest.approx(np.mean(recall), abs=2e-3)
    assert result.value("ndcg@20") == pytest.approx(np.mean(ndcg), abs=2e-3)
