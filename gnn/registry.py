"""Models by name. One line here puts a model into the command line and under the contract tests."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

from gnn.persistence import read_model
from graphgen.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from gnn.base import Model

__all__ = ["MODELS", "load_model", "make_model", "model_class"]

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


def load_model(path: str | Path) -> Model:
    """Open a model written by `Model.save` or ``interest train``.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    Model
        Fitted; it scores exactly as before.

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
    model: Model = read_model(path, make_model)
    return model
