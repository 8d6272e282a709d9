"""Atomic writing of files and folders, and reading that refuses newer schema versions."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphgen.errors import InputError, StorageError
from graphgen.exchange import put_in_place

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "atomic_directory",
    "atomic_file",
    "check_output",
    "fingerprint",
    "package_version",
    "provenance",
    "read_json",
    "remove_directory",
    "table_format",
    "write_json",
    "write_table",
]

logger = logging.getLogger(__name__)

DISTRIBUTION = "interest-expansion"
# The packages whose versions can change a result; recorded with everything written.
RECORDED_PACKAGES = ("torch", "torch-geometric", "transformers", "pandas", "numpy", "scipy")
# What the manifest of every folder has; with them a folder is known as ours.
MANIFEST_KEYS = {"schema_version", "kind", "made_from", "files"}


@contextmanager
def atomic_directory(
    target: str | Path, *, kind: str, overwrite: bool = False, made_from: str = ""
) -> Iterator[Path]:
    """Give a temporary folder that becomes `target` only when the block ends without an error.

    The block writes one JSON file with `write_json`, the manifest. It then also says of what kind
    the folder is, what it was made from and which files were written. An older folder is replaced
    in one step (in two renames where the operating system cannot do that), so a reader, and whoever
    comes after a crash, sees the old one or the new one, never a mixture; files in it that
    the older manifest does not list stay. An older folder with another fingerprint is not replaced,
    but renamed to ``target.1`` and so on; without a fingerprint to compare it is refused.

    Parameters
    ----------
    target
        The folder; a link to a folder stays a link.
    kind
        Kind of the folder ("graph"). Only a folder of the same kind is replaced.
    overwrite
        Replace an older folder that was made from something else.
    made_from
        Fingerprint of command, settings and inputs; an older folder with the same one is replaced.

    Raises
    ------
    StorageError
        If the path cannot be written, or holds something that must not be replaced.
    """
    check_output(target, kind=kind, overwrite=overwrite, made_from=made_from)
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    temporary.chmod(0o755)
    retired = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        _sign(temporary, kind=kind, made_from=made_from)
        check_output(target, kind=kind, overwrite=overwrite, made_from=made_from)
        if not target.exists():
            temporary.rename(target)
        elif any(target.iterdir()) and not (overwrite or _same(target, made_from)):
            beside = _free_name(target)
            put_in_place(temporary, target, old=beside)
            logger.warning("The earlier %s, made from other inputs, is now in %s.", kind, beside)
        else:
            removable = [*_manifest(target).get("files", ()), *_keep_others(target, temporary)]
            put_in_place(temporary, target, old=retired)
            _remove_files(retired, removable)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_directory(target: str | Path, *, kind: str) -> None:
    """Remove a folder of a kind: the files that were written, and it if nothing else is in it."""
    manifest = _manifest(Path(target))
    if manifest.get("kind") == kind:
        _remove_files(Path(target), manifest["files"])


def check_output(
    target: str | Path,
    *,
    kind: str | None = None,
    overwrite: bool = False,
    made_from: str = "",
    inputs: Iterable[str | Path] = (),
) -> None:
    """Raise if a path cannot or must not be written, before any work is done for it.

    Parameters
    ----------
    target
        Path of the output.
    kind
        Kind of the folder; None for a file, which may replace any file but an input.
    overwrite, made_from
        As in `atomic_directory`.
    inputs
        Files and folders that are read. No output is one of them, lies in one, or holds one.

    Raises
    ------
    StorageError
        In one sentence, with the remedy.

    Examples
    --------
    >>> check_output("graph", kind="graph", inputs=["graph"])
    Traceback (most recent call last):
        ...
    graphgen.errors.StorageError: graph is an input; choose another path for the output.
    """
    real = Path(os.path.realpath(target))
    for given in inputs:
        source = Path(os.path.realpath(given))
        if real == source:
            raise StorageError(f"{target} is an input; choose another path for the output.")
        if source in real.parents:
            raise StorageError(f"{target} lies in the input {given}; choose another path.")
        if kind and real in source.parents and os.path.isdir(real):
            raise StorageError(f"{target} holds the input {given}; choose another path.")
    if kind:
        _check_folder(target, real, kind, overwrite, made_from)
    elif os.path.exists(real) and not os.path.isfile(real):
        raise StorageError(f"{target} is not a file; choose another path.")
    if os.path.exists(real) and not os.access(real, os.W_OK):
        raise StorageError(f"{target} must not be written: it is read-only.")
    parent = next(folder for folder in real.parents if os.path.exists(folder))
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        reason = error.strerror if os.path.isdir(parent) else "it is a file"
        raise StorageError(f"{target} cannot be written, because of {parent}: {reason}.") from None


def _check_folder(
    target: str | Path, real: Path, kind: str, overwrite: bool, made_from: str
) -> None:
    if not os.path.exists(real):
        return
    if not os.path.isdir(real):
        raise StorageError(f"{target} is a file, not a folder; choose another path.")
    here = Path.cwd()
    if real in (here, *here.parents):
        raise StorageError(f"{target} is or holds the current folder; name a folder below it.")
    if not any(real.iterdir()):
        return
    manifest = _manifest(real)
    if not manifest:
        raise StorageError(
            f"{target} is not empty and was not written by interest (or by a version that did not "
            "record what it wrote); choose another path."
        )
    if manifest["kind"] != kind:
        raise StorageError(
            f"{target} holds output of another kind ({manifest['kind']}, not {kind}); "
            "choose another path."
        )
    if not overwrite and not made_from:
        raise StorageError(
            f"{target} already holds a {kind}; choose another path, or replace it: --overwrite (in "
            "Python, overwrite=True)."
        )


def _same(folder: Path, made_from: str) -> bool:
    return bool(made_from) and _manifest(folder).get("made_from") == made_from


def _free_name(folder: Path) -> Path:
    names = (folder.with_name(f"{folder.name}.{number}") for number in itertools.count(1))
    return next(path for path in names if not os.path.lexists(path))


def fingerprint(settings: Any, inputs: Iterable[str | Path] = ()) -> str:
    """Return a hash of settings (as JSON) and of the content of the inputs.

    A folder that has a fingerprint counts by it, another one by its files. A source that
    cannot be read again, such as a pipe, makes the fingerprint empty, which equals none.
    """
    total = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for given in inputs:
        path = Path(given)
        made_from = _manifest(path).get("made_from") if path.is_dir() else None
        if made_from:
            total.update(made_from.encode())
            continue
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_dir():
                continue
            if not file.is_file():
                return ""
            with file.open("rb") as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder that `atomic_directory` wrote; of another one, {}."""
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and content.keys() >= MANIFEST_KEYS:
            return content
    return {}


def _sign(folder: Path, *, kind: str, made_from: str) -> None:
    """Add kind, fingerprint and the list of files to the manifest of a folder."""
    files = [str(path.relative_to(folder)) for path in _files(folder)]
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
        signed = {"kind": kind, "made_from": made_from, "files": files, **content}
        write_json(path, signed, schema_version=version)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _keep_others(old: Path, new: Path) -> list[str]:
    """Put the files of a folder that are not ours into the one that replaces it.

    They are linked, so both folders are whole until one takes the place of the other. Where a new
    file has the name of another's, the latter gets ".old" behind its name.
    """
    ours = set(_manifest(old).get("files", ()))
    others = [path for path in _files(old) if str(path.relative_to(old)) not in ours]
    for path in others:
        kept = new / path.relative_to(old)
        while os.path.lexists(kept):
            kept = kept.with_name(kept.name + ".old")
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, kept, follow_symlinks=False)
        except OSError:  # A file system without hard links.
            shutil.copy2(path, kept, follow_symlinks=False)
    return [str(path.relative_to(old)) for path in others]


def _remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files of a folder, then what is left of it if that is only empty folders."""
    # Only what is seen in the folder: a list that names ../other removes nothing.
    listed = set(names)
    for path in _files(folder):
        if str(path.relative_to(folder)) in listed:
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if not any(folder.iterdir()):
        folder.rmdir()


@contextmanager
def atomic_file(target: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, renamed onto it when the block ends well.

    The temporary name keeps the suffixes of `target`, so writers that look at them still work.
    A link to a file stays a link.
    """
    check_output(target)
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def table_format(path: str | Path) -> str:
    """Return the suffix of a table to write: ".csv", ".tsv" (before .gz or .zst too), ".parquet".

    Raises
    ------
    InputError
        If the path has none of them.

    Examples
    --------
    >>> table_format("lists.csv.gz")
    '.csv'
    """
    *_, second, last = ("", "", *(suffix.lower() for suffix in Path(path).suffixes))
    kind = second if last in (".gz", ".zst") else last
    if kind in (".csv", ".tsv") or last == ".parquet":
        return kind
    raise InputError(f"A table is written as .csv, .tsv (also .gz, .zst) or .parquet; got {path}.")


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame by the suffix of the path, see `table_format`, whole or not at all."""
    kind = table_format(path)
    with atomic_file(path) as temporary:
        if kind == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False, sep="\t" if kind == ".tsv" else ",")


def write_json(path: str | Path, content: dict[str, Any], *, schema_version: int) -> None:
    """Write a JSON file that carries its schema version first."""
    with atomic_file(path) as temporary:
        signed = {"schema_version": schema_version, **content}
        text = json.dumps(signed, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path, *, schema_version: int, what: str) -> dict[str, Any]:
    """Read a JSON file written by `write_json`.

    Parameters
    ----------
    path
        The file.
    schema_version
        The newest version this code can read.
    what
        Kind of the folder ("a graph"), for the error messages.

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


def package_version(name: str = DISTRIBUTION) -> str:
    """Return the installed version of a package, by default of this project, or "unknown"."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def provenance() -> dict[str, Any]:
    """Return when and with what something was made, as plain JSON types."""
    versions = {name: package_version(name) for name in RECORDED_PACKAGES}
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "interest_version": package_version(),
        "python": platform.python_version(),
        "packages": {name: version for name, version in versions.items() if version != "unknown"},
    }
