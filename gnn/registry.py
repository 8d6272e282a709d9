"""Models by name: a line here adds a model to the command line and the contract tests."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from graphgen.errors import ConfigError

if TYPE_CHECKING:
    from gnn.base import Model

__all__ = ["MODELS", "make_model", "model_class"]

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


def model_class(name: str) -> type[Model]:
    """Return the class registered under a name.

    Raises
    ------
    ConfigError
        If there is none; the message names the near miss.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(MODELS)}."
        raise ConfigError(f"There is no model {name!r}; {hint}")
    module, _, attribute = MODELS[name].partition(":")
    cls: type[Model] = getattr(importlib.import_module(module), attribute)
    return cls


def make_model(name: str, **settings: Any) -> Model:
    """Make a model by its registered name.

    Parameters
    ----------
    name
        One of `MODELS`, as ``interest models`` lists them.
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
