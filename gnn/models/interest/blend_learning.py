"""Learning the blend on validation rows: the gate by likelihood, the rest by the ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData
from gnn.models.interest.blend import GATE_FEATURES, Blend, PathScores
from gnn.models.interest.validation import (
    KINDS,
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["learn_blend"]

# Users of a kind that are looked at over all domains (in each at least a thousand, if there are as
# many), and items kept of each path's ranking.
MAX_USERS, MIN_DOMAIN_USERS = 4000, 1000
CANDIDATES = 50
BLOCK_USERS = 128
TEMPERATURES = (0.09, 0.12, 0.15, 0.2)
NEW_ITEM_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
RIDGE = 1e-3
# Steps tried on the constant of each path after the likelihood fit; the first all but drops it.
SHIFTS = (-8.0, -2.0, -1.0, -0.4, 0.4, 1.0)
ROUNDS = 2
# Share by which a step must raise the ranking: less is noise, which differs from seed to seed.
LEAST_GAIN = 0.005
# Paths that score items without interactions.
REACH_NEW = {"filter", "gnn", "semantic"}

Paths = Callable[[np.ndarray, str], tuple[PathScores, torch.Tensor]]


@dataclass
class _Block:
    """What a block of users needs for any blend: candidates, held-out items, and which is which.

    Tensors by temperature stand in the order of `TEMPERATURES`.
    """

    domain: str
    features: torch.Tensor
    paths: list[list[torch.Tensor]]
    """By temperature: [n, c] of each path at the candidates; -1 in all of them at repeated ones,
    and so in every mixture."""
    likelihoods: list[torch.Tensor]
    """By temperature: [p, paths] at the held-out items that have interactions."""
    owner: torch.Tensor
    """int64 [p]."""
    cold: torch.Tensor
    """float32 [n, c], 1 for items without interactions."""
    label: torch.Tensor
    relevant: list[torch.Tensor]


def learn_blend(
    paths: Paths,
    names: Sequence[str],
    rows: ValidationRows,
    data: TrainingData,
    *,
    generator: np.random.Generator,
    new_item_cost: float,
    gated: bool = True,
) -> Blend:
    """Choose gate, temperature and the weight of new items on held-out rows.

    For each temperature the gate maximises the likelihood of the held-out items under the mixture,
    and its constants climb to the best NDCG@20, averaged over warm and cold users: that of the
    network's path for each temperature, those of all paths for the best one. Then the weight of
    new items is the largest that costs known items at most `new_item_cost` of their NDCG.

    Parameters
    ----------
    paths
        Gives the scores of users (rows of the training matrix) in a domain, with gate features.
    names
        Paths to mix.
    rows
        Held-out interactions; at least one.
    data
        What was trained on.
    generator
        Draws the users looked at: of each kind at most 4,000, or 1,000 a domain.
    new_item_cost
        Share of NDCG on known items that new items may cost.
    gated
        Let the weights differ with what is known of a person; otherwise they are constants.

    Returns
    -------
    Blend
    """
    blocks: list[_Block] = []
    max_users = max(MIN_DOMAIN_USERS, MAX_USERS // len(data.domains))
    parts = rows.blocks(data, max_users=max_users, size=BLOCK_USERS, generator=generator)
    # Domain by domain: what a path makes at its first use there, it makes once.
    for _, same in groupby(parts, key=attrgetter("domain")):
        blocks.extend(map_pieces(partial(_block, names, paths), same))
    best, chosen = -1.0, 0
    blend = Blend.default(names)
    network = [place for place, name in enumerate(names) if name == "gnn"]
    for number, temperature in enumerate(TEMPERATURES):
        candidate = Blend(
            paths=tuple(names),
            gate=_fit_gate(blocks, number, len(GATE_FEATURES) if gated else 1) or blend.gate,
            temperature=temperature,
            new_item_weight=0.0,
        )
        # A sharp softmax explains little and yet ranks well, once it is given less weight.
        candidate, known = _climb(blocks, number, candidate, network, SHIFTS[1:])
        if known > best:
            best, blend, chosen = known, candidate, number
        if not network:
            break
    for _ in range(ROUNDS):
        blend, _ = _climb(blocks, chosen, blend, range(len(names)), SHIFTS)
    if not rows.has_cold_items():
        # Nothing to choose by: new items weigh what the paths' own normalisation gives them.
        return blend.replace(new_item_weight=Blend.default(names).new_item_weight)
    frontier = []
    for weight in NEW_ITEM_WEIGHTS:
        quality = _quality(blocks, chosen, blend.replace(new_item_weight=weight))
        frontier.append((weight, quality.known(), quality.by_kind().get("cold_item", 0.0)))
    blend = blend.replace(frontier=tuple(frontier))
    return blend.replace(new_item_weight=blend.weight_at_cost(new_item_cost))


def _block(names: Sequence[str], paths_of: Paths, users: ValidationBlock) -> _Block:
    """Keep the items that could reach the top: the best of each path, warm and cold apart."""
    scores, features = paths_of(users.users, users.domain)
    kinds = users.truth.tocoo()
    fixed = {
        name: scores.unseen(name) if name == "gnn" else scores.probabilities(name, 1.0)
        for name in names
    }
    index = _candidates(fixed, scores.warm)
    repeated = torch.zeros_like(index, dtype=torch.bool)
    repeated[:, 1:] = index[:, 1:] == index[:, :-1]
    row = torch.from_numpy(kinds.row.astype(np.int64))
    column = torch.from_numpy(kinds.col.astype(np.int64))
    kind = torch.from_numpy(kinds.data.astype(np.int8))
    labels = torch.zeros(kinds.shape, dtype=torch.int8)
    labels[row, column] = kind
    label = labels.gather(1, index).masked_fill_(repeated, 0)
    warm = kind < 3  # The mixture is over items with interactions; it explains these.
    row, column = row[warm], column[warm]

    def looked_up(part: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return part.gather(1, index).masked_fill_(repeated, -1), part[row, column]

    known = {name: looked_up(part) for name, part in fixed.items() if name != "gnn"}
    paths, likelihoods = [], []
    for temperature in TEMPERATURES:
        if "gnn" in fixed:
            known["gnn"] = looked_up(scores.probabilities("gnn", temperature))
        paths.append([known[name][0] for name in names])
        likelihoods.append(torch.stack([known[name][1] for name in names], dim=1))
    return _Block(
        domain=users.domain,
        features=features,
        paths=paths,
        likelihoods=likelihoods,
        owner=row,
        cold=1 - scores.warm[index],
        label=label,
        relevant=[(labels == number + 1).sum(1) for number in range(len(KINDS))],
    )


def _candidates(parts: Mapping[str, torch.Tensor], warm: torch.Tensor) -> torch.Tensor:
    """Return int64 [n, c], sorted, with repeats."""
    lists = [part.topk(min(CANDIDATES, part.shape[1]), dim=1).indices for part in parts.values()]
    where = (warm == 0).nonzero().squeeze(1)
    if len(where):
        for name in parts.keys() & REACH_NEW:
            best = parts[name][:, where].topk(min(CANDIDATES, len(where)), dim=1).indices
            lists.append(where[best])
    return torch.cat(lists, dim=1).sort(dim=1).values


def _fit_gate(
    blocks: list[_Block], number: int, n_features: int
) -> tuple[tuple[float, ...], ...] | None:
    """Maximise Σ w log Σ_p g_p P_p over the gate, with a small ridge; users count alike.

    Only the first `n_features` features have a say. None if there is nothing to fit.
    """
    likelihoods = torch.cat([block.likelihoods[number] for block in blocks]).double()
    features = torch.cat([block.features[block.owner] for block in blocks]).double()
    weights = torch.cat([1 / torch.bincount(block.owner)[block.owner].double() for block in blocks])
    if not len(likelihoods):
        return None
    gate = torch.zeros(n_features, likelihoods.shape[1], dtype=torch.float64, requires_grad=True)
    features = features[:, :n_features]
    weights /= weights.sum()
    optimizer = torch.optim.LBFGS([gate], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        mixed = (torch.softmax(features @ gate, dim=1) * likelihoods).sum(1)
        loss = RIDGE * gate.square().sum() - (weights * torch.log(mixed + 1e-9)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    full = torch.zeros(len(GATE_FEATURES), likelihoods.shape[1])
    full[:n_features] = gate.detach().float()
    return tuple(tuple(row) for row in full.tolist())


def _climb(
    blocks: list[_Block],
    number: int,
    blend: Blend,
    places: Sequence[int],
    shifts: Sequence[float],
) -> tuple[Blend, float]:
    """Move the constants of the gate, one path at a time, to where known items are ranked best.

    Likelihood and ranking part where a path is very sure of very few items: it explains them well
    and pushes them before better ones. One evaluation a path and shift.
    """
    best = _quality(blocks, number, blend).known()
    for place in places:
        start = blend
        for shift in shifts:
            gate = [list(row) for row in start.gate]
            gate[0][place] += shift
            moved = start.replace(gate=tuple(tuple(row) for row in gate))
            known = _quality(blocks, number, moved).known()
            if known > best * (1 + LEAST_GAIN):
                best, blend = known, moved
    return blend, best


def _quality(blocks: list[_Block], number: int, blend: Blend) -> RankingQuality:
    quality = RankingQuality()
    for block in blocks:
        weights = blend.weights(block.features)
        parts = block.paths[number]
        mixed = parts[0] * weights[:, :1]
        for place, part in enumerate(parts[1:], start=1):
            mixed.addcmul_(part, weights[:, place : place + 1])
        mixed.addcmul_(mixed, block.cold, value=blend.new_item_weight - 1)
        quality.add(block.domain, best_labels(mixed, block.label), block.relevant)
    return quality
