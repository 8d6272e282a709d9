"""Models by name: one line here, or an entry point ``interest.models`` of another package."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from graphgen.errors import ConfigError
from graphgen.plugins import load_plugin, plugins

if TYPE_CHECKING:
    from gnn.base import Model

__all__ = ["MODELS", "list_models", "make_model", "model_class"]

GROUP = "interest.models"

MODELS: dict[str, str] = {
    "popularity": "gnn.baselines.popularity:Popularity",
    "item-knn": "gnn.baselines.item_knn:ItemKNN",
    "user-knn": "gnn.baselines.user_knn:UserKNN",
    "text-knn": "gnn.baselines.text:TextKNN",
    "graph-filter": "gnn.baselines.spectral:GraphFilter",
    "ease": "gnn.baselines.linear:Ease",
    "ease-sparse": "gnn.baselines.linear_sparse:EaseSparse",
    "ials": "gnn.baselines.ials:IALS",
    "bridge-ridge": "gnn.baselines.bridge:BridgeRidge",
    "bpr-mf": "gnn.baselines.bpr_mf:BPRMF",
    "lightgcn": "gnn.models.lightgcn:LightGCN",
    "bitgcf": "gnn.models.bitgcf:BiTGCF",
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
            near = difflib.get_close_matches(name, list_models(), n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"there are {', '.join(list_models())}."
            )
            raise ConfigError(f"There is no model {name!r}; {hint}")
        from gnn.base import Model

        plugin: type[Model] = load_plugin(GROUP, name, Model)
        return plugin
    module, _, attribute = MODELS[name].partition(":")
    cls: type[Model] = getattr(importlib.import_module(module), attribute)
    return cls


def make_model(name: str, **settings: Any) -> Model:
    """Make a model by its registered name.

    Parameters
    ----------
    name
        One of `list_models`, as ``interest models`` lists them.
    **settings
        Fields of the model's `Config`.

    Returns
    -------
    Model
        Not fitted.

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
