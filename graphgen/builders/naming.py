"""Names of topics: the distinctive words of their texts, no two alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.features.languages import (
    CJK,
    SOUTH_EAST,
    UNSPACED,
    function_words,
    text_languages,
    without_function_words,
)

__all__ = ["first_free", "name_key", "topic_names", "words_of"]

WORDS_IN_NAME = 3
# Characters of a text that are read for names: a title, or a first sentence or two.
READ_FOR_NAME = 300
# Characters of a text that name a topic without words.
LABEL = 40
# As `graphgen.features.text.WORD`, but words begin with a letter.
TOKEN = (
    rf"(?=([{CJK}]{{2}}|[{SOUTH_EAST}]{{4}}"
    rf"|(?<!\w)(?<!\w['’-])[^\W\d_{UNSPACED}][\w'’-]*\w(?!\w)))"
)
# The end of a word such as "don't", "can't" or "we've".
CONTRACTIONS = [re.compile("(n['’]t)$"), re.compile("(['’][a-z]{1,2})$")]
# Words of fewer texts name a topic only where there are no others.
MIN_TEXTS = 2
# A word in a smaller share of the texts of a topic than so many times its share elsewhere does not
# tell the topic from others: a word of all texts, such as a label that each begins with.
LIFT = 2
# Words and nearest texts of a topic that may be in its name.
TRIED = 24


def topic_names(
    texts: pd.Series,
    topic: np.ndarray,
    closeness: np.ndarray,
    n_topics: int,
    *,
    taken: Iterable[str] = (),
    given: Sequence[str] = (),
) -> list[str]:
    """Name topics by the words that are frequent in them and rare elsewhere.

    Class-based TF-IDF (Grootendorst, "BERTopic", 2022): a word counts
    ``tf · log(1 + A / f)``, where tf is the number of texts of the topic that have it, f that of
    all texts, and A the mean number of words of a topic. Words of two texts come before words of
    one. Function words of any language do not count, nor words that are in the texts of the topic
    less than twice as often as in all others; Chinese and Japanese give pairs of characters.

    A name is three words, and further words where other topics have the same three. A topic without
    words takes the beginning of its text nearest to the centre. Two topics that neither words nor
    texts tell apart have the same name.

    O(characters read + words).

    Parameters
    ----------
    texts
        n texts, of which the first 300 characters are read.
    topic, closeness
        int64 and float32 [n]: the topic of each, and its cosine to the centre.
    n_topics
        Number of topics; each has a text.
    taken
        Names that others have.
    given
        The name that each topic keeps; "" for a new one.

    Examples
    --------
    >>> texts = pd.Series(["the old guitar", "guitar strings", "green tea", "a tea of mint"])
    >>> topic_names(texts, np.array([0, 0, 1, 1]), np.ones(4), 2)
    ['guitar, old, strings', 'tea, green, mint']
    """
    if not n_topics:
        return []
    read = without_function_words(texts.str[:READ_FOR_NAME], text_languages(texts))
    counts, words = _word_counts(read)
    n = len(texts)
    members = sp.csr_matrix((np.ones(n), (topic, np.arange(n))), shape=(n_topics, n))
    in_topic = sp.csr_matrix(members @ counts).sorted_indices()
    row = np.repeat(np.arange(n_topics), np.diff(in_topic.indptr))
    found, size = in_topic.data, np.bincount(topic, minlength=n_topics)[row]
    frequency = np.asarray(in_topic.sum(axis=0)).ravel()[in_topic.indices]
    score = found * np.log1p(in_topic.sum() / n_topics / np.maximum(frequency, 1))
    telling = found / size * np.maximum(n - size, 1) >= LIFT * (frequency - found)
    order = np.lexsort((in_topic.indices, -score, found < MIN_TEXTS, row))
    order = order[telling[order]]
    ranked, ends = in_topic.indices[order], np.searchsorted(row[order], np.arange(n_topics + 1))

    nearest = np.lexsort((np.arange(n), -closeness, topic))
    starts = np.searchsorted(topic[nearest], np.arange(n_topics + 1))
    names = list(given) or [""] * n_topics
    used = {name_key(name): name for name in (*taken, *filter(None, names))}
    for i in range(n_topics):
        if not names[i]:
            own = texts.iloc[nearest[starts[i] : starts[i + 1]][:TRIED]]
            names[i] = first_free(
                [*_joined(_varied(words[ranked[ends[i] : ends[i + 1]]])), *own.str[:LABEL]], used
            )
    return names


def name_key(name: str) -> frozenset[str]:
    """Return what two names share that a reader takes for one: their words in any order."""
    return frozenset(part.strip() for part in name.casefold().split(","))


def first_free(candidates: Iterable[str], used: dict[frozenset[str], str]) -> str:
    """Return the first candidate with a key that `used` does not have, and add it there.

    If there is none, the name that the first candidate's key already stands for.
    """
    keys = {name_key(name): name for name in map(str.strip, candidates) if name}
    key = next((key for key in keys if key not in used), next(iter(keys)))
    return used.setdefault(key, keys[key])


_stop_words = cache(function_words)


def words_of(text: str) -> list[str]:
    """Return the words of a text that may name a topic, in lower case.

    Examples
    --------
    >>> words_of("The Old Guitar of 1984")
    ['old', 'guitar']
    """
    stop = _stop_words()
    words = re.findall(TOKEN, text[:READ_FOR_NAME].lower())
    return [word for word in words if not any(end.sub("", word) in stop for end in CONTRACTIONS)]


def _joined(words: list[str]) -> list[str]:
    """Return the first three words as a name, then longer ones.

    Examples
    --------
    >>> _joined(["tea", "green", "mint", "leaf"])
    ['tea, green, mint', 'tea, green, mint, leaf']
    """
    start, rest = words[:WORDS_IN_NAME], words[WORDS_IN_NAME:]
    return [", ".join([*start, *more]) for more in ([], *([word] for word in rest)) if start]


def _word_counts(texts: pd.Series) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return which text has which word, and the words."""
    from sklearn.feature_extraction.text import CountVectorizer

    reader = CountVectorizer(binary=True, token_pattern=TOKEN)
    try:
        counts = reader.fit_transform(texts)
    except ValueError:  # scikit-learn's "empty vocabulary": there is no word in any text
        return sp.csr_matrix((len(texts), 0)), np.empty(0, dtype=object)
    words = reader.get_feature_names_out()
    # "it's" and "don't" are function words as "it" and "do" are.
    stop = _stop_words()
    kept = [not any(end.sub("", word) in stop for end in CONTRACTIONS) for word in words]
    return counts[:, kept], words[kept]


def _varied(words: np.ndarray) -> list[str]:
    """Return the words that differ, of the first 24: no plurals, no pairs that share a character.

    Examples
    --------
    >>> _varied(np.array(["doll", "dolls", "house", "森林", "林动"]))
    ['doll', 'house', '森林']
    """
    chosen: list[str] = []
    for word in words[:TRIED].tolist():
        if not any(
            word.startswith(other)
            or other.startswith(word)
            or (len(word) == 2 and (word[0] == other[-1] or word[-1] == other[0]))
            for other in chosen
        ):
            chosen.append(word)
    return chosen
