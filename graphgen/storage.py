"""Atomic writing of files and folders, and reading that refuses newer schema versions."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from graphgen.errors import StorageError

__all__ = [
    "atomic_directory",
    "atomic_file",
    "package_version",
    "provenance",
    "read_json",
    "write_json",
]

DISTRIBUTION = "interest-expansion"
# The packages whose versions can change a result; recorded with everything written.
RECORDED_PACKAGES = ("torch", "torch-geometric", "transformers", "pandas", "numpy", "scipy")


@contextmanager
def atomic_directory(target: str | Path) -> Iterator[Path]:
    """Give a temporary folder that becomes `target` only when the block ends without an error.

    An older `target` is replaced in two renames, so a reader sees the old folder or the new one,
    never a mixture. A folder that this project did not write (no ``*.json`` with a
    ``schema_version`` in it) is never replaced.

    Raises
    ------
    StorageError
        If `target` exists and is a file or a folder of somebody else's.
    """
    target = Path(target)
    if target.exists() and not _is_ours(target):
        raise StorageError(
            f"{target} exists and was not written by interest; "
            "choose another path, or empty it first."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        if target.exists():
            retired = temporary.with_name(temporary.name + ".old")
            target.rename(retired)
            temporary.rename(target)
            shutil.rmtree(retired)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    for path in folder.glob("*.json"):
        try:
            if "schema_version" in json.loads(path.read_text(encoding="utf-8")):
                return True
        except (OSError, ValueError, TypeError):
            continue
    return False


@contextmanager
def atomic_file(target: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, renamed onto it when the block ends well.

    The temporary name keeps the suffixes of `target`, so writers that look at them still work.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: dict[str, Any], *, schema_version: int) -> None:
    """Write a JSON file that carries its schema version first."""
    with atomic_file(path) as temporary:
        temporary.write_text(
            json.dumps({"schema_version": schema_version, **content}, indent=2, ensure_ascii=False)
            + "\n",
            encoding="utf-8",
        )


def read_json(path: str | Path, *, schema_version: int, what: str) -> dict[str, Any]:
    """Read a JSON file written by `write_json`.

    Parameters
    ----------
    path
        The file.
    schema_version
        The newest version this code can read.
    what
        What the folder should be ("a graph"), for the error messages.

    Raises
    ------
    StorageError
        If the file is missing, is not JSON, or has a newer schema version.
    """
    path = Path(path)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = int(content["schema_version"])
    except FileNotFoundError:
        raise StorageError(f"{path.parent} is not {what}: it has no {path.name}.") from None
    except NotADirectoryError:
        raise StorageError(f"{path.parent} is not {what}: it is a file.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} is damaged: {error}.") from None
    if found > schema_version:
        raise StorageError(
            f"{path} has schema version {found}, newer than {schema_version}, the newest this "
            "version of interest reads. Upgrade interest-expansion."
        )
    return content


def package_version() -> str:
    """Return the installed version of this project."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def provenance() -> dict[str, Any]:
    """Return when and with what something was made, as plain JSON types."""
    versions = {}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "interest_version": package_version(),
        "python": platform.python_version(),
        "packages": versions,
    }
