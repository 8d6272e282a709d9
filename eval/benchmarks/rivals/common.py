"""Shared by the rivals' scripts: the command line, tuning in a budget, the lists that are written.

It runs in a rival's own environment, so it needs only numpy, pandas and scipy, old ones too.
A script names its rivals and calls `main`:

    def fit(problem, setting, seed):
        ...  # the lines that a user of the library writes
        yield factors(problem, users, items)

    if __name__ == "__main__":
        main({"ALS": Rival(fit, [{"factors": 64}, {"factors": 128}])})

`fit` yields a ranker whenever validation should look at it: once for a closed form, after each
few epochs for a model that is trained step by step. `problem.py` holds the problem and makes
rankers.
"""

import argparse
import itertools
import json
import os
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from problem import DOMAIN, ITEM_ID, USER_ID, Problem, served

PATIENCE = 2  # looks at validation without a gain before a trial ends


@dataclass
class Rival:
    """One method of a library: its fit, the settings to try in order, and a note."""

    fit: object
    settings: list
    note: object = None  # function of the problem: a note for readers of the lists
    fixed: dict = field(default_factory=dict)  # constants of every setting
    one_target: bool = False  # fitted for one domain at a time, given as setting["target"]
    valid_users: int = 0  # validation users of a domain; 0: all of them


def usage():
    """Return the resource usage of this process and that of its ended children."""
    return [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def spent():
    """Return the CPU seconds of this process and of its ended children, over all threads."""
    return sum(part.ru_utime + part.ru_stime for part in usage())


def tune(problem, rival, *, budget, seed, domains):
    """Try settings in their order until the budget is spent; keep the best look at validation.

    A trial ends when its `fit` ends, when validation has not risen for `PATIENCE` looks, or when
    another step like its last one would pass the budget; the next begins if as much is left as
    the last one took to its first look.
    """
    started = spent()
    fixed = {**rival.fixed, "target": domains[0]} if rival.one_target else rival.fixed
    trials, found, first = 0, None, 0.0
    for setting in rival.settings:
        if trials and spent() - started + first > budget:
            break
        trials += 1
        top, stale, fitting = -1.0, 0, 0.0
        looks = rival.fit(problem, {**fixed, **setting}, seed)
        for look in itertools.count(1):
            begun = spent()
            ranker = next(looks, None)
            if ranker is None:
                break
            fitting += spent() - begun
            figure = problem.ndcg(ranker, domains)
            now = spent()
            if look == 1:
                first = now - begun
            print(
                f"trial {trials} {setting}, look {look}: validation NDCG@20 {figure:.5f} "
                f"at {now - started:.0f} CPU s",
                file=sys.stderr,
                flush=True,
            )
            if found is None or figure > found.valid_ndcg20:
                best = {**setting, "look": look}
                found = SimpleNamespace(
                    ranker=ranker, best=best, valid_ndcg20=figure, fit_cpu=fitting
                )
            stale = 0 if figure > top else stale + 1
            top = max(top, figure)
            step = now - begun if look > 1 else 0.0  # the first holds the set-up
            if stale >= PATIENCE or now - started + step > budget:
                break
        looks.close()
    found.trials, found.tune_cpu = trials, spent() - started
    return found


def read_rows(path, columns):
    """Read columns of a CSV file as text, or end the program in a sentence."""
    try:
        rows = pd.read_csv(path, usecols=columns, dtype=str, keep_default_na=False)[columns]
    except (OSError, ValueError) as error:
        sys.exit(f"error: {path}: {error}")
    if rows.empty:
        sys.exit(f"error: {path} has no rows.")
    empty = np.flatnonzero((rows == "").any(axis=1))
    if len(empty):
        sys.exit(f"error: {path}, line {empty[0] + 2}: a value of {', '.join(columns)} is empty.")
    return rows


def arguments(rivals, given=None):
    """Read and check the command line."""
    parser = argparse.ArgumentParser(
        description="Tune a rival on validation rows within a budget; write its recommendations."
    )
    parser.add_argument("model", choices=list(rivals), help="the rival's method")
    parser.add_argument("--train", required=True, help="CSV: user_id, domain, item_id")
    parser.add_argument("--valid", required=True, help="CSV of held-out rows to choose on")
    parser.add_argument(
        "--test", "--users", dest="test", required=True, help="CSV; only user_id, domain are read"
    )
    parser.add_argument("--out", required=True, help="the recommendations file to write (CSV)")
    parser.add_argument("--k", type=int, default=20, help="length of the lists")
    parser.add_argument("--budget", type=float, default=600, help="CPU seconds for tuning")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(given)
    if args.k < 1 or args.budget <= 0:
        parser.error("--k must be at least 1, and --budget above 0 CPU seconds")
    if not Path(args.out).resolve().parent.is_dir():
        parser.error(f"--out: the folder of {args.out} does not exist")
    return args


def read(args):
    """Read the problem and the (user, domain) pairs to serve, and check that they fit together."""
    columns = [USER_ID, DOMAIN, ITEM_ID]
    train, valid = read_rows(args.train, columns), read_rows(args.valid, columns)
    pairs = read_rows(args.test, columns[:2]).drop_duplicates().sort_values([DOMAIN, USER_ID])
    for path, rows, of in ((args.valid, valid, train), (args.test, pairs, valid)):
        unknown = set(rows[DOMAIN]) - set(of[DOMAIN])
        if unknown:
            of_path = args.train if of is train else args.valid
            sys.exit(f"error: {path} has domain {min(unknown)!r}, which has no row in {of_path}.")
    return Problem(train, valid), pairs


def write(problem, pairs, rankers, args):
    """Rank for the pairs and write the file whole: user_id, domain, item_id, score, rank."""
    frames = []
    for domain, group in pairs.groupby(DOMAIN, sort=True):
        users = group[USER_ID].to_numpy(object)
        items, scores = served(problem, rankers[domain], problem.user_codes(users), domain, args.k)
        row, place = np.nonzero(items >= 0)
        columns = {
            USER_ID: users[row],
            DOMAIN: domain,
            ITEM_ID: problem.item_ids[items[row, place]],
            "score": scores[row, place],
            "rank": place + 1,
        }
        frames.append(pd.DataFrame(columns))
    unfinished = f"{args.out}.{os.getpid()}.tmp"
    try:
        pd.concat(frames).to_csv(unfinished, index=False, float_format="%.8g")
        os.replace(unfinished, args.out)
    finally:
        Path(unfinished).unlink(missing_ok=True)


def main(rivals, given=None):
    """Run a rival from the command line and print its figures as one JSON line."""
    args = arguments(rivals, given)
    sys.argv = sys.argv[:1]  # RecBole would take --name=value for settings of its own
    problem, pairs = read(args)
    rival = rivals[args.model]
    if rival.valid_users:
        problem.keep_valid(rival.valid_users, args.seed)
    targets = list(problem.valid)
    groups = [[target] for target in targets] if rival.one_target else [targets]
    budget = args.budget / len(groups)
    found = [tune(problem, rival, budget=budget, seed=args.seed, domains=g) for g in groups]
    rankers = {d: result.ranker for g, result in zip(groups, found, strict=True) for d in g}
    best = [result.best for result in found]
    begun = spent()
    write(problem, pairs, rankers, args)
    figures = {
        "model": f"{Path(sys.argv[0]).stem}:{args.model}",
        "trials": sum(result.trials for result in found),
        "best": dict(zip(targets, best, strict=True)) if rival.one_target else best[0],
        "valid_ndcg20": round(float(np.mean([r.valid_ndcg20 for r in found])), 6),
        "tune_cpu_seconds": round(sum(result.tune_cpu for result in found), 2),
        "fit_cpu_seconds": round(sum(result.fit_cpu for result in found), 2),
        "recommend_cpu_seconds": round(spent() - begun, 2),
        "peak_megabytes": round(max(part.ru_maxrss for part in usage()) / 1024),
        "note": rival.note(problem) if rival.note else "",
    }
    print(json.dumps(figures), flush=True)
