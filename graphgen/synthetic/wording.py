"""Titles and one-sentence descriptions for the synthetic catalogue, out of shared themes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from graphgen.errors import ConfigError

__all__ = ["SYNTHETIC_DOMAINS", "compose_items", "load_themes"]

SYNTHETIC_DOMAINS: Final = ("book", "film", "game", "music")
FOLDER: Final = Path(__file__).parent


@cache
def _read(name: str) -> dict[str, Any]:
    """Read a TOML file of phrases; a text is split at each ";"."""

    def split(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: split(part) for key, part in value.items()}
        return [part.strip() for part in value.split(";")] if isinstance(value, str) else value

    content: dict[str, Any] = split(tomllib.loads((FOLDER / name).read_text(encoding="utf-8")))
    return content


def load_themes() -> dict[str, dict[str, dict[str, list[str]]]]:
    """Return the phrases of each theme in each domain, in the order of the file.

    Examples
    --------
    >>> themes = load_themes()
    >>> len(themes), sorted(themes["pirates"])
    (24, ['book', 'film', 'game', 'music'])
    >>> themes["pirates"]["game"]["shelf"]
    ['Strategy']
    """
    return _read("themes.toml")


def _fill(template: str, slots: dict[str, list[str]]) -> list[str]:
    """Return `template` with each of its slots filled in each possible way."""
    texts = [template]
    for slot, choices in slots.items():
        mark = "{" + slot + "}"
        if mark in template:
            texts = [text.replace(mark, choice) for text in texts for choice in choices]
    return texts


def _texts(domain: str, words: dict[str, list[str]], n: int, rng: np.random.Generator) -> list[str]:
    """Draw `n` different sentences."""
    own = _read("phrases.toml")[domain]
    choices = {
        "template": own["texts"],
        "figure": words["figures"],
        "turn": words["turns"],
        "setting": words["settings"],
        "tone": own["tones"],
        "form": own["forms"],
        "tail": own["tails"],
    }
    sizes = tuple(len(choice) for choice in choices.values())
    picked = np.unravel_index(rng.choice(int(np.prod(sizes)), n, replace=False), sizes)
    texts = []
    for codes in np.stack(picked, axis=1):
        parts = {
            name: choice[code] for (name, choice), code in zip(choices.items(), codes, strict=True)
        }
        text = parts["template"].format(**parts)
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
        Random generator.

    Returns
    -------
    titles, texts, categories
        Lists as long as `themes`; no title occurs twice. The category is the shelf of an item in
        its domain, coarser than the theme.

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
    phrases = _read("phrases.toml")
    wanted = np.asarray(themes)
    titles, texts, categories = (np.empty(len(wanted), dtype=object) for _ in range(3))
    taken: set[str] = set()
    for theme, wording in load_themes().items():
        places = np.flatnonzero(wanted == theme)
        words = wording[domain]
        slots = {"mark": words["marks"], "head": words["heads"], **phrases["fillers"]}
        patterns = [_fill(pattern, slots) for pattern in phrases[domain]["titles"]]
        # A pattern first and a title of it second, or the pattern with most fillers wins.
        weighted = [
            (title, 1.0 / len(filled))
            for filled in patterns
            for title in filled
            if title not in taken
        ]
        if len(weighted) < len(places):
            raise ConfigError(
                f"There are only {len(weighted)} titles for the theme {theme!r} in {domain!r} and "
                f"{len(places)} are needed; ask for fewer items (`n_items`)."
            )
        weights = np.array([weight for _, weight in weighted])
        drawn = rng.choice(len(weighted), len(places), replace=False, p=weights / weights.sum())
        chosen = [weighted[index][0] for index in drawn]
        taken.update(chosen)
        titles[places] = chosen
        texts[places] = _texts(domain, words, len(places), rng)
        categories[places] = words["shelf"][0]
    return titles.tolist(), texts.tolist(), categories.tolist()
