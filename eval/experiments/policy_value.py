"""The value of policies of a model, from a log of recommendations with propensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.evaluation.result import records
from eval.offpolicy.estimators import Shown, estimate
from eval.reports.tables import markdown_table
from gnn.base import Model
from gnn.interests.reranking import relative_scores
from gnn.live.exploration import Explorer, Question, questions
from graphgen.errors import InputError, counted
from graphgen.log import InteractionLog
from graphgen.progress import progress_bar
from graphgen.schema import DOMAIN, PROPENSITY, RANK, REWARD, USER_ID
from graphgen.storage import atomic_directory, provenance, write_json

__all__ = ["PolicyValues", "policy_values"]

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class PolicyValues:
    """Values of policies.

    Attributes
    ----------
    table
        A row for each policy and estimator: policy, then the columns of
        `eval.offpolicy.estimators.estimate`. The unit is the mean reward of a shown item.
    meta
        Diagnostics by policy, notes, settings, provenance.
    """

    table: pd.DataFrame
    meta: dict[str, Any] = field(default_factory=dict)

    def to_markdown(self) -> str:
        """Return the values as text and tables."""
        header = ["policy", "estimator", "value", "95 % interval", "gain", "95 % interval"]
        rows = [
            [
                row["policy"], row["estimator"], f"{row['value']:.4g}",
                f"[{row['low']:.4g}, {row['high']:.4g}]", f"{row['gain']:+.4g}",
                f"[{row['gain_low']:+.4g}, {row['gain_high']:+.4g}]",
            ]
            for row in self.table.to_dict("records")
        ]  # fmt: skip
        lines = [
            "# Off-policy evaluation",
            "Mean reward of a shown item under each policy, estimated from the log; the gain is "
            "over the logged policy. Intervals are over users.",
            markdown_table(header, rows),
        ]
        facts = [
            [
                name, f"{of['rows']:,}", f"{of['users']:,}", f"{of['effective_rows']:,.0f}",
                f"{of['mean_weight']:.3f} "
                f"[{of['mean_weight_low']:.3f}, {of['mean_weight_high']:.3f}]",
                f"{of['largest_weight']:.3g}",
            ]
            for name, of in self.meta["policies"].items()
        ]  # fmt: skip
        header = ["policy", "rows", "users", "effective rows", "mean weight", "largest weight"]
        lines.append(markdown_table(header, facts))
        warnings = [
            f"- {name}: {text}"
            for name, of in self.meta["policies"].items()
            for text in of["warnings"]
        ]
        lines += ["\n".join([*warnings, *(f"- {note}" for note in self.meta["notes"])])]
        return "\n\n".join(part for part in lines if part) + "\n"

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write ``offpolicy.json``, ``offpolicy.csv`` and ``report.md``; the folder appears whole.

        For the parameters see `graphgen.storage.atomic_directory`.
        """
        with atomic_directory(
            path, kind="off-policy evaluation", overwrite=overwrite, made_from=made_from
        ) as folder:
            self.table.to_csv(folder / "offpolicy.csv", index=False)
            (folder / "report.md").write_text(self.to_markdown(), encoding="utf-8")
            content = {"table": records(self.table), "meta": self.meta}
            write_json(folder / "offpolicy.json", content, schema_version=SCHEMA_VERSION)
        return Path(path)


def policy_values(
    shown: pd.DataFrame,
    model: Model,
    policies: Sequence[str],
    *,
    history: InteractionLog | None = None,
    learn_from: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
    clip: float | None = None,
    bootstrap: int = 2000,
    seed: int = 0,
    progress: bool = False,
) -> PolicyValues:
    """Estimate the mean reward that policies of a model would have had on a log.

    Parameters
    ----------
    shown
        Shown items with their rewards, as of `graphgen.rewards.with_rewards`.
    model
        The model whose candidates the policies choose from; it need not be the logged one.
    policies
        ``greedy``, or ``epsilon``, ``thompson`` or ``linucb`` with ``=EPSILON``, the share of
        random places; see `gnn.live.exploration.Explorer`.
    history
        Interactions since training. The policies see these and no later ones.
    learn_from
        Shown items of an earlier log, from which the bandits have learned.
    notes
        Notes to keep.
    clip, bootstrap, seed
        As of `eval.offpolicy.estimators.estimate`.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        If no shown item is of a domain of the model.
    ConfigError
        For an unknown policy.
    """
    known = shown[DOMAIN].astype(str).isin(model.domains).to_numpy()
    notes = list(notes)
    if not known.all():
        notes.append(f"{counted(int((~known).sum()), 'row')} of domains that the model lacks.")
        shown = shown[known]
    if not len(shown):
        raise InputError(f"No shown item is of a domain of the model: {', '.join(model.domains)}.")
    explorers = [Explorer.of(model, text, seed=seed) for text in policies]
    if learn_from is not None:
        for explorer in explorers:
            explorer.learn(learn_from, history)
    rank = shown[RANK].to_numpy(np.int64)
    k = int(rank.max())
    n, width = len(shown), k - 1 + explorers[0].features.dim
    target = np.zeros((len(explorers), n))
    expected = np.zeros((len(explorers), n, width), dtype=np.float32)
    features = np.zeros((n, width), dtype=np.float32)
    with progress_bar("Judging", n, enabled=progress) as advance:
        for asked in questions(model, shown, explorers[0].depth(k), history):
            place = rank[asked.rows] - 1
            relevance = relative_scores(asked.scores)
            every = explorers[0].features(asked.users, asked.columns, relevance)[..., 1:]
            own = explorers[0].of_items(asked, relevance, asked.shown)[1][:, 1:]
            features[asked.rows] = np.hstack([np.eye(k, dtype=np.float32)[place], own])
            for number, explorer in enumerate(explorers):
                target[number, asked.rows], expected[number, asked.rows] = _under(
                    explorer, asked, place, every, k
                )
            advance(len(asked.rows))
    rows: list[dict[str, Any]] = []
    meta: dict[str, Any] = {"policies": {}, "notes": notes, "clip": clip, "seed": seed}
    reward, logged = (shown[name].to_numpy(float) for name in (REWARD, PROPENSITY))
    for number, name in enumerate(policies):
        part = Shown(
            reward, logged, target[number], shown[USER_ID].to_numpy(str), features, expected[number]
        )
        found, meta["policies"][name] = estimate(part, clip=clip, bootstrap=bootstrap, seed=seed)
        if not rows:
            rows.append({"policy": "logged", **found[0], "estimator": "mean"})
        rows += [{"policy": name, **row} for row in found[1:]]
    meta["provenance"] = provenance()
    return PolicyValues(pd.DataFrame(rows), meta)


def _under(
    explorer: Explorer, asked: Question, place: np.ndarray, every: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each row under a policy, and its expected features."""
    likely = explorer.propensities(asked.users, asked.columns, asked.scores, k)
    same = asked.columns[asked.user] == asked.shown[:, None]
    same &= asked.shown[:, None] >= 0
    of_row = likely[asked.user, :, place]
    mean = np.einsum("nmk,nmd->nkd", likely, every)[asked.user, place]
    mass = np.eye(k)[place] * of_row.sum(axis=1, keepdims=True)
    return (of_row * same).sum(axis=1), np.hstack([mass, mean])
