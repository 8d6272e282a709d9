"""The built-in example: a synthetic log of books, films, music and games."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from graphgen.schema import (
    CATEGORY,
    DOMAIN,
    GROUP,
    ITEM_ID,
    SETTING,
    TEXT,
    TIMESTAMP,
    TITLE,
    USER_ID,
)
from graphgen.storage import atomic_directory, package_version, write_json
from graphgen.synthetic.parts import hold_out
from graphgen.synthetic.wording import SYNTHETIC_DOMAINS, compose_items, load_themes
from graphgen.synthetic.world import (
    AGE_GROUPS,
    DAY,
    THEMES_PER_USER,
    Catalogue,
    SynthConfig,
    interact,
    make_catalogue,
    make_drift,
    make_users,
)

__all__ = [
    "START",
    "SynthConfig",
    "SyntheticData",
    "SyntheticTruth",
    "synthesize",
    "write_synthetic",
]

SCHEMA_VERSION: Final = 1
CARD_FILE: Final = Path(__file__).with_name("card.txt")
SPLIT: Final = "split"
SPLITS: Final = ("train", "valid", "test")
SETTINGS: Final = ("train", "warm", "cold_user", "cold_item")
LATE: Final = 0.6  # cold items come out in the last 40 % of the log
HITS: Final = 0.95  # quantile of popularity in a domain above which no item is held out
DRIFT_CARD: Final = """
Planted drift
  {:.0%} of the users replace all their themes at one moment; the others are steady: no theme grows
  with time.
  truth_users.csv   user_id, drift, drift_time, themes and their shares, before and after
  truth_items.csv   item_id, domain, theme
"""
START: Final = np.datetime64("2023-01-01T00:00:00", "s")


@dataclass(frozen=True)
class SyntheticTruth:
    """The planted structure; no method may use it.

    Attributes
    ----------
    themes
        Names, in the order of the columns of `user_taste`.
    user_taste
        float32 ``[n_users, n_themes]``, rows sum to 1: interests of a user in every domain.
        Rows in the order of `SyntheticData.users`.
    item_theme
        int64 ``[n_items]`` in the order of `SyntheticData.items`.
    item_popularity
        float64 ``[n_items]``, sums to 1 within a domain.
    item_released
        int64 ``[n_items]``: seconds since the log began; negative for the older stock.
    drift_at
        datetime64 ``[n_users]``: UTC time at which a user's themes change, NaT for steady users;
        None without planted drift, and so are the others.
    later_taste
        As `user_taste`, from `drift_at` on.
    """

    themes: tuple[str, ...]
    user_taste: np.ndarray
    item_theme: np.ndarray
    item_popularity: np.ndarray
    item_released: np.ndarray
    drift_at: np.ndarray | None = None
    later_taste: np.ndarray | None = None


@dataclass(frozen=True)
class SyntheticData:
    """A synthetic log with its tables and its planted structure.

    Attributes
    ----------
    log
        user_id, domain, item_id, timestamp (UTC), split (train, valid, test) and setting (train,
        warm, cold_user, cold_item), by time.
    items
        item_id, domain, title, text, category.
    users
        user_id, group (an age band; the young are more active).
    truth, config
        The planted structure, and the resolved settings.
    """

    log: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame
    truth: SyntheticTruth
    config: SynthConfig

    def _part(self, split: str) -> pd.DataFrame:
        return self.log[self.log[SPLIT] == split].drop(columns=SPLIT).reset_index(drop=True)

    @property
    def train(self) -> pd.DataFrame:
        """Training rows, without split and setting."""
        return self._part("train").drop(columns=SETTING)

    @property
    def valid(self) -> pd.DataFrame:
        """Validation rows, without split."""
        return self._part("valid")

    @property
    def test(self) -> pd.DataFrame:
        """Test rows, without split."""
        return self._part("test")


def synthesize(
    *, n_users: int = 4000, seed: int = 0, config: SynthConfig | None = None, **settings: Any
) -> SyntheticData:
    """Make the built-in example: users whose interests cross four domains.

    A user likes up to three of 24 themes in every domain, plus a theme of each domain only and one
    that grows with time. Two items of a theme in different domains have similar meaning and hardly
    share a word. The other interactions follow popularity, charts and chance.
    `SynthConfig` holds every number.

    Parameters
    ----------
    n_users, seed
        Number of users, and random seed. Same seed, same result.
    config
        Settings to start from; `n_users` and `seed` are then taken from it.
    **settings
        Further fields of `SynthConfig`.

    Returns
    -------
    SyntheticData
        About 18 interactions a user. 4,000 users take a fifth of a second; time and memory grow
        linearly with the interactions.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range.

    Examples
    --------
    >>> data = synthesize(n_users=200, n_items=400, seed=1)
    >>> data.log.columns.tolist()
    ['user_id', 'domain', 'item_id', 'timestamp', 'split', 'setting']
    >>> data.items["domain"].value_counts(sort=False).to_dict()
    {'book': 100, 'film': 100, 'game': 100, 'music': 100}
    >>> sorted(data.test["setting"].unique())
    ['cold_item', 'cold_user', 'warm']
    """
    if config is None:
        config = SynthConfig.make(n_users=n_users, seed=seed, **settings)
    elif settings:
        config = SynthConfig.make(config.model_dump(), **settings)
    themes = tuple(load_themes())
    # A stream a subject, so that a change to one leaves the others as they were.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(config.seed).spawn(6)]
    prevalence = streams[0].dirichlet(np.full(len(themes), 5.0))
    catalogue = make_catalogue(config, prevalence, streams[0])
    drawn = make_users(config, prevalence, streams[1])
    drift = None
    if config.drift_share is not None:
        drift = make_drift(config, prevalence, drawn, streams[5])
    user, item, time = interact(config, catalogue, drawn, streams[2], drift=drift)
    domain = catalogue.domain[item]
    cold = _may_be_cold(catalogue, config)
    split, setting, keep = hold_out(user, domain, item, config, may_be_cold=cold, rng=streams[3])
    items = _item_table(catalogue, themes, streams[4])
    users = pd.DataFrame(
        {USER_ID: _ids("u", config.n_users), GROUP: _take(AGE_GROUPS, drawn.group)}
    )
    user, item, time = user[keep], item[keep], time[keep]
    log = pd.DataFrame(
        {
            USER_ID: users[USER_ID].array.take(user),
            DOMAIN: _take(SYNTHETIC_DOMAINS, domain[keep]),
            ITEM_ID: items[ITEM_ID].array.take(item),
            TIMESTAMP: pd.Series(START + time).dt.tz_localize("UTC"),
            SPLIT: _take(SPLITS, split[keep]),
            SETTING: _take(SETTINGS, setting[keep]),
        }
    )
    taste = _taste(drawn.themes, drawn.weights, len(themes))
    truth = SyntheticTruth(
        themes=themes,
        user_taste=taste,
        item_theme=catalogue.theme,
        item_popularity=catalogue.popularity,
        item_released=catalogue.released,
    )
    if drift is not None:
        never = drift.at < 0
        later = np.where(never[:, None], taste, _taste(drift.themes, drift.weights, len(themes)))
        drift_at = np.where(never, np.datetime64("NaT"), START + drift.at)
        truth = replace(truth, drift_at=drift_at, later_taste=later)
    return SyntheticData(log=log, items=items, users=users, truth=truth, config=config)


def _taste(themes: np.ndarray, weights: np.ndarray, n_themes: int) -> np.ndarray:
    taste = np.zeros((len(themes), n_themes), dtype=np.float32)
    np.put_along_axis(taste, themes, weights.astype(np.float32), axis=1)
    return taste


def _may_be_cold(catalogue: Catalogue, config: SynthConfig) -> np.ndarray:
    """Return which items came out late and are no hit: no single one decides a setting."""
    popularity = pd.Series(catalogue.popularity)
    limit = popularity.groupby(catalogue.domain).transform("quantile", HITS)
    return (catalogue.released > LATE * config.days * DAY) & (popularity <= limit).to_numpy()


def _take(names: tuple[str, ...], codes: np.ndarray) -> Any:
    return pd.array(list(names), dtype="str").take(codes)


def _ids(prefix: str, n: int) -> Any:
    numbers = pd.Series(np.arange(1, n + 1)).astype("str")
    return prefix + numbers.str.zfill(max(4, len(str(n))))


def _item_table(
    catalogue: Catalogue, themes: tuple[str, ...], rng: np.random.Generator
) -> pd.DataFrame:
    names = np.asarray(themes)[catalogue.theme]
    tables = []
    for code, domain in enumerate(SYNTHETIC_DOMAINS):
        columns = compose_items(domain, names[catalogue.domain == code].tolist(), rng)
        table = pd.DataFrame(dict(zip((TITLE, TEXT, CATEGORY), columns, strict=True)))
        table.insert(0, ITEM_ID, _ids(f"{domain}-", len(table)))
        table.insert(1, DOMAIN, domain)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def write_synthetic(
    out: str | Path,
    *,
    n_users: int = 4000,
    seed: int = 0,
    overwrite: bool = False,
    made_from: str = "",
    **settings: Any,
) -> SyntheticData:
    """Write the built-in example as CSV files with a card.

    Parameters
    ----------
    out
        Folder to write: train.csv, valid.csv, test.csv, items.csv, users.csv, README.txt and
        synth.json; with `drift_share`, also the planted structure as truth_users.csv and
        truth_items.csv. It appears whole or not at all.
    n_users, seed, **settings
        See `synthesize`. Same settings and same version, same bytes.
    overwrite, made_from
        As in `graphgen.storage.atomic_directory`.

    Returns
    -------
    SyntheticData

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range.
    StorageError
        If `out` exists and is a file or a folder with other content.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data = write_synthetic(Path(folder) / "example", n_users=100, n_items=400)
    ...     sorted(path.name for path in (Path(folder) / "example").iterdir())
    ['README.txt', 'items.csv', 'synth.json', 'test.csv', 'train.csv', 'users.csv', 'valid.csv']
    """
    data = synthesize(n_users=n_users, seed=seed, **settings)
    config = data.config
    tables = {name: getattr(data, name) for name in (*SPLITS, "items", "users")}
    counts = {name: len(table) for name, table in tables.items()}
    overlap = 1 - config.domain_counts[0] / sum(config.domain_counts)
    options: Any = {"kind": "synthetic log", "overwrite": overwrite, "made_from": made_from}
    with atomic_directory(out, **options) as folder:
        for name, table in tables.items():
            _write_csv(table, folder / f"{name}.csv")
        card = CARD_FILE.read_text(encoding="utf-8")
        card = card.format(**config.model_dump(), **counts, overlap=overlap)
        settings = config.to_dict()
        if config.drift_share is None:
            for name in ("drift_share", "drift_kind", "drift_start"):
                del settings[name]
        else:
            card += DRIFT_CARD.format(config.drift_share)
            for name, table in _truth_tables(data).items():
                table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        (folder / "README.txt").write_text(card, encoding="utf-8")
        made = {"interest_version": package_version(), "config": settings}
        write_json(folder / "synth.json", {**made, "rows": counts}, schema_version=SCHEMA_VERSION)
    return data


def _truth_tables(data: SyntheticData) -> dict[str, pd.DataFrame]:
    """Return the planted structure, as it is written."""
    truth, themes = data.truth, np.asarray(data.truth.themes)
    users = data.users[[USER_ID]].copy()
    users["drift"] = ~pd.isna(truth.drift_at)
    moment = pd.Series(truth.drift_at).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    users["drift_time"] = moment.fillna("")
    later = truth.user_taste if truth.later_taste is None else truth.later_taste
    for suffix, taste in (("", truth.user_taste), ("_after", later)):
        order = np.argsort(-taste, axis=1, kind="stable")[:, :THEMES_PER_USER]
        share = np.take_along_axis(taste, order, axis=1)
        users[f"themes{suffix}"] = ["|".join(row) for row in themes[order]]
        users[f"shares{suffix}"] = ["|".join(f"{s:.4f}" for s in row) for row in share]
    items = data.items[[ITEM_ID, DOMAIN]].assign(theme=themes[truth.item_theme])
    return {"truth_users": users, "truth_items": items}


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    if TEXT in table:
        table.to_csv(path, index=False, lineterminator="\n")
        return
    # Ids and times need no quotes, and there may be millions of rows: Arrow is ten times faster.
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    if TIMESTAMP in table:
        column = arrow.column_names.index(TIMESTAMP)
        text = pc.strftime(arrow[TIMESTAMP].cast(pa.timestamp("s")), format="%Y-%m-%dT%H:%M:%SZ")
        arrow = arrow.set_column(column, TIMESTAMP, text)
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as file:
        file.write((",".join(arrow.column_names) + "\n").encode())
        pa.csv.write_csv(arrow, file, options)
