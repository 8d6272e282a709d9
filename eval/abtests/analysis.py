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
from eval.evaluation.inputs import read_table
from eval.evaluation.result import records
from graphgen.errors import ConfigError, InputError, counted
from graphgen.log import InteractionLog
from graphgen.reading.columns import LOG, TableSpec
from graphgen.reading.files import read_tables
from graphgen.reading.normalise import concat_frames, interaction_frame
from graphgen.schema import EVENT, TIMESTAMP, USER_ID
from graphgen.storage import atomic_directory, provenance, write_json

__all__ = ["ABTest", "analyse_abtest", "read_events"]

SCHEMA_VERSION: Final = 1
EVERYBODY: Final = "all"
# Names of a control, but for case.
CONTROLS: Final = ("control", "a")
EVENTS: Final = TableSpec(
    "the log of an A/B test",
    tuple(role for role in LOG.roles if role.name in (USER_ID, TIMESTAMP, EVENT)),
)


@dataclass(frozen=True, eq=False)
class ABTest:
    """Findings of an A/B test.

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
        interval = "95 % interval" if self.meta["alpha"] == 0.05 else "interval"
        lines = [
            f"# A/B test\nControl: {self.meta['control']}. {self.ratio.sentence}\n",
            "Conversion is the share of users with an event that counts, activity the number of "
            "such events per user.\n",
            "| segment | variant | metric | control | variant value | difference "
            f"| {interval} | p |",
            "|:--|:--|:--|--:|--:|--:|--:|--:|",
        ]
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


def read_events(*sources: Any, **options: Any) -> pd.DataFrame:
    r"""Read the log of an A/B test: user_id, optional event and timestamp; all else is text.

    Sources and options are those of `graphgen.read_log` about the form of files.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ab.csv"
    >>> _ = path.write_text("user_id,variant,timestamp\nann,new,1700000000\n")
    >>> read_events(path)[["user_id", "variant"]].to_dict("records")
    [{'user_id': 'ann', 'variant': 'new'}]
    """
    frames, names, _ = read_tables(sources, EVENTS, interaction_frame, **options)
    return concat_frames(frames, names)


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
        The variant to compare with; default the only one called ``control`` or ``A``, in capitals
        or not. No other is guessed.
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
        If the control is not known, or a setting is out of range.

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
    users, notes = _per_user(log, variant, conversion, exposure, start, segments)
    names = sorted(users["variant"].unique())
    if len(names) < 2:
        raise InputError(
            f"An A/B test needs users in two variants; column {variant!r} has "
            f"{', '.join(map(repr, names)) or 'none'}."
        )
    if control is not None and control not in names:
        raise ConfigError(f"There is no variant {control!r}; the log has {', '.join(names)}.")
    usual = [name for name in names if name.lower() in CONTROLS]
    if control is None and len(usual) != 1:
        raise ConfigError(
            f"Which variant is the control? Name one of {', '.join(names)}: --control NAME "
            "(in Python, control=NAME)."
        )
    base = usual[0] if control is None else control
    ratio = sample_ratio_check(users["variant"].value_counts()[names].to_dict(), expected)
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
            users["activity"].to_numpy(), users["before"].to_numpy()
        )
        metrics.append("activity-cuped")
        meta["cuped_variance_reduction"] = reduction
        notes.append(f"CUPED removed {reduction:.1%} of the variance of activity.")
    parts = [(EVERYBODY, users), *(users.groupby("segment") if "segment" in users else ())]
    planned = planned_users if sequential else None
    rows = []
    for segment, part in parts:
        reference = part[part["variant"] == base]
        for name in (n for n in names if n != base):
            other = part[part["variant"] == name]
            if min(len(reference), len(other)) < MIN_USERS:
                continue
            for metric in metrics:
                values = reference[metric].to_numpy(), other[metric].to_numpy()
                found = difference(values[0], values[1], alpha, planned)
                rows.append({"segment": segment, "variant": name, "metric": metric, **found})
    if not rows:
        raise InputError("No variant has two users; there is nothing to compare.")
    table = pd.DataFrame(rows)
    table["p_holm"] = np.nan
    split = table[table["segment"] != EVERYBODY]
    for _, p_value in split.groupby("metric")["p_value"]:
        table.loc[p_value.index, "p_holm"] = holm(p_value.to_numpy())
    return ABTest(table, ratio, meta)


def _per_user(
    log: InteractionLog | pd.DataFrame,
    variant: str,
    conversion: str | Sequence[str] | None,
    exposure: str | Sequence[str],
    start: str | datetime | None,
    segments: pd.Series | str | None,
) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per user: variant, conversion, activity, before, segment; and notes."""
    needed = [USER_ID, variant]
    needed += [EVENT] if conversion is not None else []
    needed += [TIMESTAMP] if start is not None else []
    needed += [segments] if isinstance(segments, str) else []
    frame = read_table(log, needed, "The log")
    user = frame[USER_ID].astype(str)
    counts = np.ones(len(frame), dtype=bool)
    if EVENT in frame:
        event = frame[EVENT].astype(str)
        named = exposure if conversion is None else conversion
        wanted = [named] if isinstance(named, str) else list(named)
        counts = event.isin(wanted).to_numpy() ^ (conversion is None)
        if conversion is not None and not counts.any():
            raise InputError(
                f"No row has the event {', '.join(map(repr, wanted))}; the log has "
                f"{', '.join(map(repr, sorted(event.unique())[:8]))}."
            )
    during = np.ones(len(frame), dtype=bool)
    if start is not None:
        times = pd.to_datetime(frame[TIMESTAMP], utc=True)
        during = (times >= pd.to_datetime(start, utc=True)).to_numpy()
    label = frame[variant].astype("string").fillna("").astype(str)
    labelled = during & (label != "").to_numpy()
    assigned = pd.DataFrame({"user": user[labelled], "variant": label[labelled]}).drop_duplicates()
    twice = assigned["user"].duplicated(keep=False)
    notes = []
    if twice.any():
        n = assigned.loc[twice, "user"].nunique()
        notes.append(f"{counted(n, 'user')} in more than one variant: left out.")
    users = assigned[~twice].set_index("user")
    activity = user[during & counts].value_counts()
    users["activity"] = activity.reindex(users.index).fillna(0.0)
    users["conversion"] = (users["activity"] > 0).astype(float)
    if not during.all():
        before = user[~during & counts].value_counts()
        users["before"] = before.reindex(users.index).fillna(0.0)
    by_id: Any = segments
    if isinstance(segments, str):
        by_id = pd.Series(frame.loc[labelled, segments].to_numpy(object), user[labelled])
    if segments is not None:
        by_id = by_id.set_axis(by_id.index.astype(str))
        by_id = by_id[~by_id.index.duplicated()].reindex(users.index)
        users["segment"] = by_id.map(str, na_action="ignore")
    return users, notes
