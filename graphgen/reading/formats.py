"""The format of a table file, by its name or its first bytes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["COMPRESSIONS", "FORMATS", "format_inside", "format_of"]

FORMATS = {
    ".csv": "csv", ".tsv": "tsv", ".txt": "txt", ".dat": "txt", ".parquet": "parquet",
    ".pq": "parquet", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".xlsx": "excel",
    ".inter": "tsv", ".item": "tsv", ".user": "tsv",
}  # fmt: skip
MAGIC = {b"PAR1": "parquet", b"PK\x03\x04": "excel"}
COMPRESSIONS = (".gz", ".zst", ".bz2")


def format_of(path: Path) -> str | None:
    """Return "csv", "tsv", "txt", "json", "excel" or "parquet" by the name of a file, or None.

    Examples
    --------
    >>> format_of(Path("log.csv.gz")), format_of(Path("README.md"))
    ('csv', None)
    """
    name, _, _ = path.name.partition("#")  # a file may be named like a filter
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def format_inside(path: Path) -> str:
    """Find the format of a file whose name does not say it from its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return "csv"  # whose reader says what is wrong
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith((b'{"', b"[{", b"{ ", b"{\n")):
        return "json"
    return "txt" if b"," not in head.split(b"\n")[0] else "csv"
