"""Latency of the web app under several clients, by the HTTP load tool wrk."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import pandas as pd

from graphgen.errors import ConfigError, InputError

__all__ = ["USERS", "get_json", "headers", "load_routes", "measure_serving"]

# Routes, with the 95th percentile in milliseconds that they are to keep; {domain} is the first.
ROUTES: Final = {
    "recommendations": ("users/{user}/recommendations", 100),
    "recommendations, one domain": ("users/{user}/recommendations?domain={domain}", 100),
    "profile": ("users/{user}/profile", 100),
    "neighborhood": ("users/{user}/neighborhood", 100),
    "explanation": ("explanations?user={user}&domain={domain}&item={item}", 300),
    "expansions": ("users/{user}/expansions?boldness=0.5", None),
}
# Users asked about, and users whose best item is explained.
USERS, EXPLAINED = 5_000, 400
SCRIPT: Final = """
local paths = {}
for line in io.lines("PATHS") do paths[#paths + 1] = line end
math.randomseed(1)
request = function() return wrk.format("GET", paths[math.random(#paths)]) end
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format(
    '{"requests": %d, "p50": %f, "p95": %f, "p99": %f, "max": %f, "errors": %d}',
    summary.requests, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def measure_serving(
    url: str,
    users: Sequence[str],
    *,
    clients: int = 8,
    seconds: int = 60,
    token: str | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Ask each route of a running web app for a time, by clients that do not wait in between.

    Parameters
    ----------
    url
        Address of ``interest explore``.
    users
        Ids of its users, of which some are asked about at random.
    clients, seconds
        Connections at once, and how long for each route.
    token
        Of the server, where it needs one.
    seed
        Draws the users.
    say
        Told of each route.

    Returns
    -------
    pandas.DataFrame
        route, requests (a second), p50, p95, p99, max (milliseconds), errors, target (p95).

    Raises
    ------
    ConfigError
        If wrk is missing.
    InputError
        If no web app answers there.
    """
    api = f"{url.rstrip('/')}/api/v1"
    drawn = np.random.default_rng(seed).permutation(np.asarray(users, dtype=object))[:USERS]
    domain = get_json(f"{api}/model", token)["domains"][0]["name"]
    say(f"Looking for items of {min(EXPLAINED, len(drawn))} users to explain")
    best = [
        (user, item["item_id"])
        for user in drawn[:EXPLAINED]
        for item in get_json(
            f"{api}/users/{quote(user)}/recommendations?domain={quote(domain)}&k=1", token
        )["lists"][0]["items"]
    ]
    rows = []
    for name, (route, target) in ROUTES.items():
        pairs = best if "{item}" in route else [(user, "") for user in drawn]
        paths = [
            f"/api/v1/{route.format(user=quote(u), domain=quote(domain), item=quote(i))}"
            for u, i in pairs
        ]
        found = load_routes(url, paths, clients, seconds, token)
        rows.append({"route": name, **found, "target": target})
        say(f"{name}: p95 {found['p95']:.0f} ms, {found['errors']} errors")
    return pd.DataFrame(rows)


def get_json(url: str, token: str | None) -> Any:
    """Return the answer of a web app of ours; an `InputError` where there is none."""
    request = urllib.request.Request(url, headers=headers(token))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise InputError(f"{url} does not answer as a web app of ours: {error}.") from error


def headers(token: str | None) -> dict[str, str]:
    """Return the headers that bring a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}


def load_routes(
    url: str, paths: list[str], clients: int, seconds: int, token: str | None
) -> dict[str, float]:
    """Ask for paths at random; return requests (a second), p50, p95, p99, max (ms) and errors.

    Raises
    ------
    ConfigError, InputError
        If wrk is missing; if it fails.
    """
    if shutil.which("wrk") is None:
        raise ConfigError("The load tool wrk is missing (Debian: apt-get install wrk).")
    with tempfile.TemporaryDirectory() as folder:
        listed, script = Path(folder) / "paths", Path(folder) / "load.lua"
        listed.write_text("\n".join(paths), encoding="utf-8")
        script.write_text(SCRIPT.replace("PATHS", str(listed)), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s"]
        command += [part for pair in headers(token).items() for part in ("-H", ": ".join(pair))]
        command += ["-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "requests": found["requests"] / seconds}
