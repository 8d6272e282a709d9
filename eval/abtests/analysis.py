"""Analysis of A/B tests on logs: soundness of the assignment, and effect of the variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from eval.abtests.design import MIN_USERS, RatioCheck, cuped, difference, sample_ratio_check
from eval.comparison.significance import holm
from graphgen.errors import ConfigError, InputError
from graphgen.log import InteractionLog
from graphgen.schema import EVENT, TIMESTAMP, USER_ID
from graphgen.storage import atomic_directory, provenance, write_json

__all__ = ["ABTest", "analyse_abtest"]

SCHEMA_VERSION: Final = 1
EVERYBODY: Final = "all"


@dataclass(frozen=True, eq=False)
class ABTest:
    """What an A/B test found.

    Attributes
    ----------
    table
        One row per segment, variant and metric: value_control, value_variant, difference with low
        and high, relative (difference over the control's value), p_value, p_holm (over the
        segments of a metric; the whole is not corrected), n_control, n_variant. Metrics:
        ``conversion`` (share of users with a converting event), ``activity`` (such events per
        user), and ``activity-cuped`` where there is a period before the test. With ``sequential``,
        low, high and p_value are always valid: they may be looked at every day.
    ratio
        The sample ratio check.
    meta
        Settings, counts, how much CUPED reduced the variance, notes, provenance.
    """

    table: pd.DataFrame
    ratio: RatioCheck
    meta: dict[str, Any] = field(default_factory=dict)

    def to_markdown(self) -> str:
        """Return the findings as text and a table."""
        lines = ["# A/B test", self.ratio.sentence, ""]
        header = [
            "segment",
            "variant",
            "metric",
            "control",
            "variant value",
            "difference",
            "95 % interval" if self.meta["alpha"] == 0.05 else "interval",
            "p",
        ]
        lines.append("| " + " | ".join(header) + " |")
        lines.append("|:--|:--|:--|--:|--:|--:|--:|--:|")
        for row in self.table.to_dict("records"):
            p = row["p_value"] if row["segment"] == EVERYBODY else row["p_holm"]
            lines.append(
                f"| {row['segment']} | {row['variant']} | {row['metric']} "
                f"| {row['value_control']:.4g} | {row['value_variant']:.4g} "
                f"| {row['difference']:+.4g} ({row['relative']:+.1%}) "
                f"| [{row['low']:+.4g}, {row['high']:+.4g}] | {p:.3g} |"
            )
        lines += ["", *(f"- {note}" for note in self.meta["notes"])]
        return "\n".join(lines) + "\n"

    def save(self, path: str | Path, *, overwrite: bool = False, made_from: str = "") -> Path:
        """Write ``abtest.json``, ``abtest.csv`` and ``report.md``; the folder appears whole.

        For the parameters see `graphgen.storage.atomic_directory`.
        """
        from eval.evaluation.result import records

        with atomic_directory(
            path, kind="A/B test", overwrite=overwrite, made_from=made_from
        ) as folder:
            self.table.to_csv(folder / "abtest.csv", index=False)
            (folder / "report.md").write_text(self.to_markdown(), encoding="utf-8")
            content = {
                "table": records(self.table),
                "ratio": self.ratio._asdict(),
                "meta": self.meta,
            }
            write_json(folder / "abtest.json", content, schema_version=SCHEMA_VERSION)
        return Path(path)


def analyse_abtest(
    log: InteractionLog | pd.DataFrame,
    *,
    variant: str = "variant",
    control: str | None = None,
    conversion: str | Sequence[str] | None = None,
    exposure: str | Sequence[str] = "exposure",
    start: str | datetime | None = None,
    segments: pd.Series | str | None = None,
    expected: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    sequential: bool = False,
    planned_users: int = 10_000,
) -> ABTest:
    """Analyse an A/B test from its log.

    The unit is the user. Rows with an exposure event say only that the user took part.

    Parameters
    ----------
    log
        user_id, the variant column, and optionally ``event`` and ``timestamp``.
    variant
        Column that names the variant of the user; rows before `start` may leave it empty.
    control
        The variant to compare with; default ``control`` or ``A`` where there is one, else the
        first in order.
    conversion
        Events that count; default all but `exposure`.
    exposure
        Events that do not count.
    start
        When the test began. Earlier rows are the period before it: CUPED uses each user's counting
        events in it as a covariate.
    segments
        A column of the log, or a Series indexed by user id: the test is repeated in each.
    expected
        Planned shares of the variants; default equal.
    alpha
        Intervals hold with a probability of 1 - alpha.
    sequential
        Give intervals and p values that stay valid however often one looks (wider ones).
    planned_users
        Where a sequential interval is tightest, in users of the two variants together.

    Returns
    -------
    ABTest

    Raises
    ------
    InputError
        If a column is missing, or fewer than two variants have users.
    ConfigError
        If the control or a setting is unknown or out of range.

    Notes
    -----
    Intervals are Welch's. CUPED subtracts ``theta (x - mean x)`` with one theta for all variants,
    which leaves the difference unbiased and its variance smaller by the squared correlation.
    Sequential intervals are asymptotic confidence sequences from a normal mixture.

    References
    ----------
    Deng et al., "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data", WSDM 2013. Waudby-Smith et al., "Time-uniform central limit theory and
    asymptotic confidence sequences", Annals of Statistics 2024. Johari et al., "Peeking at A/B
    tests", KDD 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"user_id": [f"u{n}" for n in range(400)],
    ...                     "variant": ["control", "new"] * 200,
    ...                     "event": ["exposure", "click", "click", "click"] * 100})
    >>> result = analyse_abtest(log, conversion="click")
    >>> row = result.table.set_index("metric").loc["conversion"]
    >>> round(float(row["value_control"]), 2), round(float(row["value_variant"]), 2)
    (0.5, 1.0)
    """
    if not 0 < alpha < 1:
        raise ConfigError(f"`alpha` must lie between 0 and 1; got {alpha}.")
    if planned_users < MIN_USERS:
        raise ConfigError(f"`planned_users` must be at least {MIN_USERS}; got {planned_users}.")
    frame = log.frame if isinstance(log, InteractionLog) else log
    users, notes = _per_user(frame, variant, conversion, exposure, start, segments)
    names = sorted(users["variant"].unique())
    if len(names) < 2:
        raise InputError(
            f"An A/B test needs users in two variants; column {variant!r} has "
            f"{', '.join(map(repr, names)) or 'none'}."
        )
    base = _control(names, control)
    ratio = sample_ratio_check(
        {name: int((users["variant"] == name).sum()) for name in names}, expected
    )
    metrics = ["conversion", "activity"]
    meta: dict[str, Any] = {
        "control": base,
        "alpha": alpha,
        "sequential": sequential,
        "planned_users": planned_users,
        "start": None if start is None else str(start),
        "notes": notes,
        "provenance": provenance(),
    }
    if "before" in users:
        users["activity-cuped"], reduction = cuped(
            users["activity"].to_numpy(float), users["before"].to_numpy(float)
        )
        metrics.append("activity-cuped")
        meta["cuped_variance_reduction"] = reduction
        notes.append(f"CUPED removed {reduction:.1%} of the variance of activity.")
    cut = [(EVERYBODY, np.ones(len(users), dtype=bool))]
    if "segment" in users:
        labels = users["segment"].dropna().unique()
        cut += [(str(s), (users["segment"] == s).to_numpy()) for s in sorted(labels, key=str)]
    rows = []
    for segment, inside in cut:
        part = users[inside]
        reference = part[part["variant"] == base]
        for name in (n for n in names if n != base):
            other = part[part["variant"] == name]
            for metric in metrics:
                if min(len(reference), len(other)) < MIN_USERS:
                    continue
                found = difference(
                    reference[metric].to_numpy(float),
                    other[metric].to_numpy(float),
                    alpha,
                    planned_users if sequential else None,
                )
                rows.append({"segment": segment, "variant": name, "metric": metric, **found})
    table = pd.DataFrame(rows)
    if not len(table):
        raise InputError("No variant has two users; there is nothing to compare.")
    table["p_holm"] = np.nan
    split = table["segment"] != EVERYBODY
    for index in table[split].groupby("metric").groups.values():
        table.loc[index, "p_holm"] = holm(table.loc[index, "p_value"].to_numpy())
    return ABTest(table, ratio, meta)


def _per_user(
    frame: pd.DataFrame,
    variant: str,
    conversion: str | Sequence[str] | None,
    exposure: str | Sequence[str],
    start: str | datetime | None,
    segments: pd.Series | str | None,
) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per user: variant, conversion, activity, before, segment; and notes."""
    needed = [USER_ID, variant]
    if conversion is not None:
        needed.append(EVENT)
    if start is not None:
        needed.append(TIMESTAMP)
    if isinstance(segments, str):
        needed.append(segments)
    missing = [c for c in needed if c not in frame.columns]
    if missing:
        raise InputError(
            f"The log has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, frame.columns))}."
        )
    notes: list[str] = []
    user = frame[USER_ID].astype(str)
    counts = np.ones(len(frame), dtype=bool)
    if EVENT in frame:
        event = frame[EVENT].astype(str)
        if conversion is not None:
            wanted = [conversion] if isinstance(conversion, str) else list(conversion)
            counts = event.isin(wanted).to_numpy()
            if not counts.any():
                raise InputError(
                    f"No row has the event {', '.join(map(repr, wanted))}; the log has "
                    f"{', '.join(map(repr, sorted(event.unique())[:8]))}."
                )
        else:
            shown = [exposure] if isinstance(exposure, str) else list(exposure)
            counts = ~event.isin(shown).to_numpy()
    during = np.ones(len(frame), dtype=bool)
    if start is not None:
        moment = pd.Timestamp(start)
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        during = (pd.to_datetime(frame[TIMESTAMP], utc=True) >= moment).to_numpy()
    label = frame[variant].astype(object).where(frame[variant].notna(), "").astype(str)
    labelled = during & (label != "").to_numpy()
    assigned = pd.DataFrame({"user": user[labelled], "variant": label[labelled]}).drop_duplicates()
    twice = assigned["user"].duplicated(keep=False)
    if twice.any():
        n = assigned.loc[twice, "user"].nunique()
        notes.append(f"{n} users were in more than one variant; they are left out.")
        assigned = assigned[~twice]
    users = assigned.set_index("user")
    activity = user[during & counts].value_counts()
    users["activity"] = activity.reindex(users.index).fillna(0.0)
    users["conversion"] = (users["activity"] > 0).astype(float)
    if start is not None and (~during).any():
        before = user[~during & counts].value_counts()
        users["before"] = before.reindex(users.index).fillna(0.0)
    if isinstance(segments, str):
        first = frame[labelled].assign(user=user[labelled]).drop_duplicates("user")
        users["segment"] = first.set_index("user")[segments].astype(object)
    elif segments is not None:
        by_id = segments[~segments.index.astype(str).duplicated()]
        by_id.index = by_id.index.astype(str)
        users["segment"] = by_id.reindex(users.index)
    return users, notes


def _control(names: list[str], control: str | None) -> str:
    if control is None:
        usual = [n for n in names if n.lower() in ("control", "a")]
        return usual[0] if usual else names[0]
    if control not in names:
        raise ConfigError(f"There is no variant {control!r}; the log has {', '.join(names)}.")
    return control
