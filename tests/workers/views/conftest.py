"""Views of the tables that the command line's tests fill."""

from __future__ import annotations

from tests.workers.cli.conftest import both, cli, desk, home

__all__ = ["both", "cli", "desk", "home"]
