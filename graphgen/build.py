"""From tables to an interest graph."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
from torch_geometric.data import HeteroData

from graphgen.builders.derived import add_item_relations, add_shared
from graphgen.builders.features import FeatureConfig, add_features, add_user_features
from graphgen.builders.interactions import add_interactions, number_log
from graphgen.builders.social import add_friends
from graphgen.builders.topics import FormerTopics, add_topics
from graphgen.errors import InputError
from graphgen.graph import InterestGraph, add_reverse_edges, as_graph
from graphgen.joins import check_join, found_in
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.reading.normalise import DEFAULT_DOMAIN
from graphgen.schema import (
    ATTRIBUTE,
    CATEGORY,
    DOMAIN,
    INTEREST,
    ITEM_ID,
    TEXT,
    TITLE,
    USER,
    USER_ID,
)
from graphgen.storage import provenance
from graphgen.tables import (
    FriendTable,
    ItemTable,
    UserTable,
    read_friends,
    read_items,
    read_users,
)
from graphgen.vocabulary import Vocabulary

__all__ = ["BuildConfig", "build_graph", "in_the_domain_of"]

logger = logging.getLogger(__name__)

# Characters of a text that replace a missing title.
LABEL = 60


class BuildConfig(FeatureConfig):
    """How a graph is built."""

    next_k: int = pydantic.Field(20, ge=0)
    """Items that follow an item in the histories of users, linked inside its domain and, again,
    across domains, where the log has an order; 0 for none."""
    next_weight: float = pydantic.Field(1.0, ge=0)
    """Transitions of at most this weight are left out. A user adds 1 where the second item is in
    the next visit, less where it is later; so those of a single user are."""
    co_consumed_k: int = pydantic.Field(0, ge=0)
    """Items that the same users like more often than chance, linked to an item inside its domain
    and, again, across domains; 0 for none."""
    relations: tuple[str, ...] = ()
    """Columns of the item table, such as author or brand, whose values link items, several values
    being separated by ``|``."""
    periods: Literal["none", "year", "month", "day"] = "none"
    """Calendar periods that are linked to the items chosen in them, where the log has times."""
    topics: int | None = pydantic.Field(None, ge=0)
    """Most topics found in the texts of all domains together, and most communities; None for a
    number that grows with the number of texts and items, 0 for none."""
    communities: bool = False
    """Link all items to communities of items that the same users like; otherwise only where most
    interactions are with items without category and text, and only these items."""
    category_items: int = pydantic.Field(5, ge=0)
    """Items that a category of the item table needs to be a topic; 0 for no such topics."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """Seed of the search for topics."""
    cutoff: datetime | None = None
    """Leave out interactions at or after this instant (UTC where no zone is given)."""


def build_graph(
    log: InteractionLog | pd.DataFrame,
    items: ItemTable | pd.DataFrame | None = None,
    users: UserTable | pd.DataFrame | None = None,
    *,
    friends: FriendTable | pd.DataFrame | None = None,
    config: BuildConfig | None = None,
    topics_from: InterestGraph | str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = False,
    **settings: Any,
) -> InterestGraph:
    """Build one heterogeneous graph of all domains.

    Parameters
    ----------
    log
        Interactions; each becomes an edge: likes, or seen and disliked items. As a DataFrame or a
        path it is read by `read_log`, and so are the tables by `read_items` and `read_users`.
    items
        Titles and texts. Items that the log does not mention are nodes too (cold items).
    users
        Users, also those without interactions.
    friends
        Pairs of users, linked in both directions; read by `read_friends` if it is no table.
    config
        Settings; `settings` given by name win over it.
    topics_from
        An earlier graph of the same items, or its folder: its topics go on with their names.
    cache_dir
        Cache of text vectors; None for the user's cache folder.
    progress
        Show progress bars.
    **settings
        Fields of `BuildConfig`.

    Returns
    -------
    InterestGraph
        O(E log E + n² d) for E interactions and n items with text of width d.

    Raises
    ------
    InputError
        If nothing is left to build from, or a table has no id in common with the log.

    Examples
    --------
    >>> log = pd.DataFrame({"user_id": ["ann", "ann", "bob"], "item_id": ["dune", "alien", "dune"],
    ...                     "domain": ["book", "film", "book"]})
    >>> build_graph(log, encoder="none")
    InterestGraph(2 users, 2 items in 2 domains, 3 edges, 0-d features)
    """
    config = BuildConfig.make(config.to_dict() if config else None, **settings)
    log = log if isinstance(log, InteractionLog) else read_log(log)
    items = items if isinstance(items, ItemTable | None) else read_items(items)
    items = in_the_domain_of(log, items)
    users = users if isinstance(users, UserTable | None) else read_users(users)
    friends = friends if isinstance(friends, FriendTable | None) else read_friends(friends)
    cutoff = config.cutoff
    if cutoff is not None and cutoff.tzinfo is None:
        cutoff = cutoff.replace(tzinfo=UTC)
    n_read = len(log)
    if cutoff is not None:
        log = log.before(cutoff)
    if not len(log):
        raise InputError(
            "There is no interaction to build a graph from"
            + (f": all {n_read:,} lie at or after the cutoff {cutoff}." if n_read else ".")
        )
    if not log.liked.any():
        raise InputError(
            f"None of the {len(log):,} interactions is a like. {log.report.taken.line()} Say what "
            "is one with --positive 'rating>=NUMBER' or --event NAME=WEIGHT."
        )

    _check_tables(log, items, users, encoder=config.encoder)
    numbered = number_log(log, items, users)
    vocabularies = numbered.vocabularies
    data = HeteroData()
    for node_type, vocabulary in vocabularies.items():
        data[node_type].num_nodes = len(vocabulary)
    add_interactions(data, log, numbered)
    del numbered
    add_reverse_edges(data)
    add_item_relations(data, config.to_dict())

    made = {
        "config": config.to_dict(),
        "log": {"digest": log.digest(), "rows": len(log), "report": log.report.to_dict()},
        **provenance(),
    }
    tables: dict[str, pa.Table] = {}
    texts: dict[str, pa.Table] = {}
    aligned = _align(items, vocabularies)
    shared = add_shared(data, aligned, relations=config.relations, periods=config.periods)
    if shared is not None:
        vocabularies[ATTRIBUTE] = shared
    if friends is not None:
        made["friends_left_out"] = add_friends(data, friends, vocabularies[USER])
    if items is not None:
        tables = {domain: _kept_columns(frame) for domain, frame in aligned.items()}
        made |= add_features(data, aligned, config, cache_dir=cache_dir, progress=progress)
        if "modalities" in made:
            texts = {
                domain: pa.table({TEXT: pa.array(frame["text_of"], pa.large_string())})
                for domain, frame in aligned.items()
            }
    if users is not None:
        made |= add_user_features(
            data,
            _user_rows(users, vocabularies[USER]),
            config,
            cache_dir=cache_dir,
            progress=progress,
        )
    former = None
    if topics_from is not None:
        own = {domain: vocabularies[domain] for domain in aligned}
        former = FormerTopics.of(as_graph(topics_from), own)
    topics = add_topics(
        data,
        aligned,
        n_topics=config.topics,
        category_items=config.category_items,
        communities=config.communities,
        former=former,
        seed=config.seed,
        progress=progress,
    )
    if len(topics.vocabulary):
        vocabularies[INTEREST] = topics.vocabulary
    made["topics"] = topics.made
    return InterestGraph(
        data, vocabularies, item_tables=tables, texts=texts, cutoff=cutoff, provenance=made
    )


def in_the_domain_of(
    log: InteractionLog | InterestGraph, items: ItemTable | None
) -> ItemTable | None:
    """Put items that name no domain into that of a log, or graph, that has only one."""
    if items is None or items.domains != [DEFAULT_DOMAIN] or DEFAULT_DOMAIN in log.domains:
        return items
    if len(log.domains) == 1:
        return ItemTable(items.frame.assign(**{DOMAIN: log.domains[0]}))
    raise InputError(
        f"The items name no domain, and the log has {len(log.domains)}: "
        f"{', '.join(log.domains)}. Add a column 'domain', or give a file for each, as DOMAIN=PATH."
    )


def _check_tables(
    log: InteractionLog, items: ItemTable | None, users: UserTable | None, *, encoder: str
) -> None:
    """Count the rows of the tables that the log does not mention; refuse a table of only such."""
    if users is not None:
        ours, theirs = users.frame[USER_ID].unique(), log.users()
        found = found_in(ours, theirs)
        sides: dict[str, Any] = {"ours": ours, "theirs": theirs, "many": 0.5}
        check_join("user", "the user table", found, "the log", **sides)
    if items is None:
        return
    frame, parts = items.frame, {}
    for domain in items.domains:
        ours, theirs = frame.loc[frame[DOMAIN] == domain, ITEM_ID].unique(), log.items(domain)
        parts[domain] = ours, theirs, found_in(ours, theirs)
    found = np.concatenate([part[2] for part in parts.values()])
    if not found.any():
        ours, theirs = (table.frame[ITEM_ID].unique() for table in (items, log))
        missing = sorted(set(items.domains) - set(log.domains))
        of = "the item table" + (f" ({', '.join(missing)})" if missing else "")
        check_join("item", of, found, f"the log of {', '.join(log.domains)}", ours=ours,
                   theirs=theirs)  # fmt: skip
    stray = [domain for domain, (_, theirs, _) in parts.items() if not len(theirs)]
    if stray:
        logger.warning(
            "Items of %s have no interaction in their domain%s.",
            ", ".join(stray),
            "; they are reached by text only" if encoder != "none" else "",
        )
    for domain, (ours, theirs, found) in parts.items():
        if domain in stray:
            continue
        of, where = f"the item table of {domain}", f"the log of {domain}"
        check_join("item", of, found, where, ours=ours, theirs=theirs, many=0.9, refuse=False)
        if found.any():
            check_join(
                "item", where, found_in(theirs, ours), of, ours=theirs, theirs=ours, many=0.5,
                effect="They have no title and no text.",
            )  # fmt: skip


def _align(
    items: ItemTable | None, vocabularies: Mapping[str, Vocabulary]
) -> dict[str, pd.DataFrame]:
    """Return for each domain title, category, text_of and the extra columns, row i being item i.

    "" stands where nothing is known. The index holds the ids.
    """
    domains = [domain for domain in vocabularies if domain != USER]
    if items is None:
        empty = (TITLE, CATEGORY, "text_of")
        return {d: pd.DataFrame("", vocabularies[d].ids, empty) for d in domains}
    frame = items.frame.drop(columns=TEXT).assign(text_of=items.text_of())
    kept = [name for name in frame.columns if name not in (DOMAIN, ITEM_ID)]
    result = {}
    for domain in domains:
        vocabulary = vocabularies[domain]
        own = frame[frame[DOMAIN] == domain]
        position = vocabulary.encode(own[ITEM_ID])
        # Without a title, a text is a better label than an id.
        own = own.assign(**{TITLE: own[TITLE].where(own[TITLE] != "", own["text_of"].str[:LABEL])})
        columns = {}
        for name in kept:
            values = np.full(len(vocabulary), "", dtype=object)
            values[position] = own[name].to_numpy(dtype=object)
            columns[name] = values
        result[domain] = pd.DataFrame(columns, index=vocabulary.ids)
    return result


def _user_rows(users: UserTable, vocabulary: Vocabulary) -> pd.DataFrame:
    """Return the columns of the user table, row i being user i; "" where nothing is known."""
    own = users.frame.drop_duplicates(USER_ID).set_index(USER_ID)
    return own.reindex(vocabulary.ids, fill_value="")


def _kept_columns(frame: pd.DataFrame) -> pa.Table:
    """Return what a graph keeps of the items of a domain: extra columns only if they are filled."""
    extras = [n for n in frame if n not in (TITLE, CATEGORY, "text_of") and (frame[n] != "").any()]
    columns = {
        name: pa.array(frame[name], pa.large_string()) for name in (TITLE, CATEGORY, *extras)
    }
    return pa.table(columns)
