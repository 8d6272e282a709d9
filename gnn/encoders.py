"""Models that are one `torch.nn.Module` from a history to user vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pydantic
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional

from gnn.data import TrainingData, UserBatch
from gnn.fitting import FitOptions
from gnn.numerics.scoring import cold_last, inner_products
from gnn.numerics.sparse import entry_rows, kept_entries
from gnn.training import EpochConfig, EpochModel
from gnn.validation import ValidationRows
from graphgen.config import Config

__all__ = [
    "Encoder",
    "EncoderConfig",
    "EncoderModel",
    "Hidden",
    "hide",
    "pool",
    "seeded",
    "text_vectors",
]

# Name of the buffer in which an encoder keeps the texts of items.
TEXTS = "texts"
# Steps an epoch at the least, in which smaller batches are taken of few users.
LEAST_STEPS, LEAST_BATCH = 16, 32
# Share of the users of several domains whose interactions in one domain are all hidden: as those
# of a user who is new there.
WHOLE_DOMAIN = 0.5


class EncoderConfig(EpochConfig):
    """Settings of an `EncoderModel`; batches and epochs are of users."""

    hidden_share: float = pydantic.Field(0.3, gt=0, lt=1)
    """Share of a history that a training step hides and predicts from the rest."""
    temperature: float = pydantic.Field(0.2, gt=0)
    """The distribution over items is softmax(score / temperature)."""
    dropout: float = pydantic.Field(0.1, ge=0, lt=1)
    """In training, of the hidden layers."""
    weight_decay: float = pydantic.Field(0.0, ge=0)
    """Of AdamW."""
    num_negatives: int = pydantic.Field(1024, ge=1)
    """Items of a domain, drawn uniformly, that a batch is ranked against."""


class Encoder(nn.Module):
    """What an `EncoderModel` learns: vectors of users in each domain, and of its items."""

    @abstractmethod
    def users(self, history: sp.csr_matrix, places: Sequence[int]) -> dict[int, torch.Tensor]:
        """Return, for some domains, float32 [n, d] of histories CSR [n, n_items of all domains]."""

    @abstractmethod
    def items(self, domain: int, index: torch.Tensor) -> torch.Tensor:
        """Return float32 [n, d] for items of a domain, int64 [n]."""

    def extra_loss(self) -> torch.Tensor:
        """Return what is added to the ranking loss of the users just encoded."""
        return torch.zeros(())

    def refresh(self) -> None:
        """Make what scoring needs from the present parameters; not called after loading."""
        return

    def combine(self, losses: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """Return the ranking loss of all domains from that of each, a mean over interactions."""
        return torch.stack(list(losses.values())).mean()


class EncoderModel(EpochModel):
    """A model whose user vectors are a learned function of the history.

    A step hides a part of each history (`hide`) and ranks the hidden items of each domain above
    sampled ones: a softmax over cosines (or inner products), whose denominator is estimated from
    `num_negatives` items; a smaller domain is ranked whole. Users who arrive after training are
    scored from their history. An epoch costs O(interactions · d + users · negatives · d · domains)
    besides the encoder.
    """

    inductive: ClassVar[bool] = True
    Config: ClassVar[type[Config]] = EncoderConfig
    reaches_cold: bool = False
    """Whether items without interactions have vectors that mean something."""
    cosine: ClassVar[bool] = True
    """Whether vectors are divided by their lengths."""
    _encoder: Any  # An `Encoder`, of the subclass's kind.

    @abstractmethod
    def _make(self, data: TrainingData) -> Encoder:
        """Return the untrained encoder; torch's own generator is seeded."""

    def _fit(
        self, data: TrainingData, *, seed: int, rows: ValidationRows | None, options: FitOptions
    ) -> None:
        config, generator = self.config, np.random.default_rng(seed)
        with seeded(generator):
            self._encoder = encoder = self._make(data)
        active = np.flatnonzero(np.diff(data.matrix.indptr) > 1)

        size = min(config.batch_size, max(LEAST_BATCH, len(active) // LEAST_STEPS))

        def batches() -> Iterable[np.ndarray]:
            order = generator.permutation(active)
            return np.split(order, range(size, len(order), size))

        def step(users: np.ndarray) -> float:
            encoder.train()
            with seeded(generator):
                loss = self._loss(users, generator)
            if loss.requires_grad:
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            return float(loss.detach())

        def publish() -> None:
            encoder.eval()
            encoder.refresh()
            self._set_up()

        if not list(encoder.parameters()):  # Such as bridges between domains, of one domain.
            publish()
            return
        optimizer = torch.optim.AdamW(
            encoder.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self._train(
            step,
            publish,
            batches=batches,
            parameters=dict(encoder.named_parameters()),
            optimizer=optimizer,
            generator=generator,
            seed=seed,
            rows=rows,
            options=options,
        )

    def _loss(self, users: np.ndarray, generator: np.random.Generator) -> torch.Tensor:
        """Return the loss of some users, rows of the training matrix; without gradient if none."""
        hidden = hide(self.data, users, self.config.hidden_share, generator)
        if not len(hidden.user):
            return torch.zeros(())
        vectors = self._encoder.users(hidden.known, np.unique(hidden.domain).tolist())
        losses = {
            place: self._ranking_loss(users, place, hidden, generator)
            for place, users in vectors.items()
        }
        return self._encoder.combine(losses) + self._encoder.extra_loss()

    def _ranking_loss(
        self, users: torch.Tensor, place: int, hidden: Hidden, generator: np.random.Generator
    ) -> torch.Tensor:
        """Return the mean softmax loss of the hidden items of a domain against sampled ones."""
        here, span = hidden.domain == place, self.data.span(self.data.domains[place])
        warm = np.flatnonzero(self.data.warm[span])
        wanted = torch.from_numpy(hidden.item[here])
        drawn = torch.from_numpy(warm)
        if len(warm) > self.config.num_negatives:
            drawn = drawn[generator.integers(len(warm), size=self.config.num_negatives)]
        items = self._scaled(self._encoder.items(place, torch.cat([wanted, drawn])))
        good, bad = items.split([len(wanted), len(drawn)])
        # index_select, not [rows]: its gradient is summed in a fixed order.
        rows, place_of = torch.from_numpy(hidden.user[here]).unique(return_inverse=True)
        own = self._scaled(users.index_select(0, rows)).div(self.config.temperature)
        positive = (own.index_select(0, place_of) * good).sum(1)
        negative = own @ bad.T
        prior = self._prior_logits(hidden, self.data.domains[place])
        if prior is not None:
            prior = prior.index_select(0, rows)
            positive = positive + prior[place_of, wanted]
            negative = negative + prior.index_select(1, drawn)
        # Of the sum over all items of the domain the sample is an estimate.
        negative = negative + float(np.log(max(1.0, len(warm) / len(drawn))))
        total = negative.logsumexp(1).index_select(0, place_of)
        if len(drawn) == len(warm):  # All items: that of the hidden one is in the sum already.
            return (total - positive).mean()
        # A hidden item that was drawn is no negative of itself.
        twice = torch.isin(wanted, drawn).nonzero().squeeze(1)
        alone = negative.index_select(0, place_of[twice])
        alone = alone.masked_fill(wanted[twice, None] == drawn, -torch.inf).logsumexp(1)
        total = total.index_put((twice,), alone)
        return functional.softplus(total - positive).mean()

    def _prior_logits(self, hidden: Hidden, domain: str) -> torch.Tensor | None:
        """Return float32 [n, items of a domain], added to the logits of a batch; None for none."""
        return None

    def _scaled(self, vectors: torch.Tensor) -> torch.Tensor:
        return functional.normalize(vectors) if self.cosine else vectors

    @torch.no_grad()
    def _set_up(self) -> None:
        self._encoder.eval()
        every = [torch.arange(len(items)) for items in self.data.items.values()]
        made = (self._encoder.items(place, index) for place, index in enumerate(every))
        self._items = [self._scaled(vectors) for vectors in made]

    def _user_vectors(self, users: UserBatch, place: int) -> torch.Tensor:
        vectors: torch.Tensor = self._encoder.users(users.history, [place])[place]
        return vectors

    @torch.no_grad()
    def _score(self, users: UserBatch, domain: str) -> np.ndarray:
        place, span = self.data.domains.index(domain), self.data.span(domain)
        vectors = self._scaled(self._user_vectors(users, place))
        scores: np.ndarray = inner_products(vectors, self._items[place]).numpy()
        return scores if self.reaches_cold else cold_last(scores, self.data.warm[span])

    def _state(self) -> dict[str, torch.Tensor]:
        return {name: value.detach() for name, value in self._encoder.state_dict().items()}

    def _load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        # The texts of a loaded model are in its state, where the encoder uses them.
        texts = state.get(TEXTS)
        data = replace(self.data, features=None if texts is None else texts.numpy())
        with seeded(np.random.default_rng(0)):
            self._encoder = self._make(data)
        self._encoder.load_state_dict(dict(state))


@contextmanager
def seeded(generator: np.random.Generator) -> Iterator[None]:
    """Make torch's randomness, such as dropout and first weights, a function of `generator`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(1 << 62)))
        yield


@dataclass(frozen=True)
class Hidden:
    """Histories of a batch in two parts.

    Attributes
    ----------
    known
        float32 CSR [n, n_items], what is shown.
    user, item, domain
        int64 [h] each: row of the batch, item of its domain, and domain of what is hidden.
    """

    known: sp.csr_matrix
    user: np.ndarray
    item: np.ndarray
    domain: np.ndarray


def hide(
    data: TrainingData, users: np.ndarray, share: float, generator: np.random.Generator
) -> Hidden:
    """Part histories at random; O(nnz).

    Half of the users of several domains lose one whole domain, as users who are new to it; of the
    others each interaction is hidden with probability `share`. Users of whom everything is
    hidden keep everything, and nothing of them is predicted.
    """
    history = data.matrix[users]
    row = entry_rows(history)
    domain = data.item_domain[history.indices]
    counts = np.zeros((len(users), len(data.domains)))
    np.add.at(counts, (row, domain), 1)
    # The domain that is lost: any of a user's, with equal chances.
    lost = np.where(counts > 0, generator.random(counts.shape), -1).argmax(axis=1)
    whole = ((counts > 0).sum(axis=1) > 1) & (generator.random(len(users)) < WHOLE_DOMAIN)
    hidden = np.where(whole[row], domain == lost[row], generator.random(len(row)) < share)
    left = np.bincount(row, ~hidden, minlength=len(users))
    hidden &= left[row] > 0
    starts = np.array([data.span(name).start for name in data.domains])
    where = domain[hidden]
    known = kept_entries(history.tocoo(), ~hidden).tocsr()
    return Hidden(known, row[hidden], history.indices[hidden] - starts[where], where)


def text_vectors(data: TrainingData) -> torch.Tensor:
    """Return float32 [n_items, dim], centred texts of length 1; zeros without text.

    Sentence encoders put all texts into one narrow cone; without their mean they spread (Mu and
    Viswanath, "All-but-the-top", ICLR 2018).
    """
    vectors = torch.from_numpy(np.array(data.features, dtype=np.float32))
    written = vectors.abs().sum(1) > 0
    if int(written.sum()) > 1:
        vectors[written] -= vectors[written].mean(0)
    return functional.normalize(vectors)


def pool(
    table: torch.Tensor, history: sp.csr_matrix, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Return float32 [n, d], the sum of the rows of `table` in each history, times their weights.

    Parameters
    ----------
    table
        float32 [m, d].
    history
        CSR [n, m].
    weight
        float32 [m], differentiable; None for the entries of `history`.

    Examples
    --------
    >>> pool(torch.eye(2), sp.csr_matrix([[1.0, 1.0], [0.0, 0.0]])).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    """
    index = torch.from_numpy(history.indices.astype(np.int64))
    offsets = torch.from_numpy(history.indptr[:-1].astype(np.int64))
    values = torch.from_numpy(history.data.astype(np.float32))
    if weight is not None:
        values = values * weight.index_select(0, index)
    if not len(index):
        return table.new_zeros(history.shape[0], table.shape[1])
    return functional.embedding_bag(index, table, offsets, mode="sum", per_sample_weights=values)
