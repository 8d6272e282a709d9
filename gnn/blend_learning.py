"""Learning the blend on validation rows: the gate by likelihood, the rest by the ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from gnn.blend import GATE_FEATURES, PATHS, Blend, PathScores
from gnn.data import TrainingData
from graphgen.log import InteractionLog
from graphgen.schema import DOMAIN, ITEM_ID, USER_ID

__all__ = ["ValidationRows", "learn_blend"]

# Users of a kind in a domain that are looked at, and items kept of each path's ranking.
MAX_USERS = 1000
CANDIDATES = 60
BLOCK_USERS = 256
TOP = 20
TEMPERATURES = (0.1, 0.15, 0.2)
NEW_ITEM_WEIGHTS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
RIDGE = 1e-3
KINDS = ("warm", "cold_user", "cold_item")
# A domain with fewer validation users than this does not count on its own.
MIN_DOMAIN_USERS = 20

Paths = Callable[[np.ndarray, str], tuple[PathScores, torch.Tensor]]


@dataclass(frozen=True)
class ValidationRows:
    """Held-out interactions as indices, each of a kind that the training graph shows.

    Attributes
    ----------
    user, item
        int64 [n], rows and columns of the training matrix.
    domain
        int64 [n], position of the domain.
    kind
        int64 [n], position in `KINDS`: a cold item has no training interaction; a cold user has
        none in the domain.
    """

    user: np.ndarray
    item: np.ndarray
    domain: np.ndarray
    kind: np.ndarray

    @classmethod
    def of(cls, truth: InteractionLog, data: TrainingData) -> ValidationRows:
        """Look up the rows whose user and item the training data holds; O(rows)."""
        user = data.users.encode(truth.frame[USER_ID], missing="mark")
        item = np.full(len(user), -1, dtype=np.int64)
        domain = np.full(len(user), -1, dtype=np.int64)
        own = np.zeros(len(user), dtype=np.int64)
        names = truth.frame[DOMAIN].astype(object).to_numpy()
        for number, name in enumerate(data.domains):
            rows = np.flatnonzero(names == name)
            span = data.span(name)
            local = data.items[name].encode(truth.frame[ITEM_ID].iloc[rows], missing="mark")
            item[rows] = np.where(local >= 0, local + span.start, -1)
            domain[rows] = number
            history = np.diff(data.matrix[:, span].indptr)
            own[rows] = history[np.maximum(user[rows], 0)]
        kept = (user >= 0) & (item >= 0)
        user, item, domain, own = user[kept], item[kept], domain[kept], own[kept]
        kind = np.where(~data.warm[item], 2, np.where(own == 0, 1, 0))
        return cls(user, item, domain, kind)


@dataclass
class _Block:
    """What a block of users needs for any blend: candidates, held-out items, and which is which.

    Tensors by temperature stand in the order of `TEMPERATURES`.
    """

    domain: int
    features: torch.Tensor
    paths: list[list[torch.Tensor]]
    """By temperature: [n, c] of each path at the candidates; -1 at repeated ones."""
    likelihoods: list[torch.Tensor]
    """By temperature: [p, paths] at the held-out items that have interactions."""
    owner: torch.Tensor
    """int64 [p]."""
    cold: torch.Tensor
    hits: list[torch.Tensor]
    relevant: list[torch.Tensor]


def learn_blend(
    paths: Paths,
    truth: InteractionLog,
    data: TrainingData,
    *,
    generator: np.random.Generator,
    new_item_cost: float,
) -> Blend | None:
    """Choose gate, temperature and the weight of new items on held-out rows.

    For each temperature the gate maximises the likelihood of the held-out items under the mixture;
    the temperature with the best NDCG@20, averaged over warm and cold users, wins; then the weight
    of new items is the one that serves them best among those that cost known items at most
    `new_item_cost` of their NDCG.

    Parameters
    ----------
    paths
        Gives the scores of users (rows of the training matrix) in a domain, with gate features.
    truth
        Held-out interactions.
    data
        What was trained on.
    generator
        Draws the users looked at: at most 1,000 a kind and domain.
    new_item_cost
        Share of NDCG on known items that new items may cost.

    Returns
    -------
    Blend or None
        None where there is no held-out row to learn from.
    """
    rows = ValidationRows.of(truth, data)
    if not len(rows.user):
        return None
    blocks = list(_blocks(paths, rows, data, generator))
    best = -1.0
    blend = Blend()
    for number, temperature in enumerate(TEMPERATURES):
        candidate = Blend(
            gate=_fit_gate(blocks, number), temperature=temperature, new_item_weight=0.0
        )
        known = _known(_quality(blocks, number, candidate))
        if known > best:
            best, blend, chosen = known, candidate, number
    if not (rows.kind == 2).any():
        # Nothing to choose by: new items weigh what the paths' own normalisation gives them.
        return Blend.make(blend.to_dict(), new_item_weight=Blend().new_item_weight)
    frontier = []
    for weight in NEW_ITEM_WEIGHTS:
        quality = _quality(blocks, chosen, Blend.make(blend.to_dict(), new_item_weight=weight))
        frontier.append((weight, _known(quality), quality.get("cold_item", 0.0)))
    blend = Blend.make(blend.to_dict(), frontier=tuple(frontier))
    return Blend.make(blend.to_dict(), new_item_weight=blend.weight_at_cost(new_item_cost))


def _known(quality: dict[str, float]) -> float:
    """Return the mean over the kinds whose items have interactions."""
    return float(np.mean([quality[kind] for kind in KINDS[:2] if kind in quality] or [0.0]))


def _blocks(
    paths: Paths, rows: ValidationRows, data: TrainingData, generator: np.random.Generator
) -> Iterator[_Block]:
    for number, name in enumerate(data.domains):
        own = rows.domain == number
        chosen = [
            _sample(np.unique(rows.user[own & (rows.kind == kind)]), generator) for kind in range(3)
        ]
        users = np.unique(np.concatenate(chosen))
        span = data.span(name)
        own &= np.isin(rows.user, users)
        place = np.searchsorted(users, rows.user[own])
        truth = sp.csr_matrix(
            (rows.kind[own] + 1, (place, rows.item[own] - span.start)),
            shape=(len(users), span.stop - span.start),
        )
        for low in range(0, len(users), BLOCK_USERS):
            scores, features = paths(users[low : low + BLOCK_USERS], name)
            yield _block(number, scores, features, truth[low : low + BLOCK_USERS].tocoo())


def _block(domain: int, scores: PathScores, features: torch.Tensor, kinds: sp.coo_matrix) -> _Block:
    """Keep the items that could reach the top: the best of each path, warm and cold apart."""
    link, popular = scores.normalize()
    index = _candidates([link, scores.cosine, popular], scores.warm)
    repeated = torch.zeros_like(index, dtype=torch.bool)
    repeated[:, 1:] = index[:, 1:] == index[:, :-1]
    row = torch.from_numpy(kinds.row.astype(np.int64))
    column = torch.from_numpy(kinds.col.astype(np.int64))
    kind = torch.from_numpy(kinds.data.astype(np.int8))
    labels = torch.zeros(link.shape, dtype=torch.int8)
    labels[row, column] = kind
    label = labels.gather(1, index).masked_fill_(repeated, 0)
    warm = kind < 3  # The mixture is over items with interactions; it explains these.
    row, column = row[warm], column[warm]
    paths, likelihoods = [], []
    for temperature in TEMPERATURES:
        network = scores.network(temperature)
        parts = [link, network, popular]
        paths.append([part.gather(1, index).masked_fill_(repeated, -1) for part in parts])
        likelihoods.append(torch.stack([part[row, column] for part in parts], dim=1))
    return _Block(
        domain=domain,
        features=features,
        paths=paths,
        likelihoods=likelihoods,
        owner=row,
        cold=~scores.warm[index],
        hits=[(label == number + 1).float() for number in range(3)],
        relevant=[(labels == number + 1).sum(1) for number in range(3)],
    )


def _candidates(parts: list[torch.Tensor], warm: torch.Tensor) -> torch.Tensor:
    """Return int64 [n, c], sorted, with repeats."""
    lists = [part.topk(min(CANDIDATES, part.shape[1]), dim=1).indices for part in parts]
    where = (~warm).nonzero().squeeze(1)
    if len(where):
        for part in parts[:2]:
            best = part[:, where].topk(min(CANDIDATES, len(where)), dim=1).indices
            lists.append(where[best])
    return torch.cat(lists, dim=1).sort(dim=1).values


def _sample(users: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if len(users) <= MAX_USERS:
        return users
    return generator.choice(users, MAX_USERS, replace=False)


def _fit_gate(blocks: list[_Block], number: int) -> tuple[tuple[float, ...], ...]:
    """Maximise Σ w log Σ_p g_p P_p over the gate, with a small ridge; users count alike."""
    gate = torch.zeros(len(GATE_FEATURES), len(PATHS), dtype=torch.float64, requires_grad=True)
    likelihoods = torch.cat([block.likelihoods[number] for block in blocks]).double()
    features = torch.cat([block.features[block.owner] for block in blocks]).double()
    weights = torch.cat([1 / torch.bincount(block.owner)[block.owner].double() for block in blocks])
    if not len(likelihoods):
        return Blend().gate
    weights /= weights.sum()
    optimizer = torch.optim.LBFGS([gate], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        mixed = (torch.softmax(features @ gate, dim=1) * likelihoods).sum(1)
        loss = RIDGE * gate.square().sum() - (weights * torch.log(mixed + 1e-9)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return tuple(tuple(row) for row in gate.detach().float().tolist())


def _quality(blocks: list[_Block], number: int, blend: Blend) -> dict[str, float]:
    """Return NDCG@20 by kind, the plain mean over domains with enough users."""
    discount = 1 / torch.log2(torch.arange(2, TOP + 2, dtype=torch.float32))
    ideal = discount.cumsum(0)
    sums: dict[tuple[int, int], list[float]] = {}
    for block in blocks:
        weights = blend.weights(block.features)
        parts = block.paths[number]
        mixed = sum(part * weights[:, p : p + 1] for p, part in enumerate(parts))
        mixed = torch.where(block.cold, mixed * blend.new_item_weight, mixed)
        mixed = mixed.masked_fill(parts[0] < 0, -1)
        best = mixed.topk(min(TOP, mixed.shape[1]), dim=1).indices
        for kind in range(3):
            relevant = block.relevant[kind]
            users = relevant > 0
            if not users.any():
                continue
            gained = block.hits[kind].gather(1, best) @ discount[: best.shape[1]]
            ndcg = gained[users] / ideal[relevant[users].clamp(max=TOP) - 1]
            entry = sums.setdefault((kind, block.domain), [0.0, 0.0])
            entry[0] += float(ndcg.sum())
            entry[1] += float(users.sum())
    result: dict[str, float] = {}
    for number, name in enumerate(KINDS):
        entries = [entry for (kind, _), entry in sums.items() if kind == number]
        large = [entry for entry in entries if entry[1] >= MIN_DOMAIN_USERS]
        if large:
            result[name] = float(np.mean([total / count for total, count in large]))
        elif entries:
            result[name] = sum(e[0] for e in entries) / sum(e[1] for e in entries)
    return result
