"""RecBole's LightGCN and BPR on the joint matrix of all domains; see README.md.

RecBole ranks one user at a time above 2,048 items, so its trained vectors are ranked here.
"""

import os
import tempfile

import numpy as np
from common import Rival, main
from problem import factors

os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
EPOCHS_A_LOOK = 2
MOST_EPOCHS = 300  # RecBole's default


def train(name, vectors, problem, setting, seed):
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_logger, init_seed

    settings = {
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"split": {"RS": [1, 0, 0]}, "group_by": None, "order": "RO", "mode": "full"},
        "metrics": ["NDCG"],
        "valid_metric": "NDCG@20",
        "topk": [20],
        "state": "ERROR",
        "show_progress": False,
        "seed": seed,
        **setting,
    }
    with tempfile.TemporaryDirectory() as folder:
        settings.update(data_path=folder, checkpoint_dir=f"{folder}/saved")
        os.makedirs(f"{folder}/log")
        with open(f"{folder}/log/log.inter", "w") as file:
            file.write("user_id:token\titem_id:token\n")
            np.savetxt(file, np.column_stack([problem.user, problem.item]), "%d", "\t")
        config = Config(model=name, dataset="log", config_dict=settings)
        init_seed(config["seed"], config["reproducibility"])
        init_logger(config)
        dataset = create_dataset(config)
        train_data, _, _ = data_preparation(config, dataset)
        users = dataset.token2id("user_id", [str(user) for user in range(problem.n_users)])
        items = dataset.token2id("item_id", [str(item) for item in range(problem.n_items)])
        model = get_model(name)(config, train_data.dataset).to(config["device"])
        trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
        for epoch in range(0, MOST_EPOCHS, EPOCHS_A_LOOK):
            trainer.start_epoch, trainer.epochs = epoch, epoch + EPOCHS_A_LOOK
            trainer.fit(train_data, saved=False, verbose=False)
            user_vectors, item_vectors = (part.detach().numpy() for part in vectors(model))
            yield factors(problem, user_vectors[users], item_vectors[items])


def lightgcn(problem, setting, seed):
    yield from train("LightGCN", lambda model: model.forward(), problem, setting, seed)


def bpr(problem, setting, seed):
    def vectors(model):
        return model.user_embedding.weight, model.item_embedding.weight

    yield from train("BPR", vectors, problem, setting, seed)


LIGHTGCN_SETTINGS = [
    {"learning_rate": 0.01, "train_batch_size": 8192, "n_layers": 2, "reg_weight": 1e-4},
    {"learning_rate": 0.005, "train_batch_size": 8192, "n_layers": 3, "reg_weight": 1e-4},
    {"learning_rate": 0.002, "train_batch_size": 2048, "n_layers": 2, "reg_weight": 1e-4},
    {"learning_rate": 0.01, "train_batch_size": 8192, "n_layers": 1, "reg_weight": 1e-3},
]
BPR_SETTINGS = [
    {"learning_rate": rate, "train_batch_size": batch, "embedding_size": size}
    for size in (64, 128)
    for rate, batch in ((0.01, 8192), (0.005, 8192), (0.002, 2048), (0.001, 2048))
]
RIVALS = {"LightGCN": Rival(lightgcn, LIGHTGCN_SETTINGS), "BPR": Rival(bpr, BPR_SETTINGS)}

if __name__ == "__main__":
    main(RIVALS)
