"""The command line `dialstock`. Importing it stays light: a command imports what it needs when it runs."""

from __future__ import annotations

import atexit
import gc

from workers.cli.app import app

OBJECTS = 50_000
"""New objects until garbage is searched for, in place of Python's 700: what a command imports makes 200,000."""


def main() -> None:
    """The console script."""
    gc.set_threshold(OBJECTS)
    # Else the interpreter searches all of them once more before it ends.
    atexit.register(gc.freeze)
    app()
