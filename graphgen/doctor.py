"""Checks of the installation."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from graphgen.features.cache import default_cache_dir
from graphgen.features.text import PACKAGED_BERT
from graphgen.storage import DISTRIBUTION, package_version

__all__ = ["Check", "diagnose"]

PACKAGES = ("graphgen", "gnn", "eval")
REQUIRED = (
    "torch", "torch-geometric", "networkx", "transformers", "pandas", "scikit-learn", "pyarrow",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One check: its name, whether it passed, and the finding or the remedy."""

    name: str
    ok: bool
    finding: str


def diagnose() -> list[Check]:
    """Check packages, name collisions, the packaged BERT, the cache and the machine."""
    checks: list[Callable[[], Check]] = [_self, _required, _collisions, _bert, _cache, _machine]
    return [check() for check in checks]


def _self() -> Check:
    version = package_version()
    return Check(
        DISTRIBUTION, version != "unknown", f"{version}, Python {platform.python_version()}"
    )


def _required() -> Check:
    found, missing = [], []
    for name in REQUIRED:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("packages", False, f"missing; run: pip install {' '.join(missing)}")
    return Check("packages", True, ", ".join(found))


def _collisions() -> Check:
    """Other distributions on the package index own the names graphgen, gnn and eval."""
    owners = metadata.packages_distributions()
    strangers = sorted(
        {owner for name in PACKAGES for owner in owners.get(name, []) if owner != DISTRIBUTION}
    )
    if strangers:
        return Check(
            "package names",
            False,
            f"{', '.join(strangers)} installs a package of the same name; "
            f"run: pip uninstall {' '.join(strangers)}, then reinstall {DISTRIBUTION}",
        )
    return Check("package names", True, "graphgen, gnn and eval are ours")


def _bert() -> Check:
    if importlib.util.find_spec(PACKAGED_BERT) is None:
        return Check(
            "packaged BERT", False, "not installed; run: pip install 'interest-expansion[text]'"
        )
    return Check("packaged BERT", True, "all-MiniLM-L6-v2, works offline")


def _cache() -> Check:
    folder = default_cache_dir()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(existing, os.W_OK):
        return Check(
            "cache",
            False,
            f"{folder} cannot be written; set INTEREST_CACHE_DIR to a folder that can",
        )
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return Check("cache", True, f"{folder}, {size / 1e6:,.0f} MB")


def _machine() -> Check:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    return Check(
        "machine",
        True,
        f"{torch.get_num_threads()} threads, {memory.available / 1e9:,.1f} of "
        f"{memory.total / 1e9:,.1f} GB memory free",
    )
