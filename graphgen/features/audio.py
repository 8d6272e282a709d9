"""Sound to vectors: statistics of log-mel spectra, and audio models of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from math import gcd

import numpy as np

from graphgen.errors import InputError
from graphgen.features.packaged import device, require
from graphgen.features.pretrained import PretrainedModel, pooled

__all__ = ["AudioModel", "MelEncoder", "log_mel", "read_sound"]

# 16 kHz holds speech and most of music, and is the rate of wav2vec2, AST and Whisper.
RATE, BANDS = 16_000, 64
# Samples of a frame, and between two: 64 and 32 ms.
FRAME, HOP = 1024, 512
# Seconds of a recording that are read, from its start.
SECONDS = 30.0
# Decibels below the loudest place that count as silence.
FLOOR = 80.0


class MelEncoder:
    """Mean, deviation and mean change of the bands of a log-mel spectrum (extra ``audio``).

    A description of timbre that needs no model, in the manner of Tzanetakis and Cook, "Musical
    genre classification of audio signals", 2002.
    """

    name = "mel"
    dim = 3 * BANDS
    fingerprint = f"mel-{RATE}-{BANDS}-{FRAME}-{SECONDS:.0f}"

    def __init__(self) -> None:
        require("soundfile", "audio", "soundfile of the audio encoder")

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Return float32 [len(paths), 192] with rows of length 1."""
        vectors = np.empty((len(paths), self.dim), dtype=np.float32)
        for row, path in enumerate(paths):
            level = log_mel(read_sound(path))
            change = np.abs(np.diff(level, axis=0, append=level[-1:]))
            vectors[row] = np.concatenate([level.mean(0), level.std(0), change.mean(0)])
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def log_mel(sound: np.ndarray) -> np.ndarray:
    """Return float [frames, 64], decibels below the loudest place, 0 to -80; O(samples log frame).

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    >>> int(log_mel(tone).mean(0).argmax())
    12
    """
    padded = np.pad(sound, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2 @ _filters()
    level = 10 * np.log10(np.maximum(power, 1e-10))
    return np.maximum(level - level.max(), -FLOOR)


@cache
def _filters() -> np.ndarray:
    """Return float [frequencies, 64], overlapping triangles of equal width on the mel scale."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(FRAME, 1 / RATE)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling))


class AudioModel(PretrainedModel):
    """An audio model of transformers, such as AST or wav2vec2, by a folder or hub name.

    The vector is the pooled output of a model that has one, else the mean of its last hidden
    states.
    """

    kind, reader, others = "audio", "AutoFeatureExtractor", "mel, none"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        require("soundfile", "audio", "soundfile of audio encoders")

    @cached_property
    def dim(self) -> int:
        """Width of the vectors."""
        return self._encode(np.zeros(RATE, np.float32)).shape[1]

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Return float32 [len(paths), dim] with rows of length 1."""
        return np.concatenate([self._encode(read_sound(path)) for path in paths])

    def _encode(self, sound: np.ndarray) -> np.ndarray:
        import torch

        reader, model = self._model
        inputs = reader(sound, sampling_rate=RATE, return_tensors="pt").to(device())
        with torch.inference_mode():
            return pooled(model(**inputs))


def read_sound(path: str) -> np.ndarray:
    """Return float32 samples of one channel at 16 kHz."""
    import soundfile
    from scipy.signal import resample_poly

    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            read = file.read(int(SECONDS * rate), dtype="float32", always_2d=True).mean(axis=1)
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(f"{path} is no sound that can be read: {error}.") from None
    if not len(read):
        raise InputError(f"{path} is no sound that can be read: it is empty.")
    shared = gcd(RATE, rate)
    return np.asarray(resample_poly(read, RATE // shared, rate // shared), dtype=np.float32)
