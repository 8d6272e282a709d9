"""Mined rules as a rule file that people read and edit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gnn.candidates import item_frame
from gnn.data import TrainingData
from gnn.rules.language import Count, Rule, Subject, rule_text
from gnn.rules.mining import mine_rules
from gnn.rules.terms import CATEGORIES, INTERESTS, ITEMS, Level, terms_of
from graphgen.arrays import place_in_group
from graphgen.errors import ConfigError
from graphgen.schema import TITLE

__all__ = ["mine_table", "rules_file"]


def mine_table(
    data: TrainingData,
    *,
    levels: Sequence[Level] | None = None,
    per_pair: int = 20,
    fdr: float = 0.05,
    min_users: int = 5,
    within: bool = False,
) -> pd.DataFrame:
    """Return the most significant rules of each level and pair of domains.

    Parameters
    ----------
    data
        Interactions.
    levels
        Levels of `gnn.rules.terms`; None for categories and interests, or items without any.
    per_pair
        Rules of a level from a domain to a domain.
    fdr, min_users, within
        As in `gnn.rules.mining.mine_rules`.

    Returns
    -------
    pandas.DataFrame
        See `gnn.rules.mining.MinedRules.frame`.

    Raises
    ------
    ConfigError
        If nothing is significant.
    """
    parts = []
    for some in [levels] if levels else [(CATEGORIES, INTERESTS), (ITEMS,)]:
        for level in some:
            terms = terms_of(data, level)
            if terms is None:
                continue
            rules = mine_rules(data, terms, fdr=fdr, min_users=min_users, within=within)
            domain, size = terms.domain, len(data.domains)
            pair = domain[rules.source] * size + domain[rules.target]
            order = np.lexsort((rules.source, -rules.lift, rules.p, pair))
            best = order[place_in_group(pair[order]) < per_pair]
            parts.append(rules.frame(data, best))
        if any(map(len, parts)):
            return pd.concat(parts, ignore_index=True)
    raise ConfigError(
        f"No rule is significant at a false discovery rate of {fdr:g} with {min_users} users of "
        "each side. Try other levels, a higher rate, or rules within domains."
    )


def rules_file(table: pd.DataFrame, data: TrainingData) -> str:
    """Return mined rules as TOML; the weight is the binary logarithm of the lift."""
    head = (
        f"# {len(table):,} rules mined from {data.n_users:,} users. An item of `then` counts as if "
        "2^weight times as\n# many users liked it. The users counted are active in both domains.\n"
    )
    parts = [head]
    titles = {domain: item_frame(data, domain)[TITLE].to_numpy(object) for domain in data.domains}

    def title(domain: str, item: str) -> str:
        found = titles[domain][data.items[domain].encode([item])[0]]
        return f"{found:.60}" if found else item

    for row in table.itertuples():
        text = (
            f"{row.together:,} of {row.n_source:,} users, {row.confidence:.0%}; of all "
            f"{row.n_users:,}, {row.n_target / row.n_users:.0%}; q {row.q:.1g}"
        )
        if row.level == ITEMS:
            ends = ((row.source_domain, row.source), (row.target_domain, row.target))
            text = f"{' -> '.join(title(*end) for end in ends)}: {text}"
        rule = Rule(
            Count(Subject(row.source_domain, row.level, row.source)),
            Subject(row.target_domain, row.level, row.target),
            float(np.round(np.log2(row.lift), 2)),
        )
        parts.append(rule_text(rule, text))
    return "\n\n".join(parts) + "\n"
