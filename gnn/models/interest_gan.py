"""A conditional WGAN-GP over interest vectors: from the source domains to the target domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
import pydantic
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional

from gnn.baselines.ials import IALSConfig, alternate
from gnn.data import DOMAINS, TrainingData, UserBatch
from gnn.encoders import pool, seeded
from gnn.fitting import FitOptions
from gnn.numerics.generative import density_and_coverage, nearest_ratio, two_sample_accuracy
from gnn.numerics.scoring import cold_last, inner_products
from gnn.training import EpochConfig, EpochModel, Epochs, ValidateEvery
from gnn.validation import ValidationRows

__all__ = ["InterestGAN", "InterestGANConfig"]

# Share of the users of a target domain that training leaves out, to judge the generator by.
HELD_OUT = 0.1
# Vectors that `InterestGAN.evidence` compares.
COMPARED = 2000


class InterestGANConfig(EpochConfig):
    """Settings of `InterestGAN`; gradient penalty and critic steps are the paper's."""

    factor_epochs: int = pydantic.Field(16, ge=1)
    """Passes of the factorisation that makes the vectors of items."""
    noise_dim: int = pydantic.Field(16, ge=1)
    """Width of the noise."""
    hidden_dim: int = pydantic.Field(256, ge=1)
    """Width of the hidden layers of generator and critic."""
    penalty: float = pydantic.Field(10.0, ge=0)
    """Weight of the gradient penalty."""
    critic_steps: int = pydantic.Field(5, ge=1)
    """Steps of the critic for each of the generator."""
    samples: int = pydantic.Field(8, ge=1)
    """Vectors that are generated for a user, and whose mean ranks the items."""
    learning_rate: float = pydantic.Field(0.0005, gt=0)
    """Of Adam, with the betas 0 and 0.9 of the paper."""
    epochs: Epochs = 40
    validate_every: ValidateEvery = 4


class InterestGAN(EpochModel):
    """Generate the interest vector of a user in the target domain from those in the others.

    Gulrajani et al., "Improved training of Wasserstein GANs", NIPS 2017, conditional as Mirza and
    Osindero, 2014. The interest vector of a user in a domain is the unit mean of the vectors (iALS
    over all domains, unit length) of the items. The generator makes a vector from noise, the
    vectors of the other domains and the target; the critic sees vectors of overlap users. Users
    without history in the target are scored by the mean of `samples` generated vectors, others by
    that mean and their own. `generate` returns the vectors themselves, as further interests or to
    augment sparse histories, and `evidence` says whether they are real, diverse and new. An epoch
    costs O(critic_steps · users · domains · hidden²).

    Examples
    --------
    >>> import pandas as pd, graphgen
    >>> log = pd.DataFrame({"user_id": list("aabbc"), "item_id": list("12121"),
    ...                     "domain": ["book", "film"] * 2 + ["book"]})
    >>> model = InterestGAN(epochs=1).fit(graphgen.build_graph(log, encoder="none"), valid=None)
    >>> len(model.recommend(["c"], domain="film", k=1))
    1
    """

    name: ClassVar[str] = "interest-gan"
    inductive: ClassVar[bool] = True
    requires = frozenset({DOMAINS})
    Config = InterestGANConfig

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config, generator = self.config, np.random.default_rng(seed)
        factors = alternate(
            data.matrix,
            IALSConfig(embedding_dim=config.embedding_dim, epochs=config.factor_epochs),
            generator,
            progress=options.progress,
        )
        self._items = functional.normalize(factors)
        with seeded(generator):
            self._networks = self._build()
        self._held_out = generator.random(data.n_users) < HELD_OUT
        vectors = self._interests(data.matrix)
        user, target = np.nonzero(self._overlap(data))
        kept = ~self._held_out[user]
        user, target = user[kept], target[kept]
        parameters = dict(self._networks.named_parameters())
        optimizer = torch.optim.Adam(parameters.values(), lr=config.learning_rate, betas=(0.0, 0.9))

        def batches() -> list[np.ndarray]:
            order = generator.permutation(len(user))
            return np.array_split(order, max(1, len(order) // config.batch_size))

        def step(batch: np.ndarray) -> float:
            if not len(batch):
                return 0.0
            rows, place = torch.from_numpy(user[batch]), torch.from_numpy(target[batch])
            condition = self._condition(vectors[rows], place)
            real, distance = vectors[rows, place], 0.0
            with seeded(generator):
                # Adam leaves parameters without gradients as they are.
                for _ in range(config.critic_steps):
                    optimizer.zero_grad()
                    fake = self._made(condition).detach()
                    apart = (self._judged(fake, condition) - self._judged(real, condition)).mean()
                    loss = apart + config.penalty * self._gradient_penalty(real, fake, condition)
                    loss.backward()
                    optimizer.step()
                    distance = -float(apart.detach())
                optimizer.zero_grad()
                (-self._judged(self._made(condition), condition).mean()).backward()
                self._networks["critic"].zero_grad()
                optimizer.step()
            return distance

        self._train(
            step,
            lambda: None,
            batches=batches,
            parameters=parameters,
            optimizer=optimizer,
            generator=generator,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _build(self) -> nn.ModuleDict:
        config, domains = self.config, len(self.data.domains)
        given = domains * config.embedding_dim + domains

        def layers(inside: int, outside: int) -> nn.Module:
            wide = config.hidden_dim
            return nn.Sequential(
                nn.Linear(inside, wide), nn.LeakyReLU(0.2),
                nn.Linear(wide, wide), nn.LeakyReLU(0.2), nn.Linear(wide, outside),
            )  # fmt: skip

        return nn.ModuleDict(
            {
                "generator": layers(given + config.noise_dim, config.embedding_dim),
                "critic": layers(given + config.embedding_dim, 1),
            }
        )

    def _interests(self, history: sp.csr_matrix) -> torch.Tensor:
        """Return float32 [n, domains, d], unit interest vectors; zeros without history."""
        spans = [self.data.span(domain) for domain in self.data.domains]
        parts = [pool(self._items[span], sp.csr_matrix(history[:, span])) for span in spans]
        return functional.normalize(torch.stack(parts, dim=1), dim=2)

    def _overlap(self, data: TrainingData) -> np.ndarray:
        """Return bool [n_users, domains], a domain with history beside other domains with it."""
        active = data.active()
        return active & (active.sum(axis=1, keepdims=True) > 1)

    def _condition(self, vectors: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, domains · d + domains], vectors of other domains, and the target."""
        place = functional.one_hot(target, vectors.shape[1]).to(vectors)
        return torch.cat([(vectors * (1 - place)[:, :, None]).flatten(1), place], dim=1)

    def _made(self, condition: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(len(condition), self.config.noise_dim)
        return functional.normalize(
            self._networks["generator"](torch.cat([noise, condition], dim=1))
        )

    def _judged(self, vectors: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        judged: torch.Tensor = self._networks["critic"](torch.cat([vectors, condition], dim=1))
        return judged

    def _gradient_penalty(
        self, real: torch.Tensor, fake: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        between = torch.rand(len(real), 1)
        mixed = (between * real + (1 - between) * fake).requires_grad_()
        judged = self._judged(mixed, condition).sum()
        (gradient,) = torch.autograd.grad(judged, mixed, create_graph=True)
        return (gradient.norm(dim=1) - 1).square().mean()

    @torch.no_grad()
    def _generated(
        self, history: sp.csr_matrix, domain: str, samples: int, seed: int
    ) -> torch.Tensor:
        """Return float32 [samples, n, d], generated vectors of users in a domain."""
        place = torch.full((history.shape[0],), self.data.domains.index(domain))
        condition = self._condition(self._interests(history), place)
        with seeded(np.random.default_rng(seed)):
            # The same noise for all users: a user's vectors do not depend on the batch.
            noise = torch.randn(samples, 1, self.config.noise_dim).expand(-1, len(condition), -1)
            given = condition.expand(samples, -1, -1)
            return functional.normalize(
                self._networks["generator"](torch.cat([noise, given], dim=2)), dim=2
            )

    def generate(
        self, user_ids: list[str], *, domain: str, samples: int = 8, seed: int = 0
    ) -> np.ndarray:
        """Return float32 [users, samples, d], interest vectors in a domain for known users.

        They lie in the space of `item_vectors`: the nearest items are what they stand for.
        """
        rows = self.data.users.encode(user_ids)
        made = self._generated(self.data.matrix[rows], domain, samples, seed)
        return made.transpose(0, 1).numpy()

    @torch.no_grad()
    def evidence(self, *, seed: int = 0) -> pd.DataFrame:
        """Judge vectors generated for the users that training left out, for each target domain.

        The columns are domain, users, density, coverage, nearest_ratio, two_sample_accuracy and
        cosine, that between a generated vector and the user's real one (beside it, that
        with the mean of all). See `gnn.numerics.generative`.
        """
        data, rows, table = self.data, np.random.default_rng(seed), []
        vectors = self._interests(data.matrix).numpy()
        overlap = self._overlap(data)
        for place, domain in enumerate(data.domains):
            left, used = (
                rows.permutation(np.flatnonzero(overlap[:, place] & part))[:COMPARED]
                for part in (self._held_out, ~self._held_out)
            )
            if min(len(left), len(used)) < 20:
                continue
            real, train = vectors[left, place], vectors[used, place]
            fake = self._generated(data.matrix[left], domain, 1, seed)[0].numpy()
            density, coverage = density_and_coverage(real, fake)
            mean = train.mean(axis=0) / np.linalg.norm(train.mean(axis=0))
            table.append(
                {
                    "domain": domain, "users": len(left), "density": density, "coverage": coverage,
                    "nearest_ratio": nearest_ratio(train, real, fake),
                    "two_sample_accuracy": two_sample_accuracy(real, fake, seed=seed),
                    "cosine": float((real * fake).sum(axis=1).mean()),
                    "cosine_of_mean": float((real @ mean).mean()),
                }
            )  # fmt: skip
        return pd.DataFrame(table)

    @torch.no_grad()
    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        span = self.data.span(domain)
        made = self._generated(users.history, domain, self.config.samples, 0).mean(0)
        own = self._interests(users.history)[:, self.data.domains.index(domain)]
        vectors = functional.normalize(made) + own
        vectors[np.diff(users.history.indptr) == 0] = 0
        scores: np.ndarray = inner_products(vectors, self._items[span]).numpy()
        return cold_last(scores, self.data.warm[span])

    def item_vectors(self) -> np.ndarray:
        """Return float32 [n_items, d], unit vectors of items."""
        return self._items.numpy()

    def _state(self) -> dict[str, torch.Tensor]:
        held_out = torch.from_numpy(self._held_out)
        return {**self._networks.state_dict(), "items": self._items, "held_out": held_out}

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        learned = dict(state)
        self._items, self._held_out = learned.pop("items"), learned.pop("held_out").numpy()
        with seeded(np.random.default_rng(0)):
            self._networks = self._build()
        self._networks.load_state_dict(learned)
