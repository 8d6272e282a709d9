"""Reasons measured: what becomes of a recommended item when its reasons are taken away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.benchmarks.reason_orders import NETWORK, ORDERS, OURS, SEEDED, TOP, Case
from eval.comparison.significance import holm, paired_test
from eval.reports.tables import markdown_table
from gnn.base import Model
from gnn.registry import make_model
from graphgen.build import build_graph
from graphgen.errors import ConfigError, near_miss
from graphgen.progress import progress_bar

__all__ = ["Reasons", "measure_planted", "measure_reasons"]

# Steps in which a history is taken away, as in the code of CFExpRec (Nguyen et al., "From top-1 to
# top-K", SIGIR 2026).
STEPS = 10
# Users whose reasons are made again with other seeds.
AGAIN: Final = 100
# Of the planted log: users to learn from, books that lead to a film, how often, and other items.
LEARNED, PAIRS, FOLLOWS, OTHERS = 1500, 60, 0.8, 200
METRICS: Final = ("deletion_auc", "pos_p", "neg_p")


@dataclass(frozen=True)
class Reasons:
    """Faithfulness of orders of interactions.

    Attributes
    ----------
    per_user
        user, method, deletion_auc, pos_p, neg_p, milliseconds (of one core) and, where the log was
        planted, found: whether the planted interaction is first.
    again
        By method, the share of reasons whose first interaction is the same with another seed.
    """

    per_user: pd.DataFrame
    again: dict[str, float]

    def table(self) -> pd.DataFrame:
        """Return means by method with 95 % intervals, and p values of the differences from ours.

        The p values are those of `paired_test`, corrected by Holm's rule for their number.
        """
        columns = [name for name in (*METRICS, "found") if name in self.per_user]
        values = {
            name: part[columns].to_numpy(float)
            for name, part in self.per_user.groupby("method", sort=False)
        }
        users = np.arange(len(next(iter(values.values()))))
        rows, p_values = [], []
        for name, part in values.items():
            mean = paired_test(part, np.zeros_like(part), users)
            row: dict[str, Any] = {"method": name}
            for place, column in enumerate(columns):
                row[column] = mean.difference[place]
                row[f"{column}_low"], row[f"{column}_high"] = mean.low[place], mean.high[place]
            rows.append(row)
            other = paired_test(part, values[OURS], users)
            p_values.append(other.p_value if name != OURS else np.full(len(columns), np.nan))
        table = pd.DataFrame(rows)
        for place, column in enumerate(columns):
            table[f"{column}_p"] = holm(np.array(p_values)[:, place])
        times = self.per_user.groupby("method", sort=False)["milliseconds"].mean()
        table["milliseconds"] = times[table["method"]].to_numpy()
        table["same_first"] = [self.again.get(name, 1.0) for name in table["method"]]
        return table

    def to_markdown(self) -> str:
        """Return the table as Markdown; † is not significantly different from ours."""
        table = self.table()
        columns = [name for name in (*METRICS, "found") if name in table]
        rows = []
        for row in table.to_dict("records"):
            cells = [
                f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
                + (" †" if row[f"{name}_p"] >= 0.05 else "")
                for name in columns
            ]
            rest = [f"{row['milliseconds']:.1f}", f"{row['same_first']:.2f}"]
            rows.append([row["method"], *cells, *rest])
        return markdown_table(["method", *columns, "ms", "same first"], rows)


def measure_reasons(
    model: Model,
    *,
    users: int = 500,
    methods: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Reasons:
    """Take the histories of users away in several orders, and see what becomes of an item.

    The item is one of the user's first 5 in a random domain. In 10 steps the interactions are taken
    away, the most important first: ``deletion_auc`` is the mean of the score that is left, as a
    share of the whole, and ``pos_p`` that of the steps in which the item is still among the first 5
    (lower is better). For ``neg_p`` the least important go first (higher is better).

    Parameters
    ----------
    model
        A fitted model that scores users by their histories.
    users
        Number of users with two interactions or more, drawn at random.
    methods
        Names in `ORDERS`; None for all that the model allows.
    seed
        Of users, items and methods.
    progress
        Show a progress bar.
    """
    generator = np.random.default_rng(seed)
    known = np.flatnonzero(np.diff(model.data.matrix.indptr) > 1)
    cases = []
    for row in generator.choice(known, min(users, len(known)), replace=False):
        user = model.data.batch(np.array([row]))
        domain = str(generator.choice(model.domains))
        seen = user.seen_cells(model.data.span(domain))[1]
        scores = model.score_batch(user, domain)[0]
        scores[seen] = -np.inf
        first = np.argsort(-scores, kind="stable")[:TOP]
        cases.append(Case(model, user, domain, int(generator.choice(first)), seed, seen))
    return measured(cases, methods, progress=progress)


def measure_planted(
    model: str = "interest-gnn",
    *,
    users: int = 200,
    methods: Sequence[str] | None = None,
    seed: int = 0,
    progress: bool = False,
    **settings: Any,
) -> Reasons:
    """Explain recommendations whose cause is known: how often does it come first?

    In a made-up log of books and films each of 60 books leads to a film: users who take the book
    take the film with a probability of 0.8, and nobody else does, beside random items by
    popularity. The last `users` have one of these books among 7 interactions and not yet the film,
    which is explained.

    Parameters
    ----------
    model, **settings
        Name and settings of a model that is fitted on the log.
    users, methods, seed, progress
        As in `measure_reasons`.
    """
    log, planted = planted_log(users, seed)
    graph = build_graph(log, encoder="none", topics=0)
    fitted = make_model(model, **settings).fit(graph, seed=seed, progress=progress)
    data, cases, causes = fitted.data, [], []
    for row in planted.itertuples():
        user = data.batch(data.users.encode([row.user_id]))
        seen = user.seen_cells(data.span("film"))[1]
        place = int(data.items["film"].encode([row.film])[0])
        cases.append(Case(fitted, user, "film", place, seed, seen))
        causes.append(data.span("book").start + int(data.items["book"].encode([row.book])[0]))
    return measured(cases, methods, causes, progress=progress)


def planted_log(users: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the log of `measure_planted`, and user_id, book and film of the users to explain."""
    generator = np.random.default_rng(seed)
    popular = 1 / (np.arange(OTHERS) + 5.0)
    rows, planted = [], []
    for number in range(LEARNED + users):
        name, asked = f"u{number:04d}", number >= LEARNED
        pairs = generator.choice(PAIRS, 1 if asked else 2, replace=False)
        rows += [(name, "book", f"cause {pair:02d}") for pair in pairs]
        if asked:
            planted.append((name, f"cause {pairs[0]:02d}", f"effect {pairs[0]:02d}"))
        else:
            follows = pairs[generator.random(len(pairs)) < FOLLOWS]
            rows += [(name, "film", f"effect {pair:02d}") for pair in follows]
        others = generator.choice(OTHERS, 6, replace=False, p=popular / popular.sum())
        rows += [(name, "film" if item % 2 else "book", f"other {item:03d}") for item in others]
    return (
        pd.DataFrame(rows, columns=["user_id", "domain", "item_id"]),
        pd.DataFrame(planted, columns=["user_id", "book", "film"]),
    )


def measured(
    cases: Sequence[Case],
    methods: Sequence[str] | None = None,
    causes: Sequence[int] | None = None,
    *,
    progress: bool = False,
) -> Reasons:
    """Measure the methods on cases; `causes` are the planted interactions in the joint index."""
    model = cases[0].model
    names = [OURS, *(name for name in methods or ORDERS if name != OURS)]
    for name in names:
        if name not in ORDERS:
            raise ConfigError(
                f"There is no method {name!r}; " + near_miss(name, ORDERS, ", ".join(ORDERS))
            )
    if methods is None:
        lacks = [] if getattr(model, "vectors_", None) else [*NETWORK]
        lacks += ["most similar"] if model.item_vectors() is None else []
        names = [name for name in names if name not in lacks]
    rows: list[dict[str, Any]] = []
    same: dict[str, list[bool]] = {name: [] for name in names if name in SEEDED}
    with progress_bar("Measuring reasons", len(cases), enabled=progress) as advance:
        for number, case in enumerate(cases):
            whole = float(case.value(np.ones((1, case.n), bool))[0])
            for name in names:
                started = time.process_time()
                order = np.argsort(-ORDERS[name](case), kind="stable")
                spent = 1000 * (time.process_time() - started)
                row = {"user": number, "method": name, **_deletion(case, order, whole)}
                row["milliseconds"] = spent
                if causes is not None:
                    first = case.user.history.indices[order[0]]
                    row["found"] = float(first == causes[number])
                rows.append(row)
                if name in same and number < AGAIN:
                    other = ORDERS[name](
                        Case(model, case.user, case.domain, case.place, case.seed + 1, case.seen)
                    )
                    same[name].append(bool(np.argmax(other) == order[0]))
            advance(1)
    return Reasons(pd.DataFrame(rows), {name: float(np.mean(hit)) for name, hit in same.items()})


def _deletion(case: Case, order: np.ndarray, whole: float) -> dict[str, float]:
    sizes = np.full(STEPS, case.n // STEPS)
    sizes[: case.n % STEPS] += 1
    gone = np.cumsum(sizes)[:, None]
    rank = np.argsort(order)
    masks = np.vstack([rank >= gone, rank < case.n - gone])
    kept = case.kept(masks)
    left = case.value(masks[:STEPS]).mean() / (whole or 1.0)
    return dict(zip(METRICS, (left, kept[:STEPS].mean(), kept[STEPS:].mean()), strict=True))
