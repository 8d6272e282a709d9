"""Titles and one-sentence descriptions for the synthetic catalogue, out of shared themes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from graphgen.errors import ConfigError

__all__ = ["SYNTHETIC_DOMAINS", "Wording", "compose_items", "load_themes"]

SYNTHETIC_DOMAINS: Final = ("book", "film", "game", "music")
THEMES_FILE: Final = Path(__file__).with_name("themes.toml")

# Words that say nothing about the theme. They give titles and sentences their variety, and they
# are what a bag of words mostly sees two items of one domain share.
ADJECTIVES: Final = (
    "Last; Silent; Broken; Hidden; Second; Burning; Distant; Forgotten; Quiet; Final; Lost; Long; "
    "Hollow; Borrowed; Patient; Restless; Secret; Nameless; Other; Stubborn; First; Unfinished"
)
PLACES: Final = (
    "Ardmore; Vell; Kestrel Bay; Saint Orne; Marrow; Lindisvale; Carrow; Oakhaven; Tessaly; Brask"
)
NAMES: Final = "Clara; Jonas; Ines; Milo; Odette; Rafael; Wren; Tobias; Amina; Ludo; Greta; Emil"

FILLERS: Final = MappingProxyType(
    {
        "adj": ADJECTIVES,
        "place": PLACES,
        "name": NAMES,
        "season": "Autumn; Winter; Spring; Summer; April; October",
        "hour": "Midnight; Dawn; Noon; Dusk",
        "key": "D Minor; A Major; E Flat; C Sharp; G Minor",
        "noun": "Ashes; Honey; Silence; Rivers; Feathers; Mercy; Letters; Bones",
        "sequel": "Reckoning; Awakening; Legacy; Origins; Endgame; Odyssey; Reborn",
        "roman": "II; III; IV",
    }
)
TITLES: Final = MappingProxyType(
    {
        "book": (
            "The {adj} {head}; The {mark} {head}; {mark} {head}; The {head} of {place}; "
            "{name} and the {head}; The {head} in {season}; After the {head}"
        ),
        "film": (
            "{mark} {head}; {adj} {head}; The {head}; {head} at {hour}; Night of the {head}; "
            "{name}'s {head}; The {head} Affair"
        ),
        "music": (
            "{head}; {mark} {head}; {adj} {head}; {head} in {key}; {head} and {noun}; "
            "{place} {head}; More {head}"
        ),
        "game": (
            "{mark} {head}; {adj} {head}; {head}: {sequel}; {head} {roman}; Project {head}; "
            "{head} Chronicles; {mark} {head}: {sequel}"
        ),
    }
)
TEXTS: Final = MappingProxyType(
    {
        "book": (
            "{figure} {turn} {setting}.",
            "{setting}, {figure} {turn}.",
            "{figure} {turn} {setting}, {tail}.",
            "{setting}, {figure} {turn}, {tail}.",
            "a {tone} {form} in which {figure} {turn} {setting}.",
            "the {tone} story of {figure} who {turn} {setting}.",
        ),
        "film": (
            "{figure} {turn} {setting}.",
            "{setting}, {figure} {turn}.",
            "{figure} {turn} {setting}, {tail}.",
            "{setting}, {figure} {turn} in this {tone} {form}.",
            "this {tone} {form} follows {figure} who {turn} {setting}.",
        ),
        "music": (
            "{figure} {turn} {setting}.",
            "{setting}, {figure} {turn}.",
            "an album on which {figure} {turn} {setting}.",
            "{figure} {turn} on this {tone} {form}, {setting}.",
            "{tail} tracks on which {figure} {turn} {setting}.",
        ),
        "game": (
            "play as {figure}: {turn} {setting}.",
            "{turn} {setting}.",
            "as {figure}, {turn} {setting}.",
            "{setting}, {figure} must {turn}.",
            "{turn} {setting}: a {tone} {form}.",
        ),
    }
)
TONES: Final = MappingProxyType(
    {
        "book": "sharp; tender; sprawling; witty; brooding; gripping; wry; many-voiced",
        "film": "tense; tender; slow-burning; darkly funny; restless; handsome; breathless",
        "music": "warm; sparse; playful; wistful; hypnotic; bold; loose",
        "game": "patient; fast-paced; clever; punishing; relaxed; beautiful; strange",
    }
)
FORMS: Final = MappingProxyType(
    {
        "book": "novel; debut; tale; chronicle; short novel",
        "film": "feature; picture; film; debut; festival favourite",
        "music": "debut; live set; double album; short record",
        "game": "adventure; campaign; sandbox; independent release",
    }
)
TAILS: Final = MappingProxyType(
    {
        "book": (
            "and pays for it dearly; with no way back; while old friends look away; "
            "against all advice; one mistake at a time; at a price"
        ),
        "film": (
            "with no way back; against the clock; and nobody believes it; "
            "whatever the cost; for the last time; with one unlikely ally"
        ),
        "music": "six; seven; eight; nine; ten; eleven; twelve; fourteen",
        "game": "-",
    }
)


@dataclass(frozen=True)
class Wording:
    """What one theme sounds like in one domain; each field is a tuple of phrases but `shelf`."""

    shelf: str
    heads: tuple[str, ...]
    marks: tuple[str, ...]
    figures: tuple[str, ...]
    turns: tuple[str, ...]
    settings: tuple[str, ...]


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";"))


@cache
def load_themes() -> dict[str, dict[str, Wording]]:
    """Read the themes that come with the package.

    Returns
    -------
    dict
        ``{theme: {domain: Wording}}``, themes in the order of the file.

    Examples
    --------
    >>> themes = load_themes()
    >>> len(themes), sorted(themes["pirates"])
    (24, ['book', 'film', 'game', 'music'])
    >>> themes["pirates"]["game"].shelf
    'Strategy'
    """
    content = tomllib.loads(THEMES_FILE.read_text(encoding="utf-8"))
    return {
        theme: {
            domain: Wording(
                shelf=words["shelf"],
                **{
                    part: _parts(words[part]) for part in Wording.__annotations__ if part != "shelf"
                },
            )
            for domain, words in domains.items()
        }
        for theme, domains in content.items()
    }


def _fill(template: str, slots: dict[str, tuple[str, ...]]) -> list[str]:
    """Return `template` with each of its slots filled in each possible way."""
    texts = [template]
    for slot, choices in slots.items():
        mark = "{" + slot + "}"
        if mark in template:
            texts = [text.replace(mark, choice) for text in texts for choice in choices]
    return texts


def _titles(domain: str, words: Wording) -> list[list[str]]:
    """Return every title this theme can give in `domain`, one list a pattern."""
    fillers = {slot: _parts(text) for slot, text in FILLERS.items()}
    slots = {"mark": words.marks, "head": words.heads, **fillers}
    return [_fill(pattern, slots) for pattern in _parts(TITLES[domain])]


def _texts(domain: str, words: Wording, n: int, rng: np.random.Generator) -> list[str]:
    """Draw `n` different sentences."""
    choices = (
        TEXTS[domain],
        words.figures,
        words.turns,
        words.settings,
        _parts(TONES[domain]),
        _parts(FORMS[domain]),
        _parts(TAILS[domain]),
    )
    sizes = tuple(len(choice) for choice in choices)
    picked = np.unravel_index(rng.choice(int(np.prod(sizes)), n, replace=False), sizes)
    names = ("figure", "turn", "setting", "tone", "form", "tail")
    texts = []
    for codes in np.stack(picked, axis=1):
        template, *phrases = (choice[code] for choice, code in zip(choices, codes, strict=True))
        text = template.format(**dict(zip(names, phrases, strict=True)))
        texts.append(text[0].upper() + text[1:])
    return texts


def compose_items(
    domain: str, themes: Sequence[str], rng: np.random.Generator
) -> tuple[list[str], list[str], list[str]]:
    """Write a title, a sentence and a category for each item of one domain.

    Parameters
    ----------
    domain
        One of `SYNTHETIC_DOMAINS`.
    themes
        The theme of each item, in the order of the items.
    rng
        Where chance comes from.

    Returns
    -------
    titles, texts, categories
        Lists as long as `themes`; no title occurs twice. The category is the shelf an item stands
        on in its domain, coarser than the theme.

    Raises
    ------
    ConfigError
        If so many items of a theme are asked for that its titles run out (about 400).

    Examples
    --------
    >>> titles, texts, categories = compose_items(
    ...     "game", ["pirates", "kitchen"], np.random.default_rng(3))
    >>> titles
    ['Windward Spoils', 'Frying Pan Chronicles']
    >>> texts[1]
    'Ferment, roast and garnish against the egg timer.'
    >>> categories
    ['Strategy', 'Simulation']
    """
    vocabulary = load_themes()
    wanted = np.asarray(themes)
    titles = np.empty(len(wanted), dtype=object)
    texts = np.empty(len(wanted), dtype=object)
    categories = np.empty(len(wanted), dtype=object)
    taken: set[str] = set()
    for theme in vocabulary:
        places = np.flatnonzero(wanted == theme)
        words = vocabulary[theme][domain]
        # A pattern first and a title of it second, or the pattern with most fillers wins.
        weighted = [
            (title, 1.0 / len(titles_of))
            for titles_of in _titles(domain, words)
            for title in titles_of
            if title not in taken
        ]
        if len(weighted) < len(places):
            raise ConfigError(
                f"There are only {len(weighted)} titles for the theme {theme!r} in {domain!r} and "
                f"{len(places)} are needed; ask for fewer items (`n_items`)."
            )
        weights = np.array([weight for _, weight in weighted])
        drawn = rng.choice(
            len(weighted), len(places), replace=False, p=weights / weights.sum(), shuffle=True
        )
        chosen = [weighted[index][0] for index in drawn]
        taken.update(chosen)
        titles[places] = chosen
        texts[places] = _texts(domain, words, len(places), rng)
        categories[places] = words.shelf
    return titles.tolist(), texts.tolist(), categories.tolist()
