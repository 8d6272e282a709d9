"""The card of a split: its content, the rows left out, and the leak checks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from eval.splits.base import Split
from eval.splits.duplicate_items import find_twins
from graphgen.errors import counted
from graphgen.log import InteractionLog
from graphgen.reading.frames import write_rows
from graphgen.schema import DOMAIN, ITEM_ID, SETTING, TIMESTAMP, USER_ID
from graphgen.storage import atomic_directory, provenance, write_json

__all__ = ["LeakCheck", "leak_checks", "split_card", "write_split"]

# Pairs of domains, and of twins, listed in card.txt; card.json and twins.csv have all.
SHOWN_PAIRS = 12
SCHEMA_VERSION: Final = 1
CARD = "card.json"
PAIR = [USER_ID, DOMAIN, ITEM_ID]


class LeakCheck(NamedTuple):
    """One thing that must not have happened, and the count behind the verdict.

    `passed` is None where the protocol does not promise it.
    """

    name: str
    passed: bool | None
    detail: str


def leak_checks(split: Split) -> list[LeakCheck]:
    """Check for leaks of held-out rows; every check is made from the parts.

    In order: pair in two parts, later edge in an earlier part, cold user with target history, cold
    item with training interactions, twin items.

    Examples
    --------
    >>> import pandas as pd
    >>> from eval.splits.holdout import random_split
    >>> log = InteractionLog(pd.DataFrame({
    ...     "user_id": ["u"] * 10, "domain": "d", "item_id": list("abcdefghij")}))
    >>> leak_checks(random_split(log))[0]
    LeakCheck(name='no pair in two parts', passed=True, detail='0 pairs')
    """
    return [
        _no_pair_twice(split),
        _no_later_edge(split),
        _none_in_training(
            split,
            "no cold user with target history",
            "cold (user, domain)",
            [USER_ID, DOMAIN],
            settings=["cold_user", "new_user"],
            protocol="cold-user",
        ),
        _none_in_training(
            split,
            "no cold item with training interactions",
            "cold items",
            [DOMAIN, ITEM_ID],
            settings=["cold_item"],
            protocol="cold-item",
        ),
        _no_twins(split),
    ]


def _index(frame: pd.DataFrame, columns: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[columns].astype(str).drop_duplicates())


def _no_pair_twice(split: Split) -> LeakCheck:
    indices = [_index(part.frame, PAIR) for part in split.parts.values()]
    shared = sum(int(a.isin(b).sum()) for a, b in combinations(indices, 2))
    return LeakCheck("no pair in two parts", shared == 0, f"{shared} pairs")


def _no_later_edge(split: Split) -> LeakCheck:
    name = "no later edge in an earlier part"
    of_others = "hold later events of other users"
    if not split.train.has_time:
        return LeakCheck(name, None, f"no timestamps: training rows may {of_others}")
    times = [part.frame[TIMESTAMP] for part in split.parts.values() if len(part)]
    later = sum(int((a >= b.min()).sum()) for a, b in pairwise(times))
    if split.cutoff is not None:
        later += int((split.train.frame[TIMESTAMP] >= pd.Timestamp(split.cutoff)).sum())
        return LeakCheck(name, later == 0, f"{later} edges; train ends before {split.cutoff}")
    return LeakCheck(name, None, f"{later} edges: parts {of_others}; prefer --protocol temporal")


def _none_in_training(
    split: Split, name: str, what: str, key: list[str], *, settings: list[str], protocol: str
) -> LeakCheck:
    """Look for held-out users or items in training: all of `protocol`, else those of `settings`."""
    history = _index(split.train.frame, key)
    found = cold = 0
    for part in (split.valid, split.test):
        every = split.protocol == protocol
        rows = part.frame if every else part.frame[part.frame[SETTING].isin(settings)]
        held_out = _index(rows, key)
        cold += len(held_out)
        found += int(held_out.isin(history).sum())
    return LeakCheck(name, found == 0, f"{found} of {cold} {what}")


def _no_twins(split: Split) -> LeakCheck:
    n = len(find_twins(split.whole))
    remedy = "; drop or merge them (twins='drop', --drop-twins)" if n else ""
    return LeakCheck("no twin items", n == 0, f"{n} pairs{remedy}")


def split_card(split: Split) -> dict[str, Any]:
    """Return everything a reader of a split must know, as plain JSON types."""
    return {
        "protocol": split.protocol,
        "settings": split.settings,
        "cutoff": split.cutoff.isoformat() if split.cutoff else None,
        "parts": {name: _counts(part) for name, part in split.parts.items()},
        "overlap": _overlap(split.whole),
        "held_out": {
            name: {str(k): int(v) for k, v in part.frame[SETTING].value_counts().items()}
            for name, part in split.parts.items()
            if SETTING in part.frame
        },
        "tables": {name: len(table) for name, table in split.tables.items()},
        "dropped": {reason: n for reason, n in split.dropped.items() if n},
        "checks": [check._asdict() for check in leak_checks(split)],
        "twins": split.twins.to_dict("records"),
        "digests": {name: part.digest() for name, part in split.parts.items() if len(part)},
        "provenance": provenance(),
    }


def _counts(log: InteractionLog) -> dict[str, Any]:
    by_domain = log.frame.groupby(log.frame[DOMAIN].astype(str)).agg(
        interactions=(ITEM_ID, "size"), users=(USER_ID, "nunique"), items=(ITEM_ID, "nunique")
    )
    total = {"interactions": len(log), "users": log.n_users, "items": log.n_items}
    total["seen_or_disliked"] = int((~log.liked).sum())
    return {**total, "domains": by_domain.to_dict("index")}


def _overlap(log: InteractionLog) -> dict[str, dict[str, int]]:
    """Count the users that each two domains share."""
    present = pd.crosstab(log.frame[USER_ID], log.frame[DOMAIN].astype(str)).clip(upper=1)
    return (present.T @ present).to_dict()


def card_text(card: dict[str, Any]) -> str:
    """Write a card out for reading."""
    lines = [f"Split by the protocol {card['protocol']!r}", ""]
    lines += [f"  {name}: {value}" for name, value in card["settings"].items()]
    if card["cutoff"]:
        lines.append(f"  cutoff: train holds only interactions before {card['cutoff']}")
    lines += ["", "Parts"]
    for name, part in card["parts"].items():
        lines.append(
            f"  {name:<6} {part['interactions']:>10,} interactions {part['users']:>9,} users "
            f"{part['items']:>9,} items"
            + (f"; {part['seen_or_disliked']:,} seen or disliked" * bool(part["seen_or_disliked"]))
        )
        if len(part["domains"]) > 1:
            lines += [
                f"    {domain:<16} {n['interactions']:>10,} {n['users']:>9,} {n['items']:>9,}"
                for domain, n in part["domains"].items()
            ]
    lines += ["", "Held-out rows by setting"]
    lines += [
        f"  {name:<6} " + (", ".join(f"{s} {n:,}" for s, n in counts.items()) or "none")
        for name, counts in card["held_out"].items()
    ]
    lines += [f"  {name}.csv: {counted(n, 'row')}" for name, n in card["tables"].items()]
    domains = list(card["overlap"])
    if len(domains) > 1:
        lines += ["", "Users shared by two domains"]
        pairs = sorted(
            ((card["overlap"][a][b], a, b) for a, b in combinations(domains, 2)), reverse=True
        )
        shared = [(n, a, b) for n, a, b in pairs if n]
        lines += [f"  {a} and {b}: {n:,}" for n, a, b in shared[:SHOWN_PAIRS]] or ["  none"]
        if len(shared) > SHOWN_PAIRS:
            lines.append(f"  and {len(shared) - SHOWN_PAIRS:,} smaller ones, in card.json")
    lines += ["", "Dropped"]
    dropped = [f"  {counted(n, 'row')}: {reason}" for reason, n in card["dropped"].items()]
    lines += dropped or ["  nothing"]
    lines += _twin_lines(card)
    lines += ["", "Leak checks"]
    for check in card["checks"]:
        verdict = {True: "passed", False: "FAILED", None: "not promised"}[check["passed"]]
        lines.append(f"  {verdict:<13}{check['name']} ({check['detail']})")
    return "\n".join(lines) + "\n"


def _twin_lines(card: dict[str, Any]) -> list[str]:
    twins = card["twins"]
    if not twins:
        return []
    done = {"keep": "kept", "drop": "the second dropped", "merge": "merged into the first"}
    pairs = counted(len(twins), "pair")
    lines = ["", f"Twin items: {pairs} found, {done[card['settings']['twins']]}"]
    lines += [
        f"  {t['domain']}/{t['item_id']} ({counted(t['users'], 'user')}) and {t['twin_domain']}/"
        f"{t['twin_item_id']} ({t['twin_users']:,}): {t['shared']:,} shared, "
        f"Jaccard {t['jaccard']:.2f}"
        for t in twins[:SHOWN_PAIRS]
    ]
    if len(twins) > SHOWN_PAIRS:
        lines.append(f"  and {len(twins) - SHOWN_PAIRS:,} less alike, in twins.csv")
    return lines


def write_split(
    splits: Split | Sequence[Split],
    path: str | Path,
    *,
    overwrite: bool = False,
    made_from: str = "",
) -> Path:
    """Write train.csv, valid.csv, test.csv and the card; several folds in folders of their own.

    With one split the folder holds the three files, ``twins.csv`` (where there are any), the
    split's ``tables``, ``card.json`` and ``card.txt``; with several, ``fold-1`` and so on with
    these. For `overwrite` and `made_from` see `graphgen.storage.atomic_directory`, which raises
    `StorageError`.
    """
    several = [splits] if isinstance(splits, Split) else list(splits)
    with atomic_directory(path, kind="split", overwrite=overwrite, made_from=made_from) as folder:
        if len(several) == 1:
            _write_one(several[0], folder)
            return Path(path)
        names = [f"fold-{number}" for number in range(1, len(several) + 1)]
        parts = []
        for name, split in zip(names, several, strict=True):
            (folder / name).mkdir()
            parts.append(_write_one(split, folder / name)["parts"])
        content = {"protocol": several[0].protocol, "folds": names, "parts": parts}
        write_json(folder / CARD, content, schema_version=SCHEMA_VERSION)
    return Path(path)


def _write_one(split: Split, folder: Path) -> dict[str, Any]:
    for name, part in split.parts.items():
        write_rows(part.frame, folder / f"{name}.csv")
    for name, table in split.tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    if len(split.twins):
        split.twins.to_csv(folder / "twins.csv", index=False)
    card = split_card(split)
    (folder / "card.txt").write_text(card_text(card), encoding="utf-8")
    write_json(folder / CARD, card, schema_version=SCHEMA_VERSION)
    return card
