"""Time and memory from logs on disk to a saved graph, beside the readers of other libraries."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from eval.reports.tables import markdown_table
from graphgen.arrays import mix_bits
from graphgen.errors import ConfigError, InterestError
from graphgen.schema import DOMAIN, ITEM_ID, TIMESTAMP, USER_ID

__all__ = ["RIVALS", "BuildSpeed", "make_log", "measure_building"]

SCRIPT: Final = Path(__file__).with_name("rivals") / "loaders.py"
# What each does with the same files, from the least to the most.
RIVALS: Final = ("pandas", "polars", "duckdb", "recbole")
OURS: Final = "from eval.commands.main import main; main()"
OURS_AS: Final = ("interest build", "interest build --topics 0")
# The shape of the log that the targets are set on: 10 million rows of 2 million users and 500,000
# items in 5 domains, the most popular item in about 0.1 % of the rows.
ROWS_OF_USER, ROWS_OF_ITEM, N_DOMAINS = 5, 20, 5
USER_SKEW, ITEM_SKEW = 1.3, 2.0
CHUNK: Final = 1 << 20
ID_LETTERS: Final = 14
LETTERS: Final = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype=np.uint8)
START, SPAN = 1_500_000_000, 250_000_000  # seconds since 1970, and until the last row


@dataclass(frozen=True)
class BuildSpeed:
    """A row of `table` for each system.

    Its columns: system, what (it did), seconds (of the process, start and imports included),
    cpu_seconds (of all its threads), peak_gigabytes, rows_per_second.
    """

    table: pd.DataFrame

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        header = "system, what, s, CPU s, peak GB, rows/s"
        rows = [
            [row.system, row.what, f"{row.seconds:.1f}", f"{row.cpu_seconds:.1f}",
             f"{row.peak_gigabytes:.2f}", f"{row.rows_per_second:,.0f}"]
            for row in self.table.itertuples()
        ]  # fmt: skip
        return markdown_table(header.split(", "), rows)


def make_log(
    folder: Path,
    rows: int,
    *,
    files: int = 1,
    shuffled: bool = False,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write a log with 14-character ids as CSV files, and return their paths.

    There is a user for 5 rows and an item for 20, each item in one of 5 domains; some users and
    items are far more frequent than others. O(rows).

    Parameters
    ----------
    folder
        Where the files go; made if absent.
    rows, files
        Number of rows in all, and of files.
    shuffled
        Rows in a random order, not in order of time.
    seed
        Of the draws.
    on_progress
        Called with the number of rows written since the last call.
    """
    if not 1 <= files <= rows:
        raise ConfigError(f"`files` must be between 1 and the number of rows; got {files}.")
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    users = _ids(b"U", -(-rows // ROWS_OF_USER))
    items = _ids(b"I", max(N_DOMAINS, rows // ROWS_OF_ITEM))
    domains = pa.array(["beauty", "books", "films", "games", "music"])
    paths, bounds = [], np.linspace(0, rows, files + 1).astype(np.int64)
    for number, (low, high) in enumerate(itertools.pairwise(bounds)):
        path = folder / f"log-{number:04d}.csv"
        writer = None
        for start in range(low, high, CHUNK):
            place = np.arange(start, min(start + CHUNK, high))
            drawn = generator.random((3, len(place)))
            item = (len(items) * drawn[1] ** ITEM_SKEW).astype(np.int64)
            when = drawn[2] if shuffled else place / rows
            table = pa.table(
                {
                    USER_ID: users.take((len(users) * drawn[0] ** USER_SKEW).astype(np.int64)),
                    ITEM_ID: items.take(item),
                    DOMAIN: domains.take(item % N_DOMAINS),
                    TIMESTAMP: START + (SPAN * when).astype(np.int64),
                }
            )
            writer = writer or pa.csv.CSVWriter(
                str(path), table.schema, write_options=pa.csv.WriteOptions(quoting_style="none")
            )
            writer.write_table(table)
            if on_progress is not None:
                on_progress(len(place))
        if writer is not None:
            writer.close()
        paths.append(path)
    return paths


def _ids(first: bytes, count: int) -> pa.Array:
    """Return `count` different texts of 14 characters in no order."""
    mixed = mix_bits(np.arange(count, dtype=np.uint64))
    text = np.full((count, ID_LETTERS), first[0], dtype=np.uint8)
    for place in range(1, ID_LETTERS):
        text[:, place] = LETTERS[(mixed >> np.uint64(5 * (place - 1))) & np.uint64(31)]
    ends = pa.py_buffer(np.arange(0, ID_LETTERS * (count + 1), ID_LETTERS, dtype=np.int64))
    return pa.Array.from_buffers(pa.large_string(), count, [None, ends, pa.py_buffer(text)])


def measure_building(
    folder: Path,
    rows: int,
    *,
    files: int = 1,
    shuffled: bool = False,
    rivals: Mapping[str, str] | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
    on_run: Callable[[str], None] | None = None,
) -> BuildSpeed:
    """Generate a log, and time each system from its files, one process after the other.

    `interest build` reads, checks, de-duplicates and links the rows and saves the graph, without
    text features, with communities of items as topics and without. The others only read the files
    into memory and number users and items.

    Parameters
    ----------
    folder
        For the log and the graph, both removed at the end.
    rows, files, shuffled, seed, on_progress
        Of `make_log`.
    rivals
        Interpreter by rival (`RIVALS`), in whose environment it is installed.
    on_run
        Called with the name of each system before it runs.

    Raises
    ------
    ConfigError
        If a rival is none of `RIVALS`.
    InterestError
        If a system fails; with the end of what it wrote.
    """
    for name in rivals or {}:
        if name not in RIVALS:
            raise ConfigError(f"There is no rival {name!r}; there are {', '.join(RIVALS)}.")
    log, graph = folder / "log", folder / "graph"
    try:
        paths = make_log(
            log, rows, files=files, shuffled=shuffled, seed=seed, on_progress=on_progress
        )
        ours = [sys.executable, "-c", OURS, "build", *map(str, paths), "--encoder", "none"]
        runs = {
            name: [*ours, "--out", str(graph / str(number)), *name.split()[2:]]
            for number, name in enumerate(OURS_AS)
        }
        for name, python in (rivals or {}).items():
            runs[name] = [python, str(SCRIPT), name, *map(str, paths)]
        table = []
        for name, command in runs.items():
            if on_run is not None:
                on_run(name)
            output, cost = _timed(command)
            found = {"system": name, "what": "log to saved graph"}
            if name in RIVALS:
                found = json.loads(output.strip().splitlines()[-1])
            table.append({**found, **cost, "rows_per_second": rows / cost["seconds"]})
    finally:
        shutil.rmtree(log, ignore_errors=True)
        shutil.rmtree(graph, ignore_errors=True)
    return BuildSpeed(pd.DataFrame(table))


def _timed(command: list[str]) -> tuple[str, dict[str, Any]]:
    """Run a command; return its output, and its cost as the operating system counts it."""
    began = time.perf_counter()
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise InterestError(f"{command[0]} cannot be run: {error}.") from error
    output = process.stdout.read() if process.stdout is not None else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        last = "\n".join(output.strip().splitlines()[-3:])
        raise InterestError(f"{' '.join(command[:3])} ... failed:\n{last}")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return output, {
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_gigabytes": used.ru_maxrss * kilobyte / 1e9,
    }
