"""Modalities: a generated log whose signal is in pictures, in sound, or split over both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from eval import evaluate
from gnn import make_model
from gnn.data import TrainingData
from gnn.models.interest.fusion import ModalityFusion
from graphgen import build_graph

USERS, WARM, COLD, LIKES, WIDTH = 250, 320, 80, 14, 24
# Four values of what pictures show and four of what is heard; a taste is a pair.
VALUES = 4


def generated(folder, signal, missing=""):
    """Return training rows, test rows of cold items, the item table and the vectors."""
    generator = np.random.default_rng(0)
    n = WARM + COLD
    seen, heard = generator.integers(0, VALUES, (2, n))
    taste = {"image": seen, "audio": heard, "both": seen * VALUES + heard}[signal]
    user_taste = generator.integers(0, taste.max() + 1, USERS)
    rows = []
    for user, own in enumerate(user_taste):
        for part, low, high, count in (("train", 0, WARM, LIKES), ("test", WARM, n, 3)):
            liked = np.flatnonzero(taste[low:high] == own) + low
            chosen = generator.choice(liked, min(count, len(liked)), replace=False)
            rows += [(f"u{user}", f"i{item}", part) for item in chosen]
    log = pd.DataFrame(rows, columns=["user_id", "item_id", "part"])
    words = np.array([f"{a}{b}" for a in "bdfklmnprst" for b in ("ako", "elu", "ito", "omi")])
    frame = pd.DataFrame({"item_id": [f"i{i}" for i in range(n)], "domain": "items"})
    frame["text"] = [" ".join(generator.choice(words, 4)) for _ in range(n)]
    vectors = {}
    for name, values in (("image", seen), ("audio", heard)):
        informed = signal in (name, "both")
        centers = generator.standard_normal((VALUES, WIDTH)) * informed
        path = folder / f"{signal}-{name}.npy"
        np.save(path, centers[values] + 0.7 * generator.standard_normal((n, WIDTH)))
        row = np.arange(n).astype(str).astype(object)
        if name in missing:
            row[WARM:] = ""
        frame[f"{name}_row"] = row
        vectors[f"{name}s"] = f"{path}#{name}_row"
    parts = {part: own.drop(columns="part") for part, own in log.groupby("part")}
    return (
        parts["train"].assign(domain="items"),
        parts["test"].assign(domain="items"),
        frame,
        vectors,
    )


def recall(folder, signal, *, missing="", modal=True):
    train, test, items, vectors = generated(folder, signal, missing)
    graph = build_graph(
        train,
        items,
        encoder="hashing",
        vectors=vectors if modal else {},
        cache_dir=folder,
        topics=0,
    )
    model = make_model("interest-gnn", steps=10, embedding_dim=32, new_item_cost=1.0)
    model.fit(graph, seed=0)
    return evaluate(model, test, k=20, graph=graph, metrics=["recall"], bootstrap=0).value(
        "recall@20"
    )


@pytest.mark.parametrize("signal", ["image", "audio", "both"])
def test_the_signal_is_found_wherever_it_is(signal, tmp_path):
    text = recall(tmp_path, signal, modal=False)
    assert recall(tmp_path, signal) >= 5 * max(text, 1 / (WARM + COLD))


def test_items_that_miss_a_modality_are_found_by_the_other(tmp_path):
    whole = recall(tmp_path, "both")
    without = [recall(tmp_path, "both", missing=name) for name in ("image", "audio")]
    assert whole > max(without) and min(without) > 0.2 * whole


@pytest.fixture
def data(tmp_path):
    train, _, items, vectors = generated(tmp_path, "both", missing="audio")
    graph = build_graph(train, items, encoder="hashing", vectors=vectors, cache_dir=tmp_path)
    return TrainingData.from_graph(graph)


@pytest.mark.parametrize("kind", ["gate", "attention", "concat"])
def test_fusion_leaves_out_what_is_missing_or_hidden(kind, data):
    vectors = torch.randn(data.n_items, 8, generator=torch.Generator().manual_seed(0))
    fusion = ModalityFusion(data, vectors, kind=kind, ridge=1.0)
    assert fusion.sizes == [256, WIDTH, WIDTH]
    assert fusion.present.sum(0).tolist() == [WARM + COLD, WARM + COLD, WARM]
    plain = fusion()
    torch.testing.assert_close(plain, fusion.features @ fusion.projection)
    hidden = torch.zeros(data.n_items, 3, dtype=torch.bool)
    hidden[:, 2] = True
    changed = (fusion(hidden) - plain).abs().sum(1) > 0
    assert torch.equal(changed, fusion.present[:, 2])
    # An item keeps all where all are hidden.
    torch.testing.assert_close(fusion(torch.ones_like(hidden)), plain)


def test_one_modality_is_a_linear_map(graph):
    data = TrainingData.from_graph(graph)
    fusion = ModalityFusion(data, torch.ones(data.n_items, 4), kind="gate", ridge=1.0)
    assert [name for name, _ in fusion.named_parameters()] == ["projection", "without"]
