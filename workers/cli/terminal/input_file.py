"""Files that a command reads, or its standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from workers.views.errors import Failure

STDIN = "-"


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file, or the standard input for STDIN. Raises Failure where it cannot be opened."""
    if file == STDIN:
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below; only opening it may fail here
    except OSError as exc:
        raise Failure(f"{file}: cannot be read: {exc.strerror or exc}") from exc
    with source:
        yield source
