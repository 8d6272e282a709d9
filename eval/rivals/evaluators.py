"""Rank and judge one saved score problem with another library's evaluator; print one JSON line.

It stands alone and runs in the rival's own environment, as
`python evaluators.py NAME problem.npz USERS` with NAME one of pyg, recbole, lenskit.
`interest bench eval --rival NAME=PYTHON` calls it.
"""

import json
import sys
import time

import numpy as np
import torch

KS = (10, 20, 50)
CHUNK = 1024


class Problem:
    """User and item factors, what each user has seen, and what is relevant."""

    def __init__(self, path, n_users):
        content = np.load(path)
        self.users = torch.from_numpy(content["users"][:n_users])
        self.items = torch.from_numpy(content["items"])
        self.n_users = len(self.users)
        self._seen = content["seen_start"], content["seen"]
        self._truth = content["truth_start"], content["truth"]

    def scores(self, low, high):
        block = self.users[low:high] @ self.items.T
        row, column = self._cells(self._seen, low, high)
        block[row, column] = -torch.inf
        return block

    def truth(self, low, high):
        return self._cells(self._truth, low, high)

    def _cells(self, table, low, high):
        start, column = table
        row = np.repeat(np.arange(high - low), np.diff(start[low : high + 1]))
        return torch.from_numpy(row), torch.from_numpy(column[start[low] : start[high]])


def pyg(problem):
    from torch_geometric.metrics import (
        LinkPredMAP,
        LinkPredMRR,
        LinkPredNDCG,
        LinkPredPrecision,
        LinkPredRecall,
    )

    kinds = (LinkPredRecall, LinkPredPrecision, LinkPredNDCG, LinkPredMAP, LinkPredMRR)
    metrics = {(kind.__name__, k): kind(k) for kind in kinds for k in KS}
    for low in range(0, problem.n_users, CHUNK):
        high = min(low + CHUNK, problem.n_users)
        best = problem.scores(low, high).topk(max(KS), dim=1).indices
        truth = torch.stack(problem.truth(low, high))
        for (_, k), metric in metrics.items():
            metric.update(best[:, :k], truth)
    return {
        "recall@20": float(metrics["LinkPredRecall", 20].compute()),
        "ndcg@20": float(metrics["LinkPredNDCG", 20].compute()),
    }


def recbole(problem):
    from recbole.evaluator import Collector, Evaluator

    for name, kind in (("bool", bool), ("int", int), ("float", float)):
        if name not in vars(np):  # RecBole 1.2.1 uses names that numpy 1.24 dropped.
            setattr(np, name, kind)

    class Settings(dict):
        def __missing__(self, key):
            return None

    settings = Settings(
        metrics=["Recall", "Precision", "Hit", "NDCG", "MRR", "MAP"],
        topk=list(KS),
        metric_decimal_place=6,
        device="cpu",
        eval_args={"mode": "full"},
    )
    collector, evaluator = Collector(settings), Evaluator(settings)
    # Its full-sort loader puts max(4096 // items, 1) users into a batch: one, on these catalogues.
    step = max(4096 // len(problem.items), 1)
    for low in range(0, problem.n_users, step):
        high = min(low + step, problem.n_users)
        collector.eval_batch_collect(problem.scores(low, high), None, *problem.truth(low, high))
    found = evaluator.evaluate(collector.get_data_struct())
    return {name: float(found[name]) for name in ("recall@20", "ndcg@20")}


def lenskit(problem):
    from lenskit.data import ItemList, ItemListCollection
    from lenskit.metrics import NDCG, Hit, Precision, Recall, RecipRank, RunAnalysis

    lists, truths = ItemListCollection(["user_id"]), ItemListCollection(["user_id"])
    for low in range(0, problem.n_users, CHUNK):
        high = min(low + CHUNK, problem.n_users)
        best = problem.scores(low, high).topk(max(KS), dim=1)
        row, column = (part.numpy() for part in problem.truth(low, high))
        edges = np.searchsorted(row, np.arange(high - low + 1))
        for user in range(high - low):
            ranked = ItemList(best.indices[user].numpy(), scores=best.values[user], ordered=True)
            lists.add(ranked, user_id=low + user)
            relevant = column[edges[user] : edges[user + 1]]
            truths.add(ItemList(relevant), user_id=low + user)
    analysis = RunAnalysis()
    for k in KS:
        for metric in (Recall, Precision, NDCG, RecipRank, Hit):
            # LensKit discounts places 1 and 2 alike unless told otherwise.
            usual = {"discount": lambda rank: np.log2(rank + 1)} if metric is NDCG else {}
            analysis.add_metric(metric(k, **usual), f"{metric.__name__}@{k}")
    summary = analysis.measure(lists, truths).list_metrics()
    return {
        "recall@20": float(summary["Recall@20"].mean()),
        "ndcg@20": float(summary["NDCG@20"].mean()),
    }


def main():
    name, path, n_users = sys.argv[1], sys.argv[2], int(sys.argv[3])
    judge = {"pyg": pyg, "recbole": recbole, "lenskit": lenskit}[name]
    judge(Problem(path, 8))  # Imports and first calls are not what is measured.
    problem = Problem(path, n_users)
    started = time.perf_counter()
    values = judge(problem)
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"users": problem.n_users, "seconds": seconds, **values}) + "\n")


if __name__ == "__main__":
    main()
