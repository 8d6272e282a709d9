"""Every notebook runs, and the committed outputs have the figures of a fresh run.

``make write-notebooks`` writes them. Outputs that are too large to commit (a picture that one can
click through is some 500 KB) leave their text only.
"""

import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

BOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
KINDS = ("image/svg+xml", "text/html", "text/plain")
LIGHT = 60_000
NUMBER = re.compile(r"(?<![\w#.])-?\d+(?:,\d{3})*(?:\.\d+)?")
# Other processors round otherwise, which moves the figures of a model a little.
TOLERANCE = {"rtol": 0.1, "atol": 0.05}


def run(path):
    """Return a notebook with the outputs of a fresh run, as they are committed."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        cell.metadata = {}
    where = {"metadata": {"path": str(path.parent)}}
    options = {
        "timeout": 300,
        "record_timing": False,
        "store_widget_state": False,
        "coalesce_streams": True,
    }
    NotebookClient(book, resources=where, **options).execute()
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [light(out) for out in cell.outputs if out.get("name") != "stderr"]
    book.metadata = {k: book.metadata[k] for k in ("kernelspec", "language_info")}
    book.metadata.language_info = {"name": "python"}
    return book


def light(output):
    """Keep the richest form that is small; of a picture that is too large, its name."""
    if "data" in output:
        kept = next(
            (kind for kind in KINDS if len(output.data.get(kind, "-" * LIGHT)) < LIGHT), None
        )
        text = output.data[kept]
        if kept == "text/plain" and len(output.data) > 1:
            text = re.sub(r" at 0x\w+", "", text.splitlines()[0])[:100]
        output.data, output.metadata = {kept: text}, {}
    return output


def figures(book):
    """Return the numbers of each cell's outputs, those of a table rather than of its text."""
    found = []
    for cell in book.cells:
        texts = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = output.get("text") or data.get("text/html") or data.get("text/plain")
            texts.append(text or "")  # none of a plot
        plain = re.sub(
            r"<style>.*?</style>|<svg.*?</svg>|<[^>]*>", " ", " ".join(texts), flags=re.S
        )
        found.append([float(number.replace(",", "")) for number in NUMBER.findall(plain)])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_figures_are_those_committed(path):
    fresh = run(path)
    if os.environ.get("INTEREST_WRITE_NOTEBOOKS"):
        nbformat.write(fresh, path)
        return
    committed, now = figures(nbformat.read(path, as_version=4)), figures(fresh)
    assert any(now)
    for number, (old, new) in enumerate(zip(committed, now, strict=True)):
        assert len(old) == len(new), f"cell {number}: {old} became {new}"
        np.testing.assert_allclose(new, old, err_msg=f"cell {number}", **TOLERANCE)
