"""Texts as bags of words, which keep brands, series and models apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp

__all__ = ["UNSPACED", "word_vectors"]

# Scripts that put no space between words (Chinese, Japanese).
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Pairs of characters of these scripts (a look-ahead, so that pairs may overlap), or words.
WORD = rf"(?=([{UNSPACED}]{{2}}|(?<![^\W{UNSPACED}])[^\W{UNSPACED}]+))"
# A word of one text links it to no other.
MIN_TEXTS = 2


def word_vectors(texts: pd.Series) -> sp.csr_matrix:
    """Return float32 CSR [n, words], TF-IDF with rows of length 1; a row without words is empty.

    Term frequencies are logarithmic (Salton and Buckley, 1988). Chinese and Japanese give pairs of
    characters. O(characters).

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
        return sp.csr_matrix(reader.fit_transform(texts))
    except ValueError:  # scikit-learn's "no terms remain": no word stands in two texts.
        return sp.csr_matrix((len(texts), 1), dtype=np.float32)
