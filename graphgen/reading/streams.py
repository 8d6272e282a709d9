"""The bytes of a text file: decompressed, without byte order mark, in UTF-8."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from graphgen.errors import ConfigError, InputError

__all__ = ["ByteStream", "raise_undecodable"]

BLOCK = 4 << 20
# Bytes of a line of a table; longer ones are no table, and would fill the memory.
LONGEST_LINE = 64 << 20
SNIFF = 4096
# What compressed data starts with; the name of a file may lie about it.
MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh", "bz2"))
NOT_TEXT = (
    (b"PK\x03\x04", "a ZIP archive (or Excel workbook)"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
    (b"\x89HDF", "an HDF5 file"),
    (b"7z\xbc\xaf", "a 7z archive"),
)
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Latin text in UTF-16 is one half NUL bytes; a damaged text file is not.
NUL_SHARE_OF_UTF16 = 0.2
# First bytes in GB 2312 of punctuation and of the 3,755 characters of its first level, which make
# up nearly all of Chinese text.
COMMON_LEADS = frozenset((*range(0xA1, 0xA4), *range(0xB0, 0xD8)))
COMMON_SHARE = 0.7


class ByteStream(io.RawIOBase):
    """A readable stream of UTF-8 that remembers whether it met quotes and NUL bytes.

    Parameters
    ----------
    path
        The file.
    name
        Path for messages.
    encoding
        Encoding of the file; None for UTF-8, or what its byte order mark says.
    advance
        Called with the number of compressed bytes read since the last call.
    replace
        Texts to replace by others, in lines.
    longest
        Bytes that a line may have; None for any number.

    Attributes
    ----------
    quotes, nuls
        Whether a ``"`` and a NUL byte have passed.
    last_line
        What stands after the last line feed so far.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        encoding: str | None = None,
        advance: Callable[[int], None] | None = None,
        replace: Mapping[str, str] | None = None,
        longest: int | None = None,
    ) -> None:
        super().__init__()
        self._replace = [(old.encode(), new.encode()) for old, new in (replace or {}).items()]
        self._held = b""
        self._longest, self._unbroken = longest, 0
        self._path, self._name, self._advance = path, name, advance
        self.quotes = self.nuls = False
        self.last_line = b""
        self._file, self._raw = _open(path, name)
        self._position = 0
        head = self._read_raw(SNIFF)
        self.encoding = _encoding(head, encoding, name)
        for mark, of in BOMS:
            if head.startswith(mark) and of == self.encoding:
                head = head[len(mark) :]
                break
        utf8 = self.encoding in ("utf-8", "ascii")
        self._decoder: Any = None if utf8 else codecs.getincrementaldecoder(self.encoding)()
        self._head = head
        self._pending = b""

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            self._file.close()
        super().close()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; ``b""`` at the end."""
        if size is None or size < 0:
            return b"".join(self._blocks())
        if not self._pending:
            self._pending = self._next_block(max(size, SNIFF))
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def skip(self, n_bytes: int) -> None:
        """Pass over bytes, and forget which quotes and NUL bytes were among them."""
        while n_bytes > 0:
            n_bytes -= len(self.read(n_bytes))
        self.quotes, self.nuls = b'"' in self._pending, b"\0" in self._pending

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _blocks(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield block

    def _next_block(self, size: int) -> bytes:
        while True:
            raw, self._head = self._head or self._read_raw(size), b""
            data = raw
            if self._decoder is not None:
                try:
                    data = self._decoder.decode(raw, final=not raw).encode()
                except UnicodeError:
                    raise_undecodable(self._path, self._name, self.encoding)
            if self._replace:
                data = self._replaced(data, last=not raw)
            if data or not raw:
                break
        self.quotes = self.quotes or b'"' in data
        self.nuls = self.nuls or b"\0" in data
        feed = data.rfind(b"\n")
        if self._longest is not None:
            end = max(feed, data.rfind(b"\r"))
            self._unbroken = len(data) + (self._unbroken if end < 0 else -end - 1)
            if self._unbroken > self._longest:
                raise InputError(
                    f"{self._name} has a line of more than {self._longest >> 20} MB: it is damaged "
                    "or no table. Cut the line out, or fetch the file again."
                )
        self.last_line = self.last_line + data if feed < 0 else data[feed + 1 :]
        return data

    def _replaced(self, data: bytes, *, last: bool) -> bytes:
        """Replace in whole lines; the rest waits for its end."""
        data = self._held + data
        stop = len(data) if last else data.rfind(b"\n") + 1
        data, self._held = data[:stop], data[stop:]
        for old, new in self._replace:
            data = data.replace(old, new)
        return data

    def _read_raw(self, size: int) -> bytes:
        try:
            data: bytes = self._raw.read(size)
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"{self._name}: the compressed data end early or are damaged ({error}). The file "
                "was probably not copied completely: fetch it again."
            ) from None
        if self._advance is not None:
            position = self._file.tell()
            self._advance(position - self._position)
            self._position = position
        return data


def _open(path: Path, name: str) -> tuple[Any, Any]:
    try:
        file = pa.OSFile(str(path))
        head = file.read(8)
        file.seek(0)
    except PermissionError:
        raise InputError(f"{name} cannot be read: permission denied.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error}.") from None
    for magic, what in NOT_TEXT:
        if head.startswith(magic):
            remedy = (
                "Name it .parquet." if magic == b"PAR1" else "Extract or export it as CSV first."
            )
            raise InputError(f"{name} is {what}, not a text table. {remedy}")
    for magic, codec in MAGIC:
        if head.startswith(magic):
            return file, pa.CompressedInputStream(file, codec)
    return file, file


def _encoding(head: bytes, encoding: str | None, name: str) -> str:
    if encoding is not None:
        try:
            normal = codecs.lookup(encoding).name
            codecs.getincrementaldecoder(normal)
            b" ".decode(normal, "ignore")  # refuses encodings of bytes and of host names
        except (LookupError, ValueError):
            raise ConfigError(
                f"Unknown encoding {encoding!r}; for instance utf-8, utf-16, gb18030 or cp1252."
            ) from None
        for mark, of in BOMS:
            if of == f"{normal}-be" and head.startswith(mark):
                return of
        whole = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
        return whole.get(normal, normal)
    for mark, of in BOMS:
        if head.startswith(mark):
            return of
    if head and head.count(0) > NUL_SHARE_OF_UTF16 * len(head):
        order = "le" if head[1::2].count(0) >= head[::2].count(0) else "be"
        raise InputError(
            f"{name}, line 1: every other byte is NUL, as in UTF-16 without a byte order mark. "
            f'Add --encoding utf-16-{order} (encoding="utf-16-{order}" in Python).'
        )
    return "utf-8"


def raise_undecodable(path: Path, name: str, encoding: str) -> NoReturn:
    """Find the first line that `encoding` cannot decode, and raise with a suggestion.

    Raises
    ------
    InputError
        Always; it names file, line, bytes and the ``--encoding`` to try.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with ByteStream(path, name=name, encoding="latin-1") as stream:
        raw, head = stream._raw, stream._head
        block = head
        while True:
            pending = decoder.getstate()[0]
            try:
                line += _line_ends(decoder.decode(block, final=not block))
            except UnicodeDecodeError as error:
                data = pending + block
                line += _line_ends(data[: error.start].decode(encoding, "ignore"))
                raise InputError(
                    _undecodable(data, error, name=name, line=line, encoding=encoding, rest=raw)
                ) from None
            except UnicodeError as error:
                raise InputError(f"{name} is not valid {encoding}: {error}.") from None
            if not block:
                break
            block = raw.read(BLOCK)
    raise InputError(f"{name} is not valid {encoding}.")


def _line_ends(text: str) -> int:
    return text.count("\n") or text.count("\r")


def _undecodable(
    data: bytes, error: UnicodeDecodeError, *, name: str, line: int, encoding: str, rest: Any
) -> str:
    start = data.rfind(b"\n", 0, error.start) + 1
    sample = data[start:] + rest.read(BLOCK)
    end = sample.find(b"\n")
    text = sample[: end if end >= 0 else None]
    guess = _guess(sample, encoding)
    found = data[error.start : error.start + 4].hex(" ")
    shown = text[:80].decode(guess or "latin-1", "replace").strip()
    message = f"{name}, line {line}: the bytes {found} are not valid {encoding}"
    if guess is None:
        return f"{message}. Name the file's encoding with --encoding (encoding= in Python)."
    return (
        f"{message}. The file looks like {guess}: add --encoding {guess} "
        f'(encoding="{guess}" in Python), which reads this line as {shown!r}.'
    )


def _guess(sample: bytes, tried: str) -> str | None:
    sample = sample[: sample.rfind(b"\n") + 1] or sample
    for name in ("utf-8", "gb18030", "cp1252", "latin-1"):
        if name == tried:
            continue
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        if name != "gb18030" or _is_common_chinese(text):
            return name
    return None


def _is_common_chinese(text: str) -> bool:
    """Tell Chinese from accented letters that happen to pair up as rare characters."""
    foreign = "".join(character for character in text if not character.isascii())
    leads = foreign.encode("gb2312", "ignore")[::2]
    common = sum(lead in COMMON_LEADS for lead in leads)
    return common >= COMMON_SHARE * len(foreign)
