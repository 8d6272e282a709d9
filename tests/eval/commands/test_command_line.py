"""The command line on real files: in this process, once as the installed console script."""

import contextlib
import gzip
import io
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from eval.commands.main import main

SCRIPT = Path(sys.executable).with_name("interest")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


def environment(cwd):
    return {"INTEREST_CACHE_DIR": str(cwd / "cache"), "COLUMNS": "200"}


def interest(*arguments, cwd, status=0):
    """Run a command in this process; return what it printed."""
    out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(err)
    level = root.level
    root.setLevel(logging.WARNING)
    root.addHandler(handler)
    code = 0
    try:
        with (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, environment(cwd)),
            mock.patch.object(sys, "argv", ["interest", *map(str, arguments)]),
        ):
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert code == status, err.getvalue() + out.getvalue()
    return out.getvalue() + err.getvalue()


def script(*arguments, cwd):
    """Run the console script in a process of its own; return what it printed."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, **environment(cwd)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def data(home):
    interest("synth", "--users", 500, "--out", "data", cwd=home)
    return home / "data"


@pytest.fixture(scope="module")
def graph(home, data):
    out = interest(
        "build", "data/train.csv", "--items", "data/items.csv", "--encoder", "hashing",
        "--out", "graph", cwd=home,
    )  # fmt: skip
    assert "Users active in both" in out
    assert " topics, " in out
    assert "Next: interest train graph" in out
    return home / "graph"


@pytest.fixture(scope="module")
def model(home, graph):
    out = interest(
        "train", "graph", "--valid", "data/valid.csv", "--set", "steps=8",
        "--set", "embedding_dim=32", "--seed", 7, "--out", "model", cwd=home,
    )  # fmt: skip
    assert "NDCG@20 on validation rows: 0." in out
    assert "Chosen on these rows: steps 8; " in out
    assert "Mean weights of the experts: " in out
    return home / "model"


def test_help_and_version_answer_without_heavy_imports(home):
    assert "interest" in interest("--help", cwd=home)
    assert interest("--version", cwd=home).strip()
    for command in ("build", "train", "recommend", "evaluate", "compare", "explore"):
        text = interest(command, "--help", cwd=home)
        assert f"interest {command}" in text
        assert "\\b" not in text  # Click's mark for lines to keep, not a thing to read.
    for command, setting in (("build", "word_share"), ("split", "folds"), ("compare", "text_rate")):
        assert setting in interest(command, "--help", cwd=home)
    code = (
        "import sys, eval.commands.main as m;"
        "[rows() for rows in (m.build_settings, m.split_settings, m.models_settings)];"
        "print({'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_doctor(home):
    out = interest("doctor", cwd=home)
    assert "ok   package names" in out
    assert "FAIL" not in out


def test_models_and_their_settings(home):
    assert "interest-gnn" in interest("models", cwd=home)
    assert "semantic_weight" in interest("models", "interest-gnn", cwd=home)


def test_describe(home, graph):
    assert "cold items" in interest("describe", "graph", cwd=home)
    description = json.loads(interest("describe", "graph", "--json", cwd=home))
    assert description["overlap"]["book"]["film"] > 0
    assert description["provenance"]["config"]["encoder"] == "hashing"


def test_recommend_evaluate(home, model):
    out = interest(
        "recommend", "model", "--users", "data/test.csv", "-k", 20, "--out", "recs.csv", cwd=home
    )
    assert "recommendations for" in out
    recs = pd.read_csv(home / "recs.csv")
    assert recs.columns.tolist() == ["user_id", "domain", "item_id", "score", "rank"]
    out = interest(
        "evaluate", "recs.csv", "--truth", "data/test.csv", "--graph", "graph", "--out", "report",
        cwd=home,
    )  # fmt: skip
    assert "Recall@20" in out
    metrics = json.loads((home / "report" / "metrics.json").read_text())
    assert metrics["schema_version"] == 2
    assert (home / "report" / "report.html").stat().st_size > 10_000


def test_lists_and_model_give_the_same_figures(home, model):
    """Scoring the file equals scoring the model: one ranking, ties and all."""
    interest(
        "recommend", "model", "--users", "data/test.csv", "-k", 20, "--out", "same.parquet",
        cwd=home,
    )  # fmt: skip
    for system, out in (("same.parquet", "by_lists"), ("model", "by_model")):
        interest("evaluate", system, "--truth", "data/test.csv", "--out", out, cwd=home)
    tables = [pd.read_csv(home / out / "metrics.csv") for out in ("by_lists", "by_model")]
    values = [t[t.metric == "ndcg@20"].set_index(["slice", "domain"])["value"] for t in tables]
    shared = values[0].index.intersection(values[1].index)
    assert len(shared) > 5
    np.testing.assert_allclose(values[0][shared], values[1][shared], rtol=1e-6)


def test_recommend_to_single_users_in_every_domain(home, model):
    user = pd.read_csv(home / "data" / "train.csv", dtype=str).user_id.iloc[0]
    out = interest(
        "recommend", "model", "--user", user, "--user", "stranger", "-k", 3, "--out", "one.csv",
        cwd=home,
    )  # fmt: skip
    recs = pd.read_csv(home / "one.csv")
    assert recs.groupby(["user_id", "domain"]).size().eq(3).all()
    assert recs.domain.nunique() == 4
    assert "1 of 2 users of the request does not occur" in out


def test_profile_of_one_user_and_of_many(home, model):
    out = interest("profile", model, "--user", "u0003", "--windows", "180d", cwd=home)
    assert out.startswith(("Above all ", "Mostly ", "No interest")) and "Over time" in out
    assert re.search(r"^ ?\d+ %  .+ \[\d+–\d+ %\]\n +weight [+-]", out, re.MULTILINE)
    interest("profile", model, "--user", "u0003", "--windows", "180d", "--out", "u3.html", cwd=home)
    page = (home / "u3.html").read_text("utf-8")
    assert "<h1>User u0003</h1>" in page and "Interests over time" in page
    (home / "asked.txt").write_text("u0003\nnobody\n", "utf-8")
    interest("profile", model, "--users", "asked.txt", "-k", 4, "--out", "p.csv", cwd=home)
    table = pd.read_csv(home / "p.csv")
    assert table.groupby("user_id", sort=False).size().to_dict() == {"u0003": 4, "nobody": 4}
    interest("profile", model, "--users", "asked.txt", "--out", "p.json", cwd=home)
    rows = json.loads((home / "p.json").read_text("utf-8"))["profiles"]
    assert rows[0]["user_id"] == "u0003" and rows[-1]["interactions"] == 0
    assert "--out" in interest("profile", model, cwd=home, status=2)


def test_favour_new_changes_the_weight_of_new_items(home, model):
    train = pd.read_csv(home / "data" / "train.csv", dtype=str)
    warm = set(zip(train.domain, train.item_id, strict=True))
    share = []
    for cost in ("0", "0.5"):
        interest(
            "recommend", "model", "--users", "data/test.csv", "--favour-new", cost,
            "--out", "new.csv", cwd=home,
        )  # fmt: skip
        recs = pd.read_csv(home / "new.csv", dtype=str)
        cold = [pair not in warm for pair in zip(recs.domain, recs.item_id, strict=True)]
        share.append(np.mean(cold))
    assert share[0] < share[1]


def test_people_who_arrive_later(home, model, data):
    history = pd.read_csv(data / "train.csv", dtype=str).query("domain == 'book'").head(200)
    history.assign(user_id="newcomer").drop_duplicates("item_id").head(5).to_csv(
        home / "later.csv", index=False
    )
    (home / "new.txt").write_text("newcomer\n")
    out = interest(
        "recommend", "model", "--users", "new.txt", "--history", "later.csv", "--domain", "film",
        "--out", "later_recs.csv", cwd=home,
    )  # fmt: skip
    assert "unknown" not in out
    assert len(pd.read_csv(home / "later_recs.csv")) == 20


def test_explore(home, graph):
    user = pd.read_csv(home / "data" / "train.csv", dtype=str).user_id.iloc[0]
    interest("explore", "graph", "--user", user, "--out", "page.html", cwd=home)
    page = (home / "page.html").read_text(encoding="utf-8")
    assert user in page
    assert "<script src=" not in page
    interest("describe", "graph", "--out", "overview.html", cwd=home)
    assert "Users of a row that are also in a column" in (home / "overview.html").read_text()


def test_explore_serves_a_model(home, model, monkeypatch):
    serving = pytest.importorskip("gnn.serving.server")
    asked = {}

    def serve(service, *, ready, **options):
        asked.update(options, service=service)
        ready("http://127.0.0.1:8123/")

    monkeypatch.setattr(serving, "serve", serve)
    user = pd.read_csv(home / "data" / "train.csv", dtype=str).user_id.iloc[0]
    (home / "token").write_text("0123456789abcdef")
    out = interest(
        "explore", "model", "--user", user, "--no-browser", "--workers", 2,
        "--token-file", "token", cwd=home,
    )  # fmt: skip
    service = asked.pop("service")
    assert asked == {
        "host": "127.0.0.1", "port": 8000, "workers": 2, "token": "0123456789abcdef",
    }  # fmt: skip
    assert f"#/user/{service.names.user(user)} " in out
    assert service.neighborhood("user", user, hops=1, limit=5).nodes
    out = interest("explore", "graph", "--no-browser", cwd=home, status=2)
    assert "graph is a graph; name --out FILE.html, or a model folder." in out
    interest("explore", "model", "--user", user, "--out", "of_model.html", cwd=home)


def test_compare_with_lists_of_another_system(home, model, data):
    interest("recommend", "model", "--users", "data/test.csv", "--out", "theirs.csv", cwd=home)
    out = interest(
        "compare", "--train", "data/train.csv", "--valid", "data/valid.csv",
        "--test", "data/test.csv", "--items", "data/items.csv", "--encoder", "hashing",
        "--models", "popularity,interest-gnn", "--set", "interest-gnn.steps=4",
        "--recs", "theirs=theirs.csv", "--out", "comparison", cwd=home,
    )  # fmt: skip
    assert out.partition("Every metric, domain and interval is in ")[0].count("\n") < 45
    assert re.search("all users .* popularity .* [01][.][0-9]{4} [*]?", out)
    assert "not significantly different from the best" in out
    assert "| theirs |" in (home / "comparison" / "report.md").read_text()
    content = json.loads((home / "comparison" / "metrics.json").read_text())
    assert {"popularity", "interest-gnn", "theirs"} <= set(content["systems"])


def test_second_build_encodes_nothing(home, graph):
    interest(
        "build", "data/train.csv", "--items", "data/items.csv", "--encoder", "hashing",
        "--topics-from", "graph", "--out", "graph2", cwd=home,
    )  # fmt: skip
    description = json.loads(interest("describe", "graph2", "--json", cwd=home))
    former = description["provenance"]["topics"]["former"]
    assert former["same_name"] == former["topics"] and former["adjusted_rand"] > 0.9
    assert description["provenance"]["text"]["encoded"] == 0


def test_edges_on_request_are_built_counted_and_shown(home):
    (home / "plays.csv").write_text("user_id,item_id\nann,1\nann,2\nbob,1\nbob,2\nbob,3\n")
    (home / "authors.csv").write_text("item_id,title,author\n1,One,Ida|Jo\n2,Two,jo\n3,Three,Ida\n")
    (home / "friends.csv").write_text("user_id,friend_id\nann,bob\n")
    out = interest(
        "build", "plays.csv", "--items", "authors.csv", "--relation", "author", "--social",
        "friends.csv", "--set", "co_consumed_k=5", "--encoder", "none", "--out", "linked", cwd=home,
    )  # fmt: skip
    assert "0 transitions; 4 author edges; 2 friend edges" in out
    interest("explore", "linked", "--item", "attribute=author: Ida", "--out", "ida.html", cwd=home)
    assert "author: Jo" in (home / "ida.html").read_text()
    interest("export", "linked", "--form", "graphml", "--out", "linked-graphml", cwd=home)
    assert ">friend<" in (home / "linked-graphml" / "graph.graphml").read_text()


def test_a_domain_for_each_file_compressed_and_foreign_columns(home):
    with gzip.open(home / "films.csv.gz", "wt") as file:
        file.write("reviewerID,asin\nann,1\nbob,1\nbob,2\n")
    (home / "books.tsv").write_text("reviewerID\tasin\nann\t9\nbob\t9\n")
    interest(
        "build", "films=films.csv.gz", "books=books.tsv", "--column", "user_id=reviewerID",
        "--column", "item_id=asin", "--out", "own", cwd=home,
    )  # fmt: skip
    description = json.loads(interest("describe", "own", "--json", cwd=home))
    assert description["overlap"]["books"]["films"] == 2


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("user_id,thing\nann,1\n", ["item_id", "--column item_id="]),
        ("", ["empty"]),
        ("user_id,item_id\n", ["no"]),
        ("user_id,item_id,rating\nann,1,5\n,2,4\n", ["line 3", "user_id", "quarantine"]),
        ("user_id,item_id,rating\nann,1,good\n", ["line 2", "rating", "'good'"]),
        ("user_id,item_id,timestamp\nann,1,1400000000\nann,2,soon\n", ["line 3", "'soon'"]),
        ("user_id,item_id,domain\nann,1,user\n", ["user", "every graph has", "Rename it"]),
    ],
)
def test_bad_input_says_where_and_what_to_do(home, text, wanted):
    (home / "bad.csv").write_text(text)
    out = interest("build", "bad.csv", "--out", "never", cwd=home, status=2)
    assert "Traceback" not in out
    for part in wanted:
        assert part in out
    assert not (home / "never").exists()


def test_sampled_metrics_stand_beside_the_full_ones(home, model):
    arguments = ["evaluate", "model", "--truth", "data/test.csv", "--graph", "graph"]
    interest(*arguments, "--sampled", 50, "--out", "sampled", cwd=home)
    interest(*arguments, "--negatives", "sampled.negatives.parquet", "--out", "again", cwd=home)
    tables = [pd.read_csv(home / out / "metrics.csv") for out in ("sampled", "again")]
    for table in tables:
        assert {"ndcg@20", "sampled-ndcg@20"} <= set(table.metric)
    pd.testing.assert_series_equal(tables[0].value, tables[1].value)


def test_slices_by_what_the_graph_knows(home, model):
    out = interest(
        "evaluate", "model", "--truth", "data/test.csv", "--graph", "graph", "--by", "activity",
        "--metrics", "recall,ndcg", "--out", "by_activity", cwd=home,
    )  # fmt: skip
    assert "activity" in out


def test_links_curves_groups_and_providers_are_part_of_the_report(home, model):
    out = interest(
        "evaluate", "model", "--truth", "data/test.csv", "--graph", "graph", "--valid",
        "data/valid.csv", "--curves", "--users", "data/users.csv", "--providers", "category",
        "--metrics", "recall,ndcg", "--out", "whole", cwd=home,
    )  # fmt: skip
    page = (home / "whole" / "report.html").read_text(encoding="utf-8")
    for heading in ("Links, yes or no", "Fairness by group", "Providers"):
        assert heading in out
        assert heading in page
    assert "ROC curve by domain" in page
    assert "Reliability by domain" in page


def test_gain_over_models_that_see_one_domain(home, data):
    out = interest(
        "compare", "--train", "data/train.csv", "--test", "data/test.csv", "--encoder", "none",
        "--models", "popularity", "--single-domain", "item-knn", "--out", "gain", cwd=home,
    )  # fmt: skip
    assert "item-knn alone" in out
    assert "## Migration gain" in out


def test_seeds_and_curves_of_a_comparison(home, data):
    out = interest(
        "compare", "--train", "data/train.csv", "--test", "data/test.csv", "--encoder", "none",
        "--models", "item-knn,popularity", "--seeds", "0,1", "--curves", "--metrics",
        "recall,hit-rate", "--out", "seeds", cwd=home,
    )  # fmt: skip
    assert "item-knn (seed 1): fitted" in out
    assert "standard deviation over seeds" in out
    assert "## Domains reached" in (home / "seeds" / "report.md").read_text()
    page = (home / "seeds" / "report.html").read_text(encoding="utf-8")
    domains = set(pd.read_csv(home / "data" / "test.csv").domain)
    assert len(domains) > 1
    assert all(f"ROC curve, {domain}" in page for domain in domains)
    metrics = set(pd.read_csv(home / "seeds" / "metrics.csv").metric)
    assert metrics == {"recall@20", "hit-rate@20", "roc-auc", "pr-auc"}
    wrong = interest(
        "compare", "--train", "data/train.csv", "--test", "data/test.csv", "--seeds", "0-2",
        "--out", "x", cwd=home, status=2,
    )  # fmt: skip
    assert "--seeds is written 0,1,2" in wrong


def test_split_writes_parts_and_a_card(home, data):
    out = interest("split", "data/train.csv", "--protocol", "temporal", "--out", "parts", cwd=home)
    assert "Leak checks" in out
    assert "FAILED       no later edge" not in out
    card = json.loads((home / "parts" / "card.json").read_text())
    assert card["schema_version"] == 1
    train, test = (
        pd.read_csv(home / "parts" / f"{part}.csv", parse_dates=["timestamp"])
        for part in ("train", "test")
    )
    assert train.timestamp.max() <= test.timestamp.min()


def test_cold_users_lose_the_share_asked_for(home, data):
    out = interest(
        "split", "data/train.csv", "--protocol", "cold-user", "--share", "50", "--merge-twins",
        "--out", "cold", cwd=home,
    )  # fmt: skip
    assert "  test: 0.5" in out and "  valid: 0.05" in out
    assert "passed       no cold user with target history" in out
    wrong = interest(
        "split", "data/train.csv", "--protocol", "random", "--share", "50", "--out", "x",
        cwd=home, status=2,
    )  # fmt: skip
    assert "--share is for --protocol cold-user" in wrong


def test_split_of_an_unknown_protocol_names_the_near_miss(home, data):
    out = interest(
        "split", "data/train.csv", "--protocol", "tempral", "--out", "x", cwd=home, status=2
    )
    assert "did you mean 'temporal'?" in out


def test_abtest_and_power(home):
    generator = np.random.default_rng(0)
    n = 4000
    users = np.arange(n)
    variant = np.where(users % 2, "B", "A")
    bought = generator.random(n) < np.where(users % 2, 0.30, 0.20)
    event = np.where(bought, "purchase", "exposure")
    frame = pd.DataFrame({"user_id": users, "variant": variant, "event": event})
    frame.to_csv(home / "ab.csv", index=False)
    out = interest("abtest", "ab.csv", "--conversion", "purchase", "--out", "ab.json", cwd=home)
    assert "A" in out and "B" in out
    assert (home / "ab.json").exists()
    assert "users in each group" in interest(
        "power", "--baseline", "0.2", "--effect", "0.1", cwd=home
    )


def test_quarantine(home):
    (home / "bad.csv").write_text("user_id,item_id\nann,1\n,2\nbob,1\n")
    out = interest("build", "bad.csv", "--on-bad-rows", "quarantine", "--out", "kept", cwd=home)
    assert "1 bad row set aside in bad.csv.quarantine.csv" in out
    assert (home / "bad.csv.quarantine.csv").exists() or "quarantine" in out


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["describe", "nowhere"], "is not a graph"),
        (["recommend", "nowhere", "--user", "a", "--out", "x.csv"], "is not a model"),
        (["models", "interest-gn"], "did you mean 'interest-gnn'?"),
        (["build", "missing.csv", "--out", "x"], "missing.csv"),
    ],
)
def test_errors_are_one_sentence(home, arguments, wanted):
    out = interest(*arguments, cwd=home, status=2)
    assert wanted in out
    assert "Traceback" not in out


def test_a_folder_of_somebody_else_is_never_replaced(home, data):
    (home / "precious").mkdir()
    (home / "precious" / "thesis.txt").write_text("years of work")
    out = interest(
        "build", "data/train.csv", "--encoder", "none", "--out", "precious", cwd=home, status=2
    )
    assert "was not written by interest" in out
    assert (home / "precious" / "thesis.txt").exists()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with a log, a graph, a model and a folder of somebody else's; the current one."""
    rows = [f"u{n % 7},i{n % 5}" for n in range(35)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id", *rows]))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "data.json").write_text('{"schema_version": 1}')
    monkeypatch.chdir(tmp_path)
    here("build log.csv --encoder none --out graph", monkeypatch)
    here("train graph --model popularity --out model", monkeypatch)
    return tmp_path


def here(line, monkeypatch):
    """Run the entry of the console script in this process; return its status."""
    monkeypatch.setattr(sys, "argv", ["interest", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("train graph --model popularity --out graph", "graph is an input"),
        ("train graph --model popularity --overwrite --out graph", "graph is an input"),
        ("train graph --model popularity --out graph/model", "lies in the input graph"),
        ("evaluate model --truth log.csv --overwrite --out graph", "(graph, not report)"),
        ("evaluate model --truth log.csv --overwrite --out model", "model is an input"),
        ("build log.csv --encoder none --overwrite --out model", "(model, not graph)"),
        ("build log.csv --encoder none --overwrite --out theirs", "was not written by interest"),
        ("build log.csv --encoder none --quarantine log.csv --out new", "log.csv is an input"),
        ("build log.csv --encoder none --out log.csv/graph", "lies in the input log.csv"),
        ("split log.csv --protocol random --overwrite --out model", "(model, not split)"),
        ("synth --users 100 --overwrite --out model", "(model, not synthetic log)"),
        ("compare --train log.csv --test log.csv --out theirs", "was not written by interest"),
        ("recommend model --users log.csv --out log.csv", "log.csv is an input"),
        ("recommend model --user u1 --out log.csv/recs.csv", "log.csv: it is a file"),
        ("recommend model --user u1 --out recs.json", "written as .csv, .tsv"),
        ("explore graph --user u1 --out theirs", "--out must end in .html or .htm; got theirs."),
        ("export graph --out theirs", "was not written by interest"),
        ("build log.csv --quarantine new/bad.csv --out new", "Two outputs have one path"),
        ("abtest log.csv --conversion x --out model", "(model, not A/B test)"),
        ("bench models --out theirs", "was not written by interest"),
        ("bench eval --out theirs.json", "--out must end in .csv; got theirs.json."),
        ("bench report theirs --out theirs.html", "--out must end in .md"),
    ],
)
def test_outputs_are_checked_first_and_nothing_is_lost(
    small, monkeypatch, capsys, arguments, wanted
):
    before = content(small)
    capsys.readouterr()
    assert here(arguments, monkeypatch) == 2
    out, error = capsys.readouterr()
    assert not out
    assert wanted in error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1
    assert content(small) == before


def test_a_repetition_replaces_and_another_report_is_kept_beside(small, monkeypatch, caplog):
    evaluate = "evaluate model --truth log.csv --metrics recall --out report"
    assert here(evaluate, monkeypatch) == 0
    (small / "report" / "notes.txt").write_text("mine")
    for again in (
        "build log.csv --encoder none --out graph",
        "train graph --model popularity --out model",
        evaluate,
    ):
        assert here(again, monkeypatch) == 0
    with (small / "log.csv").open("a") as log:
        log.write("\nu1,i1\n")
    before = content(small / "report")
    assert here(evaluate, monkeypatch) == 0
    assert "The earlier report, made from other inputs, is now in " in caplog.text
    assert content(small / "report.1") == before
    assert here(f"{evaluate} -k 5", monkeypatch) == 0
    assert (small / "report.2" / "metrics.json").exists()
    assert here(f"{evaluate} --overwrite", monkeypatch) == 0
    assert not (small / "report.3").exists()


@pytest.mark.slow
def test_demo_from_another_directory(home):
    out = script("demo", "--users", 600, "--encoder", "hashing", cwd=home)
    assert "interest-gnn" in out
    assert (home / "demo" / "neighborhood.html").exists()
    assert (home / "demo" / "report" / "report.html").exists()
