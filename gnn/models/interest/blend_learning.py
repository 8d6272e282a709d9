"""Learning the blend on validation rows: the gate by likelihood, the rest by the ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter

import numpy as np
import torch

from gnn.data import TrainingData
from gnn.models.interest.blend import GATE_FEATURES, Blend
from gnn.models.interest.frontier import measured_frontier, speaks_for_itself
from gnn.models.interest.gate_ranking import RankedBlock, SmoothRanking
from gnn.models.interest.path_scores import ScorePaths
from gnn.models.interest.validation import (
    KNOWN_KINDS,
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["learn_blend"]

# Users of a kind that are looked at over all domains, or in each of them if that makes more; and
# items kept of each path's ranking.
TOTAL_USERS, DOMAIN_USERS = 4000, 1000
CANDIDATES = 50
BLOCK_USERS = 128
TEMPERATURES = (0.09, 0.12, 0.15, 0.2, 0.3)
MIDDLE = 0.15
NEW_ITEM_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
RIDGE = 1e-3
# Of the gate, from the likelihood to the ranking: for each temperature, then for the best one.
FIRST_STEPS, LAST_STEPS = 8, 30
# Paths that score items without interactions.
REACH_NEW = {"filter", "gnn", "semantic"}


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

    def known_candidates(self) -> tuple[RankedBlock, torch.Tensor]:
        """Return the block with known items only, and int64 [n, k], where they stand."""
        valid = (self.cold == 0) & (self.paths[0][0] >= 0)
        width = int(valid.sum(dim=1).max())
        kept = valid.int().argsort(dim=1, descending=True, stable=True)[:, :width]
        label = self.label.masked_fill(~valid, -1).gather(1, kept)
        return RankedBlock(self.domain, self.features, label, self.relevant[:KNOWN_KINDS]), kept


def learn_blend(
    paths: ScorePaths,
    names: Sequence[str],
    rows: ValidationRows,
    data: TrainingData,
    *,
    generator: np.random.Generator,
    new_item_cost: float,
    gated: bool = True,
) -> Blend:
    """Choose gate, temperature and the weight of new items on held-out rows.

    For each temperature the gate starts where the likelihood of the held-out items under the
    mixture is largest, and climbs to the best NDCG@20, averaged over warm and cold users
    (`SmoothRanking`). Then the weight of new items is the largest that costs neither kind of people
    more than `new_item_cost` of their NDCG on known items, in each domain where 500 people say so
    and over all of them for the others.

    Parameters
    ----------
    paths
        Gives the scores of users in a domain, with gate features.
    names
        Paths to mix.
    rows
        Held-out interactions; at least one of an item with interactions.
    data
        What was trained on.
    generator
        Draws the users looked at: of each kind at most 4,000, or 1,000 a domain.
    new_item_cost
        Share of NDCG on known items that new items may cost warm users, and cold ones.
    gated
        Let the weights differ with what is known of a person; otherwise they are constants.

    Returns
    -------
    Blend
    """
    blocks: list[_Block] = []
    parts = rows.blocks(
        data,
        max_users=DOMAIN_USERS,
        total=TOTAL_USERS,
        size=BLOCK_USERS,
        generator=generator,
    )
    # Domain by domain: what a path makes at its first use there, it makes once.
    for _, same in groupby(parts, key=attrgetter("domain")):
        blocks.extend(map_pieces(partial(_block, names, paths, data), same))
    blend, chosen = _learn_gate(blocks, names, len(GATE_FEATURES) if gated else 1)
    if not rows.has_cold_items():
        # Nothing to choose by: new items weigh what the paths' own normalisation gives them.
        return blend.replace(new_item_weight=Blend.default(names).new_item_weight)
    tried = {
        weight: _quality(blocks, chosen, blend.replace(new_item_weight=weight))
        for weight in NEW_ITEM_WEIGHTS
    }
    own = {}
    for domain in data.domains:
        there = {weight: quality.within(domain) for weight, quality in tried.items()}
        if speaks_for_itself(there):
            own[domain] = measured_frontier(there)
    return blend.replace(frontier=measured_frontier(tried), own_frontiers=own).at_cost(
        new_item_cost
    )


def _block(
    names: Sequence[str], paths_of: ScorePaths, data: TrainingData, users: ValidationBlock
) -> _Block:
    """Keep the items that could reach the top: the best of each path, warm and cold apart."""
    scores, features = paths_of(data.batch(users.users), users.domain)
    labels, relevant = users.labels()
    fixed = {
        name: scores.unseen(MIDDLE) if name == "gnn" else scores.probabilities(name, 1.0)
        for name in names
    }
    index = _candidates(fixed, scores.warm)
    repeated = torch.zeros_like(index, dtype=torch.bool)
    repeated[:, 1:] = index[:, 1:] == index[:, :-1]
    label = labels.gather(1, index).masked_fill_(repeated, 0)
    # The mixture is over items with interactions; it explains these.
    row, column = ((labels > 0) & (labels <= KNOWN_KINDS)).nonzero(as_tuple=True)

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
        relevant=relevant,
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


def _learn_gate(blocks: list[_Block], names: Sequence[str], n_features: int) -> tuple[Blend, int]:
    """Return the blend that ranks known items best, and the number of its temperature.

    Likelihood and ranking part where a path is very sure of very few items: it explains them well
    and pushes them before better ones. So the likelihood only gives the start for each temperature.
    From there all climb as many steps, for the likelihood is no judge of temperatures either, and
    the best goes on.
    """
    known = [block.known_candidates() for block in blocks]
    ranking = SmoothRanking([block for block, _ in known])
    blend = Blend.default(names).replace(new_item_weight=0.0)

    def climbed(number: int, gate: torch.Tensor, steps: int) -> tuple[float, torch.Tensor, Blend]:
        parts = [
            torch.stack([part.gather(1, kept) for part in block.paths[number]]).clamp_(min=0)
            for block, (_, kept) in zip(blocks, known, strict=True)
        ]
        gate = ranking.climb(gate, parts, steps)
        full = torch.zeros(len(GATE_FEATURES), len(names))
        full[:n_features] = gate
        rows = tuple(tuple(row) for row in full.tolist())
        candidate = blend.replace(gate=rows, temperature=TEMPERATURES[number])
        return _quality(blocks, number, candidate).known(), gate, candidate

    tried = []
    for number in range(len(TEMPERATURES) if "gnn" in names else 1):
        start = _fit_gate(blocks, number, n_features)
        tried.append(climbed(number, start, FIRST_STEPS))
    chosen = int(np.argmax([quality for quality, _, _ in tried]))
    quality, gate, candidate = tried[chosen]
    further, _, last = climbed(chosen, gate, LAST_STEPS)
    return (last if further > quality else candidate), chosen


def _fit_gate(blocks: list[_Block], number: int, n_features: int) -> torch.Tensor:
    """Maximise Σ w log Σ_p g_p P_p over the gate, with a small ridge; users count alike.

    Only the first `n_features` features have a say.
    """
    likelihoods = torch.cat([block.likelihoods[number] for block in blocks]).double()
    features = torch.cat([block.features[block.owner] for block in blocks]).double()
    weights = torch.cat([1 / torch.bincount(block.owner)[block.owner].double() for block in blocks])
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
    return gate.detach().float()


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
