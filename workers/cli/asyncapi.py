"""`dialstock asyncapi`: what services send and are told, as a document."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import typer

from workers.cli.terminal.output import show_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(asyncapi)


def asyncapi() -> None:
    """Print what services send and are told, tasks and events with their fields and samples, as an AsyncAPI document.

    It is JSON, for programs that write code, tests or pages from it; Flower shows the same under */dialstock/asyncapi*.
    Its names have this installation's REDIS_KEY_PREFIX.
    """
    import json

    from workers.settings import load_settings
    from workers.views.asyncapi.document import asyncapi_document

    show_line(json.dumps(asyncapi_document(load_settings().key_prefix), indent=2, ensure_ascii=False))
