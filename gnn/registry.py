"""Models by name: one line here, or an entry point ``interest.models`` of another package."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from gnn.persistence import read_model
from graphgen.errors import ConfigError, near_miss
from graphgen.plugins import load_plugin, plugins

if TYPE_CHECKING:
    from pathlib import Path

    from gnn.base import Model

__all__ = ["MODELS", "list_models", "load_model", "make_model", "model_class"]

GROUP = "interest.models"

MODELS: dict[str, str] = {
    "popularity": "gnn.baselines.popularity:Popularity",
    "item-knn": "gnn.baselines.neighbors:ItemKNN",
    "user-knn": "gnn.baselines.neighbors:UserKNN",
    "text-knn": "gnn.baselines.neighbors:TextKNN",
    "graph-filter": "gnn.baselines.spectral:GraphFilter",
    "cgsp": "gnn.baselines.cgsp:CGSP",
    "rules": "gnn.baselines.rules:Rules",
    "association": "gnn.baselines.association:Association",
    "transition-graph": "gnn.baselines.transitions:TransitionGraph",
    "ease": "gnn.baselines.linear:Ease",
    "ease-sparse": "gnn.baselines.linear:EaseSparse",
    "ials": "gnn.baselines.ials:IALS",
    "bridge-ridge": "gnn.baselines.factor_bridge:BridgeRidge",
    "bpr-mf": "gnn.baselines.bpr_mf:BPRMF",
    "cmf": "gnn.baselines.cmf:CMF",
    "lightgcn": "gnn.models.lightgcn:LightGCN",
    "bitgcf": "gnn.models.bitgcf:BiTGCF",
    "sasrec": "gnn.models.sasrec:SASRec",
    "mult-vae": "gnn.models.autoencoders:MultVAE",
    "sparse-autoencoder": "gnn.models.autoencoders:SparseAutoencoder",
    "text-bridge": "gnn.models.text_bridge:TextBridge",
    "emcdr": "gnn.models.bridges:EMCDR",
    "ptupcdr": "gnn.models.bridges:PTUPCDR",
    "shared-space": "gnn.models.shared_space:SharedSpace",
    "adversarial": "gnn.models.adversarial:Adversarial",
    "multitask": "gnn.models.multitask:MultiTask",
    "hetero-gnn": "gnn.models.hetero:HeteroGNN",
    "rules-gnn": "gnn.models.rules_gnn:RulesGNN",
    "interest-gan": "gnn.models.interest_gan:InterestGAN",
    "fusion": "gnn.models.fusion:Fusion",
    "stacking": "gnn.models.fusion:Stacking",
    "bagging": "gnn.models.augmented:Bagging",
    "boosting": "gnn.models.augmented:Boosting",
    "augmented": "gnn.models.augmented:Augmented",
    "interest-gnn": "gnn.models.interest.model:InterestGNN",
}


def list_models() -> list[str]:
    """Return the names of all models, those of other packages last.

    Examples
    --------
    >>> list_models()[:2]
    ['popularity', 'item-knn']
    """
    return list(dict.fromkeys([*MODELS, *plugins(GROUP)]))


def model_class(name: str) -> type[Model]:
    """Return the class registered under a name.

    Raises
    ------
    ConfigError
        If there is none; the message names the near miss.
    """
    if name not in MODELS:
        if name not in plugins(GROUP):
            names = list_models()
            hint = near_miss(str(name), names, f"there are {', '.join(names)}.")
            raise ConfigError(f"There is no model {name!r}; {hint}")
        from gnn.base import Model

        return cast("type[Model]", load_plugin(GROUP, name, Model))
    module, _, attribute = MODELS[name].partition(":")
    return cast("type[Model]", getattr(importlib.import_module(module), attribute))


def make_model(name: str, **settings: Any) -> Model:
    """Make a model, not fitted, by its registered name.

    Parameters
    ----------
    name
        One of `list_models`, as ``interest models`` lists them.
    **settings
        Fields of the model's `Config`.

    Raises
    ------
    ConfigError
        For an unknown name or setting; the message names the near miss.

    Examples
    --------
    >>> make_model("item-knn", neighbors=50)
    ItemKNN(not fitted)
    >>> make_model("popularty")
    Traceback (most recent call last):
        ...
    graphgen.errors.ConfigError: There is no model 'popularty'; did you mean 'popularity'?
    """
    return model_class(name)(**settings)


def load_model(path: str | Path) -> Model:
    """Open a model written by `Model.save` or ``interest train``.

    It scores exactly as before.

    Raises
    ------
    StorageError
        If the folder is no model, is damaged, or was written by a newer version.

    Examples
    --------
    >>> load_model("no/such/folder")
    Traceback (most recent call last):
        ...
    graphgen.errors.StorageError: no/such/folder is not a model (see `interest train`): ...
    """
    return cast("Model", read_model(path, make_model))
