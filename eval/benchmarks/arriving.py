"""Latency of a server while events arrive, how soon they count, and its memory."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import pandas as pd

from eval.benchmarks.serving import USERS, get_json, headers, load_routes
from graphgen.errors import InputError

__all__ = ["measure_arriving"]

# Threads that send events, and seconds between two bodies of each.
SENDERS, BETWEEN = 4, 0.2
# Seconds between two events whose effect is waited for, the longest wait for it, and the answers in
# a row that must show it: connections are spread over the processes.
PROBE, LONGEST, IN_A_ROW = 0.5, 10.0, 4
# Seconds between two looks at the memory; the share of the time after which it is to be flat.
LOOK, WARM = 1.0, 0.2
TARGETS: Final = {"p95 ms": 150.0, "errors": 0.0, "event errors": 0.0, "visible, max ms": 1_000.0}


@dataclass
class _Seen:
    """What the threads saw."""

    accepted: int = 0
    errors: int = 0
    posts: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


def measure_arriving(
    url: str,
    users: Sequence[str],
    items: Mapping[str, Sequence[str]],
    *,
    per_second: int = 500,
    clients: int = 32,
    seconds: int = 60,
    domain: str | None = None,
    token: str | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Ask for recommendations by clients that do not wait in between, while events arrive.

    Parameters
    ----------
    url
        Address of ``interest serve``.
    users, items
        Ids that the model knows, items by domain; events are of random ones.
    per_second
        Events sent in a second.
    clients, seconds
        Connections that ask at once, and how long.
    domain
        Ask for lists of this domain only; None for those of all.
    token
        Of the server, where it needs one.
    seed
        Draws users and items.
    say
        Told what begins.

    Returns
    -------
    pandas.DataFrame
        measure, value, target (NaN for none). *Visible* is the time from sending an event until
        several answers in a row show its effect; memory is that of all processes together.

    Raises
    ------
    ConfigError, InputError
        If wrk is missing; if no server answers there.
    """
    api = f"{url.rstrip('/')}/api/v1"
    get_json(f"{api}/health", token)
    drawn = np.random.default_rng(seed).permutation(np.asarray(users, dtype=object))[:USERS]
    query = "" if domain is None else f"?domain={quote(domain)}"
    paths = [f"/api/v1/users/{quote(user)}/recommendations{query}" for user in drawn]
    seen, stop = _Seen(), Event()
    names = list(items)
    tasks: list[Callable[[int], None]] = [
        *[lambda n: _send_events(api, drawn, items, per_second, token, seed + n, seen, stop)]
        * SENDERS,
        lambda n: _probe(api, drawn, names[0] if domain is None else domain, token, n, seen, stop),
        lambda _: _watch(url, token, seen, stop),
    ]
    threads = [Thread(target=task, args=(n,), daemon=True) for n, task in enumerate(tasks)]
    say(f"{clients} clients ask for {seconds} s while {per_second} events/s arrive")
    for thread in threads:
        thread.start()
    try:
        found = load_routes(url, paths, clients, seconds, token)
    finally:
        stop.set()
        for thread in threads:
            thread.join(LONGEST)
    flat = seen.memory[int(WARM * len(seen.memory)) :] or [np.nan]
    values = {
        "requests/s": found["requests"],
        **{f"{name} ms": found[name] for name in ("p50", "p95", "p99", "max")},
        "errors": found["errors"],
        "events/s": seen.accepted / seconds,
        "event errors": seen.errors,
        "events accepted, p95 ms": _quantile(seen.posts, 0.95),
        "visible, p50 ms": _quantile(seen.visible, 0.5),
        "visible, p95 ms": _quantile(seen.visible, 0.95),
        "visible, max ms": _quantile(seen.visible, 1.0),
        "memory, first MB": flat[0],
        "memory, last MB": flat[-1],
        "memory, max MB": max(flat),
    }
    table = pd.DataFrame({"measure": list(values), "value": list(values.values())})
    return table.assign(target=table["measure"].map(TARGETS))


def _quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("nan")


def _send_events(
    api: str,
    users: np.ndarray,
    items: Mapping[str, Sequence[str]],
    per_second: int,
    token: str | None,
    seed: int,
    seen: _Seen,
    stop: Event,
) -> None:
    """Send this thread's share of the events, in bodies at even distances."""
    generator, names = np.random.default_rng(seed), list(items)
    due, next_time = 0.0, time.monotonic() + BETWEEN * generator.random()
    while not stop.wait(max(0.0, next_time - time.monotonic())):
        next_time += BETWEEN
        due += per_second / SENDERS * BETWEEN
        body = []
        for _ in range(int(due)):
            name = names[generator.integers(len(names))]
            item = items[name][int(generator.integers(len(items[name])))]
            user = users[generator.integers(len(users))]
            body.append({"user_id": user, "domain": name, "item_id": item})
        due -= len(body)
        start = time.monotonic()
        accepted = _post(f"{api}/events", body, token)
        with seen.lock:
            seen.posts.append(1e3 * (time.monotonic() - start))
            seen.accepted += accepted or 0
            seen.errors += accepted is None


def _post(url: str, body: Any, token: str | None) -> int | None:
    """Return how many events were new; None if they were refused."""
    said = {"Content-Type": "application/json", **headers(token)}
    request = urllib.request.Request(url, json.dumps(body).encode(), said)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(json.load(answer)["new"])
    except (OSError, ValueError):
        return None


def _probe(
    api: str,
    users: np.ndarray,
    domain: str,
    token: str | None,
    seed: int,
    seen: _Seen,
    stop: Event,
) -> None:
    """Measure again and again how soon an item is left out after an event says it was seen."""
    generator = np.random.default_rng(seed)
    while not stop.wait(PROBE):
        user = users[generator.integers(len(users))]
        route = f"{api}/users/{quote(user)}/recommendations?k=5&domain={quote(domain)}"
        try:
            shown = _items(route, token)
            start = time.monotonic()
            event = {"user_id": user, "domain": domain, "item_id": shown[0]}
            if _post(f"{api}/events", [event], token) is None:
                continue
            without, first = 0, start
            while without < IN_A_ROW and first - start < LONGEST:
                gone = shown[0] not in _items(route, token)
                now = time.monotonic()
                first = now if without == 0 else first
                without = without + 1 if gone else 0
        except InputError:
            seen.errors += 1
            continue
        seen.visible.append(1e3 * (first - start))


def _items(route: str, token: str | None) -> list[str]:
    return [item["item_id"] for item in get_json(route, token)["lists"][0]["items"]]


def _watch(url: str, token: str | None, seen: _Seen, stop: Event) -> None:
    """Note the memory of all processes together."""
    while not stop.wait(LOOK):
        request = urllib.request.Request(f"{url.rstrip('/')}/metrics", headers=headers(token))
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
        except OSError:
            continue
        found = re.findall(r"^interest_resident_bytes\{.*\} (\S+)$", text, re.MULTILINE)
        seen.memory.append(sum(map(float, found)) / 1e6)
