"""The scripts of the rivals: our metric, lists without what was seen, bad input refused."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from eval import evaluate
from eval.benchmarks.speed import SCRIPT

FOLDER = SCRIPT.parent
NO_MODELS = {"common.py", "problem.py", "mlxtend_rules.py", SCRIPT.name}
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.name not in NO_MODELS)


def module(name):
    """Import what the scripts import from the folder that they lie in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def common():
    return module("common")


@pytest.fixture(scope="module")
def problems():
    return module("problem")


@pytest.fixture(scope="module")
def rows():
    """Random training and validation rows of two domains, with unknown people and items."""
    draw = np.random.default_rng(0)
    pairs = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in draw.integers(0, 60, 900)],
            "domain": draw.choice(["books", "films"], 900),
            "item_id": [f"i{n}" for n in draw.integers(0, 45, 900)],
        }
    ).drop_duplicates()
    held = draw.random(len(pairs)) < 0.3
    train = pairs[~held]
    train = train[(train["user_id"] != "u1") & (train["item_id"] != "i2")]
    cold = train["user_id"].isin(["u3", "u4"]) & (train["domain"] == "films")
    return train[~cold], pairs[held]


def test_ndcg_is_that_of_the_evaluator(common, problems, rows, tmp_path):
    train, valid = rows
    problem = problems.Problem(train, valid)
    draw = np.random.default_rng(1)
    users = draw.normal(size=(problem.n_users, 8))
    ranker = problems.factors(problem, users, draw.normal(size=(problem.n_items, 8)))
    ours = problem.ndcg(ranker, list(problem.valid))

    pairs = valid[["user_id", "domain"]].drop_duplicates()
    out = tmp_path / "recs.csv"
    args = type("Args", (), {"out": str(out), "k": 20})
    common.write(problem, pairs, dict.fromkeys(problem.domains, ranker), args)
    result = evaluate(out, valid, k=20, metrics=["ndcg"], bootstrap=0)
    assert ours == pytest.approx(result.value("ndcg@20"), abs=1e-9)

    lists = pd.read_csv(out)
    assert list(lists.columns) == ["user_id", "domain", "item_id", "score", "rank"]
    both = lists.merge(train, on=["user_id", "domain", "item_id"])
    assert both.empty and len(lists.query("user_id == 'u1'")) >= 20


def test_one_model_a_domain_serves_people_new_to_it_with_what_is_popular(problems, rows):
    train, valid = rows
    problem = problems.Problem(train, valid)
    draw = np.random.default_rng(1)

    def fit(part):
        factors = draw.normal(size=(part.n_users, 4)), draw.normal(size=(part.n_items, 4))
        return problems.factors(part, *factors)

    ranker = problems.one_a_domain(problem, fit)
    items, _ = ranker(problem.user_codes(["u3", "u5"]), "films", 5)
    films = problem.part["films"]
    count = problem.popularity[films]
    assert sorted(count[items[0] - films.start]) == sorted(np.sort(count)[-5:])
    assert ((items >= films.start) & (items < films.stop)).all()


def test_tuning_keeps_the_best_look_and_ends_a_trial_that_no_longer_gains(common, problems, rows):
    train, valid = rows
    problem = problems.Problem(train, valid)
    truth = problem.valid["books"]
    perfect = np.zeros((problem.n_users, problem.n_items), np.float32)
    known = (truth.item >= 0) & (truth.users[truth.row] >= 0)
    perfect[truth.users[truth.row[known]], truth.item[known]] = 1

    def fit(problem, setting, seed):
        draw = np.random.default_rng(seed)
        for share in setting["shares"]:
            noise = draw.random(perfect.shape)
            scores = share * perfect + (1 - share) * noise
            yield problems.scorer(
                problem, lambda users, part, scores=scores: scores[users][:, part]
            )

    shares = [[0.1, 0.3, 0.0, 0.0, 1.0], [0.2, 0.9, 0.0, 0.0]]
    rival = common.Rival(fit, [{"shares": these} for these in shares])
    found = common.tune(problem, rival, budget=60, seed=0, domains=["books"])
    assert found.trials == 2
    assert found.best == {"shares": shares[1], "look": 2}
    assert found.valid_ndcg20 == problem.ndcg(found.ranker, ["books"])


def run(script, model, folder, **changed):
    given = {"train": "train.csv", "valid": "valid.csv", "test": "valid.csv", "out": "recs.csv"}
    options = [f"--{name}={value}" for name, value in {**given, **changed}.items()]
    command = [sys.executable, FOLDER / script, model, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(rows, tmp_path):
    for name, table in zip(("train", "valid"), rows, strict=True):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"train": "none.csv"}, "No such file or directory: 'none.csv'"),
        ({"valid": "short.csv"}, "short.csv: Usecols do not match columns"),
        ({"test": "other.csv"}, "other.csv has domain 'music'"),
        ({"train": "hole.csv"}, "hole.csv, line 3: a value"),
        ({"budget": "0"}, "--budget above 0 CPU seconds"),
        ({"k": "0"}, "--k must be at least 1"),
        ({"out": "nowhere/recs.csv"}, "the folder of nowhere/recs.csv does not exist"),
    ],
)
def test_bad_input_is_refused_in_plain_words(folder, changed, words):
    (folder / "short.csv").write_text("user_id,domain\nu5,books\n")
    (folder / "other.csv").write_text("user_id,domain\nu5,music\n")
    (folder / "hole.csv").write_text("user_id,domain,item_id\nu5,books,i1\nu5,,i1\n")
    ended = run("implicit_als.py", "ALS", folder, **changed)
    assert ended.returncode in {1, 2} and not (folder / "recs.csv").exists()
    assert words in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_script_needs_its_library_only_to_fit(folder, script):
    ended = run(script.name, "none", folder)
    assert ended.returncode == 2 and "invalid choice: 'none'" in ended.stderr


@pytest.mark.slow
def test_a_rival_of_this_environment_writes_what_the_evaluator_reads(folder):
    ended = run("pyg_lightgcn.py", "LightGCN", folder, budget="1")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["model"] == "pyg_lightgcn:LightGCN" and told["trials"] >= 1
    result = evaluate(folder / "recs.csv", folder / "valid.csv", k=20, metrics=["ndcg"])
    assert told["valid_ndcg20"] == pytest.approx(result.value("ndcg@20"), abs=1e-6)
