"""Mined rules against slow and obvious oracles."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gnn.data import TrainingData
from gnn.rules import mining
from gnn.rules.mining import adjusted, fisher_greater, mine_rules
from gnn.rules.terms import terms_of
from graphgen.build import build_graph


@pytest.fixture(scope="module")
def data():
    """Two domains with categories, random but for one pair that is often together."""
    generator = np.random.default_rng(3)
    rows = []
    for user in range(60):
        both = generator.random() < 0.4
        for domain, first in (("book", 0), ("film", 20)):
            items = set(generator.choice(20, 4, replace=False).tolist()) - {7}
            rows += [
                (f"u{user}", domain, f"i{first + i}") for i in items | ({7} if both else set())
            ]
        if user % 5 == 0:  # A user of one domain cannot have a pair across domains.
            rows = [row for row in rows if row[:2] != (f"u{user}", "film")]
    log = pd.DataFrame(rows, columns=["user_id", "domain", "item_id"])
    items = log[["item_id", "domain"]].drop_duplicates()
    number = items.item_id.str[1:].astype(int)
    items = items.assign(category="c" + (number % 6).astype(str) + "|d" + (number % 2).astype(str))
    return TrainingData.from_graph(build_graph(log, items, encoder="none", category_items=100))


def oracle(data, terms, *, fdr, min_users, within):
    """Every pair of terms by loops over users, with SciPy's test."""
    has = [set(np.flatnonzero(row)) for row in terms.of_users(data.matrix).toarray()]
    active = data.active()
    families = {True: [], False: []}
    size = len(terms.names)
    for a, b in itertools.combinations(range(size), 2):
        da, db = terms.domain[a], terms.domain[b]
        users = [u for u in range(data.n_users) if active[u, da] and active[u, db]]
        n_a, n_b = (sum(t in has[u] for u in users) for t in (a, b))
        if min(n_a, n_b) < min_users or (da == db and not within):
            continue
        k = sum({a, b} <= has[u] for u in users)
        table = [[k, n_a - k], [n_b - k, len(users) - n_a - n_b + k]]
        p = stats.fisher_exact(table, alternative="greater")[1]
        families[bool(da == db)].append((a, b, k, n_a, n_b, len(users), p))
    rules = {}
    for family in families.values():
        if not family:
            continue
        q = stats.false_discovery_control([row[-1] for row in family])
        for (a, b, k, n_a, n_b, n, p), value in zip(family, q, strict=True):
            if value <= fdr:
                rules[a, b] = (k, n_a, n_b, n, p, value)
                rules[b, a] = (k, n_b, n_a, n, p, value)
    return rules


@pytest.mark.parametrize("level", ["item", "category"])
@pytest.mark.parametrize(("fdr", "within"), [(0.05, True), (0.6, True), (0.6, False)])
def test_rules_equal_a_slow_oracle(data, level, fdr, within, monkeypatch):
    monkeypatch.setattr(mining, "BLOCK_ROWS", 7)
    terms = terms_of(data, level)
    rules = mine_rules(data, terms, fdr=fdr, min_users=3, within=within)
    want = oracle(data, terms, fdr=fdr, min_users=3, within=within)
    found = zip(rules.source.tolist(), rules.target.tolist(), strict=True)
    got = dict(
        zip(
            found,
            np.column_stack(
                [rules.together, rules.n_source, rules.n_target, rules.n_users, rules.p, rules.q]
            ),
            strict=True,
        )
    )
    assert set(got) == set(want)
    assert want or fdr < 0.5
    for pair, row in want.items():
        np.testing.assert_allclose(got[pair], row, rtol=1e-8)


def test_measures_by_hand(data):
    """7 is liked in both domains by the same users: the first rule of all."""
    rules = mine_rules(data, terms_of(data, "item"), within=False)
    frame = rules.frame(data).sort_values(["p", "source"]).iloc[0]
    assert {frame.source, frame.target} == {"i7", "i27"}
    k, n_a, n_b, n = frame[["together", "n_source", "n_target", "n_users"]]
    assert k == n_a == n_b
    assert n == 48
    assert frame.support == k / n
    assert frame.confidence == 1
    assert frame.lift == pytest.approx(n / k)
    assert frame.conviction == np.inf
    weaker = mine_rules(data, terms_of(data, "category"), fdr=1.0, within=False)
    some = weaker.confidence < 1
    np.testing.assert_allclose(
        weaker.conviction[some],
        (1 - weaker.n_target / weaker.n_users)[some]
        / (1 - weaker.together / weaker.n_source)[some],
    )


def test_fisher_equals_scipy_far_out_in_the_tail():
    generator = np.random.default_rng(0)
    n = 50_000
    n_a, n_b = (generator.integers(5, 5_000, 200).astype(float) for _ in range(2))
    mean = n_a * n_b / n
    k = np.minimum(np.ceil(mean + generator.random(200) * 8 * np.sqrt(mean) + 1), n_a)
    k = np.minimum(k, n_b)
    want = stats.hypergeom.sf(k - 1, n, n_a, n_b)
    np.testing.assert_allclose(fisher_greater(k, n_a, n_b, n), want, rtol=1e-6)


def test_false_discovery_rate_counts_the_tests_left_out():
    p = np.random.default_rng(0).random(300) ** 3
    want = stats.false_discovery_control(p)
    few = p <= 0.05
    got = adjusted(p[few], len(p))
    np.testing.assert_array_equal(got <= 0.05, want[few] <= 0.05)
    np.testing.assert_allclose(got[got <= 0.05], want[few][got <= 0.05])


def test_independent_domains_give_no_rule(data):
    """Films of shuffled users: at most a few rules at a rate of 5 % are left to chance."""
    generator = np.random.default_rng(0)
    log = pd.DataFrame(
        [
            (f"u{u}", domain, f"i{i}")
            for u in range(300)
            for domain in ("book", "film")
            for i in generator.choice(30, 5, replace=False)
        ],
        columns=["user_id", "domain", "item_id"],
    )
    data = TrainingData.from_graph(build_graph(log, encoder="none"))
    assert not len(mine_rules(data, terms_of(data, "item"), within=False))


def test_terms_of_a_level(graph):
    data = TrainingData.from_graph(graph)
    interests = terms_of(data, "interest")
    assert len(interests.names) == interests.items.shape[0]
    for number, name, row in zip(interests.domain, interests.names, interests.items, strict=True):
        place = data.topics.index(name)
        own = np.flatnonzero(data.about[:, [place]].toarray()[:, 0])
        assert sorted(row.indices) == own[data.item_domain[own] == number].tolist()
    assert terms_of(data, "category") is None
