"""A scorer's links as binary decisions: threshold and calibration from validation rows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from eval.comparison.links import LABEL, LinkEvaluation, evaluate_links
from eval.evaluation.inputs import DomainTruth, read_truth
from eval.evaluation.negatives import NegativeTable, sample_negatives
from eval.evaluation.sources import Scorer
from eval.metrics.base import Array
from graphgen.errors import InputError
from graphgen.schema import DOMAIN, ITEM_ID, SCORE, USER_ID

__all__ = ["evaluate_scorer_links", "score_links"]

# Irrelevant links drawn for each user and domain.
N_NEGATIVES: Final = 20
# Users of a domain looked at, so that the cost does not grow with the log.
MAX_USERS: Final = 2_000
BLOCK_SCORES: Final = 8_000_000


def score_links(
    scorer: Scorer,
    truth: Any,
    negatives: Any = None,
    *,
    n: int = N_NEGATIVES,
    max_users: int = MAX_USERS,
    seed: int = 0,
) -> pd.DataFrame:
    """Score the relevant links of users, and irrelevant ones drawn for them.

    Parameters
    ----------
    scorer
        Such as a fitted model.
    truth
        InteractionLog, DataFrame or path: the relevant links.
    negatives
        DataFrame or path of irrelevant links; default: drawn from the catalogue, without what is
        relevant or seen.
    n
        How many to draw for each user and domain.
    max_users
        Users of a domain; more are sampled.
    seed
        Seed of both draws.

    Returns
    -------
    pandas.DataFrame
        user_id, domain, item_id, label (1 relevant, 0 not) and score. Relevant links that the
        scorer has no finite score for (unknown, seen) are left out. O(users * items).

    Raises
    ------
    InputError
        If the scorer does not know a domain, or a negative is not in its catalogue.
    """
    domains = read_truth(truth, ()).domains
    strange = [domain.domain for domain in domains if domain.domain not in scorer.domains]
    if strange:
        raise InputError(
            f"The scorer does not know the domain {strange[0]!r}; it knows "
            f"{', '.join(scorer.domains)}."
        )
    chosen = [_some_users(domain, max_users, seed) for domain in domains]
    if negatives is None:
        drawn = pd.concat([_frame(domain) for domain in chosen], ignore_index=True)
        negatives = sample_negatives(drawn, scorer=scorer, n=n, seed=seed)
    table = NegativeTable(negatives)
    return pd.concat([_scored(scorer, domain, table) for domain in chosen], ignore_index=True)


def _some_users(domain: DomainTruth, most: int, seed: int) -> DomainTruth:
    n = len(domain.user_ids)
    if n <= most:
        return domain
    rows = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    place = np.full(n, -1)
    place[rows] = np.arange(most)
    kept = place[domain.pair_user] >= 0
    return DomainTruth(
        domain.domain,
        domain.user_ids[rows],
        place[domain.pair_user[kept]],
        domain.pair_item[kept],
        domain.member[kept],
    )


def _frame(domain: DomainTruth) -> pd.DataFrame:
    users = domain.user_ids[domain.pair_user]
    return pd.DataFrame({USER_ID: users, DOMAIN: domain.domain, ITEM_ID: domain.pair_item})


def _scored(scorer: Scorer, domain: DomainTruth, negatives: NegativeTable) -> pd.DataFrame:
    items = scorer.items(domain.domain)
    drawn = negatives.matrix(domain, items)
    user, place = np.nonzero(drawn >= 0)
    code = items.encode(domain.pair_item, missing="mark")
    rows = np.concatenate([domain.pair_user, user])
    columns = np.concatenate([code, drawn[user, place]])
    label = np.repeat([1, 0], [len(code), len(user)])
    order = np.argsort(rows, kind="stable")
    rows, columns, label = rows[order], columns[order], label[order]
    rows, columns, label = (part[columns >= 0] for part in (rows, columns, label))
    score = np.empty(len(rows), dtype=np.float64)
    hidden = np.zeros(len(rows), dtype=bool)
    step = max(1, BLOCK_SCORES // max(len(items), 1))
    for start in range(0, len(domain.user_ids), step):
        ids = domain.user_ids[start : start + step]
        part = slice(*np.searchsorted(rows, [start, start + len(ids)]))
        cells = rows[part] - start, columns[part]
        score[part] = np.asarray(scorer.score(ids, domain=domain.domain))[cells]
        seen = sp.csr_matrix(scorer.seen(ids, domain=domain.domain))
        hidden[part] = _at(seen, *cells)
    kept = np.isfinite(score) & ~hidden
    return pd.DataFrame(
        {
            USER_ID: domain.user_ids[rows],
            DOMAIN: domain.domain,
            ITEM_ID: items.ids[columns],
            LABEL: label,
            SCORE: score,
        }
    )[kept].reset_index(drop=True)


def _at(matrix: sp.csr_matrix, rows: Array, columns: Array) -> Array:
    return np.asarray(matrix[rows, columns]).ravel() != 0 if len(rows) else np.zeros(0, bool)


def evaluate_scorer_links(
    scorer: Scorer,
    truth: Any,
    valid: Any,
    *,
    negatives: Any = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> dict[str, LinkEvaluation | None]:
    """Judge a scorer's links in each domain, with what validation rows chose.

    Scores of two domains need not be comparable, so each domain has a threshold and a calibration
    (isotonic regression) of its own. Accuracy, precision, F1 and calibration depend on the share of
    links that are relevant, here that of the sample: they compare systems on the same links, and
    say nothing of the whole catalogue.

    Parameters
    ----------
    scorer, truth
        As in `score_links`.
    valid
        Relevant links to choose on.
    negatives
        Irrelevant links of the test users; those of validation are always drawn, as many a user.
    bootstrap
        Replicates of the intervals over users.
    seed
        Seed of the draws.

    Returns
    -------
    dict
        A `LinkEvaluation` by domain; None where test or validation rows hold links of one kind
        only.
    """
    tested = score_links(scorer, truth, negatives, seed=seed)
    sizes = tested[tested[LABEL] == 0].groupby([DOMAIN, USER_ID], observed=True).size()
    n = max(1, round(float(sizes.median()))) if len(sizes) else N_NEGATIVES
    # Another seed: a pair drawn in both would be counted on both sides.
    chosen_on = score_links(scorer, valid, n=n, seed=seed + 1)
    found: dict[str, LinkEvaluation | None] = {}
    for domain in sorted(set(tested[DOMAIN])):
        test, rows = tested[tested[DOMAIN] == domain], chosen_on[chosen_on[DOMAIN] == domain]
        if rows[LABEL].nunique() < 2 or test[LABEL].nunique() < 2:
            found[domain] = None
            continue
        links = evaluate_links(test, valid=rows, bootstrap=bootstrap, seed=seed)
        links.meta["negatives_per_user"] = n
        found[domain] = links
    return found
