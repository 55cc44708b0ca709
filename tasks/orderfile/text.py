"""An order file as text: its bounds, its encoding and its format.

UTF-8 with or without a byte order mark, and the UTF-16 with one that spreadsheets write.
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import PurePath
from typing import BinaryIO, Literal, Self

Format = Literal["csv", "json", "ndjson"]

MAX_BYTES = 256 * 1024 * 1024
MAX_ROWS = 1_000_000
MAX_LINE = 1024 * 1024  # characters of one line, or of one element of a JSON list

# Ctrl-Z, which old programs write behind the text
END_OF_FILE = "\x1a"

_HEAD = 65_536
SUFFIXES: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MARKS = (codecs.BOM_UTF8, *_UTF16)
_ESCAPED = re.compile("[\udc80-\udcff]")


class OrderFileError(ValueError):
    """A file that cannot be read at all: empty, too big, not text, or of another shape. The message names it."""


class Text:
    """A file's text, read by lines or by blocks. `number` counts the lines that were read.

    Raises OrderFileError, at once or while it is read.
    """

    def __init__(self, source: BinaryIO, name: str, head: bytes = b"") -> None:
        """*head* was read of the source already."""
        self.name = name
        self.number = 0
        self._refuse_big(source)
        self._head = head + read_fully(source, _HEAD - len(head))
        for mark in _MARKS:
            while self._head.startswith(mark * 2):
                self._head = self._head.removeprefix(mark)
        self._refuse_binary()
        self._encoding = "utf-16" if self._head.startswith(_UTF16) else "utf-8-sig"
        raw = io.BufferedReader(_Bounded(source, self._head, self), _HEAD)
        # escaped, and found line by line, so that the line with the foreign byte can be named
        self._text = io.TextIOWrapper(raw, encoding=self._encoding, errors="surrogateescape", newline="")

    def error(self, message: str) -> OrderFileError:
        """An error that names the file."""
        return OrderFileError(f"{self.name}: {message}")

    def too_big(self) -> OrderFileError:
        """The error for a file beyond the bound."""
        return self.error(f"is larger than {MAX_BYTES // 1024 // 1024} MiB: split it into several files")

    def guess_format(self) -> Format:
        """The format by the name's suffix, else by the first characters."""
        if known := SUFFIXES.get(PurePath(self.name).suffix.lower()):
            return known
        start = self._head.decode(self._encoding, errors="ignore").lstrip()
        if start.startswith("["):
            return "json"
        if not start.startswith("{"):
            return "csv"
        return _object_format(start)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        # behind the last line only: there no line end follows
        line = self._decoded(MAX_LINE + 1, whole_line=True).rstrip(END_OF_FILE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE:
            raise self.error(f"line {self.number} is longer than {MAX_LINE:,} characters: is it an order file?")
        if not line.isascii() and _ESCAPED.search(line):
            raise self._not_text(f"line {self.number}")
        return line

    def read(self, size: int) -> str:
        """The next block, '' at the end."""
        block = self._decoded(size, whole_line=False)
        if not block.isascii() and _ESCAPED.search(block):
            raise self._not_text("it")
        return block

    def _decoded(self, size: int, *, whole_line: bool) -> str:
        try:
            return self._text.readline(size) if whole_line else self._text.read(size)
        except UnicodeError as exc:
            raise self._not_text(f"line {self.number + 1} or one soon after") from exc

    def _not_text(self, place: str) -> OrderFileError:
        return self.error(f"{place} is not UTF-8 text: save the file as 'CSV UTF-8' or in the UTF-8 encoding")

    def _refuse_big(self, source: BinaryIO) -> None:
        if source.seekable():
            here = source.tell()
            if source.seek(0, io.SEEK_END) - here > MAX_BYTES:
                raise self.too_big()
            source.seek(here)

    def _refuse_binary(self) -> None:
        if self._head.startswith(b"PK\x03\x04"):
            raise self.error("is an Excel workbook or another archive: save it as 'CSV UTF-8'")
        if b"\0" in self._head and not self._head.startswith(_UTF16):
            raise self.error(
                "is not text: give a CSV, JSON or NDJSON file in UTF-8, or a spreadsheet (.xlsx, .ods) that opens"
            )


class _Bounded(io.RawIOBase):
    """A source whose head was read already, and that refuses to give more than the bound."""

    def __init__(self, source: BinaryIO, head: bytes, text: Text) -> None:
        self._source = source
        self._head = head
        self._room = MAX_BYTES
        self._text = text

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # a BufferedReader gives no other
        block = self._head[: len(buffer)] or self._source.read(len(buffer))
        self._head = self._head[len(buffer) :]
        self._room -= len(block)
        if self._room < 0:
            raise self._text.too_big()
        buffer[: len(block)] = block
        return len(block)


def read_fully(source: BinaryIO, size: int) -> bytes:
    """Up to *size* bytes; fewer only where the source ends (a pipe gives them in pieces)."""
    blocks: list[bytes] = []
    while size > 0 and (block := source.read(size)):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _object_format(start: str) -> Format:
    """JSON where one object holds the list, NDJSON where the first line is an object of its own."""
    if re.match(r'\{\s*"requests"\s*:', start):
        return "json"
    return "ndjson" if start.splitlines()[0].rstrip().endswith("}") else "json"
