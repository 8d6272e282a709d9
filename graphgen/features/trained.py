"""Pictures and sound to vectors by a small network that the log itself trains."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from graphgen.errors import ConfigError
from graphgen.features.audio import BANDS, log_mel, read_sound
from graphgen.features.images import read_picture
from graphgen.features.packaged import device, require
from graphgen.progress import progress_bar
from graphgen.schema import IMAGE

__all__ = ["TrainedEncoder"]

DIM, WIDTH = 64, 32
# Pixels of a side, and frames of a spectrum that are averaged: a fifth of a second.
SIDE, POOLED = 64, 6
# Decibels, of -80 to 0, to about -1 to 1.
LEVEL = 40.0
EPOCHS, BATCH_SIZE, LEARNING_RATE, TEMPERATURE = 40, 64, 2e-3, 0.1
# Every tenth item, of so many at least, says which epoch was best; fewer items teach nothing.
HELD_OUT, LEAST = 10, 30


class TrainedEncoder:
    """A network from pictures, or spectra, to the vectors that likes give items.

    Van den Oord et al., "Deep content-based music recommendation", NIPS 2013: what is learned from
    the items that users know carries over to new ones. Their squared error is replaced by a
    softmax over the items of a batch, which cannot be met by the mean of all vectors. Pictures go
    through four convolutions, spectra through two and a GRU.

    Training holds all inputs in memory, 12 kB a picture, 40 kB for 30 seconds of sound, and costs
    O(epochs · inputs).

    Parameters
    ----------
    kind
        image or audio.
    """

    name = "trained"
    dim = DIM

    def __init__(self, kind: str) -> None:
        self._kind = kind
        if kind == IMAGE:
            require("PIL", "vision", "Pillow of image encoders")
        else:
            require("soundfile", "audio", "soundfile of audio encoders")
        self._network: nn.Module | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the weights."""
        digest = hashlib.sha256()
        for tensor in self._trained().state_dict().values():
            digest.update(tensor.cpu().numpy().tobytes())
        return f"trained-{self._kind}-{digest.hexdigest()[:16]}"

    def fit(
        self, paths: Sequence[str], targets: np.ndarray, *, seed: int = 0, progress: bool = False
    ) -> None:
        """Learn from the files of items with likes.

        Parameters
        ----------
        paths
            A file of each item.
        targets
            float [n, d], what it should be near, of length 1; zeros where nothing is known.
        seed
            Same seed, same network.
        progress
            Show a bar.

        Raises
        ------
        ConfigError
            If less than 30 items have a file and a target.
        """
        known = np.flatnonzero(targets.any(axis=1))
        if len(known) < LEAST:
            raise ConfigError(
                f"The {self._kind} encoder `trained` learns from the likes of items with files, of "
                f"which there are {len(known)}; it needs {LEAST}. Choose another "
                f"{self._kind}_encoder."
            )
        aims = torch.from_numpy(np.asarray(targets[known], dtype=np.float32)).to(device())
        inputs = self._read([paths[n] for n in known.tolist()])
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(known))
        held, rest = order[: len(order) // HELD_OUT], order[len(order) // HELD_OUT :]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = (_picture_network if self._kind == IMAGE else _SoundNetwork)(DIM)
            head = nn.Linear(DIM, aims.shape[1])
        both = nn.ModuleList([network, head]).to(device())
        optimizer = torch.optim.AdamW(both.parameters(), LEARNING_RATE, weight_decay=1e-2)

        def loss(places: np.ndarray) -> Tensor:
            found = head(network(_prepared(inputs[places])))
            logits = functional.normalize(found) @ aims[places].T / TEMPERATURE
            return functional.cross_entropy(logits, torch.arange(len(places), device=aims.device))

        best, kept = np.inf, network.state_dict()
        with progress_bar(f"Training the {self._kind} encoder", EPOCHS, enabled=progress) as step:
            for _ in range(EPOCHS):
                both.train()
                for part in np.array_split(
                    generator.permutation(rest), -(-len(rest) // BATCH_SIZE)
                ):
                    optimizer.zero_grad()
                    loss(part).backward()
                    optimizer.step()
                both.eval()
                with torch.inference_mode():
                    error = float(loss(held)) if len(held) > 1 else -1.0
                if error < best:
                    best = error
                    kept = {name: value.clone() for name, value in network.state_dict().items()}
                step(1)
        network.load_state_dict(kept)
        self._network = network.eval()

    def encode(self, paths: Sequence[str]) -> np.ndarray:
        """Return float32 [len(paths), 64] with rows of length 1."""
        network, parts = self._trained(), []
        with torch.inference_mode():
            for low in range(0, len(paths), BATCH_SIZE):
                found = network(_prepared(self._read(paths[low : low + BATCH_SIZE])))
                parts.append(functional.normalize(found).cpu().numpy())
        return np.concatenate(parts)

    def _trained(self) -> nn.Module:
        if self._network is None:
            raise ConfigError(f"The {self._kind} encoder `trained` must be fitted first.")
        return self._network

    def _read(self, paths: Sequence[str]) -> np.ndarray:
        """Return pictures, uint8 [n, 3, 64, 64], or spectra, uint8 [n, 64, frames]."""
        if self._kind == IMAGE:
            pictures = [np.asarray(read_picture(path).resize((SIDE, SIDE))) for path in paths]
            return np.stack(pictures).transpose(0, 3, 1, 2)
        levels = [log_mel(read_sound(path)) for path in paths]
        longest = max(-(-len(level) // POOLED) for level in levels)
        spectra = np.zeros((len(levels), BANDS, longest), dtype=np.uint8)
        for row, level in enumerate(levels):
            starts = np.arange(0, len(level), POOLED)
            counts = np.diff(np.append(starts, len(level)))[:, None]
            mean = np.add.reduceat(level, starts) / counts
            spectra[row, :, : len(mean)] = (2 * (mean + LEVEL) + 128).clip(1, 255).T
        return spectra


def _prepared(inputs: np.ndarray) -> Tensor:
    """Return bytes as float32 in -1 to 1."""
    return (torch.from_numpy(inputs).to(device()).float() - 128) / 128


def _picture_network(dim: int) -> nn.Module:
    layers: list[nn.Module] = []
    widths = (3, WIDTH, WIDTH, 2 * WIDTH, 2 * WIDTH)
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)]
        layers += [nn.GELU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], dim))


class _SoundNetwork(nn.Module):
    """Convolutions over time, and a GRU, whose states are averaged where there is sound."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.near = nn.Sequential(
            nn.Conv1d(BANDS, 2 * WIDTH, 3, padding=1), nn.BatchNorm1d(2 * WIDTH), nn.GELU(),
            nn.Conv1d(2 * WIDTH, 2 * WIDTH, 3, padding=1), nn.BatchNorm1d(2 * WIDTH), nn.GELU(),
        )  # fmt: skip
        self.far = nn.GRU(2 * WIDTH, 2 * WIDTH, batch_first=True)
        self.out = nn.Linear(2 * WIDTH, dim)

    def forward(self, spectra: Tensor) -> Tensor:
        sounding = (spectra > -1).any(dim=1).float()
        states, _ = self.far(self.near(spectra).transpose(1, 2))
        mean = (states * sounding[:, :, None]).sum(1) / sounding.sum(1, keepdim=True).clamp_min(1)
        found: Tensor = self.out(mean)
        return found
