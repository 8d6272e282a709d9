"""Saving and loading of models: safetensors, Arrow, npy and JSON; never pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors
import scipy.sparse as sp
import torch
from safetensors.torch import load_file, save_file

from gnn.data import TrainingData
from graphgen.errors import StorageError
from graphgen.storage import atomic_directory, provenance, read_json, write_json
from graphgen.tables import read_arrow, write_arrow
from graphgen.vocabulary import Vocabulary

__all__ = ["nested", "part_state", "read_model", "restore_part", "save_model", "within"]

SCHEMA_VERSION = 3
MANIFEST = "model.json"
ORDER, WEIGHTS, REJECTED = "order.npy", "weights.npy", "rejected.npz"
TOPICS, ABOUT = "topics.arrow", "about.npz"
CHOSEN = "chosen.json"


def save_model(
    model: Any,
    state: Mapping[str, torch.Tensor],
    path: str | Path,
    *,
    overwrite: bool = False,
    made_from: str = "",
) -> None:
    """Write a fitted model to a folder that appears whole or not at all.

    `state` is what it has learned, by name; the rest is as in `graphgen.storage.atomic_directory`.

    Raises
    ------
    NotFittedError
        If it has not been fitted.
    StorageError
        If the path holds something that is not ours.
    """
    data = model.data
    with atomic_directory(path, kind="model", overwrite=overwrite, made_from=made_from) as folder:
        data.users.save(folder / "users.arrow")
        for number, (domain, vocabulary) in enumerate(data.items.items()):
            vocabulary.save(folder / f"items{number}.arrow")
            if domain in data.item_tables:
                write_arrow(data.item_tables[domain], folder / f"items{number}.columns.arrow")
        np.save(folder / "indptr.npy", data.matrix.indptr)
        np.save(folder / "indices.npy", data.matrix.indices)
        if data.order is not None:
            np.save(folder / ORDER, data.order.data)
        if data.weights is not None:
            np.save(folder / WEIGHTS, data.weights.data)
        if data.rejected is not None:
            sp.save_npz(folder / REJECTED, data.rejected)
        if data.about is not None:
            Vocabulary(data.topics).save(folder / TOPICS)
            sp.save_npz(folder / ABOUT, data.about)
        beside = model.provenance_.get("graph_folder")
        tensors = {name: tensor.contiguous() for name, tensor in state.items()}
        save_file(tensors, folder / "state.safetensors")
        manifest = {
            "model": model.name,
            "config": model.config.to_dict(),
            "chosen": model.chosen_,
            "domains": data.domains,
            "order": data.order is not None and ("time" if data.has_time else "position"),
            "training": model.history_,
            # A model and its graph that are moved together are found by the way between them.
            "graph_beside": beside and os.path.relpath(beside, Path(path).resolve()),
            "provenance": {**provenance(), **model.provenance_},
        }
        write_json(folder / MANIFEST, manifest, schema_version=SCHEMA_VERSION)


def read_model(path: str | Path, make: Callable[..., Any]) -> Any:
    """Read what `save_model` wrote into the model that ``make(name, **config)`` returns.

    Raises
    ------
    StorageError
        If the folder is no model, is damaged, or was written by a newer version.
    """
    folder = Path(path)
    manifest = read_json(
        folder / MANIFEST, schema_version=SCHEMA_VERSION, what="a model (see `interest train`)"
    )
    model = make(manifest["model"], **manifest["config"])
    try:
        users = Vocabulary.load(folder / "users.arrow")
        items = {
            domain: Vocabulary.load(folder / f"items{number}.arrow")
            for number, domain in enumerate(manifest["domains"])
        }
        tables = {
            domain: read_arrow(path)
            for number, domain in enumerate(manifest["domains"])
            if (path := folder / f"items{number}.columns.arrow").exists()
        }
        indptr = np.load(folder / "indptr.npy", allow_pickle=False)
        indices = np.load(folder / "indices.npy", allow_pickle=False)
        matrix = sp.csr_matrix(
            (np.ones(len(indices), np.float32), indices, indptr),
            shape=(len(users), sum(map(len, items.values()))),
        )
        order = None
        if manifest["order"]:
            when = np.load(folder / ORDER, allow_pickle=False)
            order = sp.csr_matrix((when, indices, indptr), shape=matrix.shape)
        weights = rejected = about = None
        topics: tuple[str, ...] = ()
        if (folder / WEIGHTS).exists():
            weight = np.load(folder / WEIGHTS, allow_pickle=False)
            weights = sp.csr_matrix((weight, indices, indptr), shape=matrix.shape)
        if (folder / REJECTED).exists():
            rejected = sp.csr_matrix(sp.load_npz(folder / REJECTED))
        if (folder / ABOUT).exists():
            topics = tuple(Vocabulary.load(folder / TOPICS).ids)
            about = sp.csr_matrix(sp.load_npz(folder / ABOUT))
        state = load_file(folder / "state.safetensors")
    except (OSError, ValueError, pa.ArrowInvalid, safetensors.SafetensorError) as error:
        raise StorageError(f"{folder} is damaged: {error}. Train the model again.") from error
    data = TrainingData(
        users,
        items,
        matrix,
        order=order,
        has_time=manifest["order"] == "time",
        item_tables=tables,
        weights=weights,
        rejected=rejected,
        topics=topics,
        about=about,
    )
    model.history_ = manifest["training"]
    model.chosen_ = manifest["chosen"]
    model.provenance_ = manifest["provenance"]
    if beside := manifest.get("graph_beside"):
        model.provenance_["graph_beside"] = str((folder / beside).resolve())
    model.restore(data, state)
    return model


def nested(name: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a part as those of the whole: each is called ``name.`` and its name."""
    return {f"{name}.{key}": tensor for key, tensor in state.items()}


def within(name: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a part, by their own names; the inverse of `nested`.

    Examples
    --------
    >>> within("a", nested("a", {"x": torch.ones(1)}) | {"b.x": torch.zeros(1)})
    {'x': tensor([1.])}
    """
    start = f"{name}."
    return {k.removeprefix(start): tensor for k, tensor in state.items() if k.startswith(start)}


def part_state(model: Any, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a model inside another, with what it chose."""
    chosen = np.frombuffer(json.dumps(model.chosen_).encode(), dtype=np.uint8)
    return nested(name, {**model._state(), CHOSEN: torch.from_numpy(chosen.copy())})


def restore_part(
    model: Any, name: str, data: TrainingData, state: Mapping[str, torch.Tensor]
) -> None:
    """Restore a model inside another from what `part_state` returned."""
    own = within(name, state)
    model.chosen_ = json.loads(bytes(own.pop(CHOSEN).numpy()))
    model.restore(data, own)
