"""The training loop: steps, validation, early stopping, progress, and checkpoints that resume."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import pydantic
import safetensors
import torch
from safetensors.torch import load_file, save_file

from gnn.base import Model
from gnn.fitting import FitOptions, fit_fingerprint
from gnn.validation import Scores, ValidationRows, measure
from graphgen.config import Config
from graphgen.progress import progress_bar
from graphgen.storage import atomic_directory, read_json, write_json

__all__ = [
    "BatchSize",
    "EpochConfig",
    "EpochModel",
    "Epochs",
    "LearningRate",
    "TrainingLoop",
    "ValidateEvery",
    "best_step",
    "dividing_width",
    "train_in_steps",
]

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
CHECKPOINT = "checkpoint.json"
# Users of each kind for early stopping: over all domains, or in each if that is more.
VALIDATION_USERS, VALIDATION_DOMAIN_USERS = 1000, 500


# Settings of `EpochConfig` for which a model has a default of its own: bounds and description stay.
LearningRate: TypeAlias = Annotated[float, pydantic.Field(gt=0, description="Of Adam.")]
BatchSize: TypeAlias = Annotated[
    int, pydantic.Field(ge=1, description="Users or interactions a gradient step.")
]
Epochs: TypeAlias = Annotated[
    int, pydantic.Field(ge=1, description="Passes over the training data at the most.")
]
ValidateEvery: TypeAlias = Annotated[
    int, pydantic.Field(ge=1, description="Epochs between two validations.")
]


class EpochConfig(Config):
    """Settings of an `EpochModel`."""

    embedding_dim: int = pydantic.Field(64, ge=1)
    """Width of the vectors."""
    learning_rate: LearningRate = 0.003
    batch_size: BatchSize = 1024
    epochs: Epochs = 30
    validate_every: ValidateEvery = 2
    patience: int = pydantic.Field(3, ge=1)
    """Validations without improvement after which training stops."""


@dataclass
class TrainingLoop:
    """Runs steps until they are done or validation stops improving, and keeps the best state.

    All randomness of a step must come from `generator`, whose state is in the checkpoint; so a
    run that was interrupted ends with the same parameters as one that was not.

    Attributes
    ----------
    parameters
        Learned tensors by name.
    optimizer
        Over exactly these parameters, in this order.
    generator
        The only source of randomness.
    steps
        Steps at the most.
    validate_every
        Steps between two validations (and two checkpoints).
    patience
        Validations without improvement after which training stops.
    checkpoint
        Folder of resumable state; None for none.
    fingerprint
        What must be equal for a checkpoint to be taken up: configuration, seed, data.
    progress
        Show a bar with loss, metric and time left.
    unit
        What a step is called in the bar and the history.
    """

    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    generator: np.random.Generator
    steps: int
    validate_every: int
    patience: int
    checkpoint: Path | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    progress: bool = False
    unit: str = "step"

    def run(
        self, step: Callable[[], float], validate: Callable[[], float] | None
    ) -> list[dict[str, float]]:
        """Train.

        Parameters
        ----------
        step
            Does one step, the optimizer's included, and returns the loss.
        validate
            Returns the metric of the present parameters; None trains all steps.

        Returns
        -------
        list of dict
            One entry a validation (or, without any, a step): step, loss, metric. The parameters
            are those of the best metric, or of the last step without validation.
        """
        history: list[dict[str, float]] = []
        best: dict[str, torch.Tensor] = {}
        done = resumed = self._resume(history, best)
        with progress_bar("Training", self.steps, enabled=self.progress) as advance:
            advance(done)
            note = ""
            while done < self.steps and not self._exhausted(history):
                loss = step()
                done += 1
                entry = {self.unit: float(done), "loss": loss}
                if validate is None:
                    history.append(entry)
                    note = f"loss {loss:.4f}"
                elif done % self.validate_every == 0 or done == self.steps:
                    entry["metric"] = validate()
                    if not history or entry["metric"] > max(h["metric"] for h in history):
                        best.update({k: p.detach().clone() for k, p in self.parameters.items()})
                    history.append(entry)
                    note = f"loss {loss:.4f}  validation {entry['metric']:.4f}"
                advance(1, note)
                if done % self.validate_every == 0 and done < self.steps:
                    self._save(done, history, best)
        # What follows the steps may be interrupted too.
        if done > resumed:
            self._save(done, history, best)
        with torch.no_grad():
            for name, value in best.items():
                self.parameters[name].copy_(value)
        return history

    def _exhausted(self, history: list[dict[str, float]]) -> bool:
        metrics = [h["metric"] for h in history if "metric" in h]
        return bool(metrics) and len(metrics) - 1 - int(np.argmax(metrics)) >= self.patience

    def _save(
        self, done: int, history: list[dict[str, float]], best: dict[str, torch.Tensor]
    ) -> None:
        if self.checkpoint is None:
            return
        tensors = {f"parameter.{k}": p.detach() for k, p in self.parameters.items()}
        tensors |= {f"best.{k}": v for k, v in best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
        with atomic_directory(self.checkpoint, kind="checkpoint", overwrite=True) as folder:
            save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "state.safetensors")
            content = {
                "done": done,
                "history": history,
                "fingerprint": self.fingerprint,
                "generator": self.generator.bit_generator.state,
            }
            write_json(folder / CHECKPOINT, content, schema_version=SCHEMA_VERSION)

    def _resume(self, history: list[dict[str, float]], best: dict[str, torch.Tensor]) -> int:
        if self.checkpoint is None or not (self.checkpoint / CHECKPOINT).exists():
            return 0
        content = read_json(
            self.checkpoint / CHECKPOINT, schema_version=SCHEMA_VERSION, what="a checkpoint"
        )
        if content["fingerprint"] != self.fingerprint:
            logger.warning(
                "%s was made with other settings or data; training starts anew.", self.checkpoint
            )
            return 0
        try:
            tensors = load_file(self.checkpoint / "state.safetensors")
        except (OSError, safetensors.SafetensorError) as error:
            logger.warning("%s is damaged (%s); training starts anew.", self.checkpoint, error)
            return 0
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"parameter.{name}"])
        optimizer_state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "best":
                best[rest] = tensor
            elif kind == "optimizer":
                number, _, key = rest.partition(".")
                optimizer_state.setdefault(int(number), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": optimizer_state, "param_groups": groups})
        self.generator.bit_generator.state = content["generator"]
        history.extend(content["history"])
        logger.info("Going on from %s after %s %d.", self.checkpoint, self.unit, content["done"])
        return int(content["done"])


def train_in_steps(
    model: Model,
    step: Callable[[], float],
    publish: Callable[[], None],
    *,
    parameters: dict[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    generator: np.random.Generator,
    steps: int,
    seed: int,
    rows: ValidationRows | None,
    options: FitOptions,
    unit: str = "step",
) -> None:
    """Run a model's training loop, fill its ``history_``, and leave the best state published.

    Parameters
    ----------
    model
        Its config has ``validate_every`` and ``patience``.
    step
        Does one step, the optimizer's included, and returns the loss.
    publish
        Makes the scoring state from the present parameters.
    parameters, optimizer, generator, steps, unit
        As in `TrainingLoop`.
    seed
        Part of the fingerprint of a checkpoint.
    rows, options
        As `Model._fit` has them.
    """
    data = model.data
    blocks = []
    if rows is not None:
        sample = rows.of_kinds().blocks(
            data, max_users=VALIDATION_DOMAIN_USERS, total=VALIDATION_USERS, seed=seed
        )
        blocks = list(sample)

    def in_domain(domain: str) -> Scores:
        return lambda users: [torch.from_numpy(model.score_batch(users, domain))]

    def validate() -> float:
        publish()
        return measure(in_domain, data, blocks)[0].mean()

    loop = TrainingLoop(
        parameters=parameters,
        optimizer=optimizer,
        generator=generator,
        steps=steps,
        validate_every=model.config.validate_every,
        patience=model.config.patience,
        checkpoint=options.checkpoint,
        fingerprint=fit_fingerprint(model, data, seed, rows),
        progress=options.progress,
        unit=unit,
    )
    model.history_ = loop.run(step, validate if blocks else None)
    publish()


class EpochModel(Model):
    """A model trained in epochs of shuffled interactions.

    Users who arrive after training get the popularity answer.
    """

    chooses: ClassVar[bool] = True
    inductive: ClassVar[bool] = False
    Config: ClassVar[type[Config]] = EpochConfig

    def _train(
        self,
        batch_step: Callable[[np.ndarray], float],
        publish: Callable[[], None],
        *,
        parameters: dict[str, torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
        generator: np.random.Generator,
        seed: int,
        rows: ValidationRows | None,
        options: FitOptions,
        batches: Callable[[], Iterable[np.ndarray]] | None = None,
    ) -> None:
        """Train; `batch_step` takes positions of interactions, steps, and returns the loss.

        `batches` draws the batches of an epoch, by default all interactions in a random order.
        """
        config, n_edges = self.config, self.data.matrix.nnz

        def shuffled() -> Iterable[np.ndarray]:
            order = generator.permutation(n_edges)
            starts = range(0, n_edges, config.batch_size)
            return (order[low : low + config.batch_size] for low in starts)

        def epoch() -> float:
            losses = [batch_step(batch) for batch in (batches or shuffled)()]
            return float(np.mean(losses)) if losses else 0.0

        train_in_steps(
            self,
            epoch,
            publish,
            parameters=parameters,
            optimizer=optimizer,
            generator=generator,
            steps=config.epochs,
            seed=seed,
            rows=rows,
            options=options,
            unit="epoch",
        )

    def _chosen(self) -> dict[str, int]:
        """Return the number of epochs that was best on held-out rows."""
        best = best_step(self.history_, "epoch")
        return {} if best is None else {"epochs": best}


def dividing_width(heads: int, info: pydantic.ValidationInfo) -> int:
    """Check that attention heads divide `embedding_dim`, which stands before them in a config."""
    if info.data.get("embedding_dim", heads) % heads:
        raise ValueError(f"it must divide `embedding_dim`, {info.data['embedding_dim']}")
    return heads


def best_step(history: Sequence[dict[str, float]], unit: str = "step") -> int | None:
    """Return the step (or epoch) with the best metric; None where none was measured.

    Examples
    --------
    >>> best_step([{"step": 6, "metric": 0.1}, {"step": 12, "metric": 0.3}])
    12
    """
    measured = [entry for entry in history if "metric" in entry]
    return int(max(measured, key=lambda entry: entry["metric"])[unit]) if measured else None
