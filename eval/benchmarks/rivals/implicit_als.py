"""implicit's ALS on the joint matrix of all domains, ranked by the library; see README.md."""

import numpy as np
from common import Rival, main
from problem import padded


def als(problem, setting, seed):
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**setting, random_state=seed)
    model.fit(problem.train, show_progress=False)

    def rank(users, domain, k):
        part = problem.part[domain]
        catalogue = np.arange(part.start, part.stop)
        lists = model.recommend(users, problem.train[users], N=k, items=catalogue)
        return padded(*lists, k)

    yield rank


SETTINGS = [
    {"factors": factors, "alpha": alpha, "regularization": regularization, "iterations": 15}
    for factors in (64, 128, 256)
    for alpha, regularization in ((10, 1), (2, 0.1), (10, 10), (40, 10))
]
RIVALS = {"ALS": Rival(als, SETTINGS)}

if __name__ == "__main__":
    main(RIVALS)
