import pandas as pd
import pytest

from eval.experiments.next_target import compare_next
from gnn.interests.prediction import EXPERTS
from graphgen import build_graph
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog


def rows(turns, start=0):
    """A user for each text; each letter is an interaction with a new item of that domain."""
    table = [(f"u{u}", f"{letter}{u}-{start + n}", letter, start + n)
             for u, text in enumerate(turns) for n, letter in enumerate(text)]  # fmt: skip
    return pd.DataFrame(table, columns=["user_id", "item_id", "domain", "position"])


def met(held_out):
    """Take items that another user of the same kind has met in training."""
    user = held_out["user_id"].str[1:].astype(int)
    first = (held_out["domain"] == "b").astype(int) ^ (user % 2)
    other = ((user + 2) % 40).astype(str)
    return held_out.assign(item_id=held_out["domain"] + other + "-" + first.astype(str))


def test_next_domains_of_users_who_alternate_are_told_by_markov():
    turns = ["abababab", "babababa"] * 20
    train = build_graph(InteractionLog(rows([text[:-2] for text in turns])), encoder="none")
    valid = InteractionLog(met(rows([text[-2] for text in turns], start=6)))
    test = InteractionLog(met(rows([text[-1] for text in turns], start=7)))
    found = compare_next(train, valid, test, task="next-domain", models=["item-knn"])
    value = found.table.set_index(["slice", "system", "metric"])["value"]
    assert value["all", "markov", "hit@1"] == 1 > 0.6 > value["all", "p-top-freq", "hit@1"]
    assert value["all", "pool", "hit@1"] == 1
    assert value["all", "pool", "log-loss"] < value["all", "popularity", "log-loss"]
    assert {"item-knn", "pool", *EXPERTS} == set(found.table["system"])
    header, lines = found.rows("all")
    assert header[1:] == ["hit@1", "hit@3", "log-loss"] and len(lines) == len(EXPERTS) + 2


def test_exploration_is_apart_from_repetition():
    train = build_graph(InteractionLog(rows(["aaa", "aab", "bbb", "bba"])), encoder="none")
    test = InteractionLog(rows(["b", "b", "b", "a"], start=5))
    table = compare_next(train, None, test, task="next-domain", models=[]).table
    users = table.groupby("slice")["users"].first().to_dict()
    assert users == {"all": 4, "repetition": 3, "exploration": 1}


def test_what_is_missing_is_said():
    log = rows(["ab", "ba"])
    graph = build_graph(InteractionLog(log), encoder="none")
    test = InteractionLog(rows(["a"], start=5).assign(user_id="new"))
    with pytest.raises(InputError, match="No held-out row"):
        compare_next(graph, None, test, task="next-domain", models=[])
    with pytest.raises(ConfigError, match="no topics"):
        compare_next(graph, None, test, task="next-interest", models=[])
    with pytest.raises(ConfigError, match="two domains"):
        one = build_graph(InteractionLog(log.assign(domain="a")), encoder="none")
        compare_next(one, None, test, task="next-domain", models=[])
    with pytest.raises(ConfigError, match="position"):
        plain = build_graph(InteractionLog(log.drop(columns="position")), encoder="none")
        compare_next(plain, None, test, task="next-domain", models=[])
