"""Encoders by name, for texts, pictures and sound, and encoding with the cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from graphgen.errors import ConfigError
from graphgen.features.audio import AudioModel, MelEncoder
from graphgen.features.bert import BATCH_SIZE, BertEncoder, Int8Encoder, StaticEncoder
from graphgen.features.cache import VectorCache, default_cache_dir
from graphgen.features.images import CNNEncoder, VisionModel
from graphgen.features.text import HashingEncoder, MultilingualEncoder
from graphgen.features.trained import TrainedEncoder
from graphgen.plugins import load_plugin, plugins
from graphgen.progress import progress_bar
from graphgen.schema import AUDIO, IMAGE, TEXT

__all__ = ["KINDS", "Encoder", "encode", "encode_files", "existing_files", "make_encoder"]

logger = logging.getLogger(__name__)

GROUP = "interest.encoders"
# What is encoded.
KINDS = (TEXT, IMAGE, AUDIO)
# Inputs between two writes to the cache: the most that an interruption costs, about 40 s of BERT.
PER_SHARD: Final = {TEXT: 8192, IMAGE: 512, AUDIO: 512}


class Encoder(Protocol):
    """The interface of an encoder of texts, or of files by their paths."""

    name: str

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    @property
    def fingerprint(self) -> str:
        """Name and content hash: equal fingerprints give equal vectors."""
        ...

    def encode(self, inputs: Sequence[str], /) -> np.ndarray:
        """Return float32 [len(inputs), dim] with rows of length 1."""
        ...


def make_encoder(name: str, kind: str = TEXT, *, max_tokens: int = 128) -> Encoder | None:
    """Make an encoder by name.

    Parameters
    ----------
    name
        Of texts: ``minilm``, ``int8``, ``static``, ``static:MODEL``, ``multilingual``, ``hashing``,
        an entry point ``interest.encoders`` of another package, or a folder or hub name of a
        transformers model. Of images ``cnn``, of audio ``mel``; of both ``trained``, which must be
        fitted, or a transformers model. ``none``.
    kind
        One of `KINDS`.
    max_tokens
        For language models: longer texts are cut.

    Returns
    -------
    Encoder or None
        None for ``none``.

    Raises
    ------
    MissingDependencyError
        If the encoder needs an extra of this package that is not installed.

    Examples
    --------
    >>> make_encoder("hashing").encode(["a green door"]).shape
    (1, 256)
    """
    if name == "none":
        return None
    if kind != TEXT and name == "trained":
        return TrainedEncoder(kind)
    if kind == IMAGE:
        return CNNEncoder() if name == "cnn" else VisionModel(name)
    if kind == AUDIO:
        return MelEncoder() if name == "mel" else AudioModel(name)
    if name == "hashing":
        return HashingEncoder()
    if name in plugins(GROUP):
        encoder: Encoder = load_plugin(GROUP, name, object)()
        return encoder
    models: dict[str, Callable[..., Any]] = {
        "multilingual": MultilingualEncoder,
        "int8": Int8Encoder,
        "static": StaticEncoder,
    }
    if name in models:
        return models[name](max_tokens=max_tokens)
    if name.startswith("static:"):
        return StaticEncoder(name.removeprefix("static:"), max_tokens=max_tokens)
    return BertEncoder(name, max_tokens=max_tokens)


def encode(
    encoder: Encoder,
    inputs: pd.Series,
    *,
    kind: str = TEXT,
    keys: pd.Series | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> tuple[np.ndarray, int]:
    """Encode inputs, each distinct one once, and only those that the cache does not hold.

    Parameters
    ----------
    encoder
        Encoder to use.
    inputs
        n non-empty strings, repeats allowed: texts, or paths of files.
    kind
        One of `KINDS`.
    keys
        What tells inputs apart in the cache, such as a hash of a file; None for the inputs.
    cache_dir
        Root of the cache; None for `default_cache_dir`.
    progress
        Show a bar.

    Returns
    -------
    vectors, n_encoded
        float32 [n, dim], and the number of distinct inputs that had to be encoded.
    """
    codes, distinct = pd.factorize((inputs if keys is None else keys).to_numpy(dtype=object))
    first = np.unique(codes, return_index=True)[1]
    what = inputs.to_numpy(dtype=object)[first]
    cache = VectorCache(Path(cache_dir or default_cache_dir()) / kind / encoder.fingerprint)
    found, cached = cache.get(distinct)
    vectors = np.empty((len(distinct), encoder.dim), dtype=np.float32)
    if found.any():
        vectors[found] = cached
    missing = np.flatnonzero(~found)
    # Long texts last within the run and alike within a shard: little padding,
    # and a realistic estimate of the time left.
    missing = missing[np.argsort([len(text) for text in what[missing]], kind="stable")]
    title, shown = f"Encoding {kind} ({encoder.name})", progress and len(missing) > 0
    step = BATCH_SIZE * (8 if kind == TEXT else 1)
    with progress_bar(title, len(missing), enabled=shown) as advance:
        for start in range(0, len(missing), PER_SHARD[kind]):
            shard = missing[start : start + PER_SHARD[kind]]
            for low in range(0, len(shard), step):
                part = shard[low : low + step]
                vectors[part] = encoder.encode(list(what[part]))
                advance(len(part))
            cache.put(distinct[shard], vectors[shard])
    return vectors[codes], len(missing)


def encode_files(
    encoder: Encoder, paths: pd.Series, *, kind: str, **options: Any
) -> tuple[np.ndarray, int]:
    """Encode files, cached by their content; see `encode`."""
    return encode(encoder, paths, kind=kind, keys=paths.map(_content), **options)


def existing_files(paths: pd.Series, *, kind: str, folder: Path) -> pd.Series:
    """Return the full paths of files in a folder; "" where there is none.

    Missing files are counted in a warning.

    Raises
    ------
    ConfigError
        If paths are given and all files are missing.
    """
    given = paths != ""
    full = pd.Series([str(folder / path) if path else "" for path in paths], paths.index, object)
    missing = given & ~np.array([bool(path) and Path(path).is_file() for path in full], dtype=bool)
    if missing.any():
        problem = f"{missing.sum():,} of {given.sum():,} files of the column {kind!r} are missing, "
        problem += f"{full[missing].iloc[0]} first."
        if missing.sum() == given.sum():
            raise ConfigError(f"{problem} Say in which folder they lie: --media FOLDER.")
        logger.warning("%s These items have no %s.", problem, kind)
    return full.where(~missing, "")


def _content(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
