"""Features of items and users, and the semantic edges that they give."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pydantic
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from graphgen.builders.communities import item_vectors
from graphgen.builders.interactions import likes_matrix
from graphgen.builders.pairs import JointItems, add_item_edges, strongest
from graphgen.builders.semantic import Neighbors, semantic_neighbors
from graphgen.config import Config
from graphgen.features.encoders import encode, encode_files, existing_files, make_encoder
from graphgen.features.languages import ENGLISH, language_shares
from graphgen.features.modalities import (
    Vectors,
    given_vectors,
    join_modalities,
    modality_shares,
    standardize,
)
from graphgen.features.text import word_vectors
from graphgen.features.trained import TrainedEncoder
from graphgen.progress import progress_bar
from graphgen.schema import AUDIO, IMAGE, SIMILAR, TEXT, USER

__all__ = ["FeatureConfig", "add_features", "add_user_features"]

logger = logging.getLogger(__name__)

# What the encoders that do not know many languages do with other texts than English, and the share
# of such texts from which on it is said.
ONE_LANGUAGE = {
    "minilm": "reads English only",
    "int8": "reads English only",
    "static": "reads English only",
    "hashing": "compares spellings, which link no two languages",
}
OTHER_SHARE = 0.2


class FeatureConfig(Config):
    """How features and semantic edges are made."""

    encoder: str = "minilm"
    """``minilm`` (English), the same as ``int8`` (faster) or ``static`` (much faster, knows no
    order of words; ``static:MODEL`` from another model), ``multilingual`` (16 languages),
    ``hashing``, ``none``, or a folder or hub name of a transformers model."""
    image_encoder: str = "cnn"
    """Encoder of the pictures in the column ``image`` of the items: ``cnn``, ``trained`` (a small
    network that learns from the likes of the log), ``none``, or a folder or hub name of a
    transformers vision model."""
    audio_encoder: str = "mel"
    """Encoder of the sound files in the column ``audio``: ``mel`` (statistics of the log-mel
    spectrum), ``trained``, ``none``, or a folder or hub name of a transformers audio model."""
    media: Path | None = None
    """Folder of the files in the columns ``image`` and ``audio``; None leaves them out."""
    vectors: dict[str, str] = pydantic.Field({})
    """Vectors made elsewhere, by name of the modality: ``FILE.npy``; the column ``row`` of the item
    table, or COLUMN of ``FILE.npy#COLUMN``, says which row is an item's."""
    user_text: tuple[str, ...] = ("profile", "queries")
    """Columns of the user table whose texts become the features of a user, as far as it has
    them."""
    max_tokens: int = pydantic.Field(128, ge=1, le=8192)
    """Tokens of a text that a language model reads."""
    similar_k: int = pydantic.Field(20, ge=0)
    """Nearest neighbours of an item inside its domain and, again, across domains; 0 for none."""
    similar_by: Literal["all", "each"] = "all"
    """Neighbours by all modalities together, or by each alone, whose similarities are then added up
    by the shares of the modalities (Zhou and Shen, "A tale of two graphs", MM 2023: FREEDOM)."""
    word_share: float = pydantic.Field(0.5, ge=0, le=1)
    """Share of common words (cosine of TF-IDF) in the similarity of two items; the rest is the
    cosine of their text vectors."""
    min_similarity: float = pydantic.Field(0.3, ge=-1, le=1)
    """Two items without a common word are not linked where the cosine of their text vectors is
    less."""
    approximate_from: int | None = pydantic.Field(100_000, ge=1)
    """Items with features from which on neighbours are searched approximately, with a recall of
    about 95 %, by faiss (the extra ``large``); None for never."""


def add_features(
    data: HeteroData,
    items: Mapping[str, pd.DataFrame],
    config: FeatureConfig,
    *,
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Add ``x``, ``has_text`` and similar edges in place.

    Parameters
    ----------
    data
        Graph to add to, with its interactions, which weigh the modalities against each other.
    items
        By domain, ``text_of`` and the columns of the item table, row i describing item i.
    config
        Settings.
    cache_dir, progress
        As in `graphgen.build.build_graph`.

    Returns
    -------
    dict
        Provenance: ``text``, and ``modalities`` (name, dim, encoder, share) in the order of
        the columns of ``x``.
    """
    texts = {domain: frame["text_of"] for domain, frame in items.items()}
    for domain, column in texts.items():
        data[domain].has_text = torch.from_numpy((column != "").to_numpy(dtype=bool, copy=True))
    options: dict[str, Any] = {"cache_dir": cache_dir, "progress": progress}
    modalities, encoders = {}, {}
    modalities[TEXT], made = _text_vectors(texts, config, options)
    encoders[TEXT] = made.get("fingerprint", "")
    for kind, name in ((IMAGE, config.image_encoder), (AUDIO, config.audio_encoder)):
        given = {domain: frame[kind] for domain, frame in items.items() if kind in frame}
        some = any((column != "").any() for column in given.values())
        encoder = make_encoder(name, kind) if some and config.media else None
        if encoder is not None and config.media:
            files = existing_files(pd.concat(given), kind=kind, folder=config.media)
            if isinstance(encoder, TrainedEncoder):
                _train(encoder, data, items, files, progress)
            vectors, _ = encode_files(encoder, files[files != ""], kind=kind, **options)
            modalities[kind] = standardize(_by_domain(vectors, {d: files[d] for d in given}))
            encoders[kind] = encoder.fingerprint
    for name, source in config.vectors.items():
        modalities[name] = given_vectors(name, source, items)
        encoders[name] = source
    modalities = {name: vectors for name, vectors in modalities.items() if vectors}
    if not modalities:
        return {"text": made}
    sizes = {domain: len(frame) for domain, frame in items.items()}
    shares = dict.fromkeys(modalities, 1.0)
    if len(modalities) > 1:
        likes = likes_matrix(data, list(items)).T.tocsr()
        shares = modality_shares(modalities, likes, sizes)
    features = join_modalities(modalities, shares, sizes)
    for domain, x in features.items():
        data[domain].x = torch.from_numpy(x)
    described = [
        {
            "name": name,
            "dim": next(iter(vectors.values())).shape[1],
            "encoder": encoders[name],
            "share": shares[name],
        }
        for name, vectors in modalities.items()
    ]
    if config.similar_k:
        by = modalities if config.similar_by == "each" else {"": features}
        made |= _link(data, texts, by, shares, config, progress)
    return {"text": made, "modalities": described}


def add_user_features(
    data: HeteroData,
    users: pd.DataFrame,
    config: FeatureConfig,
    *,
    cache_dir: str | Path | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Add ``x`` of the users, the encoded text of their columns `user_text`, in place.

    For the parameters see `add_features`; row i of `users` describes user i. Returns provenance.
    """
    columns = [name for name in config.user_text if name in users]
    encoder = make_encoder(config.encoder, max_tokens=config.max_tokens) if columns else None
    if encoder is None:
        return {}
    text = users[columns].agg(". ".join, axis=1).str.strip(". ")
    has = (text != "").to_numpy()
    if not has.any():
        return {}
    vectors, _ = encode(encoder, text[has], cache_dir=cache_dir, progress=progress)
    x = np.zeros((len(users), encoder.dim), dtype=np.float32)
    x[has] = vectors
    data[USER].x = torch.from_numpy(x)
    return {"user_text": {"columns": columns, "users": int(has.sum()), "encoder": encoder.name}}


def _text_vectors(
    texts: Mapping[str, pd.Series], config: FeatureConfig, options: dict[str, Any]
) -> tuple[Vectors, dict[str, Any]]:
    """Return the text vectors and their provenance."""
    encoder = make_encoder(config.encoder, max_tokens=config.max_tokens)
    filled = pd.concat([column[column != ""] for column in texts.values()], ignore_index=True)
    if encoder is None or not len(filled):
        return {}, {"encoder": "none", "encoded": 0}
    shares = language_shares(filled)
    if encoder.name in ONE_LANGUAGE and 1 - shares.get(ENGLISH, 0.0) >= OTHER_SHARE:
        logger.warning(
            "Languages of the item texts: %s. The encoder %s %s; choose "
            "--encoder multilingual (pip install 'interest-expansion[multilingual]').",
            ", ".join(f"{name} {share:.0%}" for name, share in shares.items()),
            encoder.name,
            ONE_LANGUAGE[encoder.name],
        )
    vectors, n_encoded = encode(encoder, filled, **options)
    return _by_domain(vectors, texts), {
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
        "dim": encoder.dim,
        "texts": len(filled),
        "encoded": n_encoded,
        "languages": shares,
    }


def _train(
    encoder: TrainedEncoder,
    data: HeteroData,
    items: Mapping[str, pd.DataFrame],
    files: pd.Series,
    progress: bool,
) -> None:
    """Fit an encoder to the vectors of items by their likes; `files` by domain and item."""
    vectors = item_vectors(likes_matrix(data, list(items)))
    ends = np.cumsum([len(frame) for frame in items.values()])
    parts = dict(zip(items, np.split(vectors, ends[:-1]), strict=True))
    targets = np.concatenate([parts[domain] for domain in files.index.unique(0)])
    has = (files != "").to_numpy()
    encoder.fit(list(files[has]), targets[has], progress=progress)


def _by_domain(vectors: np.ndarray, inputs: Mapping[str, pd.Series]) -> Vectors:
    """Return `Vectors` from those of the non-empty inputs of all domains."""
    result: Vectors = {}
    start = 0
    for domain, column in inputs.items():
        mask = (column != "").to_numpy()
        count = int(mask.sum())
        if count:
            result[domain] = np.zeros((len(mask), vectors.shape[1]), dtype=np.float32)
            result[domain][mask] = vectors[start : start + count]
        start += count
    return result


def _link(
    data: HeteroData,
    texts: Mapping[str, pd.Series],
    modalities: Mapping[str, Vectors],
    shares: Mapping[str, float],
    config: FeatureConfig,
    progress: bool,
) -> dict[str, float]:
    """Add similar edges in place, by each of `modalities`; return the recall of an approximate
    search.
    """
    recall: dict[str, float] = {}
    found = {
        name: _neighbors(name, vectors, texts, shares, config, recall, progress)
        for name, vectors in modalities.items()
    }
    if len(found) > 1:
        _add_summed(data, texts, found, shares, config.similar_k)
        return recall
    for (source, target), (edge_index, similarity) in next(iter(found.values())).items():
        store = data[source, SIMILAR, target]
        store.edge_index, store.weight = edge_index, similarity
    return recall


def _add_summed(
    data: HeteroData,
    texts: Mapping[str, pd.Series],
    found: Mapping[str, Neighbors],
    shares: Mapping[str, float],
    k: int,
) -> None:
    """Add the edges of several modalities, their similarities added up by `shares`, in place."""
    sizes = [len(column) for column in texts.values()]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    joint = JointItems(list(texts), np.cumsum([0, *sizes]), owner)
    start = dict(zip(joint.domains, joint.starts.tolist(), strict=False))
    ends = [
        (index[0].numpy() + start[a], index[1].numpy() + start[b], shares[name] * weight.numpy())
        for name, edges in found.items()
        for (a, b), (index, weight) in edges.items()
    ]
    source, target, weight = (np.concatenate(part) for part in zip(*ends, strict=True))
    pair, place = np.unique(source * len(owner) + target, return_inverse=True)
    weight = np.bincount(place, weight)
    source, target = np.divmod(pair, len(owner))
    best = strongest(source, target, weight, owner, k)
    add_item_edges(data, SIMILAR, joint, source[best], target[best], weight[best])


def _neighbors(
    name: str,
    vectors: Vectors,
    texts: Mapping[str, pd.Series],
    shares: Mapping[str, float],
    config: FeatureConfig,
    recall: dict[str, float],
    progress: bool,
) -> Neighbors:
    """Return the nearest items by a modality, or by all, ""."""
    described = {domain: torch.from_numpy(vectors[domain]) for domain in texts if domain in vectors}
    present = {domain: (x != 0).any(dim=1) for domain, x in described.items()}
    total = sum(int(mask.sum()) for mask in present.values())
    spoken = {"": shares.get(TEXT, 0.0), TEXT: 1.0}.get(name, 0.0)
    word_share = config.word_share * spoken
    with progress_bar("Linking similar items", total, enabled=progress) as advance:
        return semantic_neighbors(
            described,
            present,
            _word_vectors({d: texts[d] for d in described}) if word_share else None,
            word_share=word_share,
            k=config.similar_k,
            min_similarity=config.min_similarity,
            approximate_from=config.approximate_from,
            on_progress=advance,
            on_recall=lambda share: recall.update(similar_recall=share),
        )


def _word_vectors(texts: Mapping[str, pd.Series]) -> dict[str, sp.csr_matrix]:
    """Return TF-IDF vectors by domain; words count in all domains together."""
    stacked = word_vectors(pd.concat(texts.values(), ignore_index=True))
    stops = np.cumsum([len(column) for column in texts.values()])
    return {
        domain: stacked[stop - len(column) : stop]
        for (domain, column), stop in zip(texts.items(), stops, strict=True)
    }
