"""Nothing of a user's is deleted: kinds, fingerprints, files of others, links, crashes."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphgen import exchange
from graphgen.errors import StorageError
from graphgen.storage import (
    atomic_directory,
    atomic_file,
    check_output,
    fingerprint,
    remove_directory,
    write_json,
)


def write(path, *names, kind="graph", **options):
    """Write a folder with files and a manifest."""
    with atomic_directory(path, kind=kind, **options) as folder:
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
        write_json(folder / "manifest.json", {"names": names}, schema_version=1)
    return Path(path)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*") if not p.is_dir())


def test_the_manifest_says_what_was_written(tmp_path):
    folder = write(tmp_path / "g", "a.npy", "fold/b.npy", made_from="x")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == {
        "schema_version": 1,
        "kind": "graph",
        "made_from": "x",
        "files": ["a.npy", "fold/b.npy", "manifest.json"],
        "names": ["a.npy", "fold/b.npy"],
    }
    assert files(tmp_path) == ["g/a.npy", "g/fold/b.npy", "g/manifest.json"]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("graph", {}, "already holds a graph.*--overwrite"),
        ("report", {"overwrite": True, "made_from": "x"}, "another kind \\(graph, not report"),
    ],
)
def test_another_folder_is_not_replaced(tmp_path, kind, options, message):
    folder = write(tmp_path / "g", "a.npy", made_from="x")
    with pytest.raises(StorageError, match=message):
        write(folder, "b.npy", kind=kind, **options)
    assert files(tmp_path) == ["g/a.npy", "g/manifest.json"]


def test_a_folder_that_was_made_from_something_else_is_kept_beside(tmp_path, caplog):
    folder = write(tmp_path / "g", "a.npy", made_from="x")
    (folder / "notes.txt").write_text("mine")
    write(folder, "b.npy", made_from="y")
    write(folder, "c.npy", made_from="z")
    assert files(tmp_path) == [
        "g.1/a.npy", "g.1/manifest.json", "g.1/notes.txt", "g.2/b.npy", "g.2/manifest.json",
        "g/c.npy", "g/manifest.json",
    ]  # fmt: skip
    assert "The earlier graph, made from other inputs, is now in " in caplog.text


@pytest.mark.parametrize("options", [{"overwrite": True}, {"made_from": "x"}])
def test_the_same_kind_is_replaced_and_what_others_put_there_stays(tmp_path, options):
    folder = write(tmp_path / "g", "a.npy", "fold/b.npy", made_from="x")
    (folder / "notes.txt").write_text("mine")
    (folder / "fold" / "c.npy").write_text("mine")
    (folder / "link").symlink_to("nowhere")
    write(folder, "d.npy", "notes.txt", **options)
    assert files(tmp_path) == [
        "g/d.npy", "g/fold/c.npy", "g/link", "g/manifest.json", "g/notes.txt", "g/notes.txt.old",
    ]  # fmt: skip
    assert (folder / "notes.txt.old").read_text() == "mine"
    write(folder, "d.npy", overwrite=True)
    assert (folder / "notes.txt.old").read_text() == "mine"
    assert not (folder / "notes.txt").exists()


def test_no_fingerprint_equals_no_fingerprint_no_more_than_another(tmp_path):
    folder = write(tmp_path / "g", "a.npy")
    with pytest.raises(StorageError, match="already holds"):
        write(folder, "a.npy", made_from="")


@pytest.mark.parametrize(
    "content",
    ['{"schema_version": 1}', '{"schema_version": 1, "kind": "graph"}', "[1]", "{broken"],
)
def test_a_folder_of_others_with_json_in_it_is_not_ours(tmp_path, content):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text(content)
    (tmp_path / "theirs" / "data.csv").write_text("years of work")
    with pytest.raises(StorageError, match="was not written by interest"):
        write(tmp_path / "theirs", "a.npy", overwrite=True)
    assert files(tmp_path) == ["theirs/config.json", "theirs/data.csv"]


def test_a_list_of_files_reaches_nothing_outside_its_folder(tmp_path):
    folder = write(tmp_path / "g", "a.npy")
    (tmp_path / "precious").write_text("mine")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] += ["../precious"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write(folder, "b.npy", overwrite=True)
    assert files(tmp_path) == ["g/b.npy", "g/manifest.json", "precious"]


def test_an_empty_folder_is_written_into_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "a.npy")
    write(tmp_path / "link", "b.npy", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert files(tmp_path / "real") == ["b.npy", "manifest.json"]
    (tmp_path / "new").symlink_to("recs.csv")
    with atomic_file(tmp_path / "new") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "new").is_symlink()
    assert (tmp_path / "recs.csv").read_text() == "x"


@pytest.mark.parametrize("fails_at", ["block", "rename"])
def test_a_crash_leaves_the_old_folder(tmp_path, monkeypatch, fails_at):
    folder = write(tmp_path / "g", "a.npy")
    (folder / "notes.txt").write_text("mine")
    rename = Path.rename

    def second_fails(path, target):
        if path.name != "g" and Path(target).name == "g" and not path.name.endswith(".old"):
            raise OSError("the disk went away")
        return rename(path, target)

    def run():
        with atomic_directory(folder, kind="graph", overwrite=True) as temporary:
            if fails_at == "block":
                raise OSError("the disk went away")
            write_json(temporary / "manifest.json", {}, schema_version=1)

    monkeypatch.setattr(exchange, "_exchange", lambda first, second: False)
    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(OSError, match="went away"):
        run()
    assert files(tmp_path) == ["g/a.npy", "g/manifest.json", "g/notes.txt"]


# Writes two files and a manifest with one number in them, again and again.
WRITER = """
import sys
from itertools import count
from graphgen.storage import atomic_directory, write_json
for number in count():
    with atomic_directory(sys.argv[1], kind="graph", overwrite=True) as folder:
        for name in ("a", "b"):
            (folder / name).write_text(f"{number} " * 10_000)
        write_json(folder / "manifest.json", {"number": number}, schema_version=1)
    print(number, flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges folders")
@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.long)])
def test_killed_at_any_moment_the_folder_is_the_old_one_or_the_new_one(tmp_path, kills):
    folder, generator = tmp_path / "g", random.Random(0)
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        first = process.stdout.readline()
        time.sleep(generator.random() / 50)
        process.kill()
        last = int([first, *process.stdout][-1])
        process.wait()
        found = {(folder / name).read_text() for name in ("a", "b")}
        number = json.loads((folder / "manifest.json").read_text())["number"]
        assert found == {f"{number} " * 10_000}
        assert number in (last, last + 1)


# Builds and saves the graphs of two logs in turn in a child, which is killed at a random moment.
BUILDER = """
import os, random, signal, sys, time
import pandas as pd, torch
from graphgen import build_graph, load_graph
torch.set_num_threads(1)
folder, kills, cache = sys.argv[1], int(sys.argv[2]), sys.argv[3]
items = pd.DataFrame({"item_id": [f"i{n}" for n in range(300)]})
items["title"] = [f"word{n % 17} word{n % 23}" for n in range(300)]
logs = [
    pd.DataFrame({"user_id": [f"u{n % 90}" for n in range(size)],
                  "item_id": [f"i{n * 7 % 300}" for n in range(size)]})
    for size in (700, 1100)
]
options = {"encoder": "hashing", "cache_dir": cache}
graphs = [build_graph(log, items, **options) for log in logs]
graphs[0].save(folder)
started = time.perf_counter()
build_graph(logs[1], items, **options).save(folder, overwrite=True)
seconds = time.perf_counter() - started
sizes, seen = [graph.data.num_edges for graph in graphs], set()
generator = random.Random(0)
for _ in range(kills):
    child = os.fork()
    if not child:
        while True:
            for log in logs:
                build_graph(log, items, **options).save(folder, overwrite=True)
    time.sleep(generator.uniform(0, 3 * seconds))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    graph = load_graph(folder)
    graph.validate()
    seen.add(sizes.index(graph.data.num_edges))
    (domain,) = graph.domains
    assert (graph.data[domain].x == graphs[0].data[domain].x).all()
print(sorted(seen))
"""


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges folders")
def test_a_build_killed_at_100_moments_leaves_the_old_graph_or_the_new_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BUILDER, str(tmp_path / "g"), "100", str(tmp_path / "cache")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[0, 1]", done.stderr


def test_a_file_system_without_links_keeps_the_files_of_others_too(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no hard links here")

    folder = write(tmp_path / "g", "a.npy")
    (folder / "notes.txt").write_text("mine")
    monkeypatch.setattr(os, "link", refuse)
    write(folder, "b.npy", overwrite=True)
    assert files(folder) == ["b.npy", "manifest.json", "notes.txt"]


def test_removing_a_folder_leaves_what_is_not_of_its_kind_or_not_ours(tmp_path):
    folder = write(tmp_path / "c", "a", "b/c", kind="checkpoint")
    remove_directory(folder, kind="graph")
    assert files(folder) == ["a", "b/c", "manifest.json"]
    (folder / "mine").write_text("mine")
    remove_directory(folder, kind="checkpoint")
    assert files(folder) == ["mine"]
    remove_directory(folder, kind="checkpoint")
    (folder / "mine").unlink()
    write(folder, "a", kind="checkpoint")
    remove_directory(folder, kind="checkpoint")
    assert not folder.exists()
    remove_directory(folder, kind="checkpoint")


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ("log.csv", None, "is an input"),
        ("link.csv", None, "is an input"),
        ("folder", "graph", "is an input"),
        ("folder/report", "report", "lies in the input"),
        ("folder/recs.csv", None, "lies in the input"),
        ("above", "graph", "holds the input"),
        ("other.txt", "graph", "is a file, not a folder"),
        ("other.txt/graph", "graph", "other.txt: it is a file"),
        ("other.txt/recs.csv", None, "other.txt: it is a file"),
        ("/proc/none/recs.csv", None, "cannot be written"),
        ("/dev/null", None, "is not a file"),
    ],
)
def test_outputs_are_refused_before_the_work(tmp_path, monkeypatch, target, kind, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "above/below"):
        Path(folder).mkdir(parents=True)
    for file in ("log.csv", "other.txt", "folder/part.csv", "above/below/log.csv"):
        Path(file).write_text("user_id,item_id\n")
    Path("link.csv").symlink_to("log.csv")
    before = files(tmp_path)
    inputs = ["log.csv", "folder", "above/below/log.csv"]
    with pytest.raises(StorageError, match=message):
        check_output(target, kind=kind, overwrite=True, inputs=inputs)
    assert files(tmp_path) == before


@pytest.mark.parametrize("target", [".", "..", "/"])
def test_the_current_folder_is_no_output(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="current folder"):
        check_output(target, kind="graph", overwrite=True)


def test_outputs_that_can_be_written_leave_no_trace(tmp_path):
    check_output(tmp_path / "a" / "b" / "recs.csv")
    check_output(tmp_path / "a" / "b" / "graph", kind="graph", inputs=[tmp_path / "log.csv"])
    (tmp_path / "recs.csv").write_text("old")
    check_output(tmp_path / "recs.csv")
    assert files(tmp_path) == ["recs.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_read_only_folders_and_files_are_refused(tmp_path):
    (tmp_path / "recs.csv").write_text("old")
    (tmp_path / "recs.csv").chmod(0o444)
    with pytest.raises(StorageError, match="read-only"):
        check_output(tmp_path / "recs.csv")
    tmp_path.chmod(0o555)
    with pytest.raises(StorageError, match="Permission denied"):
        check_output(tmp_path / "new" / "recs.csv")
    tmp_path.chmod(0o755)


def test_a_fingerprint_follows_settings_and_content(tmp_path):
    log, folder = tmp_path / "log.csv", tmp_path / "logs"
    log.write_text("a")
    folder.mkdir()
    (folder / "one.csv").write_text("a")
    first = fingerprint(["build", {"k": 1}], [log, folder])
    assert first == fingerprint(["build", {"k": 1}], [log, folder])
    assert first != fingerprint(["build", {"k": 2}], [log, folder])
    (folder / "one.csv").write_text("b")
    assert first != fingerprint(["build", {"k": 1}], [log, folder])
    # A folder of ours counts by what it was made from: built again, it is the same.
    graph = write(tmp_path / "g", "a.npy", made_from="x")
    second = fingerprint("train", [graph])
    write(graph, "other.npy", made_from="x")
    assert second == fingerprint("train", [graph])
    write(graph, "a.npy", made_from="y", overwrite=True)
    assert second != fingerprint("train", [graph])
    assert fingerprint("train", [tmp_path / "absent"]) == ""
