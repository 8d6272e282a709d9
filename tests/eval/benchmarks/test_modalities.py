"""What each modality adds: real vectors against the same ones shuffled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from eval.benchmarks.modalities import ALL_MODALITIES, with_noise
from eval.commands.main import app
from graphgen.build import BuildConfig
from graphgen.tables import ItemTable

TASTES, ITEMS, USERS = 4, 80, 60


def tables(folder):
    """Items of four tastes that their vectors tell; each user misses a few of one taste."""
    generator = np.random.default_rng(0)
    taste = np.arange(ITEMS) % TASTES
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(ITEMS)], "row": range(ITEMS)})
    items["title"] = [f"number{n}" for n in generator.integers(0, 9, ITEMS)]
    items.to_csv(folder / "items.csv", index=False)
    centers = generator.normal(size=(TASTES, 6))
    np.save(folder / "v.npy", centers[taste] + 0.2 * generator.normal(size=(ITEMS, 6)))
    rows = [
        (f"u{user}", f"i{item}", "test" if generator.random() < 0.2 else "train")
        for user in range(USERS)
        for item in np.flatnonzero(taste == user % TASTES)
    ]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "part"])
    for part, own in log.groupby("part"):
        own.drop(columns="part").to_csv(folder / f"{part}.csv", index=False)


def test_the_table_says_what_the_modalities_add(tmp_path):
    tables(tmp_path)
    given = [f"--{part}={tmp_path}/{part}.csv" for part in ("train", "test", "items")]
    shown = CliRunner().invoke(
        app,
        ["bench", "modalities", *given, f"--vectors=sound={tmp_path}/v.npy", "--encoder=hashing",
         "--model=text-knn", "-k5", f"--out={tmp_path}/table.csv"],
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert "minus all modalities" in shown.output
    table = pd.read_csv(tmp_path / "table.csv").query("metric == 'recall@5' and domain == 'macro'")
    value = table.set_index("system")["value"]
    assert value["noise for sound"] < 0.5 * value[ALL_MODALITIES]
    assert abs(value["noise for text"] - value[ALL_MODALITIES]) < 0.1


def test_noise_shuffles_one_modality_only():
    frame = pd.DataFrame({"item_id": list("abcd"), "title": list("wxyz"), "row": list("0123")})
    frame["text"] = ["W", "X", "Y", ""]
    config = BuildConfig(vectors={"one": "1.npy", "two": "2.npy"})
    items, changed = with_noise(ItemTable(frame), config, "one", seed=1)
    assert changed.vectors == {"one": "1.npy#row of one", "two": "2.npy"}
    assert items.frame["row"].tolist() == list("0123")
    assert sorted(items.frame["row of one"]) == list("0123")
    items, _ = with_noise(ItemTable(frame), config, "text", seed=1)
    pairs = set(zip(items.frame["title"], items.frame["text"], strict=True))
    assert pairs == {("w", "W"), ("x", "X"), ("y", "Y"), ("z", "")}
