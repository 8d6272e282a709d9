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
    table = found.comparison.table.set_index(["slice", "domain", "system", "metric"]).sort_index()
    value = table["value"]["all", "macro"]
    assert value["markov", "hit-rate@1"] == 1 > 0.6 > value["p-top-freq", "hit-rate@1"]
    assert value["pool", "hit-rate@1"] == 1
    assert value["pool", "log-loss"] < value["popularity", "log-loss"]
    assert [*EXPERTS, "item-knn", "pool"] == found.comparison.systems
    assert found.comparison.meta["pool"]["markov"] > found.comparison.meta["pool"]["popularity"]
    # Paired tests: the habit is significantly worse than the transitions, and a log-loss is better
    # where it is lower.
    assert table["p_holm"]["all", "macro", "p-top-freq", "hit-rate@1"] < 0.05
    assert not table["best"]["all", "macro", "popularity", "log-loss"]


def test_exploration_is_apart_from_repetition():
    train = build_graph(InteractionLog(rows(["aaa", "aab", "bbb", "bba"])), encoder="none")
    test = InteractionLog(rows(["b", "b", "b", "a"], start=5))
    comparison = compare_next(train, None, test, task="next-domain", models=[]).comparison
    users = comparison.table.groupby("slice")["n_users"].max().to_dict()
    assert users == {"all": 4, "next=repetition": 3, "next=exploration": 1}


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
