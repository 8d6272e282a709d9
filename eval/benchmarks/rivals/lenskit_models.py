"""LensKit's implicit ALS, item KNN and EASE on the joint matrix of all domains; see README.md.

LensKit ranks one user at a time; EASE, whose one user costs a product with the whole matrix, is
ranked here from its weights.
"""

import numpy as np
import pandas as pd
from common import Rival, main
from problem import inverted, inverted_note, listed, scorer

VALID_USERS = 2000  # a domain


def log(problem):
    from lenskit.data import from_interactions_df

    return from_interactions_df(pd.DataFrame({"user_id": problem.user, "item_id": problem.item}))


def fit(component, problem, seed):
    from lenskit.batch import BatchPipelineRunner
    from lenskit.data import ItemList
    from lenskit.pipeline import topn_pipeline
    from lenskit.training import TrainingOptions

    pipeline = topn_pipeline(component)
    pipeline.train(log(problem), TrainingOptions(rng=seed))

    def rank(users, domain, k):
        part = problem.part[domain]
        most_seen = int(np.diff(problem.train[users][:, part].indptr).max(initial=0))
        runner = BatchPipelineRunner(n_jobs=1)
        runner.recommend(n=k + most_seen, items=ItemList(np.arange(part.start, part.stop)))
        lists = runner.run(pipeline, users.tolist()).output("recommendations").to_df()
        return listed(problem, users, k, lists["user_id"], lists["item_id"], lists["score"])

    return rank


def als(problem, setting, seed):
    from lenskit.als import ImplicitMFScorer

    yield fit(ImplicitMFScorer(**setting), problem, seed)


def item_knn(problem, setting, seed):
    from lenskit.knn import ItemKNNScorer

    yield fit(ItemKNNScorer(feedback="implicit", **setting), problem, seed)


def ease(problem, setting, seed):
    from lenskit.knn import EASEScorer

    def fitted(part):
        model = EASEScorer(**setting)
        model.train(log(part))
        place = model.items.numbers(np.arange(part.n_items))
        history, weights = part.train[:, np.argsort(place)], model.weights
        return scorer(part, lambda some, items: history[some] @ weights[:, place[items]])

    yield inverted(problem, fitted)


ALS_SETTINGS = [
    {"embedding_size": size, "weight": weight, "regularization": regularization, "epochs": 10}
    for size in (64, 128, 256)
    for weight, regularization in ((10, 1), (40, 0.1), (2, 0.1), (40, 10))
]
KNN_SETTINGS = [
    {"max_nbrs": neighbours, "min_sim": least}
    for least in (1e-6, 0.02)
    for neighbours in (20, 100, 50, 500, 10)
]
EASE_SETTINGS = [{"regularization": weight} for weight in (250, 500, 100, 1000, 50)]
SAMPLE = f"validated on {VALID_USERS:,} users a domain, drawn at random: one is ranked at a time"
RIVALS = {
    "ALS": Rival(als, ALS_SETTINGS, lambda _: SAMPLE, valid_users=VALID_USERS),
    "ItemKNN": Rival(item_knn, KNN_SETTINGS, lambda _: SAMPLE, valid_users=VALID_USERS),
    "EASE": Rival(ease, EASE_SETTINGS, inverted_note),
}

if __name__ == "__main__":
    main(RIVALS)
