"""The benchmark of models: data sets, variants, runs of their own, what is kept, what fails."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from eval.benchmarks.ablations import ablations
from eval.benchmarks.datasets import find_data_set, find_data_sets, synthetic_data_set
from eval.benchmarks.models import measure_models
from eval.benchmarks.runs import REFUSED, _finished, _work
from gnn.registry import model_class
from graphgen import build_graph, synthesize
from graphgen.errors import ConfigError, InputError

# One expert, no times: two variants remain, without dropout and without the gate.
SETTINGS = {"interest-gnn": {"steps": 2, "experts": ["filter"]}}
MODELS = ["popularity", "text-knn", "interest-gnn"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The embedded example without texts and times."""
    written = synthetic_data_set(tmp_path_factory.mktemp("data") / "example", n_users=150)
    written.files["items"].unlink()
    for file in map(written.files.get, ("train", "valid", "test")):
        pd.read_csv(file, dtype=str).drop(columns="timestamp").to_csv(file, index=False)
    return find_data_set(f"shop={written.files['train'].parent}")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


def measure(data, out):
    told = []
    measured = measure_models(
        [data],
        MODELS,
        out,
        ablation=True,
        alone={"shop": MODELS},
        settings=SETTINGS,
        encoder="none",
        on_run=told.append,
    )
    return measured, told


@pytest.fixture(scope="module")
def first(data, out):
    return measure(data, out)


def test_a_data_set_is_a_folder_of_named_files(data, tmp_path):
    assert (data.name, sorted(data.files)) == ("shop", ["test", "train", "valid"])
    folder = data.files["train"].parent
    assert find_data_set(str(folder)).name == "example"
    with pytest.raises(ConfigError, match="called 'a'"):
        find_data_sets([f"a={folder}", f"a={folder}"])
    with pytest.raises(InputError, match="has no file 'train', 'test'"):
        find_data_set(str(tmp_path))
    for name in ("train.csv", "test.csv", "test.csv.gz", "trainer.csv"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="keep one file of test"):
        find_data_set(str(tmp_path))
    (tmp_path / "test.csv").unlink()
    files = find_data_set(str(tmp_path)).files
    assert {part: path.name for part, path in files.items()} == {
        "train": "train.csv",
        "test": "test.csv.gz",
    }
    with pytest.raises(ConfigError, match="letters, digits"):
        find_data_set(f"../up={folder}")


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    made = synthesize(n_users=100, n_items=400, seed=1)
    cache = tmp_path_factory.mktemp("cache")
    return build_graph(made.train, made.items, encoder="hashing", cache_dir=cache)


def test_variants_lack_what_their_name_says(graph):
    variants, notes = ablations(graph)
    assert not notes
    edges = {name: v.graph(graph).data.edge_types for name, v in variants.items()}
    features = {name: v.graph(graph).feature_dim for name, v in variants.items()}
    assert any(t[1] == "similar" for t in graph.data.edge_types)
    assert not any(t[1] == "similar" for t in edges["without semantic edges"])
    assert features["without semantic edges"] == graph.feature_dim > 0
    assert not any(t[1] == "similar" for t in edges["without text"])
    assert features["without text"] == 0
    assert graph.feature_dim == 256  # the graph itself is left as it was


def test_experts_that_a_graph_does_not_allow_are_left_out():
    graph = build_graph(synthesize(n_users=100, n_items=400, seed=1).train, encoder="none")
    variants, notes = ablations(graph)
    for name in ("without expert semantic", "expert semantic alone"):
        assert name not in variants
        assert any(name in note and "no semantic edges" in note for note in notes)
    timeless = variants["without times"].graph(graph)
    assert not any("time" in timeless.data[edge_type] for edge_type in timeless.data.edge_types)
    relations = [{t[1] for t in of.data.edge_types} for of in (graph, timeless)]
    assert relations[0] - relations[1] == {"next"}
    left, notes = ablations(timeless)
    for name in ("without times", "without the trend", "expert sequence alone"):
        assert name in variants and name not in left
        assert f"'{name}' was left out: the log has no timestamps and no positions." in notes
    assert {"without expert factors", "expert ridge alone"} <= left.keys()


def test_experts_and_gate_are_taken_away(graph):
    variants, _ = ablations(graph)
    experts = ablations(graph, {"experts": ("filter", "gnn")})[0]
    assert experts["without expert gnn"].settings == {"experts": ("filter",)}
    assert experts["expert gnn alone"].settings == {"experts": ("gnn",)}
    assert any("experts" in note for note in ablations(graph, {"experts": ("filter",)})[1])
    assert "without the gate" in variants
    for variant in variants.values():
        model_class("interest-gnn").Config.make(variant.settings)


@pytest.mark.slow
def test_tables_hold_every_model_its_cost_and_why_one_failed(first):
    measured, told = first
    page = measured.to_markdown()
    assert len(told) == 9  # the graph, three models, each alone, two variants
    assert "text-knn, seed 0: failed" in "\n".join(told)
    row = next(line for line in page.splitlines() if line.startswith("| text-knn"))
    assert "failed: A text-knn model needs text features" in row
    for setting in ("warm", "cold_user", "cold_item"):
        assert f"### setting: {setting}" in page
    assert "### Ablation of interest-gnn" in page
    assert "- 'without text' was left out: the graph has no text." in page
    header = next(line for line in page.splitlines() if line.startswith("| system"))
    assert "| NDCG@20 minus alone | fit s |" in header
    assert "### What the other domains bring" in page
    assert "- text-knn alone: 1 of 1 seeds failed. A text-knn model needs text" in page


@pytest.mark.slow
def test_figures_are_those_of_the_runs(first):
    (part,) = first[0].parts
    table = first[0].table.set_index(["table", "slice", "domain", "metric", "system"])
    key = ("setting=warm", "macro", "ndcg@20")
    full = part.models["interest-gnn"][0].result
    alone = part.variants["interest-gnn alone"][0].result
    expected = full.value("ndcg@20", slice=key[0]) - alone.value("ndcg@20", slice=key[0])
    row = table.loc[("alone", *key, "interest-gnn")]
    assert row["reference"] == "interest-gnn alone"
    assert row["difference"] == pytest.approx(expected)
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    # Nothing of another domain is in the order of popularity.
    assert table.loc[("alone", *key, "popularity"), "difference"] == 0
    row = table.loc[("models", *key, "popularity")]
    assert row["value"] == part.models["popularity"][0].result.value("ndcg@20", slice=key[0])
    assert row["peak_gigabytes"] > 0.05
    assert row["users_per_second"] > 0
    assert part.models["interest-gnn"][0].result.meta["run"]["config"]["steps"] == 2


@pytest.mark.slow
def test_what_is_finished_is_not_run_again(first, data, out):
    def written():
        return {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}

    before = written()
    again, told = measure(data, out)
    assert written() == before
    assert sum("(kept)" in line for line in told) == 6
    assert "text-knn, seed 0: failed" in "\n".join(told)
    assert again.to_markdown() == first[0].to_markdown()


@pytest.mark.slow
def test_a_run_holds_while_inputs_and_model_are_the_same(first, data, out, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(out / "runs" / "shop" / "popularity" / "seed-0", folder)
    file = folder / "metrics.json"
    content = json.loads(file.read_text())
    inputs, sources = (content["meta"]["run"][name] for name in ("inputs", "sources"))
    assert "gnn/baselines/popularity.py" in sources
    assert "gnn/models/bitgcf.py" not in sources
    assert _finished(folder, inputs) is not None
    assert _finished(folder, {**inputs, "seed": 1}) is None
    other = tmp_path / "other"
    shutil.copytree(data.files["train"].parent, other)
    with (other / "test.csv").open("a") as rows:
        rows.write("someone,film,f00001,warm\n")
    digests = find_data_set(f"shop={other}").digests
    assert inputs["files"]["valid"] == digests["valid"]
    assert inputs["files"]["test"] != digests["test"]
    sources["gnn/baselines/popularity.py"] = "as it was before"
    file.write_text(json.dumps(content))
    assert _finished(folder, inputs) is None
    file.write_text("{")
    assert _finished(folder, inputs) is None


@pytest.mark.slow
def test_the_files_agree(first, tmp_path):
    measured, _ = first
    measured.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["models.csv", "models.json", "models.md"]
    assert (tmp_path / "models.md").read_text() == measured.to_markdown() + "\n"
    content = json.loads((tmp_path / "models.json").read_text())
    assert content["config"]["settings"] == SETTINGS
    assert content["provenance"]["packages"]["torch"]
    runs = content["data_sets"]["shop"]["runs"]
    assert [run["model"] for run in runs if "reason" in run] == ["text-knn", "text-knn"]
    table = pd.read_csv(tmp_path / "models.csv")
    assert len(table) == len(content["table"]) == len(measured.table)
    assert table["value"].to_numpy() == pytest.approx(measured.table["value"].to_numpy())


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_given_up(data, tmp_path):
    reason = _work({"out": str(tmp_path / "run")}, data, 0.01, tmp_path / "run")
    assert reason == "It took longer than the limit of 0.01 s."


@pytest.mark.slow
def test_a_crash_leaves_its_last_words_and_a_log(data, tmp_path):
    log = tmp_path / "run.log"
    reason = _work({"out": str(tmp_path / "run")}, data, None, tmp_path / "run")
    assert reason == f"It crashed: KeyError: 'inputs' (all of it is in {log})"
    assert "Traceback" in log.read_text()
    assert REFUSED not in (0, 1, 2)


def test_what_cannot_be_measured_is_refused_at_once(data, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'popularity'"):
        measure_models([data], ["popularty"], tmp_path)
    with pytest.raises(ConfigError, match="name it among `models`"):
        measure_models([data], ["popularity"], tmp_path, ablation=True)
    with pytest.raises(ConfigError, match="`alone` names 'ease', which is not among"):
        measure_models([data], MODELS, tmp_path, alone={"shop": ["ease"]})
    with pytest.raises(ConfigError, match="each once"):
        measure_models([data], ["popularity"], tmp_path, seeds=[0, 0])
    with pytest.raises(ConfigError, match="has no setting 'step'"):
        measure_models([data], MODELS, tmp_path, settings={"interest-gnn": {"step": 2}})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_goes_on_where_it_stopped(first, data, out):
    script = Path(sys.executable).with_name("interest")
    folder = data.files["train"].parent

    def bench(*arguments):
        command = [script, "bench", "models", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    only = "--models", "popularity", "--alone", "none", "--encoder", "none"
    done = bench(f"shop={folder}", *only, "--out", out)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "1/1  shop, popularity" in line)
    assert line.endswith("(kept)")
    assert "| popularity | **" in done.stdout
    assert (out / "models.md").read_text().strip() in done.stdout
    refused = bench(f"shop={folder}", "--seeds", "one", "--out", out)
    assert refused.returncode == 2
    assert "--seeds is written 0,1,2" in refused.stderr
