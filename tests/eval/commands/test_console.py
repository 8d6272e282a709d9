"""Failures of commands as sentences, and terminals of any encoding."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from eval.commands import console
from graphgen.errors import InputError
from graphgen.progress import progress_bar

SCRIPT = Path(sys.executable).with_name("interest")


def much_in_numpy():
    np.empty(1 << 60, dtype=np.uint8)


def much_in_torch():
    torch.empty(1 << 60, dtype=torch.uint8)


def a_missing_file():
    Path("no/such/file").read_text()


def raising(error):
    def command():
        raise error

    return command


def status_and_message(command, monkeypatch, capsys, *, kept=None):
    """Run a command line of two commands, of which the first fails."""
    app = typer.Typer(cls=console.Commands, pretty_exceptions_enable=False)

    @app.command()
    def first(context: typer.Context):
        if kept is not None:
            console.resumes_from(context, kept)
        command()

    app.command()(lambda: None)
    monkeypatch.setattr(sys, "argv", ["interest", "first"])
    with pytest.raises(SystemExit) as end:
        console.run(app)
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (raising(InputError("No [row].")), 2, "Error: No [row]."),
        (a_missing_file, 1, "Error: no/such/file: No such file or directory."),
        (raising(OSError(errno.ENOSPC, "No space left on device")), 1, "No space left on device."),
        (much_in_numpy, 1, "Error: There is not enough memory (Unable to allocate"),
        (much_in_torch, 1, "Error: There is not enough memory ("),
        (raising(MemoryError()), 1, "Error: There is not enough memory (none is left)."),
        (lambda: "\udcff".encode(), 1, "Error: 'utf-8' codec can't encode"),
        (raising(BrokenPipeError()), 0, ""),
        (raising(KeyboardInterrupt()), 130, "Interrupted. The same command starts again; nothing"),
    ],
)
def test_failures_are_sentences(command, status, message, monkeypatch, capsys):
    stdout = sys.stdout
    found, error = status_and_message(command, monkeypatch, capsys)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert found == status
    assert message in error
    assert error.count("\n") == bool(message)


def test_a_fault_of_the_program_is_shown_in_full(monkeypatch, capsys):
    with pytest.raises(ZeroDivisionError):
        status_and_message(lambda: 1 / 0, monkeypatch, capsys)


@pytest.mark.parametrize(("made", "words"), [(True, "goes on from there: interest first"),
                                             (False, "starts again")])  # fmt: skip
def test_an_interrupt_says_how_to_go_on(made, words, monkeypatch, capsys, tmp_path):
    def interrupted():
        if made:
            (tmp_path / "kept").mkdir()
        raise KeyboardInterrupt

    _, error = status_and_message(interrupted, monkeypatch, capsys, kept=tmp_path / "kept")
    assert f"The same command {words}" in error


def test_tables_lose_no_letters_on_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    names = [f"domain-{n}[/b]" for n in range(12)] + [":car:"]
    console.show_rows(names, [[name] * len(names) for name in names], right=names[1:], title="[x]")
    out = capsys.readouterr().out
    assert out.startswith("[x]")
    for name in names:
        assert out.count(name) >= len(names)
    console.show_rows(["a", "no rows"], [])
    assert "no rows" in capsys.readouterr().out


@pytest.mark.parametrize("closed", [">&-", "2>&-", "> /dev/full"])
def test_streams_that_cannot_be_written(closed):
    done = subprocess.run(
        f"{SCRIPT} --version {closed}", shell=True, stderr=subprocess.PIPE, text=True
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == ("full" in closed)


@pytest.mark.parametrize("total", [None, 3])
def test_bars_of_known_and_unknown_length(total, capsys):
    with progress_bar("Working", total, enabled=True) as advance:
        advance(3)
    error = capsys.readouterr().err
    assert error.startswith("Working ") and error.count("\n") == 1
    assert ("3/3" in error) == (total is not None)


def test_ctrl_c_in_a_real_process(tmp_path):
    """Whatever works at the moment: the interrupt is not lost, and no traceback is shown."""
    running = subprocess.Popen(
        [SCRIPT, "synth", "--users", "2000000", "--out", "big"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(4)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130
    assert error.endswith("nothing is half-written: interest synth --users 2000000 --out big\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("arguments", [["--help"], ["build", "--help"], ["models"]])
def test_a_closed_pipe_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([SCRIPT, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_without_our_signs(tmp_path):
    """Names are escaped as in JSON, signs of our tables are written in plain letters."""
    rows = [f"u{n % 7},{n % 5},bücher[/b]" for n in range(35)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,domain", *rows]), "utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LANG": "C", "COLUMNS": "200"}

    def interest(*arguments):
        done = subprocess.run(
            [SCRIPT, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    out = interest("build", "log.csv", "--encoder", "none", "--out", "graph")
    assert "| b\\u00fccher[/b] |" in out
    described = json.loads(interest("describe", "graph", "--json"))
    assert described["domains"]["bücher[/b]"]["items"] == 5
