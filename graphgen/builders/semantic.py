"""Semantic edges between items that are similar by text vectors and by words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import scipy.sparse as sp
import torch

from graphgen.builders.approximate import ApproximateSearch

__all__ = ["Neighbors", "semantic_neighbors"]

Neighbors = dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor]]

# Scores held at once: 2^24 float32 are 64 MB.
BLOCK_SCORES = 1 << 24


@torch.inference_mode()
def semantic_neighbors(
    features: Mapping[str, torch.Tensor],
    has_text: Mapping[str, torch.Tensor],
    words: Mapping[str, sp.csr_matrix] | None = None,
    *,
    word_share: float = 0.5,
    k: int = 10,
    min_similarity: float = 0.3,
    approximate_from: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_recall: Callable[[float], None] | None = None,
) -> Neighbors:
    """Link each item to its `k` nearest in its own domain and its `k` nearest in all others.

    The similarity of two items is (1 - s) times the cosine of their features plus s times that of
    their words: dense and sparse retrieval fused, as in hybrid search (Lin, "A proposed conceptual
    framework for a representational approach to information retrieval", SIGIR Forum 2021). The
    language model knows meanings, the words know brands and series.

    The search is exact: O(n² (d + w)) for n items with text of all domains together and w items
    that share a word, in blocks of 64 MB (50,000 items of width 384 take about 40 s on two cores);
    from `approximate_from` items on it is that of `graphgen.builders.approximate`.

    Parameters
    ----------
    features, has_text, words
        By domain, float32 ``[n, d]``, bool ``[n]`` and float32 CSR ``[n, words]``; rows have length
        1. Items without text get no edge. Without `words`, features alone are compared.
    word_share
        s, in [0, 1].
    k
        Neighbours of an item, in its own domain and, again, across.
    min_similarity
        Two items without a common word are not linked where the cosine of their features is less.
    approximate_from
        Items with text from which on the search is approximate; None for never.
    on_progress
        Called with the number of source items finished since the last call.
    on_recall
        Called with the recall of an approximate search on a sample.

    Returns
    -------
    dict
        ``(source domain, target domain) -> (edge_index int64 [2, E], similarity float32 [E])``,
        the edges sorted by source, then falling similarity.
    """
    domains = [d for d in sorted(features) if bool(has_text[d].any())]
    if not domains:
        return {}
    index = {d: has_text[d].nonzero().squeeze(1) for d in domains}
    table = torch.cat([features[d][index[d]] for d in domains])
    sizes = torch.tensor([len(index[d]) for d in domains])
    starts = [0, *sizes.cumsum(0).tolist()]
    node = torch.cat([index[d] for d in domains])
    owner = torch.repeat_interleave(torch.arange(len(domains)), sizes)
    rows_per_block = max(1, BLOCK_SCORES // len(table))
    share = 0.0 if words is None else word_share
    bags = None
    if words is not None and share:
        bags = sp.vstack([words[d][index[d].numpy()] for d in domains])
        bags = sp.csr_matrix(bags)
        bags_by_word = bags.T.tocsr()
    threshold = (1 - share) * min_similarity

    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    if approximate_from is not None and len(table) >= approximate_from:
        search = ApproximateSearch(
            table.numpy(), bags, share=share, bounds=starts, k=k, threshold=threshold
        )
        if on_recall is not None:
            on_recall(search.recall)
        for low, found in search.search(on_progress):
            values, columns = torch.from_numpy(found.values), torch.from_numpy(found.columns)
            _keep(parts, values, columns, low, threshold)
        starts = []
    for start, stop in itertools.pairwise(starts):
        for low in range(start, stop, rows_per_block):
            high = min(low + rows_per_block, stop)
            scores = table[low:high] @ table.T
            if bags is not None:
                overlap = torch.from_numpy((bags[low:high] @ bags_by_word).toarray())
                scores = torch.lerp(scores, overlap, share)
            scores[torch.arange(high - low), torch.arange(low, high)] = -torch.inf
            inside = scores[:, start:stop]
            _collect(parts, inside, low, start, k, threshold)
            if len(domains) > 1:
                inside.fill_(-torch.inf)
                _collect(parts, scores, low, 0, k, threshold)
            if on_progress is not None:
                on_progress(high - low)
    source, target, similarity = (torch.cat(column) for column in zip(*parts, strict=True))
    pair = owner[source] * len(domains) + owner[target]
    result: Neighbors = {}
    for code in pair.unique().tolist():
        chosen = (pair == code).nonzero().squeeze(1)
        edge_index = torch.stack([node[source[chosen]], node[target[chosen]]])
        # Stable on source: inside one source the order is that of the search, falling similarity.
        order = edge_index[0].argsort(stable=True)
        key = (domains[code // len(domains)], domains[code % len(domains)])
        result[key] = (edge_index[:, order].contiguous(), similarity[chosen][order])
    return result


def _collect(
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    scores: torch.Tensor,
    first_row: int,
    first_column: int,
    k: int,
    min_similarity: float,
) -> None:
    values, columns = scores.topk(min(k, scores.shape[1]), dim=1)
    _keep(parts, values, columns + first_column, first_row, min_similarity)


def _keep(
    parts: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    values: torch.Tensor,
    columns: torch.Tensor,
    first_row: int,
    min_similarity: float,
) -> None:
    rows = torch.arange(first_row, first_row + len(values)).unsqueeze(1).expand_as(columns)
    keep = values >= min_similarity
    parts.append((rows[keep], columns[keep], values[keep].clamp(max=1.0)))
