"""Topics of texts: clusters of their vectors, each named by its distinctive words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from graphgen.features.languages import (
    CJK,
    ENGLISH,
    SOUTH_EAST,
    UNSPACED,
    text_languages,
    without_function_words,
)

__all__ = ["TextTopics", "choose_n_topics", "text_topics", "topic_names"]

MIN_TOPICS, MAX_TOPICS = 2, 512
# Topics an item belongs to. On the validation rows of a log of four domains, three predicted
# held-out items better than one or two; the cosine and a softmax of it did so alike.
LINKS = 3
# A topic of one item would link it to no other.
MIN_ITEMS = 2
# Rows of a mini-batch. Rows learned from in all: ten passes over 50,000 texts. With few
# texts the search starts several times, because one start often finds a poor division.
BATCH_ROWS = 4096
LEARNED_ROWS = 1 << 19
MAX_PASSES = 10
MAX_STARTS = 10
# Scores held at once: 2^22 float32 are 16 MB.
BLOCK_SCORES = 1 << 22

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
# In texts that are not English alone, a word in more than this share of the topics names none of
# them: a function word of a language without a list.
EVERYWHERE = 0.5
# The least number of topics of which that is a share.
SEVERAL = 4


class TextTopics(NamedTuple):
    """The result of `text_topics`: names of the topics, not necessarily distinct, and E links.

    `text` and `topic` are int64 [E]; `cosine`, of the text and the centre of the topic, float32.
    """

    names: list[str]
    text: np.ndarray
    topic: np.ndarray
    cosine: np.ndarray


def choose_n_topics(n_texts: int) -> int:
    """Return the number of topics for a number of texts: the rule of thumb √(n/2), within bounds.

    Examples
    --------
    >>> [choose_n_topics(n) for n in (5, 800, 50_000, 10_000_000)]
    [2, 20, 158, 512]
    """
    return int(np.clip(round((n_texts / 2) ** 0.5), MIN_TOPICS, MAX_TOPICS))


def text_topics(
    vectors: np.ndarray,
    texts: pd.Series,
    *,
    n_topics: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> TextTopics:
    """Cluster texts by spherical k-means and name the clusters.

    Mini-batch k-means (Sculley, "Web-scale k-means clustering", WWW 2010) on vectors of length 1,
    its centres drawn out to length 1 (Dhillon and Modha, "Concept decompositions for large sparse
    text data", Machine Learning 42, 2001). A text belongs to the three topics whose centres are
    nearest, as far as the cosine is above zero. A cluster that is nearest to fewer than two texts
    is no topic.

    O((n + 500,000) · d · k) for n vectors of width d and k topics, and a pass over the first 300
    characters of each text; 50,000 texts of width 384 take a few seconds on one core.

    Parameters
    ----------
    vectors
        float32 ``[n, d]`` with rows of length 1.
    texts
        Their texts.
    n_topics
        Most topics; None for `choose_n_topics`.
    seed
        Draws the first centres and the order of the texts.
    on_progress
        Called with the number of rows learned from since the last call; `n_learned` in all.
    """
    if len(vectors) < MIN_ITEMS:
        none = np.empty(0, np.int64)
        return TextTopics([], none, none, none.astype(np.float32))
    k = min(n_topics or choose_n_topics(len(vectors)), len(vectors))
    centers = _centers(vectors, k, seed, on_progress)
    nearest, _ = _nearest(vectors, centers, 1)
    centers = centers[np.bincount(nearest[:, 0], minlength=k) >= MIN_ITEMS]
    topic, cosine = _nearest(vectors, centers, min(LINKS, len(centers)))
    names = topic_names(texts, topic[:, 0], cosine[:, 0], len(centers)) if len(centers) else []
    text, place = np.nonzero(cosine > 0)
    return TextTopics(names, text, topic[text, place], cosine[text, place])


def n_learned(n_texts: int) -> int:
    """Return how many rows `text_topics` learns from, counting each pass of each start."""
    starts, passes = _effort(n_texts)
    return n_texts * starts * passes


def _effort(n_texts: int) -> tuple[int, int]:
    """Return the number of starts and of passes over the texts after each."""
    passes = LEARNED_ROWS // max(1, n_texts)
    starts, passes = np.clip([passes // MAX_PASSES, passes], 1, [MAX_STARTS, MAX_PASSES]).tolist()
    return starts, passes


def _centers(
    vectors: np.ndarray, k: int, seed: int, on_progress: Callable[[int], None] | None
) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.preprocessing import normalize

    starts, passes = _effort(len(vectors))
    generator = np.random.default_rng(seed)
    # Batch by batch rather than `fit`, which cannot tell how far it is. Batches of one size: the
    # first must hold at least k rows.
    n_batches = -(-len(vectors) // BATCH_ROWS)
    found = []
    for _ in range(starts):
        model = MiniBatchKMeans(k, n_init=1, random_state=int(generator.integers(2**32)))
        for _ in range(passes):
            for batch in np.array_split(generator.permutation(len(vectors)), n_batches):
                model.partial_fit(vectors[batch])
                if on_progress is not None:
                    on_progress(len(batch))
        found.append(normalize(model.cluster_centers_))
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda centers: float(_nearest(vectors, centers, 1)[1].sum()))


def _nearest(vectors: np.ndarray, centers: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each vector the `k` nearest centres and their cosines, nearest first."""
    topic = np.zeros((len(vectors), k), dtype=np.int64)
    cosine = np.zeros((len(vectors), k), dtype=np.float32)
    rows = max(1, BLOCK_SCORES // max(1, len(centers)))
    for low in range(0, len(vectors) if k else 0, rows):
        scores = vectors[low : low + rows] @ centers.T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        topic[low : low + rows] = best
        cosine[low : low + rows] = np.take_along_axis(scores, best, axis=1)
    return topic, cosine.clip(max=1.0)


def topic_names(
    texts: pd.Series, topic: np.ndarray, closeness: np.ndarray, n_topics: int
) -> list[str]:
    """Name topics by the words that are frequent in them and rare elsewhere.

    Class-based TF-IDF (Grootendorst, "BERTopic", 2022): a word counts
    ``tf · log(1 + A / f)``, where tf is the number of texts of the topic that have it, f that of
    all texts, and A the mean number of words of a topic. Words of two texts come before words of
    one; function words of the language of each text do not count, nor, where the texts are not
    English alone, words that are in more than half of the topics; Chinese and Japanese give pairs
    of characters. A topic without any word takes the beginning of its text nearest to the centre.

    O(characters read + words).

    Parameters
    ----------
    texts
        n texts, of which the first 300 characters are read.
    topic, closeness
        int64 and float32 [n]: the topic of each, and its cosine to the centre.
    n_topics
        Number of topics; each has a text.

    Examples
    --------
    >>> texts = pd.Series(["the old guitar", "guitar strings", "green tea", "a tea of mint"])
    >>> topic_names(texts, np.array([0, 0, 1, 1]), np.ones(4), 2)
    ['guitar, old, strings', 'tea, green, mint']
    """
    languages = text_languages(texts)
    read = without_function_words(texts.str[:READ_FOR_NAME], languages)
    counts, words = _word_counts(read)
    n = len(texts)
    members = sp.csr_matrix((np.ones(n), (topic, np.arange(n))), shape=(n_topics, n))
    in_topic = sp.csr_matrix(members @ counts)
    if n_topics >= SEVERAL and not (languages == ENGLISH).all():
        spread = np.asarray((in_topic > 0).sum(axis=0)).ravel()
        in_topic = in_topic[:, spread <= EVERYWHERE * n_topics].sorted_indices()
        words = words[spread <= EVERYWHERE * n_topics]
    frequency = np.asarray(in_topic.sum(axis=0)).ravel()
    rarity = np.log1p(in_topic.sum() / n_topics / np.maximum(frequency, 1))
    score = in_topic.data * rarity[in_topic.indices]
    row = np.repeat(np.arange(n_topics), np.diff(in_topic.indptr))
    order = np.lexsort((in_topic.indices, -score, in_topic.data < MIN_ITEMS, row))
    ranked = in_topic.indices[order]

    by_closeness = np.lexsort((np.arange(n), -closeness, topic))
    first = by_closeness[np.searchsorted(topic[by_closeness], np.arange(n_topics))]
    return [
        ", ".join(_varied(words[ranked[low:high]])) or texts.iloc[nearest][:LABEL].strip()
        for low, high, nearest in zip(in_topic.indptr, in_topic.indptr[1:], first, strict=False)
    ]


def _word_counts(texts: pd.Series) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return which text has which word, and the words."""
    from sklearn.feature_extraction.text import CountVectorizer

    reader = CountVectorizer(binary=True, token_pattern=TOKEN, stop_words="english")
    try:
        counts = reader.fit_transform(texts)
    except ValueError:  # scikit-learn's "empty vocabulary": there is no word in any text
        return sp.csr_matrix((len(texts), 0)), np.empty(0, dtype=object)
    return counts, reader.get_feature_names_out()


def _varied(words: np.ndarray) -> list[str]:
    """Return the first words that differ: no plurals, no pairs that share a character.

    Examples
    --------
    >>> _varied(np.array(["doll", "dolls", "house", "森林", "林动"]))
    ['doll', 'house', '森林']
    """
    chosen: list[str] = []
    for word in words[: 4 * WORDS_IN_NAME].tolist():
        if not any(
            word.startswith(other)
            or other.startswith(word)
            or (len(word) == 2 and (word[0] == other[-1] or word[-1] == other[0]))
            for other in chosen
        ):
            chosen.append(word)
        if len(chosen) == WORDS_IN_NAME:
            break
    return chosen
