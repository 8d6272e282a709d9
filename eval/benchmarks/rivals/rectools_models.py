"""RecTools' EASE, iALS and LightFM on the joint matrix of all domains; see README.md."""

import numpy as np
import pandas as pd
from common import Rival, main
from problem import factors, inverted, inverted_note, listed

EPOCHS_A_LOOK = 2
MOST_EPOCHS = 100


def construct(problem):
    from rectools.dataset import Dataset

    rows = {
        "user_id": problem.user,
        "item_id": problem.item,
        "weight": 1.0,
        "datetime": "2000-01-01",
    }
    return Dataset.construct(pd.DataFrame(rows))


def recommend(model, dataset, problem):
    def rank(users, domain, k):
        part = problem.part[domain]
        lists = model.recommend(
            users=users,
            dataset=dataset,
            k=k,
            filter_viewed=True,
            items_to_recommend=np.arange(part.start, part.stop),
        )
        return listed(problem, users, k, lists["user_id"], lists["item_id"], lists["score"])

    return rank


def ease(problem, setting, seed):
    yield inverted(problem, lambda part: ease_of(part, setting))


def ease_of(problem, setting):
    from rectools.models import EASEModel

    dataset = construct(problem)
    return recommend(EASEModel(**setting).fit(dataset), dataset, problem)


def als(problem, setting, seed):
    from implicit.als import AlternatingLeastSquares
    from rectools.models import ImplicitALSWrapperModel

    dataset = construct(problem)
    model = ImplicitALSWrapperModel(AlternatingLeastSquares(**setting, random_state=seed))
    yield recommend(model.fit(dataset), dataset, problem)


def lightfm(problem, setting, seed):
    from lightfm import LightFM
    from rectools.models import LightFMWrapperModel

    dataset = construct(problem)
    model = LightFMWrapperModel(LightFM(**setting, random_state=seed), num_threads=2)
    order = dataset.user_id_map.convert_to_internal(np.arange(problem.n_users))
    place = dataset.item_id_map.convert_to_internal(np.arange(problem.n_items))
    for _ in range(0, MOST_EPOCHS, EPOCHS_A_LOOK):
        model.fit_partial(dataset, epochs=EPOCHS_A_LOOK)
        users, items = model.get_vectors(dataset)
        yield factors(problem, users[order], items[place])


ALS_SETTINGS = [
    {"factors": factors_, "alpha": alpha, "regularization": regularization, "iterations": 15}
    for factors_ in (64, 128, 256)
    for alpha, regularization in ((10, 1), (2, 0.1), (10, 10), (40, 10))
]
LIGHTFM_SETTINGS = [
    {"no_components": size, "loss": "warp", "learning_rate": rate}
    for size in (64, 128)
    for rate in (0.05, 0.02)
]
RIVALS = {
    "EASE": Rival(
        ease,
        [{"regularization": weight} for weight in (250, 500, 100, 1000, 50)],
        (ease_of, construct, recommend),
        inverted_note,
    ),
    "ALS": Rival(als, ALS_SETTINGS, (construct, recommend)),
    "LightFM": Rival(lightfm, LIGHTFM_SETTINGS, (construct,)),
}

if __name__ == "__main__":
    main(RIVALS)
