"""Models of transformers that encode pictures or sound, by a folder or hub name."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from graphgen.errors import ConfigError
from graphgen.features.packaged import device

__all__ = ["PretrainedModel", "add_model_files", "folder_hash", "pooled"]


class PretrainedModel(ABC):
    """What the encoders over a model of transformers share: its files, and their hash."""

    kind: ClassVar[str]
    """Of the inputs, for errors."""
    reader: ClassVar[str]
    """The class of transformers that reads inputs."""
    others: ClassVar[str]
    """The encoders that need no model, for errors."""

    def __init__(self, model: str) -> None:
        self.name = model

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        import transformers

        try:
            reader = getattr(transformers, self.reader).from_pretrained(self.name)
            model = transformers.AutoModel.from_pretrained(self.name)
            return reader, model.eval().to(device())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No {self.kind} encoder {self.name!r}: it is neither a folder with a transformers "
                f"model nor a hub name that can be reached. Use {self.others}, a path or a hub "
                f"name. ({str(error).splitlines()[0]})"
            ) from error

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of the vectors."""

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's files, or its hub name and width."""
        return folder_hash(self.name) or f"{self.name.replace('/', '--')}-{self.dim}"


def pooled(found: Any) -> np.ndarray:
    """Return float32 [n, dim], rows of length 1, of the output of a transformers model."""
    import torch

    if not isinstance(found, torch.Tensor):
        pool = getattr(found, "pooler_output", None)
        found = found.last_hidden_state if pool is None else pool
    if found.dim() > 2:
        found = found.flatten(2).mean(2) if found.dim() == 4 else found.mean(1)
    vectors: np.ndarray = torch.nn.functional.normalize(found.float()).cpu().numpy()
    return vectors


def add_model_files(digest: Any, folder: Path) -> None:
    """Update a hash of hashlib with the files of a model in a folder."""
    for path in sorted(folder.iterdir()):
        if path.suffix in {".json", ".safetensors", ".bin", ".txt", ".model"}:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())


def folder_hash(model: str) -> str:
    """Return the name of a folder and a hash of the model in it; "" if it is no folder."""
    folder = Path(model)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    add_model_files(digest, folder)
    return f"{folder.name}-{digest.hexdigest()[:16]}"
