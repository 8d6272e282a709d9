"""Cache of text vectors by content."""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
import safetensors
from safetensors.numpy import load_file, save_file

from graphgen.errors import StorageError
from graphgen.storage import atomic_file

__all__ = ["VectorCache", "default_cache_dir"]

logger = logging.getLogger(__name__)

# Two independent 64-bit SipHash keys make one 128-bit content hash; pandas needs 16 characters.
HASH_KEYS = ("interest-cache-0", "interest-cache-1")
# More shards than this are merged into one when the cache is next written.
MAX_SHARDS = 32


def default_cache_dir() -> Path:
    """Return ``$INTEREST_CACHE_DIR``, or the user's cache folder of the operating system."""
    configured = os.environ.get("INTEREST_CACHE_DIR")
    return Path(configured or platformdirs.user_cache_dir("interest-expansion"))


class VectorCache:
    """Vectors on disk by the content of the text, one folder for each encoder.

    A shard is one safetensors file that appears whole or not at all, so several processes may
    write at a time and an interrupted encoding keeps its finished part.

    The folder is made on the first write.

    Examples
    --------
    >>> import tempfile
    >>> cache = VectorCache(Path(tempfile.mkdtemp()))
    >>> cache.put(np.array(["tea"], object), np.ones((1, 3), np.float32))
    >>> found, vectors = cache.get(np.array(["coffee", "tea"], object))
    >>> found.tolist(), vectors.shape
    ([False, True], (1, 3))
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writable = True

    def get(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look n texts (object array) up.

        Returns
        -------
        found, vectors
            bool [n], and float32 [found.sum(), dim] in the order of the found texts.
        """
        keys, vectors = self._load()
        if not len(keys) or not len(texts):
            return np.zeros(len(texts), dtype=bool), np.empty((0, 0), dtype=np.float32)
        wanted = pd.MultiIndex.from_arrays(_hash(texts).T)
        position = pd.MultiIndex.from_arrays(keys.T).get_indexer(wanted)
        found = position >= 0
        return found, vectors[position[found]]

    def put(self, texts: np.ndarray, vectors: np.ndarray) -> None:
        """Add texts with their vectors (float32 [n, dim]) as one shard.

        A folder that cannot be written is warned of once; the vectors are then not kept.
        """
        if not len(texts) or not self._writable:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            shards = self._shards()
            self._write(_hash(texts), vectors)
        except (OSError, StorageError) as error:
            self._writable = False
            logger.warning(
                "Text vectors are not kept for the next build: %s. INTEREST_CACHE_DIR names "
                "another folder.",
                error,
            )
            return
        if len(shards) >= MAX_SHARDS:
            self._write(*self._load())
            for shard in shards:
                shard.unlink(missing_ok=True)

    def _write(self, keys: np.ndarray, vectors: np.ndarray) -> None:
        with atomic_file(self.folder / f"{uuid.uuid4().hex}.safetensors") as temporary:
            save_file({"keys": keys.view(np.int64), "vectors": vectors}, temporary)

    def _shards(self) -> list[Path]:
        try:
            found = [p for p in self.folder.glob("*.safetensors") if not p.name.startswith(".")]
        except OSError:
            return []
        return sorted(found)

    def _load(self) -> tuple[np.ndarray, np.ndarray]:
        keys, vectors = [], []
        for shard in self._shards():
            try:
                content = load_file(shard)
            except (safetensors.SafetensorError, OSError) as error:
                logger.warning("Leaving out a damaged cache file, %s: %s", shard, error)
                continue
            keys.append(content["keys"].view(np.uint64))
            vectors.append(content["vectors"])
        if not keys:
            return np.empty((0, 2), dtype=np.uint64), np.empty((0, 0), dtype=np.float32)
        all_keys, all_vectors = np.concatenate(keys), np.concatenate(vectors)
        first = np.sort(np.unique(all_keys, axis=0, return_index=True)[1])
        return all_keys[first], all_vectors[first]


def _hash(texts: np.ndarray) -> np.ndarray:
    """Return a uint64 [n, 2] content hash of each text."""
    strings = np.asarray(texts, dtype=object)
    return np.stack(
        [pd.util.hash_array(strings, hash_key=key, categorize=False) for key in HASH_KEYS], axis=1
    )
