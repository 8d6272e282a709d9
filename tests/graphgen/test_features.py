"""Text encoders, the packaged BERT for real, and the cache."""

import numpy as np
import pandas as pd
import pytest

from graphgen.errors import ConfigError
from graphgen.features import cache as cache_module
from graphgen.features import encoders
from graphgen.features.bert import BertEncoder
from graphgen.features.cache import VectorCache
from graphgen.features.encoders import encode, make_encoder
from graphgen.features.text import HashingEncoder


@pytest.fixture(scope="module")
def bert():
    return BertEncoder("minilm")


def test_bert_knows_meaning(bert):
    vectors = bert.encode(["a spaceship lands on Mars", "rocket to the red planet", "tax law"])
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far + 0.2


def test_batching_by_length_changes_nothing(bert):
    texts = ["short", "a much longer text about ships " * 8, "mid length text"] * 30
    together = bert.encode(texts)
    np.testing.assert_allclose(together[:3], together[3:6], atol=1e-5)
    np.testing.assert_allclose(together[1], bert.encode([texts[1]])[0], atol=1e-4)


def test_bert_equals_transformers_by_hand(bert):
    import torch
    from transformers import AutoModel, AutoTokenizer

    text = "The old man and the sea"
    tokens = AutoTokenizer.from_pretrained(bert._source)([text], return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(bert._source)(**tokens).last_hidden_state[0]
    mean = hidden.mean(0)
    np.testing.assert_allclose(bert.encode([text])[0], (mean / mean.norm()).numpy(), atol=1e-5)


def test_a_folder_with_a_model_is_the_same_encoder(bert):
    by_path = make_encoder(bert._source)
    np.testing.assert_allclose(by_path.encode(["tea"]), bert.encode(["tea"]), atol=1e-6)
    assert by_path.fingerprint == bert.fingerprint


def test_fingerprint_tells_settings_apart(bert):
    assert BertEncoder("minilm", max_tokens=16).fingerprint != bert.fingerprint


def test_int8_is_the_packaged_bert_in_eight_bits(bert):
    texts = ["a spaceship lands on Mars", "tax law", "the old man and the sea"]
    encoder = make_encoder("int8")
    assert encoder.dim == bert.dim and encoder.fingerprint != bert.fingerprint
    assert (encoder.encode(texts) * bert.encode(texts)).sum(1).min() > 0.98


@pytest.fixture
def tiny_bert(tmp_path):
    """A BERT of two random layers over 60 words, saved with its tokenizer."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path / "tiny"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{n}" for n in range(55))]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    BertModel(
        BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                   intermediate_size=16)
    ).save_pretrained(folder)  # fmt: skip
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_a_static_table_is_distilled_once_and_means_its_words(tiny_bert, tmp_path, monkeypatch):
    monkeypatch.setenv("INTEREST_CACHE_DIR", str(tmp_path / "cache"))
    encoder = make_encoder(f"static:{tiny_bert}")
    vectors = encoder.encode(["word7", "word7 word7", "word7 word8", "word8", "nothing known", ""])
    assert vectors.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors[:4], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert not vectors[4:].any()
    # Two words lie between their vectors, the rarer one nearer.
    assert vectors[2] @ vectors[3] >= vectors[2] @ vectors[0] > vectors[0] @ vectors[3]
    monkeypatch.setattr(BertEncoder, "encode", None)
    again = make_encoder(f"static:{tiny_bert}")
    np.testing.assert_array_equal(again.encode(["word7"]), vectors[:1])


def test_hashing_is_stable_and_multilingual():
    encoder = HashingEncoder()
    vectors = encoder.encode(["龙猫 森林", "龙猫", "tax law"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    np.testing.assert_array_equal(
        vectors, HashingEncoder().encode(["龙猫 森林", "龙猫", "tax law"])
    )


def test_unknown_encoder_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="Use minilm, multilingual, hashing, none"):
        _ = make_encoder(str(tmp_path / "no-model")).dim


class Counting(HashingEncoder):
    """Counts the texts it is given."""

    def __init__(self):
        self.seen = []

    def encode(self, texts):
        self.seen += list(texts)
        return super().encode(texts)


def test_each_distinct_text_is_encoded_once_and_never_again(tmp_path):
    texts = pd.Series(["b", "a", "b", "c"])
    first = Counting()
    vectors, encoded = encode(first, texts, cache_dir=tmp_path)
    assert sorted(first.seen) == ["a", "b", "c"]
    assert encoded == 3
    np.testing.assert_array_equal(vectors[0], vectors[2])
    second = Counting()
    again, encoded = encode(second, texts, cache_dir=tmp_path)
    assert second.seen == []
    assert encoded == 0
    np.testing.assert_array_equal(again, vectors)


def test_an_interrupted_encoding_keeps_what_it_had(tmp_path, monkeypatch):
    monkeypatch.setitem(encoders.PER_SHARD, "text", 2)

    class Dying(Counting):
        def encode(self, texts):
            if len(self.seen) >= 2:
                raise KeyboardInterrupt
            return super().encode(texts)

    with pytest.raises(KeyboardInterrupt):
        encode(Dying(), pd.Series(list("abcd")), cache_dir=tmp_path)
    rest = Counting()
    encode(rest, pd.Series(list("abcd")), cache_dir=tmp_path)
    assert len(rest.seen) == 2


def test_damaged_shards_are_left_out(tmp_path, caplog):
    store = VectorCache(tmp_path)
    store.put(np.array(["a"], object), np.ones((1, 2), np.float32))
    next(tmp_path.glob("*.safetensors")).write_bytes(b"half a fi")
    found, _ = store.get(np.array(["a"], object))
    assert not found.any()
    assert "damaged cache file" in caplog.text


def test_many_shards_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "MAX_SHARDS", 3)
    store = VectorCache(tmp_path)
    for number in range(6):
        store.put(np.array([f"t{number}"], object), np.full((1, 2), number, np.float32))
    assert len(list(tmp_path.glob("*.safetensors"))) < 6
    found, vectors = store.get(np.array([f"t{n}" for n in range(6)], object))
    assert found.all()
    assert vectors[:, 0].tolist() == [0, 1, 2, 3, 4, 5]
