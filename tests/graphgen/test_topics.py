"""Topics: categories and clusters of texts, one node set for all domains."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from eval.experiments.single_domain import only_domain
from gnn.data import TrainingData
from gnn.holdout import hold_out
from graphgen import build_graph, connect, describe, draw_neighborhood, load_graph, neighborhood
from graphgen.builders import text_topics as text_topics_module
from graphgen.builders.text_topics import choose_n_topics, text_topics, topic_names
from graphgen.builders.topics import category_topics
from graphgen.errors import ConfigError, UnknownIdError

THEMES = {
    "cooking": [
        "Baking sourdough bread in a home oven",
        "Recipes for soup and slow stews",
        "A chef teaches knife skills in the kitchen",
        "Desserts, cakes and pastry for beginners",
    ],
    "space": [
        "Astronauts on a mission to Mars",
        "A rocket carries a crew into orbit",
        "The moon landing and the space race",
        "Aliens attack a space station near Jupiter",
    ],
    "football": [
        "A football coach leads his team to the cup",
        "Goals and legends of the football league",
        "The striker and the goalkeeper, a football story",
        "Football world championship, match by match",
    ],
}


def table(domain, prefix=""):
    return pd.DataFrame(
        [
            {"item_id": f"{theme}{i}", "domain": domain, "title": prefix + text, "theme": theme}
            for theme, texts in THEMES.items()
            for i, text in enumerate(texts)
        ]
    )


def log_of(items, user="ann"):
    return items[["item_id", "domain"]].assign(user_id=user)


def build(items, tmp_path, log=None, **settings):
    settings = {"encoder": "hashing", "cache_dir": tmp_path, **settings}
    return build_graph(log_of(items) if log is None else log, items, **settings)


def about(graph, domain):
    """Return {item id: [(topic, weight), ...]} as the edges stand."""
    store = graph.data[domain, "about", "interest"]
    items = graph.vocabularies[domain].decode(store.edge_index[0].numpy())
    topics = graph.vocabularies["interest"].decode(store.edge_index[1].numpy())
    result = {}
    for item, topic, weight in zip(items, topics, store.weight.tolist(), strict=True):
        result.setdefault(item, []).append((topic, weight))
    return result


@pytest.fixture(scope="module")
def two_domains():
    items = pd.concat([table("book"), table("film", "Film: ")], ignore_index=True)
    return items.assign(category="")


@pytest.fixture(scope="module")
def bert_graph(two_domains, tmp_path_factory):
    return build(
        two_domains,
        tmp_path_factory.mktemp("cache"),
        encoder="minilm",
        topics=3,
        min_similarity=0.0,
    )


# --- topics of texts ------------------------------------------------------------------------------


def test_bert_finds_the_themes_and_each_spans_both_domains(bert_graph, two_domains):
    first = {
        (domain, item): links[0][0]
        for domain in bert_graph.domains
        for item, links in about(bert_graph, domain).items()
    }
    assert len(first) == 24
    by_theme = {
        theme: {first[row.domain, row.item_id] for row in rows.itertuples()}
        for theme, rows in two_domains.groupby("theme")
    }
    assert all(len(topics) == 1 for topics in by_theme.values())
    assert len(set.union(*by_theme.values())) == 3
    assert "football" in by_theme["football"].pop()
    assert "space" in by_theme["space"].pop()
    assert describe(bert_graph).spanning_topics == 3


def test_a_topic_is_no_domain(bert_graph):
    assert bert_graph.domains == ["book", "film"]
    assert (bert_graph.n_items, bert_graph.n_topics) == (24, 3)
    with pytest.raises(UnknownIdError, match="no domain 'interest'"):
        bert_graph.interactions("interest")


def test_weights_are_cosines_strongest_first(bert_graph):
    for domain in bert_graph.domains:
        for links in about(bert_graph, domain).values():
            weights = [weight for _, weight in links]
            assert weights == sorted(weights, reverse=True)
            assert 1 <= len(weights) <= 3
            assert all(0 < weight <= 1 for weight in weights)
    # A topic's items lie nearer to one another than to the rest, so weight falls with distance.
    x, links = bert_graph.data["book"].x.numpy(), about(bert_graph, "book")
    space = bert_graph.vocabularies["book"].encode([f"space{i}" for i in range(4)])
    center = x[space].mean(axis=0)
    topic = links["space0"][0][0]
    weight = [dict(links[i]).get(topic, 0.0) for i in bert_graph.vocabularies["book"].ids]
    assert np.corrcoef(x @ center, weight)[0, 1] > 0.9


def test_same_seed_same_topics(two_domains, bert_graph, tmp_path):
    again = build(two_domains, tmp_path, encoder="minilm", topics=3, min_similarity=0.0)
    assert again.vocabularies["interest"] == bert_graph.vocabularies["interest"]
    edge = ("film", "about", "interest")
    assert torch.equal(again.data[edge].edge_index, bert_graph.data[edge].edge_index)


def test_the_seed_is_used(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = pd.Series([f"w{i % 7}x" for i in range(300)])
    one, same, other = (text_topics(vectors, texts, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.topic, same.topic)
    assert not np.array_equal(one.topic, other.topic)


def test_links_equal_a_slow_oracle(monkeypatch):
    rng = np.random.default_rng(1)
    vectors, centers = rng.normal(size=(37, 5)), rng.normal(size=(9, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    monkeypatch.setattr(text_topics_module, "BLOCK_SCORES", 40)  # several blocks
    topic, cosine = text_topics_module._nearest(vectors, centers, 3)
    for i, vector in enumerate(vectors):
        want = sorted(((float(vector @ c), j) for j, c in enumerate(centers)), reverse=True)[:3]
        assert topic[i].tolist() == [j for _, j in want]
        np.testing.assert_allclose(cosine[i], [value for value, _ in want], rtol=1e-5)


def test_progress_ends_where_it_said():
    vectors = np.eye(6, dtype=np.float32)[np.arange(60) % 6]
    steps = []
    text_topics(vectors, pd.Series(["a word"] * 60), on_progress=steps.append)
    assert sum(steps) == text_topics_module.n_learned(60)


def test_equal_texts_are_one_topic():
    vectors = np.repeat(np.eye(4, dtype=np.float32)[:1], 50, axis=0)
    found = text_topics(vectors, pd.Series(["the same guitar"] * 50))
    assert found.names == ["guitar"]
    assert found.text.tolist() == list(range(50))
    np.testing.assert_allclose(found.cosine, 1, atol=1e-6)


def test_number_of_topics():
    assert [choose_n_topics(n) for n in (1, 8, 9_800, 10**7)] == [2, 2, 70, 512]


# --- names ----------------------------------------------------------------------------------------


def test_names_equal_a_slow_oracle():
    texts = ["red tea pot", "green tea", "tea leaves green", "jazz guitar", "old jazz", "jazz tea"]
    topic = [0, 0, 0, 1, 1, 1]
    words = [{word for word in text.split() if word not in {"the"}} for text in texts]
    by_topic = [Counter(w for ws, t in zip(words, topic, strict=True) if t == c for w in ws)
                for c in (0, 1)]  # fmt: skip
    total = by_topic[0] + by_topic[1]
    mean = total.total() / 2
    for c, name in enumerate(topic_names(pd.Series(texts), np.array(topic), np.ones(6), 2)):
        want = sorted(
            by_topic[c],
            key=lambda w, c=c: (
                by_topic[c][w] < 2, -by_topic[c][w] * math.log(1 + mean / total[w]), w),
        )  # fmt: skip
        assert name.split(", ") == want[:3]


def test_chinese_texts_have_names_of_chinese_words(tmp_path):
    texts = ["宇宙飞船探索火星", "宇宙飞船与外星人", "火星上的宇宙基地", "飞船离开火星",
             "家常烹饪菜谱大全", "川菜烹饪入门", "烹饪技巧与菜谱", "甜点菜谱与烹饪"]  # fmt: skip
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(8)], "domain": "书", "title": texts})
    graph = build(items, tmp_path, topics=2)
    names = graph.vocabularies["interest"].ids.tolist()
    assert len(names) == 2
    assert any("烹饪" in name for name in names)
    assert any({"宇宙", "飞船", "火星"} & set(name.split(", ")) for name in names)
    with_bert = build(items, tmp_path, topics=2, encoder="minilm")
    assert all(
        "\u4e00" <= name[0] <= "\u9fff" for name in with_bert.vocabularies["interest"].ids.tolist()
    )
    graph.save(tmp_path / "graph")
    assert load_graph(tmp_path / "graph").vocabularies["interest"].ids.tolist() == names


def test_mixed_scripts():
    names = topic_names(
        pd.Series(["三体 Trilogy", "三体 trilogy"]), np.zeros(2, int), np.ones(2), 1
    )
    assert set(names[0].split(", ")) == {"三体", "trilogy"}


def test_a_hyphenated_word_is_one_word():
    texts = pd.Series(["'Cut-throats' of 1900", "the cut-throats"])
    assert topic_names(texts, np.zeros(2, int), np.ones(2), 1) == ["cut-throats"]


def test_a_topic_without_words_is_called_after_its_nearest_text():
    names = topic_names(
        pd.Series(["1984", "2001", "3 1/2", "300"]),
        np.array([0, 0, 1, 1]),
        np.array([0.5, 0.9, 0.8, 0.1]),
        2,
    )
    assert names == ["2001", "3 1/2"]


def test_names_are_distinct(tmp_path):
    items = pd.DataFrame({"item_id": list("abcdef"), "domain": "x", "title": "tea"})
    graph = build(items.assign(category="Tea"), tmp_path, category_items=1, topics=2)
    assert graph.vocabularies["interest"].ids.tolist() == ["Tea", "tea"]
    same = build(items.assign(category="tea"), tmp_path, category_items=1, topics=2)
    assert same.vocabularies["interest"].ids.tolist() == ["tea", "tea (2)"]


# --- categories -----------------------------------------------------------------------------------


def test_categories_of_all_domains_are_one_topic_whatever_their_case(tmp_path):
    items = pd.DataFrame(
        {
            "item_id": ["a", "b", "c", "d"],
            "domain": ["book", "book", "film", "film"],
            "title": ["", "", "", ""],
            "category": ["Horror| drama", "horror|Horror", "Horror |", "rare"],
        }
    )
    graph = build(items, tmp_path, encoder="none", category_items=2)
    assert graph.vocabularies["interest"].ids.tolist() == ["Horror"]
    assert about(graph, "book") == {"a": [("Horror", 1.0)], "b": [("Horror", 1.0)]}
    assert about(graph, "film") == {"c": [("Horror", 1.0)]}
    assert graph.provenance["topics"] == {"categories": 1, "texts": 0}


def test_category_spelling_and_threshold():
    names, item, topic = category_topics(pd.Series(["SF", "sf", "sf", "b|a", "a"]), min_items=2)
    assert names == ["a", "sf"]
    assert sorted(zip(item.tolist(), topic.tolist(), strict=True)) == [
        (0, 1), (1, 1), (2, 1), (3, 0), (4, 0)]  # fmt: skip
    assert category_topics(pd.Series(["a", "a"]), min_items=0)[0] == []


def test_categories_and_texts_together(two_domains, tmp_path):
    graph = build(
        two_domains.assign(category=two_domains["theme"]), tmp_path, topics=3, category_items=8
    )
    made = graph.provenance["topics"]
    assert made == {"categories": 3, "texts": made["texts"]}
    assert 1 <= made["texts"] <= 3
    assert graph.n_topics == made["categories"] + made["texts"]
    for links in about(graph, "film").values():
        assert {weight for topic, weight in links if topic in THEMES} == {1.0}


# --- little or nothing to go by -------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{"encoder": "none"}, {"topics": 0}, {"topics": 0, "category_items": 0}]
)
def test_none_where_none_are_wanted(two_domains, tmp_path, settings):
    graph = build(two_domains, tmp_path, **settings)
    assert graph.n_topics == 0
    assert "interest" not in graph.data.node_types
    assert describe(graph).largest_topics == {}


def test_one_item_no_text_and_no_items(tmp_path):
    one = pd.DataFrame({"item_id": ["a"], "domain": ["book"], "title": ["Dune"]})
    assert build(one, tmp_path).n_topics == 0
    silent = pd.DataFrame({"item_id": ["a", "b"], "domain": "book", "title": ["", ""]})
    assert build(silent, tmp_path).n_topics == 0
    assert build_graph(log_of(silent), encoder="none").n_topics == 0


def test_a_domain_without_text_has_an_edge_type_of_no_edges(two_domains, tmp_path):
    silent = pd.DataFrame({"item_id": ["s"], "domain": ["song"], "title": [""]})
    graph = build(pd.concat([two_domains, silent]).fillna(""), tmp_path, topics=3)
    assert graph.data["song", "about", "interest"].edge_index.shape == (2, 0)
    assert TrainingData.from_graph(graph).n_items == 25


def test_settings_out_of_range(two_domains, tmp_path):
    with pytest.raises(ConfigError, match="topics"):
        build(two_domains, tmp_path, topics=-1)


# --- where topics go ------------------------------------------------------------------------------


def test_saved_and_loaded(bert_graph, tmp_path):
    bert_graph.save(tmp_path / "graph")
    again = load_graph(tmp_path / "graph")
    assert again.vocabularies["interest"] == bert_graph.vocabularies["interest"]
    for domain in again.domains:
        for name in ("edge_index", "weight"):
            stored = again.data[domain, "about", "interest"][name]
            assert torch.equal(stored, bert_graph.data[domain, "about", "interest"][name])
    assert again.domains == bert_graph.domains


def test_holding_out_and_one_domain_keep_topics(two_domains, tmp_path):
    log = pd.concat([log_of(two_domains, f"u{i}") for i in range(6)])
    graph = build(two_domains, tmp_path, log, topics=3)
    smaller, rows = hold_out(graph, share=0.2)
    assert len(rows)
    for domain in graph.domains:
        assert about(smaller, domain) == about(graph, domain)
    assert about(only_domain(graph, "film"), "film") == about(graph, "film")


def test_description_counts_and_names(bert_graph):
    description = describe(bert_graph)
    sizes = Counter(
        topic
        for domain in bert_graph.domains
        for links in about(bert_graph, domain).values()
        for topic, _ in links
    )
    assert description.topics == 3
    assert description.largest_topics == dict(sizes)
    counts = list(description.largest_topics.values())
    assert counts == sorted(counts, reverse=True)


def test_topics_stand_in_a_neighbourhood_by_name(bert_graph):
    around = neighborhood(bert_graph, ("user", "ann"), limit=80)
    topics = {node[1]: data for node, data in around.nodes.items() if node[0] == "interest"}
    assert set(topics) == set(bert_graph.vocabularies["interest"].ids)
    assert all(data["label"] == name for name, data in topics.items())
    assert {"about", "interacts"} <= {kind for *_, kind in around.edges(data="kind")}
    legend = draw_neighborhood(around).get_legend().get_texts()
    assert {"interest", "about"} <= {text.get_text() for text in legend}
    name = next(iter(topics))
    centered = neighborhood(bert_graph, ("interest", name), hops=1)
    assert {node[0] for node in centered} == {"interest", "book", "film"}


def test_a_path_over_a_topic(two_domains, tmp_path):
    log = log_of(two_domains[two_domains["domain"] == "book"])
    graph = build(two_domains, tmp_path, log, topics=3, similar_k=0)
    target = ("film", "space0")
    (best, *_) = connect(graph, ("user", "ann"), target)
    assert best.kinds == ("interacts", "about", "about")
    assert best.crosses
    assert best.nodes[2][0] == "interest"
    inside = connect(graph, ("book", "space0"), ("book", "space1"))
    assert inside
    assert not any(path.crosses for path in inside)
