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
from graphgen import build_graph, connect, describe, load_graph, neighborhood
from graphgen.builders import clusters as clusters_module
from graphgen.builders.clusters import choose_n_clusters, find_clusters, n_learned
from graphgen.builders.naming import topic_names
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
            assert 1 <= len(weights) <= 5
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


def unit_rows(shape, seed=0):
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_seed_is_used():
    one, same, other = (find_clusters(unit_rows((300, 8)), seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.cluster, same.cluster)
    assert not np.array_equal(one.nearest, other.nearest)


def test_links_equal_a_slow_oracle(monkeypatch):
    vectors, centers = unit_rows((37, 5)), unit_rows((9, 5), seed=1)
    monkeypatch.setattr(clusters_module, "BLOCK_SCORES", 40)  # several blocks
    cluster, cosine = clusters_module._nearest(vectors, centers, 3)
    for i, vector in enumerate(vectors):
        want = sorted(((float(vector @ c), j) for j, c in enumerate(centers)), reverse=True)[:3]
        assert cluster[i].tolist() == [j for _, j in want]
        np.testing.assert_allclose(cosine[i], [value for value, _ in want], rtol=1e-5)
    assert (clusters_module._nearest(vectors, centers, 1)[0] == cluster[:, :1]).all()


def test_an_item_is_about_as_many_topics_as_fit_it():
    axes = np.eye(6, dtype=np.float32)
    between, far = axes[0] + axes[1], np.array([1, 1, 1, 1, 1, 1], np.float32)
    rows = np.concatenate([np.repeat(axes[:5], 40, axis=0), [between / 2**0.5, far / 6**0.5]])
    found = find_clusters(rows, n_clusters=5)
    links = np.bincount(found.row, minlength=len(rows))
    assert (links[:200] == 1).all()
    assert links[200:].tolist() == [2, 5]
    assert found.former.tolist() == [-1] * 5


def test_progress_ends_where_it_said():
    vectors = np.eye(6, dtype=np.float32)[np.arange(60) % 6]
    for former in (None, np.arange(60) % 6):
        steps = []
        find_clusters(vectors, former=former, on_progress=steps.append)
        assert sum(steps) == n_learned(60)


def test_equal_texts_are_one_topic(tmp_path):
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(50)], "domain": "x"})
    graph = build(items.assign(title="the same guitar"), tmp_path)
    assert graph.vocabularies["interest"].ids.tolist() == ["guitar"]
    for links in about(graph, "x").values():
        assert links == [("guitar", pytest.approx(1, abs=1e-6))]


def test_number_of_topics():
    assert [choose_n_clusters(n) for n in (1, 8, 9_800, 10**7)] == [2, 2, 70, 512]


# --- names ----------------------------------------------------------------------------------------


def test_names_equal_a_slow_oracle():
    texts = ["red tea pot", "green tea", "tea leaves green", "jazz guitar", "old jazz", "jazz tea"]
    topic = [0, 0, 0, 1, 1, 1]
    by_topic = [Counter(w for text, t in zip(texts, topic, strict=True) if t == c
                        for w in text.split()) for c in (0, 1)]  # fmt: skip
    total = by_topic[0] + by_topic[1]
    mean = total.total() / 2
    for c, name in enumerate(topic_names(pd.Series(texts), np.array(topic), np.ones(6), 2)):
        want = sorted(
            (w for w, n in by_topic[c].items() if n >= 2 * by_topic[1 - c][w]),
            key=lambda w, c=c: (
                by_topic[c][w] < 2, -by_topic[c][w] * math.log(1 + mean / total[w]), w),
        )  # fmt: skip
        assert name.split(", ") == want[:3]


def test_names_have_no_function_words_and_no_words_of_all_texts():
    texts = ["Der Tee und das Wasser", "Tee und Milch", "I don't like jazz", "It's jazz, isn't it"]
    texts = [f"title {text}" for text in texts]
    names = topic_names(pd.Series(texts), np.array([0, 0, 1, 1]), np.ones(4), 2)
    assert names == ["tee, milch, wasser", "jazz, like"]


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


def test_names_are_distinct_by_further_words(tmp_path):
    texts = ["tea green mint pot", "mint tea green cup"] * 2 + ["jazz guitar"] * 2
    topic = np.array([0, 1, 0, 1, 2, 2])
    names = topic_names(pd.Series(texts), topic, np.ones(6), 3, taken=["Guitar, Jazz"])
    assert names[0].startswith("pot") and names[1].startswith("cup")
    assert names[2] == "jazz guitar"  # as its text stands, since no further word tells it apart
    given = topic_names(pd.Series(texts), topic, np.ones(6), 3, given=["", "kept", ""])
    assert given[1] == "kept"


def test_topics_that_nothing_tells_apart_are_one(tmp_path):
    items = pd.DataFrame({"item_id": list("abcdef"), "domain": "x", "title": "tea"})
    graph = build(items.assign(category="Tea"), tmp_path, category_items=1, topics=2)
    assert about(graph, "x") == {item: [("Tea", 1.0)] for item in "abcdef"}
    assert graph.provenance["topics"] == {"categories": 1, "communities": 0, "texts": 0}


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
    assert graph.provenance["topics"]["categories"] == 1


def test_category_spelling_and_threshold():
    names, item, topic, _ = category_topics(pd.Series(["SF", "sf", "sf", "b|a", "a"]), min_items=2)
    assert names == ["a", "sf"]
    assert sorted(zip(item.tolist(), topic.tolist(), strict=True)) == [
        (0, 1), (1, 1), (2, 1), (3, 0), (4, 0)]  # fmt: skip
    assert category_topics(pd.Series(["a", "a"]), min_items=0)[0] == []


def test_categories_and_texts_together(two_domains, tmp_path):
    graph = build(
        two_domains.assign(category=two_domains["theme"]), tmp_path, topics=3, category_items=8
    )
    made = graph.provenance["topics"]
    assert made == {"categories": 3, "communities": 0, "texts": made["texts"]}
    assert 1 <= made["texts"] <= 3
    assert graph.n_topics == made["categories"] + made["texts"]
    for links in about(graph, "film").values():
        assert {weight for topic, weight in links if topic in THEMES} == {1.0}


# --- communities ----------------------------------------------------------------------------------


def groups_log(seed=0, groups=4, users=30, per_group=20):
    """Users who like two thirds of the items of one group, half of them in each of two domains."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"g{g}u{u}", "ab"[i % 2], f"g{g}i{i}")
        for g in range(groups)
        for u in range(users)
        for i in np.flatnonzero(rng.random(per_group) < 0.66)
    ]
    return pd.DataFrame(rows, columns=["user_id", "domain", "item_id"])


def test_a_log_without_texts_has_communities_named_by_their_items():
    log = groups_log()
    graph = build_graph(log, topics=4)
    assert graph.provenance["topics"] == {"categories": 0, "communities": 4, "texts": 0}
    strongest = {i: links[0][0] for d in graph.domains for i, links in about(graph, d).items()}
    assert len(strongest) == 80
    by_group = {g: {t for item, t in strongest.items() if item.startswith(g)} for g in
                ("g0", "g1", "g2", "g3")}  # fmt: skip
    assert all(len(topics) == 1 for topics in by_group.values())
    for group, (name,) in by_group.items():
        first, second = name.removeprefix("like: ").split(", ")
        assert first.startswith(group) and second.startswith(group)
    titles = log[["item_id", "domain"]].drop_duplicates().assign(category="")
    titles["title"] = "The " + titles["item_id"]
    titled = build_graph(log, titles, encoder="none", topics=4).vocabularies["interest"].ids
    assert {name.replace("The ", "") for name in titled} == {n for (n,) in by_group.values()}


def test_communities_are_for_items_of_no_other_topic_or_by_option(tmp_path):
    log = groups_log()
    items = log[["item_id", "domain"]].drop_duplicates().assign(title="", category="")
    first = items["item_id"].str.startswith("g0")
    items.loc[first, "category"] = "Known"
    graph = build_graph(log, items, topics=4)
    for domain in graph.domains:
        for item, links in about(graph, domain).items():
            assert (links[0][0] == "Known") == item.startswith("g0")
            assert len(links) == 1
    items["category"] = "Known"
    assert build_graph(log, items, topics=4).n_topics == 1
    assert build_graph(log, items, topics=4, communities=True).n_topics == 5
    assert build_graph(log, topics=0).n_topics == 0


def test_validation_rows_do_not_keep_their_communities(tmp_path):
    log = groups_log()
    items = log[["item_id", "domain"]].drop_duplicates()
    items = items.assign(title="", category=np.where(items["item_id"] < "g1", "like: this", ""))
    build_graph(log, items, encoder="none", topics=4).save(tmp_path / "graph")
    graph = load_graph(tmp_path / "graph")
    assert {"like: this"} == set(graph.vocabularies["interest"].ids[~graph.communities])
    smaller, _ = hold_out(graph)
    left = {links[0][0] for links in about(smaller, "a").values() if links}
    assert left == {"like: this"} and len(about(graph, "a")) > len(about(smaller, "a"))


# --- topics that go on ----------------------------------------------------------------------------


def test_topics_go_on_with_names_and_members(two_domains, tmp_path):
    few = two_domains[~two_domains["item_id"].str.endswith("3")]
    before = build(few, tmp_path, topics=3, encoder="minilm")
    before.save(tmp_path / "graph")
    after = build(two_domains, tmp_path, topics=3, encoder="minilm",
                  topics_from=tmp_path / "graph")  # fmt: skip
    assert after.vocabularies["interest"] == before.vocabularies["interest"]
    made = after.provenance["topics"]["former"]
    assert made == {"topics": 3, "same_name": 3, "items": 18, "adjusted_rand": 1.0}
    old, new = about(before, "book"), about(after, "book")
    assert all(new[item][0][0] == links[0][0] for item, links in old.items())
    assert len(new) == 12


def test_new_items_that_fit_no_former_topic_make_new_ones():
    axes = np.eye(8, dtype=np.float32)
    rows = np.repeat(axes[:4], 20, axis=0) + 0.1 * unit_rows((80, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    known = find_clusters(rows, n_clusters=4)
    more = np.concatenate([rows, np.repeat(axes[6:7], 10, axis=0)])
    former = np.concatenate([known.nearest, np.full(10, -1)])
    found = find_clusters(more, n_clusters=5, former=former)
    assert found.former.tolist() == [0, 1, 2, 3, -1]
    assert (found.nearest[:80] == known.nearest).all()
    assert (found.nearest[80:] == 4).all()


def test_communities_go_on():
    log = groups_log()
    before = build_graph(log.sample(frac=0.9, random_state=0), topics=4)
    after = build_graph(log, topics=4, topics_from=before)
    assert after.vocabularies["interest"] == before.vocabularies["interest"]
    assert after.provenance["topics"]["former"]["adjusted_rand"] == 1.0


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
