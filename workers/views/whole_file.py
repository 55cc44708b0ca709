"""A file that is there whole or not at all: of one that breaks off, a number that is cut may be another number."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from workers.views.errors import Failure


@contextmanager
def whole_file(output: Path, *, encoding: str = "utf-8", anew: bool = False) -> Iterator[TextIO]:
    """Write *output*, in place of what is there, or *anew*: what came there meanwhile stays.

    Raises Failure where it cannot be written.
    """
    try:
        if output.exists() and not output.is_file():
            # a pipe or a device cannot be replaced
            with output.open("w", encoding=encoding, newline="") as target:
                yield target
            return
        descriptor, temporary = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding=encoding, newline="") as target:
                _open_to_others(descriptor)
                yield target
            if anew:
                output.touch(exist_ok=False)
            Path(temporary).replace(output)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise Failure(f"{output}: cannot be written: {exc.strerror or exc}") from exc


def _open_to_others(descriptor: int) -> None:
    # a temporary file is for its owner alone; this one is as any other file would be
    umask = os.umask(0)
    os.umask(umask)
    os.fchmod(descriptor, 0o666 & ~umask)
