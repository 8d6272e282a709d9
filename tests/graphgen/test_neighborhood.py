"""Looking around a node: exact where there is room, fair where there is not, always the same."""

from __future__ import annotations

import json
from itertools import pairwise

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch_geometric.data import HeteroData

from graphgen.adjacency import NO_TIME
from graphgen.errors import ConfigError, UnknownIdError
from graphgen.graph import InterestGraph, add_reverse_edges
from graphgen.ids import masked_id
from graphgen.looking.connections import connect
from graphgen.looking.elements import elements
from graphgen.looking.neighborhoods import neighborhood, subgraph
from graphgen.schema import SHARED_USERS
from graphgen.vocabulary import Vocabulary


def make_graph(ids, takes=(), alike=(), titles=None, then=()):
    """Build a graph by hand.

    ids: {type: [id, ...]}; takes: (user, domain, item[, weight, time in ms]);
    alike and then: (domain, item, domain, item, weight), as directed as the builder makes them.
    """
    vocabularies = {node_type: Vocabulary(values) for node_type, values in ids.items()}
    data = HeteroData()
    for node_type, vocabulary in vocabularies.items():
        data[node_type].num_nodes = len(vocabulary)
    edges = {}
    for user, domain, item, *more in takes:
        weight, stamp = (*more, *(1.0, None)[len(more) :])
        edges.setdefault(("user", "interacts", domain), []).append((user, item, weight, stamp))
    for relation, rows in (("similar", alike), ("next", then)):
        for a, one, b, other, weight in rows:
            edges.setdefault((a, relation, b), []).append((one, other, weight, None))
    for (a, relation, b), rows in edges.items():
        heads, tails, weights, stamps = zip(*rows, strict=True)
        ends = [vocabularies[a].encode(list(heads)), vocabularies[b].encode(list(tails))]
        store = data[a, relation, b]
        store.edge_index = torch.from_numpy(np.stack(ends))
        store.weight = torch.tensor(weights, dtype=torch.float32)
        if stamps[0] is not None:
            store.time = torch.tensor(stamps)
    add_reverse_edges(data)
    tables = {
        domain: pa.table(
            {
                "title": [(titles or {}).get(id_, "") for id_ in vocabulary.ids],
                "category": [f"kind of {domain}"] * len(vocabulary),
            }
        )
        for domain, vocabulary in vocabularies.items()
        if domain != "user"
    }
    return InterestGraph(data, vocabularies, item_tables=tables)


@pytest.fixture
def small():
    return make_graph(
        {"user": ["ann", "bob", "eve", "hermit"], "book": ["b1", "b2", "b3"], "film": ["f1", "f2"]},
        takes=[
            ("ann", "book", "b1", 2.0, 1_700_000_000_000),
            ("ann", "film", "f1", 1.0, 1_700_000_001_000),
            ("bob", "film", "f1", 1.0, 1_600_000_000_000),
            ("bob", "book", "b2", 1.0, 1_600_000_000_000),
            ("eve", "book", "b2", 1.0, 1_600_000_000_000),
        ],
        alike=[
            ("book", "b1", "film", "f2", 0.75),
            ("film", "f2", "book", "b1", 0.75),
            ("book", "b1", "book", "b3", 0.5),
        ],
        titles={"b1": "Dune", "f1": "Alien", "f2": "Solaris"},
    )


def random_graph(seed, n_users=30, n_items=12, n_takes=150, n_alike=60):
    rng = np.random.default_rng(seed)
    domains = ["book", "film", "game"]
    users = [f"u{i:02d}" for i in range(n_users)]
    items = {domain: [f"{domain[0]}{i:02d}" for i in range(n_items)] for domain in domains}

    def pick(values):
        return values[int(rng.integers(len(values)))]

    takes = {}
    for _ in range(n_takes):
        domain = pick(domains)
        takes[pick(users), domain, pick(items[domain])] = (
            float(rng.integers(1, 4)),
            int(rng.integers(1_500_000_000_000, 1_600_000_000_000)),
        )
    alike = {}
    for _ in range(n_alike):
        a, b = pick(domains), pick(domains)
        one, other = pick(items[a]), pick(items[b])
        if (a, one) != (b, other):
            alike[a, one, b, other] = float(rng.random())
    return make_graph(
        {"user": users, **items},
        [(*key, *value) for key, value in takes.items()],
        [(*key, value) for key, value in alike.items()],
    )


def whole(graph):
    """Return the graph as networkx, edge by edge: the slow and obvious way."""
    result = nx.Graph()
    for node_type, vocabulary in graph.vocabularies.items():
        result.add_nodes_from((node_type, id_) for id_ in vocabulary.ids)
    for a, relation, b in graph.data.edge_types:
        store = graph.data[a, relation, b]
        ends = store.edge_index.tolist()
        for head, tail, weight in zip(*ends, store.weight.tolist(), strict=True):
            one = (a, graph.vocabularies[a].ids[head])
            other = (b, graph.vocabularies[b].ids[tail])
            if result.has_edge(one, other):
                weight = max(weight, result.edges[one, other]["weight"])
            result.add_edge(one, other, kind=relation.removeprefix("rev_"), weight=weight)
    return result


def test_what_nodes_and_edges_say(small):
    around = neighborhood(small, ("user", "ann"))
    assert around.nodes["book", "b1"] == {
        "type": "book",
        "label": "Dune",
        "category": "kind of book",
        "distance": 1,
        "degree": 3,
        "more": "{}",
    }
    assert around.nodes["book", "b3"]["label"] == "b3"  # no title: the id
    assert around.nodes["user", "ann"]["distance"] == 0
    assert around.nodes["film", "f2"]["distance"] == 2
    assert around.edges[("user", "ann"), ("book", "b1"), "interacts"] == {
        "kind": "interacts",
        "weight": 2.0,
        "time": "2023-11-14T22:13:20+00:00",
        "count": 1,
    }
    alike = around.edges[("book", "b1"), ("film", "f2"), "similar"]
    assert (alike["kind"], alike["weight"], alike["time"]) == ("similar", 0.75, "")
    assert not around.has_edge(("film", "f2"), ("book", "b1"))  # both directions are one edge
    assert json.loads(around.graph["center"]) == ["user", "ann"]
    assert json.loads(around.graph["domains"]) == ["book", "film"]
    assert ("user", "eve") not in around  # three steps away


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("hops", [0, 1, 2, 3])
def test_with_room_it_is_the_ego_graph(seed, hops):
    graph = random_graph(seed)
    reference = whole(graph)
    for node in [("user", "u03"), ("film", "f05")]:
        around = neighborhood(graph, node, hops=hops, limit=10_000)
        expected = nx.ego_graph(reference, node, radius=hops)
        assert set(around) == set(expected)
        assert {frozenset(edge) for edge in around.edges()} == {
            frozenset(edge) for edge in expected.edges
        }
        for one, other, data in around.edges(data=True):
            assert data["weight"] == pytest.approx(expected.edges[one, other]["weight"])
            assert data["kind"] == expected.edges[one, other]["kind"]
        distance = nx.single_source_shortest_path_length(expected, node)
        assert {n: d["distance"] for n, d in around.nodes.items()} == distance


@pytest.mark.parametrize("limit", [1, 2, 5, 17, 40])
def test_without_room_it_is_a_connected_part(limit):
    graph = random_graph(7)
    reference = whole(graph)
    around = neighborhood(graph, ("user", "u03"), limit=limit)
    assert len(around) == limit
    assert nx.is_weakly_connected(around)
    assert max(d["distance"] for _, d in around.nodes.items()) <= 2
    assert {frozenset(edge) for edge in around.edges()} == {
        frozenset(edge) for edge in reference.subgraph(around).edges
    }


def test_it_does_not_depend_on_chance():
    def picture(graph, **settings):
        around = neighborhood(graph, ("user", "u03"), limit=12, **settings)
        return list(around.nodes), list(around.edges)

    assert picture(random_graph(3)) == picture(random_graph(3))
    assert picture(random_graph(3), seed=1) == picture(random_graph(3), seed=1)


def test_the_seed_decides_between_equals():
    items = [f"b{i:02d}" for i in range(50)]
    graph = make_graph({"user": ["ann"], "book": items}, [("ann", "book", item) for item in items])
    chosen = {
        frozenset(neighborhood(graph, ("user", "ann"), limit=6, seed=seed)) for seed in range(5)
    }
    assert len(chosen) == 5


def test_a_large_domain_leaves_room_for_a_small_one():
    books, games = [f"b{i:03d}" for i in range(200)], ["g1", "g2"]
    graph = make_graph(
        {"user": ["ann"], "book": books, "game": games},
        [("ann", "book", item) for item in books] + [("ann", "game", item) for item in games],
    )
    around = neighborhood(graph, ("user", "ann"), limit=11)
    assert {("game", "g1"), ("game", "g2")} <= set(around)
    assert len(around) == 11


def test_a_hub_leaves_room_for_a_rare_item():
    fans = [f"u{i:03d}" for i in range(300)]
    graph = make_graph(
        {"user": ["ann", "bob", *fans], "book": ["hit", "rare"]},
        [("ann", "book", "hit"), ("ann", "book", "rare"), ("bob", "book", "rare")]
        + [(fan, "book", "hit") for fan in fans],
    )
    assert ("user", "bob") in neighborhood(graph, ("user", "ann"), limit=5)


def test_each_hop_has_its_share_and_leftovers_are_used():
    items = [f"b{i:03d}" for i in range(100)]
    takes = [("ann", "book", item) for item in items]
    graph = make_graph({"user": ["ann", "bob"], "book": items}, [*takes, ("bob", "book", "b000")])
    around = neighborhood(graph, ("user", "ann"), hops=2, limit=41)
    # Twenty go to the first hop and one person is all the second has: the rest flows back.
    assert len(around) == 41


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (("ann", "book", "b1", 5.0, 1000), ("ann", "book", "b0", 1.0, 1000)),
        (("ann", "book", "b1", 1.0, 9000), ("ann", "book", "b0", 1.0, 1000)),
    ],
    ids=["stronger", "more recent"],
)
def test_what_comes_first(better, worse):
    graph = make_graph({"user": ["ann"], "book": ["b0", "b1"]}, [better, worse])
    assert list(neighborhood(graph, ("user", "ann"), limit=2))[1] == ("book", "b1")


def test_the_rarer_of_two_equals_comes_first():
    fans = [f"fan{i}" for i in range(9)]
    graph = make_graph(
        {"user": ["ann", *fans], "book": ["b0", "b1"]},
        [("ann", "book", "b0"), ("ann", "book", "b1"), *((fan, "book", "b0") for fan in fans)],
    )
    assert list(neighborhood(graph, ("user", "ann"), limit=2))[1] == ("book", "b1")


def test_who_shares_most_comes_first():
    graph = make_graph(
        {"user": ["ann", "aaa", "twin", "zzz"], "book": ["b0", "b1", "b2"]},
        [("ann", "book", b) for b in ("b0", "b1", "b2")]
        + [("aaa", "book", "b0"), ("zzz", "book", "b0")]
        + [("twin", "book", b) for b in ("b0", "b1", "b2")],
    )
    around = neighborhood(graph, ("user", "ann"), limit=5)
    assert ("user", "twin") in around


def test_relations_can_be_chosen(small):
    taken = neighborhood(small, ("user", "ann"), relations=["interacts"])
    assert {data["kind"] for *_, data in taken.edges(data=True)} == {"interacts"}
    assert ("film", "f2") not in taken
    alike = neighborhood(small, ("book", "b1"), relations="similar")
    assert set(alike) == {("book", "b1"), ("book", "b3"), ("film", "f2")}
    with pytest.raises(ConfigError, match="did you mean 'similar'"):
        neighborhood(small, ("user", "ann"), relations=["similr"])


def test_without_other_users_their_items_are_joined():
    graph = make_graph(
        {"user": list("abcdef"), "book": ["b1", "b2", "b3", "b4"], "film": ["f1"]},
        takes=[
            *[("a", "book", "b1")],
            *[(user, "book", "b1") for user in "bcd"],
            *[(user, "book", "b2") for user in "bcd"],
            *[(user, "film", "f1") for user in "cd"],
            *[(user, "book", "b3") for user in "de"],
            *[("f", "book", "b4")],
        ],
    )
    around = neighborhood(graph, ("user", "a"), users=False)
    assert {node for node in around if node[0] == "user"} == {("user", "a")}
    assert ("book", "b4") not in around  # shares no user
    shared = {
        frozenset((head[1], tail[1])): data["weight"]
        for head, tail, data in around.edges(data=True)
        if data["kind"] == SHARED_USERS
    }
    assert shared == {
        frozenset(("b1", "b2")): 3, frozenset(("b1", "f1")): 2, frozenset(("b1", "b3")): 1,
        frozenset(("b2", "f1")): 2, frozenset(("b2", "b3")): 1, frozenset(("b3", "f1")): 1,
    }  # fmt: skip
    assert json.loads(around.nodes["book", "b1"]["more"]) == {"user": 3}
    assert json.loads(around.nodes["book", "b3"]["more"]) == {"user": 2}
    assert around.nodes["film", "f1"]["distance"] == 2
    films = neighborhood(graph, ("book", "b1"), users=False, domains="film")
    assert set(films) == {("book", "b1"), ("film", "f1")}
    alone = neighborhood(graph, ("book", "b1"), users=False, relations=[], hops=1)
    assert set(alone) == {("book", "b1")}
    with pytest.raises(UnknownIdError, match="no domain 'song'"):
        neighborhood(graph, ("user", "a"), domains=["song"])


def test_every_item_of_a_small_picture_is_joined_to_one_before_it():
    for seed in range(4):
        graph = random_graph(seed)
        for hops, limit in ((1, 5), (2, 15), (2, 40), (3, 40)):
            around = neighborhood(graph, ("user", "u03"), users=False, hops=hops, limit=limit)
            assert {data["distance"] for _, data in around.nodes(data=True)} <= set(range(hops + 1))


def test_corners(small):
    for settings in ({"hops": 0}, {"limit": 1}):
        around = neighborhood(small, ("user", "ann"), **settings)
        assert list(around) == [("user", "ann")]
        assert not around.edges
    hermit = neighborhood(small, ("user", "hermit"))
    assert dict(hermit.nodes)["user", "hermit"]["degree"] == 0
    assert len(hermit) == 1
    assert len(neighborhood(small, ("user", "ann"), hops=9)) == 8  # all but the hermit
    with pytest.raises(ConfigError, match="`hops` must be at least 0; got -1"):
        neighborhood(small, ("user", "ann"), hops=-1)
    with pytest.raises(ConfigError, match="`limit` must be at least 1; got 0"):
        neighborhood(small, ("user", "ann"), limit=0)


def test_unknown_nodes_are_named(small):
    with pytest.raises(UnknownIdError, match="'anne'; did you mean 'ann'"):
        neighborhood(small, ("user", "anne"))
    with pytest.raises(UnknownIdError, match=r"node type 'books'.*did you mean 'book'"):
        neighborhood(small, ("books", "b1"))
    with pytest.raises(UnknownIdError, match="A node is written"):
        neighborhood(small, "ann")
    with pytest.raises(UnknownIdError):
        subgraph(small, [("film", "f9")], center=("user", "ann"))


def test_repeated_rows_are_one_edge():
    graph = make_graph(
        {"user": ["ann"], "book": ["b1"]},
        [("ann", "book", "b1", 1.0, 1000), ("ann", "book", "b1", 3.0, 5000)],
    )
    edge = neighborhood(graph, ("user", "ann")).edges[("user", "ann"), ("book", "b1"), "interacts"]
    assert (edge["count"], edge["weight"], edge["time"][-8:-6]) == (2, 3.0, "05")


def test_a_graph_without_times_or_edges():
    graph = make_graph({"user": ["ann"], "book": ["b1"]}, [("ann", "book", "b1")])
    assert (graph.adjacency.time == NO_TIME).all()
    edge = neighborhood(graph, ("user", "ann")).edges[("user", "ann"), ("book", "b1"), "interacts"]
    assert edge["time"] == ""
    empty = make_graph({"user": ["ann"], "book": ["b1"]})
    assert list(neighborhood(empty, ("book", "b1"))) == [("book", "b1")]


def test_the_table_of_neighbours_is_built_once(small):
    assert small.adjacency is small.adjacency


def test_subgraph_of_chosen_nodes(small):
    chosen = subgraph(
        small, [("film", "f2"), ("book", "b1"), ("user", "eve")], center=("user", "ann")
    )
    assert {node: data["distance"] for node, data in chosen.nodes.items()} == {
        ("user", "ann"): 0,
        ("book", "b1"): 1,
        ("film", "f2"): 2,
        ("user", "eve"): -1,
    }


# --- connect -----------------------------------------------------------------------------------


def reference_score(reference, path):
    score = 1.0
    for one, other in pairwise(path):
        edge = reference.edges[one, other]
        score *= 1.0 if edge["kind"] == "interacts" else edge["weight"]
    for node in path[1:-1]:
        score *= reference.degree(node) ** -0.5
    return score


@pytest.mark.parametrize("seed", range(6))
def test_the_first_path_is_the_best_of_all(seed):
    graph = random_graph(seed)
    reference = whole(graph)
    for source, target in [
        (("user", "u01"), ("film", "f02")),
        (("user", "u05"), ("game", "g03")),
        (("book", "b01"), ("game", "g07")),
    ]:
        paths = list(nx.all_simple_paths(reference, source, target, cutoff=3))
        found = connect(graph, source, target, max_paths=100)
        assert {path.nodes for path in found} <= {tuple(path) for path in paths}
        if not paths:
            assert not found
            continue
        best = max(reference_score(reference, path) for path in paths)
        assert found[0].score == pytest.approx(best)
        for path in found:
            assert path.score == pytest.approx(reference_score(reference, path.nodes))
            steps = pairwise(path.nodes)
            assert path.kinds == tuple(reference.edges[step]["kind"] for step in steps)
        assert len({path.nodes for path in found}) == len(found)
        if len(paths) <= 50:
            assert len(found) == len(paths)
        assert connect(graph, source, target, max_paths=2) == found[:2]


def test_a_bridge_is_told_in_words(small):
    best, *_ = connect(small, ("user", "ann"), ("film", "f2"))
    assert str(best) == "user ann — Dune [book] ~similar~ Solaris [film]"
    assert best.crosses
    over_bob, *_ = connect(small, ("user", "ann"), ("book", "b2"))
    assert str(over_bob) == f"user ann — Alien [film] — {masked_id('bob')} — b2 [book]"
    assert over_bob.score == pytest.approx(0.5)


def test_paths_differ_before_they_repeat():
    graph = make_graph(
        {"user": ["ann", "v1", "v2"], "book": ["b1", "b2"], "film": ["f1"]},
        [
            ("ann", "book", "b1"),
            ("v1", "book", "b1"),
            ("v2", "book", "b1"),
            ("v1", "film", "f1"),
            ("v2", "film", "f1"),
            ("ann", "book", "b2"),
        ],
        [("book", "b2", "film", "f1", 0.4)],
    )
    one, two = connect(graph, ("user", "ann"), ("film", "f1"), max_paths=2)
    assert {one.kinds, two.kinds} == {
        ("interacts", "similar"),
        ("interacts", "interacts", "interacts"),
    }


@pytest.fixture(scope="module")
def walked():
    """Items a, b and c: a and b are alike, b followed a, and a followed c and b."""
    ids = {"user": ["ann"], "book": ["a", "b"], "film": ["c"]}
    alike = [("book", "a", "book", "b", 0.5)]
    then = [
        ("book", "a", "book", "b", 3.0),
        ("book", "b", "book", "a", 1.5),
        ("film", "c", "book", "a", 2.0),
    ]
    return make_graph(ids, [("ann", "book", "a")], alike, then=then)


def test_transitions_keep_their_direction_and_stand_beside_other_edges(walked):
    around = neighborhood(walked, ("book", "a"), hops=1)
    assert set(around.edges(keys=True, data="weight")) == {
        (("user", "ann"), ("book", "a"), "interacts", 1.0),
        (("book", "a"), ("book", "b"), "similar", 0.5),
        (("book", "a"), ("book", "b"), "next", 3.0),
        (("book", "b"), ("book", "a"), "next", 1.5),
        (("film", "c"), ("book", "a"), "next", 2.0),
    }
    assert set(neighborhood(walked, ("film", "c"), relations="next")) == {
        ("film", "c"), ("book", "a"), ("book", "b"),
    }  # fmt: skip
    drawn = elements(around)["edges"]
    assert {edge["text"] for edge in drawn} == {
        "interacts", "next → 2", "next → 3; next ← 1.5; similar 0.5",
    }  # fmt: skip


def test_a_transition_leads_only_to_the_later_item(walked):
    found = connect(walked, ("user", "ann"), ("book", "b"))
    assert [path.kinds for path in found] == [("interacts", "next")]  # The strongest of each pair.
    assert found[0].score == pytest.approx(3 / 4 * walked.adjacency.degree[1] ** -0.5)
    assert str(found[0]) == "user ann — a [book] ~next~ b [book]"
    assert connect(walked, ("user", "ann"), ("film", "c")) == []
    assert connect(walked, ("film", "c"), ("book", "b"))[0].kinds == ("next", "next")


def test_no_way_and_no_step(small):
    assert connect(small, ("user", "hermit"), ("film", "f1")) == []
    assert connect(small, ("user", "ann"), ("user", "ann")) == []
    (direct, *_) = connect(small, ("user", "ann"), ("book", "b1"))
    assert (direct.kinds, direct.score) == (("interacts",), 1.0)
    with pytest.raises(ConfigError, match="max_paths"):
        connect(small, ("user", "ann"), ("film", "f1"), max_paths=0)
    with pytest.raises(UnknownIdError):
        connect(small, ("user", "ann"), ("film", "f3"))


# --- speed -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_limits_hold_on_a_large_graph():
    rng = np.random.default_rng(0)
    n_users, n_items = 86_000, 12_500
    domains = ["beauty", "games", "sports", "toys"]
    data = HeteroData()
    vocabularies = {"user": Vocabulary(f"A{i:06d}" for i in range(n_users))}
    shares = (np.arange(n_items) + 1.0) ** -0.9
    for domain in domains:
        vocabularies[domain] = Vocabulary(f"B{i:06d}" for i in range(n_items))
        store = data["user", "interacts", domain]
        users = np.sort(rng.integers(0, n_users, 150_000))
        items = rng.choice(n_items, 150_000, p=shares / shares.sum())
        store.edge_index = torch.from_numpy(np.stack([users, items]))
        store.weight = torch.ones(150_000)
        for other in domains:
            alike = data[domain, "similar", other]
            alike.edge_index = torch.from_numpy(rng.integers(0, n_items, (2, 62_500)))
            alike.weight = torch.from_numpy(rng.random(62_500, dtype=np.float32))
    add_reverse_edges(data)
    graph = InterestGraph(data, vocabularies)
    neighborhood(graph, ("user", "A000000"))
    nodes = [("user", f"A{i:06d}") for i in range(0, 50_000, 2_500)] + [("toys", "B000000")]
    for node in nodes:
        assert 1 <= len(neighborhood(graph, node)) <= 60
        assert len(connect(graph, node, ("games", "B000001"))) <= 3


def test_of_a_built_graph():
    from graphgen.build import build_graph

    graph = build_graph(
        pd.DataFrame(
            {
                "user_id": ["ann", "ann", "bob"],
                "domain": ["book", "film", "film"],
                "item_id": ["Dune", "Alien", "Alien"],
                "timestamp": [1, 2, 3],
            }
        ),
        encoder="none",
    )
    around = neighborhood(graph, ("user", "ann"))
    assert around.edges[("user", "bob"), ("film", "Alien"), "interacts"]["time"].startswith("1970")
