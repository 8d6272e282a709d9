"""Rank and evaluate one saved score problem with another library's evaluator; print one JSON line.

It stands alone and runs in the rival's own environment, as `python evaluators.py NAME problem.npz`
with NAME one of pyg, recbole, recbole-wide, lenskit. `interest bench eval --rival NAME=PYTHON`
calls it. The problem is what `eval.benchmarks.speed.FactorScorer.part` returns.

Scoring, masking, cutting the lists and every metric are inside the clock; imports, reading and a
first run on a few users are not.
"""

import importlib.metadata
import json
import sys
import time

import numpy as np
import torch

KS = (10, 20, 50)
# Scores handled at a time where the library leaves the size of a block to its caller.
BLOCK_SCORES = 8_000_000
# RecBole's default `eval_batch_size`, and one that lets it rank several users at a time.
RECBOLE_BATCH = 4096
RECBOLE_WIDE_BATCH = 4_000_000
WARM_UP_USERS = 8


class Domain:
    """One catalogue: factors, seen items and relevant items by user."""

    def __init__(self, data, name, limit=None):
        self.users = data[f"{name}/users"][:limit]
        self.items = np.ascontiguousarray(data[f"{name}/items"].T)
        self.seen = data[f"{name}/seen_ptr"], data[f"{name}/seen_col"]
        self.true = data[f"{name}/true_ptr"], data[f"{name}/true_col"]
        self.n_users, self.n_items = len(self.users), self.items.shape[1]

    def scores(self, start, stop):
        return self.users[start:stop] @ self.items

    @staticmethod
    def pairs(csr, start, stop):
        pointer, column = csr
        size = np.diff(pointer[start : stop + 1])
        return np.repeat(np.arange(stop - start), size), column[pointer[start] : pointer[stop]]

    def top(self, length):
        """Yield start, stop and the best `length` unseen items of each user."""
        step = max(1, BLOCK_SCORES // self.n_items)
        for start in range(0, self.n_users, step):
            stop = min(start + step, self.n_users)
            scores = self.scores(start, stop)
            scores[self.pairs(self.seen, start, stop)] = -np.inf
            yield start, stop, torch.topk(torch.from_numpy(scores), length).indices


def average(parts):
    """Average metrics of domains, weighted by their users."""
    total = sum(n for n, _ in parts)
    return {m: sum(n * values[m] for n, values in parts) / total for m in parts[0][1]}


def pyg(domains):
    from torch_geometric import metrics as m

    kinds = {
        "recall": m.LinkPredRecall,
        "ndcg": m.LinkPredNDCG,
        "precision": m.LinkPredPrecision,
        "f1": m.LinkPredF1,
        "hit-rate": m.LinkPredHitRatio,
        "mrr": m.LinkPredMRR,
        "map": m.LinkPredMAP,
    }
    started = time.perf_counter()
    parts = []
    for domain in domains:
        collection = m.LinkPredMetricCollection(
            {f"{name}@{k}": kind(k) for name, kind in kinds.items() for k in KS}
        )
        for start, stop, best in domain.top(max(KS)):
            true = torch.from_numpy(np.stack(domain.pairs(domain.true, start, stop)))
            collection.update(best, true)
        found = {name: float(value) for name, value in collection.compute().items()}
        parts.append((domain.n_users, found))
    seconds = time.perf_counter() - started
    what = f"LinkPredMetricCollection of {len(kinds)} metrics; torch cuts the lists"
    return {"seconds": seconds, "metrics": average(parts), "what": what}


def recbole(domains, batch=RECBOLE_BATCH):
    """Feed Collector and Evaluator as FullSortEvalDataLoader and Trainer feed them."""
    from recbole.evaluator import Collector, Evaluator

    for name, kind in (("bool", bool), ("int", int), ("float", float)):
        if name not in vars(np):  # RecBole 1.2.1 uses names that numpy 1.24 dropped.
            setattr(np, name, kind)
    ranking = ["Recall", "NDCG", "Precision", "Hit", "MRR", "MAP"]

    def run(metrics):
        settings = {
            "metrics": metrics,
            "topk": list(KS),
            "device": torch.device("cpu"),
            "metric_decimal_place": 8,
            "eval_args": {"mode": {"valid": "full", "test": "full"}},
        }
        parts = []
        for domain in domains:
            collector, evaluator = Collector(settings), Evaluator(settings)
            # Item 0 is padding in RecBole; a user's items are tensors made when data is loaded.
            width = domain.n_items + 1
            step = max(batch // width, 1)
            history, positive = (
                [torch.from_numpy(c[p[u] : p[u + 1]] + 1) for u in range(domain.n_users)]
                for p, c in (domain.seen, domain.true)
            )
            for start in range(0, domain.n_users, step):
                stop = min(start + step, domain.n_users)
                old, good = history[start:stop], positive[start:stop]
                history_user = torch.cat([torch.full_like(x, i) for i, x in enumerate(old)])
                positive_user = torch.cat([torch.full_like(x, i) for i, x in enumerate(good)])
                scores = torch.empty(stop - start, width)
                scores[:, 1:] = torch.from_numpy(domain.scores(start, stop))
                scores[:, 0] = -np.inf
                scores[history_user, torch.cat(old)] = -np.inf
                collector.eval_batch_collect(scores, None, positive_user, torch.cat(good))
            found = evaluator.evaluate(collector.get_data_struct())
            parts.append((domain.n_users, {name: float(v) for name, v in found.items()}))
        return average(parts)

    started = time.perf_counter()
    metrics = run(ranking)
    ranked = time.perf_counter()
    run([*ranking, "GAUC"])
    seconds, auc_seconds = ranked - started, time.perf_counter() - ranked
    at_a_time = max(batch // max(domain.n_items for domain in domains), 1)
    what = f"Collector and Evaluator of {len(ranking)} metrics; eval_batch_size {batch:,}: "
    what += "one user at a time" if at_a_time == 1 else f"{at_a_time:,} users or more at a time"
    return {"seconds": seconds, "auc_seconds": auc_seconds, "metrics": metrics, "what": what}


def recbole_wide(domains):
    return recbole(domains, RECBOLE_WIDE_BATCH)


def lenskit(domains):
    from lenskit.data import ItemList, ItemListCollection
    from lenskit.metrics import NDCG, Hit, Precision, Recall, RecipRank, RunAnalysis

    names = {Recall: "recall", NDCG: "ndcg", Precision: "precision", Hit: "hit-rate"}
    names[RecipRank] = "mrr"
    started = time.perf_counter()
    parts = []
    for domain in domains:
        analysis = RunAnalysis()
        for kind, name in names.items():
            for k in KS:
                # LensKit's own discount treats places 1 and 2 alike; this is the usual one.
                usual = {"discount": lambda place: np.log2(place + 1)} if kind is NDCG else {}
                analysis.add_metric(kind(n=k, **usual), f"{name}@{k}")
        lists, truths = (ItemListCollection.empty(["user_id"]) for _ in range(2))
        pointer, column = domain.true
        for start, _, best in domain.top(max(KS)):
            for user, items in enumerate(best.numpy(), start):
                lists.add(ItemList(item_ids=items, ordered=True), user_id=user)
                relevant = column[pointer[user] : pointer[user + 1]]
                truths.add(ItemList(item_ids=relevant), user_id=user)
        found = analysis.measure(lists, truths).list_metrics().mean()
        parts.append((domain.n_users, {name: float(value) for name, value in found.items()}))
    seconds = time.perf_counter() - started
    what = f"RunAnalysis of {len(names)} metrics; torch cuts the lists"
    return {"seconds": seconds, "metrics": average(parts), "what": what}


RIVALS = {"pyg": pyg, "recbole": recbole, "recbole-wide": recbole_wide, "lenskit": lenskit}
PACKAGES = {"pyg": "torch-geometric", "recbole-wide": "recbole"}


def peak_gigabytes():
    # getrusage would hand down the peak of the process that started this one.
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def main():
    name, path = sys.argv[1:]
    with np.load(path, allow_pickle=False) as file:
        data = {key: file[key] for key in file.files}
    names = sorted({key.partition("/")[0] for key in data})
    RIVALS[name]([Domain(data, domain, WARM_UP_USERS) for domain in names])
    domains = [Domain(data, domain) for domain in names]
    result = RIVALS[name](domains)
    package = PACKAGES.get(name, name)
    result["version"] = f"{package} {importlib.metadata.version(package)}"
    result["users"] = sum(domain.n_users for domain in domains)
    result["peak_gigabytes"] = peak_gigabytes()
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
