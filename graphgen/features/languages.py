"""Languages of texts: told by script and function words, without a model."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

__all__ = [
    "ENGLISH",
    "UNSPACED",
    "function_words",
    "language_shares",
    "text_languages",
    "without_function_words",
]

ENGLISH = "English"
# Scripts that put no space between words: Chinese and Japanese, and those of South-East Asia.
CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
UNSPACED = CJK + SOUTH_EAST
SCRIPTS = {
    "Han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    "kana": "\u3040-\u30ff",
    "Hangul": "\u1100-\u11ff\uac00-\ud7af",
    "Thai": "\u0e00-\u0e7f",
    "Cyrillic": "\u0400-\u04ff",
    "Arabic": "\u0600-\u06ff",
    "Greek": "\u0370-\u03ff",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
}
LETTERS = {script: re.compile(f"[{letters}]") for script, letters in SCRIPTS.items()}
# Languages that are told by their script alone.
OF_SCRIPT = {"Han": "Chinese", "kana": "Japanese", "Hangul": "Korean", "Thai": "Thai"}
# Japanese has at least this share of kana among its characters; a Chinese title rarely has any.
KANA = 0.1
WORD = re.compile(r"[^\W\d_]+['’]?")
HIRAGANA = re.compile("[\u3041-\u309f]+")
# One function word tells the language of a text of at most so many words, such as a title; in a
# longer text it may be a part of a name.
FEW_WORDS = 4
# A text of so many words with at most one function word and with letters beyond ASCII is in
# another language of the Latin script.
LONG = 8
OTHER = "another language in Latin script"

# Texts from which the shares are estimated, and the characters of a text that are read.
SAMPLE = 10_000
READ = 300
# Languages of a smaller share of the sample are taken as mistakes: titles such as "Die Hard".
RARE = 0.05


@cache
def _function_words() -> tuple[
    dict[str, frozenset[str]], dict[str, re.Pattern[str]], dict[str, frozenset[str]]
]:
    """Return words and strings that are removed, and the words that tell a language."""
    source = files("graphgen.features").joinpath("function_words.toml")
    lists = tomllib.loads(source.read_text(encoding="utf-8"))
    words = {language: frozenset(text.split()) for language, text in lists["words"].items()}
    strings = {
        language: re.compile("|".join(sorted(text.split(), key=len, reverse=True)))
        for language, text in lists["strings"].items()
    }
    telling = words | {
        language: words[language] | set(text.split())
        for language, text in lists["ambiguous"].items()
    }
    removed = words | {ENGLISH: frozenset(lists["removed"][ENGLISH].split())}
    return removed, {**strings, "Japanese": HIRAGANA}, telling


def language_shares(texts: pd.Series) -> dict[str, float]:
    """Return the share of each language, largest first; they sum to 1 where there is any text.

    Estimated from at most 10,000 texts. Latin texts without any function word, such as short
    titles, count in the proportion of the others. A language of less than 5 % is left out.

    Examples
    --------
    >>> texts = pd.Series(["The old man and the sea", "Der Mann und das Meer", "老人与海", "海"])
    >>> language_shares(texts)
    {'Chinese': 0.5, 'English': 0.25, 'German': 0.25}
    """
    sample = texts.iloc[np.linspace(0, len(texts) - 1, min(len(texts), SAMPLE)).astype(int)]
    counts: dict[str, float] = dict(Counter(_languages(sample).tolist()))
    undecided = counts.pop("", 0)
    latin = sum(counts.get(name, 0) for name in (*_latin(), OTHER))
    if not latin:
        counts[ENGLISH] = undecided
    for name in (*_latin(), OTHER) if latin else ():
        if name in counts:
            counts[name] *= 1 + undecided / latin
    common = {name: n for name, n in counts.items() if n >= RARE * len(sample) and n}
    total = sum(common.values())
    return {
        name: n / total for name, n in sorted(common.items(), key=lambda pair: (-pair[1], pair[0]))
    }


def text_languages(texts: pd.Series) -> np.ndarray:
    """Return the language of each text, an object array; "" where unknown.

    The script decides, and in the Latin, Cyrillic and Arabic scripts the function words; the more
    frequent language of the texts where they are equal. If `language_shares` finds one language
    only, all texts have it.
    """
    shares = language_shares(texts)
    if len(shares) < 2:
        return np.full(len(texts), next(iter(shares), ""), dtype=object)
    found = _languages(texts)
    found[~np.isin(found.astype(str), list(shares))] = ""
    return found


def function_words() -> frozenset[str]:
    """Return the function words of all languages with a list that are no English nouns.

    Examples
    --------
    >>> words = function_words()
    >>> {"the", "und", "los"} <= words, words.isdisjoint({"die", "war", "ale", "car"})
    (True, True)
    """
    removed, _, telling = _function_words()
    return frozenset().union(*removed.values()) - (telling[ENGLISH] - removed[ENGLISH])


def without_function_words(texts: pd.Series, languages: np.ndarray) -> pd.Series:
    """Return the texts without the function words of their languages.

    Nothing is removed where `languages`, of `text_languages`, are English alone.

    Examples
    --------
    >>> texts = pd.Series(["Der alte Mann und das Meer", "老人与海"])
    >>> without_function_words(texts, np.array(["German", "Chinese"])).tolist()
    ['  alte Mann     Meer', '老人 海']
    """
    words, strings, _ = _function_words()
    if (languages == ENGLISH).all():
        return texts
    result = texts.to_numpy(dtype=object, copy=True)
    for language in set(languages):
        chosen = np.flatnonzero(languages == language)
        known, pattern = words.get(language, frozenset()), strings.get(language)
        for i in chosen:
            text = result[i]
            if pattern is not None:
                text = pattern.sub(" ", text)
            if known:
                text = WORD.sub(
                    lambda found: " " if found[0].casefold() in known else found[0],  # noqa: B023
                    text,
                )
            result[i] = text
    return pd.Series(result, index=texts.index)


def _latin() -> list[str]:
    return [name for name in _function_words()[0] if name not in {"Russian", "Arabic", "Korean"}]


def _languages(texts: pd.Series) -> np.ndarray:
    _, _, words = _function_words()
    latin = _latin()
    among = {"Latin": latin, "Cyrillic": ["Russian"], "Arabic": ["Arabic"]}
    result = np.full(len(texts), "", dtype=object)
    tied: list[tuple[int, list[str]]] = []
    total = dict.fromkeys(words, 0)
    for i, text in enumerate(texts.str[:READ]):
        script = _script(text)
        if script in OF_SCRIPT:
            result[i] = OF_SCRIPT[script]
            continue
        present = [word.casefold() for word in WORD.findall(text) if len(word) > 1]
        hits = {name: sum(map(words[name].__contains__, present)) for name in among.get(script, ())}
        most = max(hits.values(), default=0)
        if most > 1 or (most and len(present) <= FEW_WORDS):
            best = [name for name in hits if hits[name] == most]
            total |= {name: total[name] + most for name in best}
            tied.append((i, best))
        elif script != "Latin":
            result[i] = f"{script} script"
        elif len(present) >= LONG and sum(ord(letter) > 127 for letter in "".join(present)) > 1:
            result[i] = OTHER
    for i, best in tied:
        result[i] = max(best, key=lambda name: (total[name], name == ENGLISH))
    return result


def _script(text: str) -> str:
    """Return the script of most letters; ideographs count double, as they say more than a letter.

    Examples
    --------
    >>> _script("iPhone 手机壳保护套"), _script("ノルウェイの森"), _script("Café")
    ('Han', 'kana', 'Latin')
    """
    if text.isascii():
        return "Latin"
    counts = {script: len(letters.findall(text)) for script, letters in LETTERS.items()}
    other = sum(map(str.isalpha, text)) - sum(counts.values())
    eastern = counts["Han"] + counts["kana"]
    if 2 * eastern > other and eastern >= max(counts.values()):
        return "kana" if counts["kana"] >= KANA * eastern else "Han"
    script = max(counts, key=counts.__getitem__)
    return script if counts[script] > other else "Latin"
