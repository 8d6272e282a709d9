"""RecTools' LightFM on the joint matrix of all domains; see README.md."""

import numpy as np
import pandas as pd
from common import Rival, main
from problem import factors

EPOCHS_A_LOOK = 2
MOST_EPOCHS = 100


def lightfm(problem, setting, seed):
    from lightfm import LightFM
    from rectools.dataset import Dataset
    from rectools.models import LightFMWrapperModel

    rows = pd.DataFrame({"user_id": problem.user, "item_id": problem.item})
    dataset = Dataset.construct(rows.assign(weight=1.0, datetime="2000-01-01"))
    model = LightFMWrapperModel(LightFM(**setting, random_state=seed), num_threads=2)
    order = dataset.user_id_map.convert_to_internal(np.arange(problem.n_users))
    place = dataset.item_id_map.convert_to_internal(np.arange(problem.n_items))
    for _ in range(0, MOST_EPOCHS, EPOCHS_A_LOOK):
        model.fit_partial(dataset, epochs=EPOCHS_A_LOOK)
        users, items = model.get_vectors(dataset)
        yield factors(problem, users[order], items[place])


LIGHTFM_SETTINGS = [
    {"no_components": size, "loss": "warp", "learning_rate": rate}
    for size in (64, 128)
    for rate in (0.05, 0.02)
]
RIVALS = {"LightFM": Rival(lightfm, LIGHTFM_SETTINGS)}

if __name__ == "__main__":
    main(RIVALS)
