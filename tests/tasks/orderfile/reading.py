"""Reads an order file in a test, from bytes, text or any stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from tasks.orderfile import Line, Problem, read_order
from tasks.providers.registry import kinds

KINDS = kinds()
HEADER = "number,provider,idempotency_key\n"


class Pipe(io.RawIOBase):
    """A source that cannot be sought and gives its bytes in odd pieces."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._rest or next(self._blocks, b"")
        block, self._rest = block[:size], block[size:]
        self.given += len(block)
        return block


def read(source: str | bytes | BinaryIO, name: str = "order.csv", **options: Any) -> list[Line | Problem]:
    if isinstance(source, str):
        source = source.encode()
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    arguments = {"format": None, "default_provider": None, "country": None, **options}
    return list(read_order(stream, name=name, kinds=KINDS, **arguments))


def lines(source: str | bytes | BinaryIO, name: str = "order.csv", **options: Any) -> list[Line]:
    """The purchases of a file that must have no problem."""
    found = read(source, name, **options)
    problems = [item for item in found if isinstance(item, Problem)]
    assert not problems, problems
    return [item for item in found if isinstance(item, Line)]


def told(source: str | bytes, name: str = "order.csv", **options: Any) -> list[tuple[int, str | None, str]]:
    """The problems of a file, as line, column and message."""
    return [(p.line, p.column, p.message) for p in read(source, name, **options) if isinstance(p, Problem)]
