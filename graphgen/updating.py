"""A graph and what came since: the same graph as built from all of it, without reading it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from graphgen.build import BuildConfig, build_graph, in_the_domain_of
from graphgen.errors import ConfigError, InputError
from graphgen.graph import InterestGraph, as_graph
from graphgen.log import InteractionLog
from graphgen.log_files import read_log
from graphgen.meaning import Taken, taken_in
from graphgen.reading.cleaning import Codes, coded_series, to_codes
from graphgen.reading.report import ReadReport
from graphgen.schema import (
    DOMAIN,
    INTERACTS,
    ITEM_ID,
    POSITION,
    REJECTS,
    TEXT,
    TIMESTAMP,
    USER,
    USER_ID,
    WEIGHT,
)
from graphgen.tables import ItemTable, UserTable, read_items, read_users

__all__ = ["former_items", "former_log", "former_users", "update_graph"]


def update_graph(
    graph: InterestGraph | str | Path,
    *sources: Any,
    items: ItemTable | pd.DataFrame | None = None,
    users: UserTable | pd.DataFrame | None = None,
    cache_dir: str | Path | None = None,
    progress: bool = False,
    reading: Mapping[str, Any] | None = None,
    **settings: Any,
) -> InterestGraph:
    """Build the graph of the interactions of a graph and of later ones.

    It equals, but for its provenance, the graph that `build_graph` makes of all rows, the former
    ones first, with the same rules and settings. Former rows are neither read nor checked again,
    and of texts only new ones are encoded.

    Parameters
    ----------
    graph
        The earlier graph, or its folder.
    *sources
        New interactions, as for `graphgen.log_files.read_log`.
    items
        New items. What it says of former ones replaces what the graph knows of them.
    users
        New users without interactions.
    cache_dir, progress
        As in `build_graph`.
    reading
        Options of `graphgen.log_files.read_log` for the sources: `columns`, `all_later` and others.
    **settings
        Fields of `BuildConfig` that differ from those of the graph.

    Raises
    ------
    ConfigError
        If the graph is a k-core.
    InputError
        If texts are missing (of users, or in a graph that keeps no texts of items), or events that
        add up are older than those in the graph and not `all_later`.

    Examples
    --------
    >>> first = pd.DataFrame({"user_id": ["ann", "bob"], "item_id": ["dune", "emma"]})
    >>> later = pd.DataFrame({"user_id": ["ann"], "item_id": ["ulysses"]})
    >>> update_graph(build_graph(first, encoder="none"), later)
    InterestGraph(2 users, 3 items in 1 domain, 3 edges, 0-d features)
    """
    graph = as_graph(graph)
    log = read_log(
        *sources,
        as_in=taken_in(graph.provenance),
        earlier=former_log(graph),
        progress=progress,
        **(reading or {}),
    )
    items = items if isinstance(items, ItemTable | None) else read_items(items)
    users = users if isinstance(users, UserTable | None) else read_users(users)
    return build_graph(
        log,
        former_items(graph, items),
        former_users(graph, users),
        config=BuildConfig.make(graph.provenance.get("config"), **settings),
        cache_dir=cache_dir,
        progress=progress,
    )


def former_log(graph: InterestGraph) -> InteractionLog:
    """Return the interactions of a graph as a log, without extra columns; O(edges).

    Raises
    ------
    ConfigError
        If interactions were left out as a k-core, which new ones could bring back.
    """
    report = graph.provenance.get("log", {}).get("report", {})
    if report.get("k_core_dropped"):
        raise ConfigError(
            "A graph of a k-core cannot be updated: it lacks the interactions of users and items "
            "that new ones would bring into the core. Build it again from all files."
        )
    order = graph.order
    arrays = [graph.vocabularies[domain].array for domain in graph.domains]
    distinct = to_codes(pa.chunked_array(arrays))
    starts = np.cumsum([0, *map(len, arrays)])
    parts: dict[str, list[np.ndarray]] = {n: [] for n in (USER, DOMAIN, ITEM_ID, WEIGHT, "order")}
    for relation in (INTERACTS, REJECTS):
        for number, domain in enumerate(graph.domains):
            if (USER, relation, domain) not in graph.data.edge_types:
                continue
            store = graph.data[USER, relation, domain]
            user, item = store.edge_index.numpy()
            parts[USER].append(user.astype(np.int32))
            parts[DOMAIN].append(np.full(len(user), number))
            parts[ITEM_ID].append(distinct.codes[starts[number] + item])
            parts[WEIGHT].append(store.weight.numpy())
            if order is not None:
                if order not in store:
                    raise InputError(
                        "The graph does not say when items were rejected: an older version of "
                        "interest built it. Build it again from all files."
                    )
                parts["order"].append(store[order].numpy())
    whole = {name: np.concatenate(part) for name, part in parts.items() if part}
    frame: dict[str, Any] = {
        USER_ID: coded_series(Codes(whole[USER], graph.vocabularies[USER].array)),
        DOMAIN: pd.Categorical.from_codes(
            whole[DOMAIN], pd.Index(graph.domains, dtype="str")
        ).remove_unused_categories(),
        ITEM_ID: coded_series(Codes(whole[ITEM_ID], distinct.values)),
    }
    if order == "time":
        times = pd.Series(whole["order"].view("datetime64[ms]"))
        frame[TIMESTAMP] = times.dt.tz_localize("UTC")
    elif order is not None:
        frame[POSITION] = whole["order"]
    frame[WEIGHT] = whole[WEIGHT]
    return InteractionLog.of_clean(pd.DataFrame(frame), _report(report))


def _report(saved: dict[str, Any]) -> ReadReport:
    """Return the report of a graph's log from its provenance."""
    taken = {**saved.get("taken", {})}
    for name in ("rows", "separate"):
        taken[name] = tuple(taken.get(name, ()))
    lists = {name: tuple(saved.get(name, ())) for name in ("sources", "columns")}
    return ReadReport(**{**saved, **lists, "taken": Taken(**taken)})


def former_items(graph: InterestGraph, items: ItemTable | None) -> ItemTable | None:
    """Return a table of the items of a graph and of `items`.

    Raises
    ------
    InputError
        If the graph has text features and no texts, and an item with text is not among `items`.
    """
    items = in_the_domain_of(graph, items)
    if not graph.item_tables:
        return items
    known = pd.concat(
        table.to_pandas().assign(
            **{DOMAIN: domain, ITEM_ID: graph.vocabularies[domain].ids},
            **{name: graph.texts[domain][name].to_pandas() for name in (TEXT,) if graph.texts},
        )
        for domain, table in graph.item_tables.items()
    )
    former = ItemTable(known.fillna(""))
    if not graph.feature_dim:
        return former if items is None else _joined(former, items)
    if graph.texts:
        return former if items is None else _joined(items, former)
    described = former.frame[[DOMAIN, ITEM_ID]][(former.text_of() != "").to_numpy()]
    missing = pd.MultiIndex.from_frame(described)
    if items is not None:
        missing = missing.difference(pd.MultiIndex.from_frame(items.frame[[DOMAIN, ITEM_ID]]))
    if len(missing):
        domain, item = missing[0]
        raise InputError(
            f"The texts of {len(missing):,} items of the graph are not given, such as that of "
            f"{item!r} ({domain}). The graph is from an older version, which kept no texts: name "
            "the item tables of all items with --items (items= in Python); only new texts are "
            "encoded."
        )
    return former if items is None else _joined(items, former)


def _joined(first: ItemTable, second: ItemTable) -> ItemTable:
    """Return the items of both, by the first that says anything."""
    return ItemTable(pd.concat([first.frame, second.frame], ignore_index=True).fillna(""))


def former_users(graph: InterestGraph, users: UserTable | None) -> UserTable:
    """Return a table of the users of a graph and of `users`.

    Raises
    ------
    InputError
        If the graph has text features of users, and `users` lacks one who has.
    """
    if "x" in graph.data[USER]:
        ids = graph.vocabularies[USER].ids[graph.data[USER].x.abs().sum(1).numpy() > 0]
        missing = np.setdiff1d(ids, [] if users is None else users.frame[USER_ID].to_numpy(object))
        if len(missing):
            raise InputError(
                f"The texts of {len(missing):,} users of the graph are not given, such as those of "
                f"{missing[0]!r}. A graph holds no texts of users: name the tables of all users "
                "with --users (users= in Python)."
            )
    known = pd.DataFrame({USER_ID: graph.vocabularies[USER].ids})
    frames = [known] if users is None else [known, users.frame]
    return UserTable(pd.concat(frames, ignore_index=True).fillna(""))
