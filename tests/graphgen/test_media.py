"""Pictures, sound, and vectors made elsewhere: real files through the real encoders."""

from __future__ import annotations

import wave

import numpy as np
import pandas as pd
import pytest

from graphgen import build_graph, load_graph
from graphgen.errors import ConfigError, InputError
from graphgen.features.encoders import encode_files, make_encoder
from graphgen.features.modalities import join_modalities, modality_shares, standardize

RATE = 16_000


def draw(path, theme, generator):
    """Stripes or rings, in any colour."""
    from PIL import Image

    y, x = np.mgrid[:64, :64]
    shape = np.sin(x / 3) if theme == 0 else np.sin(np.hypot(x - 32, y - 32) / 3)
    color = generator.uniform(60, 255, 3)
    noise = generator.normal(0, 12, (64, 64, 3))
    pixels = (shape[:, :, None] > 0) * color + noise
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def play(path, theme, generator):
    """A low tone or a high one, with noise."""
    time = np.arange(RATE // 2) / RATE
    sound = np.sin(2 * np.pi * (220, 1760)[theme] * time * generator.uniform(0.9, 1.1))
    sound = sound * 0.5 + generator.normal(0, 0.05, len(time))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Twelve items of two themes with a picture and a sound each, and who likes them."""
    folder, generator = tmp_path_factory.mktemp("media"), np.random.default_rng(0)
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(12)], "domain": "film"})
    items["image"] = [f"{n}.png" for n in range(12)]
    items["audio"] = [f"{n}.wav" for n in range(12)]
    for n in range(12):
        draw(folder / f"{n}.png", n % 2, generator)
        play(folder / f"{n}.wav", n % 2, generator)
    likes = [(f"u{u}", f"i{n}") for u in range(8) for n in range(10) if u % 2 == n % 2]
    return folder, items, pd.DataFrame(likes, columns=["user_id", "item_id"]).assign(domain="film")


def same_theme(vectors):
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -1)
    return float(np.mean(cosine.argmax(1) % 2 == np.arange(len(vectors)) % 2))


@pytest.mark.parametrize(("kind", "name", "dim"), [("image", "cnn", 1280), ("audio", "mel", 192)])
def test_files_of_a_theme_are_near_and_encoded_once(kind, name, dim, media, tmp_path):
    folder, items, _ = media
    encoder = make_encoder(name, kind)
    options = {"kind": kind, "cache_dir": tmp_path}
    files = items[kind].map(lambda name: str(folder / name))
    vectors, encoded = encode_files(encoder, files, **options)
    assert (vectors.shape, encoded) == ((12, dim), 12)
    assert same_theme(standardize({"film": vectors})["film"]) > 0.9
    again, encoded = encode_files(encoder, files, **options)
    assert encoded == 0
    np.testing.assert_array_equal(again, vectors)


def test_a_graph_of_pictures_and_sound(media, tmp_path, caplog):
    folder, items, log = media
    assert build_graph(log, items, encoder="none").feature_dim == 0
    items = items.assign(image=items["image"].where(items.index != 3, "lost.png"))
    built = build_graph(log, items, media=folder, cache_dir=tmp_path, encoder="none")
    built.save(tmp_path / "graph")
    graph = load_graph(tmp_path / "graph")
    assert "1 of 12 files of the column 'image' are missing" in caplog.text
    assert graph.modalities == {"image": 1280, "audio": 192}
    x = graph.data["film"].x
    missing = graph.vocabularies["film"].encode(["i3"])[0]
    assert not x[missing, :1280].any() and x[missing, 1280:].any()
    np.testing.assert_allclose(x.norm(dim=1), 1, atol=1e-5)
    source, target = graph.data["film", "similar", "film"].edge_index
    number = np.array([int(i[1:]) for i in graph.vocabularies["film"].ids])
    assert np.mean(number[source] % 2 == number[target] % 2) > 0.8


def test_missing_and_broken_files_are_clear_errors(media, tmp_path):
    _, items, log = media
    missing = r"12 of 12 files of the column 'image' are missing.*--media"
    with pytest.raises(ConfigError, match=missing):
        build_graph(log, items, media=tmp_path, cache_dir=tmp_path, encoder="none")
    (tmp_path / "bad").write_bytes(b"no picture")
    for kind, name in (("image", "cnn"), ("audio", "mel")):
        with pytest.raises(InputError, match="bad is no"):
            make_encoder(name, kind).encode([str(tmp_path / "bad")])


def test_transformers_models_of_pictures_and_sound(media, tmp_path):
    from transformers import (
        ViTConfig,
        ViTImageProcessor,
        ViTModel,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2Model,
    )

    folder, items, _ = media
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ViTModel(ViTConfig(image_size=32, patch_size=8, intermediate_size=16, **small)).save_pretrained(
        tmp_path / "vit"
    )
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "vit")
    Wav2Vec2Model(
        Wav2Vec2Config(
            intermediate_size=16, conv_dim=(16,), conv_stride=(80,), conv_kernel=(80,),
            num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **small,
        )
    ).save_pretrained(tmp_path / "wav")  # fmt: skip
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "wav")
    for kind, name in (("image", "vit"), ("audio", "wav")):
        encoder = make_encoder(str(tmp_path / name), kind)
        assert encoder.dim == 16
        assert encoder.fingerprint.startswith(f"{name}-")
        vectors = encoder.encode([str(folder / file) for file in items[kind][:3]])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match="No image encoder"):
        make_encoder(str(tmp_path / "none"), "image").encode([str(folder / "0.png")])


def test_vectors_made_elsewhere(media, tmp_path):
    _, items, log = media
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(5, 1, (20, 6)))
    items = items[["item_id", "domain"]].assign(place=[*map(str, range(11)), ""], row="19")
    source = f"{tmp_path}/v.npy"
    built = build_graph(log, items, encoder="none", vectors={"v": f"{source}#place"})
    assert built.modalities == {"v": 6}
    assert built.described("film").sum() == 11
    for table, given, problem in (
        (items.assign(place="20"), f"{source}#place", "from 0 to 19; got '20'"),
        (items.assign(place="x"), f"{source}#place", "got 'x'"),
        (items, f"{source}#nowhere", "needs a column 'nowhere'"),
        (items, f"{tmp_path}/w.npy", "cannot be read"),
    ):
        with pytest.raises(InputError, match=problem):
            build_graph(log, table, encoder="none", vectors={"v": given})


def test_noise_gets_the_least_share():
    import scipy.sparse as sp

    generator = np.random.default_rng(0)
    theme = np.arange(300) % 5
    liked = generator.random((300, 200)) < np.where(theme[:, None] == np.arange(200) % 5, 0.2, 0.01)
    centers = generator.normal(size=(5, 8))
    told = standardize({"a": (centers[theme] + generator.normal(size=(300, 8))).astype("f4")})
    noise = standardize({"a": generator.normal(size=(300, 8)).astype("f4")})
    both, sizes = {"told": told, "noise": noise}, {"a": 300}
    shares = modality_shares(both, sp.csr_matrix(liked.astype("f4")), sizes)
    assert shares["noise"] < 0.05
    joined = join_modalities(both, shares, sizes)
    want = sum(shares[n] * (v["a"] @ v["a"].T) for n, v in both.items())
    np.testing.assert_allclose(joined["a"] @ joined["a"].T, want, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "make", "ending"), [("image", draw, "png"), ("audio", play, "wav")]
)
def test_an_encoder_learns_from_the_likes_of_the_log(kind, make, ending, tmp_path):
    generator = np.random.default_rng(1)
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(80)], "domain": "film"})
    items[kind] = [f"{n}.{ending}" for n in range(80)]
    for n in range(80):
        make(tmp_path / f"{n}.{ending}", n % 2, generator)
    # The last 20 items are new; users like one theme.
    likes = [
        (f"u{u}", f"i{n}")
        for u in range(40)
        for n in range(u % 2, 60, 2)
        if generator.random() < 0.4
    ]
    log = pd.DataFrame(likes, columns=["user_id", "item_id"]).assign(domain="film")
    options = {"encoder": "none", "media": tmp_path, "cache_dir": tmp_path, "topics": 0}
    trained = {f"{kind}_encoder": "trained"}
    graph = build_graph(log, items, **options, **trained)
    number = np.array([int(i[1:]) for i in graph.vocabularies["film"].ids])
    x = graph.data["film"].x.numpy()
    cosine = x[number >= 60] @ x[number < 60].T
    nearest = np.argsort(-cosine, axis=1)[:, :5]
    same = number[number < 60][nearest] % 2 == number[number >= 60][:, None] % 2
    assert same.mean() > 0.9
    again = build_graph(log, items, **options, **trained)
    assert (again.data["film"].x == graph.data["film"].x).all()
    with pytest.raises(ConfigError, match="learns from the likes of items with files"):
        build_graph(log.head(20), items, **options, **trained)


def test_edges_by_each_modality_add_up_by_the_shares(tmp_path):
    generator = np.random.default_rng(0)
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(30)], "domain": ["a", "b"] * 15})
    items["row"] = items.index.astype(str)
    vectors = {}
    for name, width in (("one", 5), ("two", 9)):
        np.save(tmp_path / f"{name}.npy", generator.normal(size=(30, width)))
        vectors[name] = f"{tmp_path}/{name}.npy"
    log = items.assign(user_id=[f"u{n % 4}" for n in range(30)])[["user_id", "item_id", "domain"]]
    # All neighbours of positive similarity: only then is the sum the joint cosine.
    options = {"encoder": "none", "vectors": vectors, "similar_k": 30, "min_similarity": -1.0}
    joint, each = (build_graph(log, items, **options, similar_by=by) for by in ("all", "each"))
    for pair in (("a", "a"), ("a", "b")):
        stores = [graph.data[pair[0], "similar", pair[1]] for graph in (joint, each)]
        weights = []
        for store in stores:
            dense = np.full((15, 15), np.nan)
            dense[tuple(store.edge_index.numpy())] = store.weight.numpy()
            weights.append(dense)
        np.testing.assert_allclose(*weights, atol=1e-5)
