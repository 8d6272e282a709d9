"""The rule file: its errors, with lines, and the users for whom rules fire."""

import numpy as np
import pandas as pd
import pytest

from gnn import load_model, make_model
from gnn.data import TrainingData
from gnn.rules.applying import RuleBook
from gnn.rules.language import parse_rules
from gnn.rules.writing import mine_table, rules_file
from graphgen.build import build_graph
from graphgen.errors import ConfigError

HEAD = '[[rules]]\nif = {domain = "book"}\nthen = {domain = "film"}\n'


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Four users with times, categories and titles; a shop with a price."""
    log = pd.DataFrame(
        [
            ("ann", "book", "b1", "2026-01-01"),
            ("ann", "book", "b2", "2026-03-01"),
            ("bob", "book", "b1", "2026-03-30"),
            ("bob", "film", "f1", "2026-03-31"),
            ("cat", "book", "b3", "2026-02-01"),
            ("cat", "film", "f2", "2026-02-02"),
            ("dan", "film", "f2", "2026-02-02"),
            ("dan", "film", "f3", "2026-02-03"),
        ],
        columns=["user_id", "domain", "item_id", "timestamp"],
    )
    items = pd.DataFrame(
        [
            ("b1", "book", "The dragon egg", "Fantasy|Young", "5"),
            ("b2", "book", "Dragons of old", "Fantasy", "12"),
            ("b3", "book", "A murder", "Crime", "7"),
            ("f1", "film", "Dragon slayer", "Fantasy", "9"),
            ("f2", "film", "Knives", "Crime", "3"),
            ("f3", "film", "龍与地下城", "Horror", ""),
        ],
        columns=["item_id", "domain", "title", "category", "price"],
    )
    return build_graph(log, items, encoder="none", category_items=1)


@pytest.fixture(scope="module")
def data(small):
    return TrainingData.from_graph(small)


def fires(data, condition):
    text = f'[[rules]]\nif = {condition}\nthen = {{domain = "film"}}\n'
    book = RuleBook(text, data)
    fired = book.fires(data.batch(np.arange(data.n_users)))[:, 0]
    return " ".join(data.users.ids[fired])


@pytest.mark.parametrize(
    ("condition", "users"),
    [
        ('{domain = "book"}', "ann bob cat"),
        ('{domain = "book", category = "fantasy"}', "ann bob"),
        ('{domain = "book", category = "Fantasy", least = 2}', "ann"),
        ('{category = "Crime", share = 0.5}', "cat dan"),
        ('{domain = "film", category = "Crime", share = 0.6}', "cat"),
        ('{domain = "book", interest = "Fantasy"}', "ann bob"),
        ('{keyword = "dragon"}', "ann bob"),  # "Dragons" is another word; ann has b1.
        ('{keyword = "dragons"}', "ann"),
        ('{keyword = "地下"}', "dan"),
        ('{item = "b3"}', "cat"),
        ('{item = "Knives"}', "cat dan"),
        ('{domain = "book", where = "price<6"}', "ann bob"),
        ('{domain = "book", within_days = 31}', "ann bob"),
        ('{domain = "book", category = "Fantasy", within_days = 5}', "bob"),
        ('{domain = "book", since = 2026-02-01, until = 2026-03-01}', "cat"),
        ('{domain = "book", until = 2026-01-01T12:00:00+00:00}', "ann"),
        ('{all = [{domain = "book"}, {domain = "film"}]}', "bob cat"),
        ('{any = [{item = "b2"}, {item = "f3"}]}', "ann dan"),
        ('{not = {domain = "film"}}', "ann"),
        ('{all = [{domain = "book"}, {not = {any = [{item = "b2"}, {item = "b3"}]}}]}', "bob"),
    ],
)
def test_conditions(data, condition, users):
    assert fires(data, condition) == users


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('a = 1\n[[rules]]\nif = {domain = "book"}\nthn = {}', 2, "has no `then`"),
        ('[[rules]]\n\nif = {domain = "book"}\nthn = {}', 4, "'thn'; did you mean 'then'?"),
        (HEAD + '\n[[rules]]\nif = {domain = "bok"}\nthen = {domain = "film"}', 6, "'book'?"),
        (HEAD + 'weight = "big"', 4, "`weight` must be a number from -30 to 30; got 'big'"),
        (HEAD + "priority = 1.5", 4, "`priority` must be a whole number"),
        (HEAD.replace('"book"', '"book", category = "Crme"'), 2, "did you mean 'Crime'?"),
        (HEAD.replace('"book"', '"book", interest = "Fantsy"'), 2, "did you mean 'Fantasy'?"),
        (HEAD.replace('"book"', '"book", keyword = "murdr"'), 2, "did you mean 'murder'?"),
        (HEAD.replace('"book"', '"book", item = "b9"'), 2, "No item of book has the id"),
        (HEAD.replace('"book"', '"book", where = "prise<3"'), 2, "prise"),
        (HEAD.replace('"book"', '"book", where = "price<"'), 2, "lacks"),
        (HEAD.replace('"book"', '"book", least = 0'), 2, "`least` must be a whole number from 1"),
        (HEAD.replace('"book"', '"book", share = 1.2'), 2, "`share` must be a number from 0 to 1"),
        (HEAD.replace('"book"', '"book", since = "x"'), 2, "`since` must be a date"),
        (HEAD.replace('"book"', '"book", item = "b1", category = "x"'), 2, "use `all`"),
        ('[[rules]]\nthen = {domain = "film"}\nif = {all = []}', 3, "`all` holds conditions"),
        ('[[rules]]\nthen = {item = "f1"}\nif = {not = {item = "b1"}, least = 2}', 3, "alone"),
        ("rules = []", 1, "there are no rules"),
    ],
)
def test_problems_have_a_line_and_a_remedy(data, text, line, problem):
    with pytest.raises(ConfigError) as error:
        RuleBook(text, data, "shop.toml")
    lines = str(error.value).splitlines()
    assert any(one.startswith(f"shop.toml, line {line}: ") and problem in one for one in lines)


def test_all_problems_are_named_at_once(data):
    text = '[[rules]]\nif = {domain = "bok"}\nthen = {domain = "flim"}\n'
    with pytest.raises(ConfigError, match=r"line 2: .*'book'\?\nrules, line 3: .*'film'\?"):
        RuleBook(text, data)
    with pytest.raises(ConfigError, match=r"is not valid TOML: .* \(at line 1"):
        parse_rules("[[rules]\n")


def test_windows_need_times(plain_graph):
    text = '[[rules]]\nif = {domain = "book", within_days = 3}\nthen = {domain = "book"}\n'
    with pytest.raises(ConfigError, match="line 1: a window of time needs a log with timestamps"):
        RuleBook(text, TrainingData.from_graph(plain_graph))


def test_scores_add_up_and_a_higher_priority_wins(data):
    text = """
[[rules]]
if = {domain = "book"}
then = {domain = "film", category = "Crime"}
weight = 2
[[rules]]
if = {domain = "book", category = "Fantasy"}
then = {domain = "film"}
[[rules]]
if = {domain = "book", item = "b2"}
then = {domain = "film", item = "f2"}
weight = -4
priority = 1
"""
    scores = RuleBook(text, data).scores(data.batch(np.arange(4)), "film")
    want = [[1, -4, 1], [1, 3, 1], [0, 2, 0], [0, 0, 0]]  # ann, bob, cat, dan on f1, f2, f3
    np.testing.assert_array_equal(scores, want)


def test_a_model_keeps_its_rules(small, tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(HEAD.replace('then = {domain = "film"', 'then = {item = "f3"') + "weight = 3\n")
    model = make_model("rules", file=str(path)).fit(small)
    assert model.recommend(["ann"], domain="film", k=1).item_id.tolist() == ["f3"]
    assert model.recommend(["dan"], domain="film", exclude_seen=False, k=1).item_id.item() == "f2"
    model.save(tmp_path / "model")
    path.unlink()
    again = load_model(tmp_path / "model")
    np.testing.assert_array_equal(
        again.score(["ann"], domain="film"), model.score(["ann"], domain="film")
    )
    with pytest.raises(ConfigError, match="No rule file at"):
        make_model("rules", file=str(path)).fit(small)


def test_mined_rules_are_a_rule_file(graph):
    """Written, read again, and for the users who were counted."""
    data = TrainingData.from_graph(graph)
    table = mine_table(data, levels=["item", "interest"], per_pair=30)
    book = RuleBook(rules_file(table, data), data)
    assert len(book.rules) == len(table) == 78  # 30 of items and 9 of topics, either way
    for row, effect in zip(table.itertuples(), book.effects(), strict=True):
        assert effect.users == row.n_source  # Everybody is active in both domains.
        assert effect.confidence == pytest.approx(row.confidence)
        assert effect.lift == pytest.approx(row.lift)
        assert effect.rule.weight == pytest.approx(np.log2(row.lift), abs=0.005)


def test_nothing_significant_is_popularity(small, caplog):
    model = make_model("rules").fit(small)
    assert "No rule is significant" in caplog.text
    popular = make_model("popularity").fit(small).recommend(["ann"], domain="film", k=1)
    assert model.recommend(["ann"], domain="film", k=1).item_id.tolist() == popular.item_id.tolist()


def test_items_without_interactions_stand_last_but_where_a_rule_names_them(graph, tmp_path):
    """Warm and new items of a domain, for users with history there (u000) and without (new)."""
    file = tmp_path / "rules.toml"
    file.write_text(HEAD.replace('"film"}', '"film", item = "f24"}') + "weight = 20\n")
    history = pd.DataFrame({"user_id": "new", "domain": "book", "item_id": ["b00", "b03", "b06"]})
    models = {
        "item": make_model("association"),
        "interest": make_model("association", levels=("item", "interest")),
        "mined": make_model("rules"),
        "file": make_model("rules", file=str(file)),
    }
    for name, model in models.items():
        model.fit(graph)
        new = model.items("film").encode(["f24", "f25", "f26"])  # Of the tastes 0, 1 and 2.
        known = np.setdiff1d(np.arange(len(model.items("film"))), new)
        for scores in model.score(["u000", "new"], domain="film", history=history):
            if name == "file":
                assert scores[new[0]] > scores[known].max()
                assert scores[new[1:]].max() < scores[known].min()
            elif name == "item":
                assert scores[new].max() < scores[known].min()
            else:
                # Interests reach a new item of the taste before those of other tastes.
                assert scores[new[0]] > scores[new[1:]].max()
                assert scores[new[1:]].max() < scores[known].max()
