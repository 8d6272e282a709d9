"""Models and metrics of another package are found by their entry points."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

START = "from eval.commands.main import main; main()"
ROOT = Path(__file__).parents[1]
DIST_INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: shop-models\nVersion: 1.0\n",
    "entry_points.txt": "[interest.models]\nrecent = shop_models:Recent\n"
    "[interest.metrics]\nfirst-hit = shop_models:FirstHit\n",
}


def example():
    """The example package of CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.search(r"```python\n# shop_models.py\n(.*?)```", text, re.DOTALL).group(1)


@pytest.fixture
def environment(tmp_path):
    """What `pip install` of the example leaves: a module, and metadata beside it."""
    site = tmp_path / "site"
    info = site / "shop_models-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "shop_models.py").write_text(example(), encoding="utf-8")
    for name, text in DIST_INFO.items():
        (info / name).write_text(text, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "120"}


def interest(environment, folder, *arguments):
    return subprocess.run(
        [sys.executable, "-P", "-c", START, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_adds_a_model_and_a_metric(environment, tmp_path):
    listed = interest(environment, tmp_path, "models")
    assert "recent" in listed.stdout, listed.stderr
    settings = interest(environment, tmp_path, "models", "recent")
    assert "half_life" in settings.stdout
    log = "user_id,item_id,domain,timestamp\n" + "".join(
        f"u{user},i{(user + step) % 7},book,{1_700_000_000 + 86_400 * step}\n"
        for user in range(30)
        for step in range(4)
    )
    (tmp_path / "train.csv").write_text(log, encoding="utf-8")
    test = "user_id,item_id,domain\n" + "".join(f"u{u},i{(u + 4) % 7},book\n" for u in range(30))
    (tmp_path / "test.csv").write_text(test, encoding="utf-8")
    compared = interest(
        environment,
        tmp_path,
        *("compare", "--train", "train.csv", "--test", "test.csv", "--models", "popularity,recent"),
        *("--metrics", "recall,first-hit", "-k", "3", "--out", "report"),
    )
    assert compared.returncode == 0, compared.stderr
    table = (tmp_path / "report" / "metrics.csv").read_text(encoding="utf-8")
    assert "recent" in table
    assert "first-hit@3" in table


def test_a_plugin_that_is_no_model_is_a_clear_error(environment, tmp_path):
    path = Path(environment["PYTHONPATH"]) / "shop_models.py"
    path.write_text("class Recent: ...\nclass FirstHit: ...\n", encoding="utf-8")
    failed = interest(environment, tmp_path, "models", "recent")
    assert failed.returncode != 0
    assert "is no subclass of Model" in failed.stderr
    assert "Traceback" not in failed.stderr
