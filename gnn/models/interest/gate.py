"""Learning the mixture on held-out rows: the gate by a smooth NDCG, the weight of new items by a
price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter

import torch

from gnn.data import TrainingData
from gnn.models.interest.mixture import GATE_FEATURES, Mixture, ScoreExperts
from gnn.models.interest.new_items import measure_trade_off
from gnn.models.interest.related import RELATED
from gnn.selection import STANDARD_ERRORS
from gnn.validation import (
    COLD_ITEM,
    TOP,
    WARM_ITEM_KINDS,
    Group,
    RankingQuality,
    ValidationBlock,
    ValidationRows,
    averaging,
    best_labels,
)
from graphgen.pieces import map_pieces

__all__ = ["learn_mixture"]

# Users of each kind: over all domains, or in each of them if that makes more. With an optional
# expert twice as many: half of them do not show that it gains 2.5 % (amazon3seq).
TOTAL_USERS, DOMAIN_USERS = 4000, 1000
# Items kept of each expert's ranking.
CANDIDATES = 50
NEW_ITEM_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
# Experts that score items without interactions.
REACH_NEW = {"filter", "gnn", "semantic", "recent", "attributes"}
# Experts that stay only where they rank held-out rows better (`_worth_keeping`): on logs where the
# latest events say no more than all do, they cost 8 % of the NDCG@20 of warm users (ciao).
OPTIONAL = {"recent", *RELATED}

STEPS, LEARNING_RATE = 38, 0.1
# Weights of the squared gate beside the likelihood, and of its squared distance from there beside
# the ranking.
LIKELIHOOD_RIDGE, RANKING_RIDGE = 1e-3, 1e-4
# Width of the step between "below" and "above", in the logarithm of the score: smaller is closer to
# the ranking, and rougher. 0.02 and 0.1 do as well on the validation rows of four logs.
SMOOTHNESS = 0.05
FLOOR = 1e-9
# Logarithm of the score of a place without a candidate.
ABSENT = -40.0


@dataclass
class GateBlock:
    """Candidates of a block of users: the best of each expert.

    Attributes
    ----------
    domain
        Its domain.
    features
        float32 [n, f], input of the gate.
    experts
        float32 [experts, n, c], each expert's distribution at the candidates.
    label
        int8 [n, c], 1 + the kind of a held-out item, else 0; -1 where there is no candidate.
    cold
        float32 [n, c], 1 for items without interactions.
    relevant
        By kind, int64 [n]: the number of each user's held-out items, candidates or not.
    owner
        int64 [p], the user of each held-out item with interactions.
    likelihood
        float32 [p, experts], each expert's probability of these items.
    """

    domain: str
    features: torch.Tensor
    experts: torch.Tensor
    label: torch.Tensor
    cold: torch.Tensor
    relevant: list[torch.Tensor]
    owner: torch.Tensor
    likelihood: torch.Tensor

    def warm_only(self) -> GateBlock:
        """Return the block without items that have no interactions."""
        valid = (self.cold == 0) & (self.label >= 0)
        width = int(valid.sum(dim=1).max())
        kept = valid.int().argsort(dim=1, descending=True, stable=True)[:, :width]
        return replace(
            self,
            experts=self.experts.gather(2, kept.expand(len(self.experts), -1, -1)),
            label=self.label.masked_fill(~valid, -1).gather(1, kept),
            cold=self.cold.gather(1, kept),
            relevant=[self.relevant[kind] for kind in WARM_ITEM_KINDS],
        )

    def with_experts(self, kept: list[int]) -> GateBlock:
        """Return the block with some of the experts, by their positions."""
        return replace(self, experts=self.experts[kept], likelihood=self.likelihood[:, kept])

    def mixed(self, weights: torch.Tensor) -> torch.Tensor:
        """Return [n, c] for weights [n, experts]."""
        return torch.einsum("enc,ne->nc", self.experts, weights)


def learn_mixture(
    score: ScoreExperts,
    start: Mixture,
    rows: ValidationRows,
    data: TrainingData,
    *,
    seed: int,
    new_item_cost: float,
    gated: bool = True,
) -> Mixture:
    """Choose the gate and the weight of new items on held-out rows.

    The gate starts where the likelihood of the held-out items under the mixture is largest, and
    climbs to the best NDCG@20 of items with interactions, averaged over warm and cold users
    (`smooth_ndcg`). The likelihood alone overrates experts that are sure of few items; the ranking
    alone, from a default, overfits small samples. Then the weight of new items is the largest that
    costs neither of them more than `new_item_cost` of that NDCG.

    Parameters
    ----------
    score
        Returns the experts' scores of users in a domain, with gate features.
    start
        The mixture to replace: its experts and temperature stay.
    rows
        Held-out interactions; at least one of an item with interactions.
    data
        Training data.
    seed
        Draws the users: of each kind at most 4,000, or 1,000 a domain; twice as many with an
        optional expert.
    new_item_cost
        Share of NDCG on warm items that new items may cost warm users, and cold ones.
    gated
        Let the weights depend on the user; otherwise they are constants.
    """
    blocks: list[GateBlock] = []
    more = 2 if OPTIONAL.intersection(start.experts) else 1
    parts = rows.blocks(data, max_users=more * DOMAIN_USERS, total=more * TOTAL_USERS, seed=seed)
    # Domain by domain: tables that an expert makes at its first use there are made once.
    for _, same in groupby(parts, key=attrgetter("domain")):
        blocks.extend(map_pieces(partial(_candidates_of, start, score, data), same))
    warm = [block.warm_only() for block in blocks]
    learned = _learned(start, warm, gated=gated)
    kept = [*map(start.experts.index, learned.experts)]
    blocks = [block.with_experts(kept) for block in blocks]
    if not (rows.kind == COLD_ITEM).any():
        # Without new items in the rows, they weigh what the experts' normalisation gives them.
        return learned
    weighted = {
        weight: _quality(blocks, learned.replace(new_item_weight=weight))
        for weight in NEW_ITEM_WEIGHTS
    }
    return learned.replace(trade_off=measure_trade_off(weighted)).at_cost(new_item_cost)


def _learned(start: Mixture, blocks: Sequence[GateBlock], *, gated: bool) -> Mixture:
    """Return the mixture with its gate, with those `OPTIONAL` experts that are worth it.

    They are tried one after the other, each beside those that stay.
    """

    def fitted(names: Sequence[str]) -> tuple[Mixture, RankingQuality]:
        parts = [block.with_experts([*map(start.experts.index, names)]) for block in blocks]
        fewer = start.replace(experts=tuple(names))
        likely = _most_likely(parts, len(GATE_FEATURES) if gated else 1)
        tried = [_with_gate(fewer, gate) for gate in (likely, _climb(likely, parts))]
        found = [(mixture, _quality(parts, mixture)) for mixture in tried]
        return max(found, key=lambda pair: pair[1].mean())

    kept = [name for name in start.experts if name not in OPTIONAL]
    if not kept:
        return fitted(start.experts)[0]
    best, quality = fitted(kept)
    for name in start.experts:
        if name in OPTIONAL:
            more = [other for other in start.experts if other in (*kept, name)]
            learned, better = fitted(more)
            if _worth_keeping(better, quality):
                kept, best, quality = more, learned, better
    return best


def _worth_keeping(quality: RankingQuality, default: RankingQuality) -> bool:
    """Whether a kind of held-out rows is ranked significantly better, and none worse.

    By kinds, because a small kind counts as much as a large one in their mean: with few cold-start
    users its error would hide what all others gain.
    """
    gains = [quality.gain_over(default, (kind,)) for kind in WARM_ITEM_KINDS]
    better = any(gain > STANDARD_ERRORS * error for gain, error in gains)
    return better and all(gain >= -STANDARD_ERRORS * error for gain, error in gains)


def smooth_ndcg(
    weights: torch.Tensor, block: GateBlock, share: Mapping[Group, float]
) -> torch.Tensor:
    """Return a block's part of the NDCG@20 with smooth ranks, differentiable in the weights.

    The rank of a held-out item is ½ + Σ_j σ((log s_j − log s_i) / τ) over its user's candidates
    (ApproxNDCG: Qin, Liu and Li, "A general approximation framework for direct optimization of
    information retrieval measures", Information Retrieval 2010), and the ideal that of the top 20.

    Parameters
    ----------
    weights
        float32 [n, experts].
    block
        The candidates.
    share
        Weight of one user of each group.
    """
    scores = (block.mixed(weights) + FLOOR).log().masked_fill(block.label < 0, ABSENT)
    row, column = (block.label > 0).nonzero(as_tuple=True)
    kind = block.label[row, column].long() - 1
    ideal = (1 / torch.log2(torch.arange(2, TOP + 2, dtype=torch.float32))).cumsum(0)
    count = torch.stack(block.relevant, dim=1)[row, kind].clamp(1, TOP)
    of_kind = torch.tensor([share.get((k, block.domain), 0.0) for k in WARM_ITEM_KINDS])
    rank = 0.5 + ((scores[row] - scores[row, column].unsqueeze(1)) / SMOOTHNESS).sigmoid().sum(1)
    return (of_kind[kind] / ideal[count - 1] / torch.log2(1 + rank)).sum()


def user_shares(blocks: Sequence[GateBlock]) -> dict[Group, float]:
    """Return the weight of one user of each group, as `averaging` weighs the groups."""
    users: dict[Group, int] = {}
    for block in blocks:
        for kind, count in enumerate(block.relevant):
            group = (kind, block.domain)
            users[group] = users.get(group, 0) + int((count > 0).sum())
    return {
        group: weight / sum(users[other] for other in pool)
        for weight, pool in averaging(users)
        for group in pool
    }


def _most_likely(blocks: Sequence[GateBlock], n_features: int) -> torch.Tensor:
    """Return the gate [f, experts] that maximises Σ_u mean log Σ_e g_e P_e, by L-BFGS."""
    likelihood = torch.cat([block.likelihood for block in blocks]).double()
    features = torch.cat([block.features[block.owner, :n_features] for block in blocks]).double()
    # Users count alike.
    weight = torch.cat([1 / torch.bincount(block.owner)[block.owner].double() for block in blocks])
    weight /= weight.sum()
    gate = torch.zeros(n_features, likelihood.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([gate], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        mixed = (torch.softmax(features @ gate, dim=1) * likelihood).sum(1)
        loss = LIKELIHOOD_RIDGE * gate.square().sum() - (weight * torch.log(mixed + FLOOR)).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return gate.detach().float()


def _climb(start: torch.Tensor, blocks: Sequence[GateBlock]) -> torch.Tensor:
    """Return the gate after `STEPS` of Adam; O(steps · held-out items · candidates)."""
    share = user_shares(blocks)
    gate = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([gate], lr=LEARNING_RATE)

    def gradient(block: GateBlock) -> torch.Tensor:
        weights = torch.softmax(block.features[:, : len(start)] @ gate, dim=1)
        return torch.autograd.grad(smooth_ndcg(weights, block, share), gate)[0]

    pieces = [block for block in blocks if (block.label > 0).any()]
    for _ in range(STEPS):
        gate.grad = 2 * RANKING_RIDGE * (gate.detach() - start)
        for part in map_pieces(gradient, pieces):
            gate.grad -= part
        optimizer.step()
    return gate.detach()


def _with_gate(mixture: Mixture, gate: torch.Tensor) -> Mixture:
    """Return the mixture with a gate [f, experts] over the first features."""
    full = torch.zeros(len(GATE_FEATURES), gate.shape[1])
    full[: len(gate)] = gate
    return mixture.replace(gate=tuple(tuple(row) for row in full.tolist()))


def _candidates_of(
    mixture: Mixture, score: ScoreExperts, data: TrainingData, users: ValidationBlock
) -> GateBlock:
    """Keep the items that could reach the top: the best of each expert, warm and cold apart."""
    scores, features = score(data.batch(users.users), users.domain)
    label, relevant = users.labels()
    # The mixture is over items with interactions; it explains these.
    row, column = ((label > 0) & (label <= len(WARM_ITEM_KINDS))).nonzero(as_tuple=True)
    parts = {}
    for name in mixture.experts:
        part = scores.probabilities(name, mixture.temperature_of(name))
        part[scores.seen_row, scores.seen_column] = 0
        parts[name] = part
    index = _best_of_each(parts, scores.warm)
    repeated = torch.zeros_like(index, dtype=torch.bool)
    repeated[:, 1:] = index[:, 1:] == index[:, :-1]
    return GateBlock(
        domain=users.domain,
        features=features,
        # A repeated item is a candidate once: the label marks the other places as empty.
        experts=torch.stack([p.gather(1, index).masked_fill_(repeated, 0) for p in parts.values()]),
        label=label.gather(1, index).masked_fill_(repeated, -1),
        cold=1 - scores.warm[index],
        relevant=relevant,
        owner=row,
        likelihood=torch.stack([part[row, column] for part in parts.values()], dim=1),
    )


def _best_of_each(parts: Mapping[str, torch.Tensor], warm: torch.Tensor) -> torch.Tensor:
    """Return int64 [n, c], columns in ascending order, with repeats."""
    lists = [part.topk(min(CANDIDATES, part.shape[1]), dim=1).indices for part in parts.values()]
    cold = (warm == 0).nonzero().squeeze(1)
    if len(cold):
        for name in parts.keys() & REACH_NEW:
            best = parts[name][:, cold].topk(min(CANDIDATES, len(cold)), dim=1).indices
            lists.append(cold[best])
    return torch.cat(lists, dim=1).sort(dim=1).values


def _quality(blocks: Sequence[GateBlock], mixture: Mixture) -> RankingQuality:
    quality = RankingQuality()
    for block in blocks:
        mixed = block.mixed(mixture.weights(block.features))
        mixed.addcmul_(mixed, block.cold, value=mixture.new_item_weight - 1)
        mixed.masked_fill_(block.label < 0, -1)
        quality.add(block.domain, best_labels(mixed, block.label), block.relevant)
    return quality
