"""The command line `dialstock`. Importing it stays light: a command imports what it needs when it runs."""

from __future__ import annotations

from workers.cli.app import app


def main() -> None:
    """The console script."""
    app()
