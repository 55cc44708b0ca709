"""`dialstock up`: everything in one terminal. The embedded server and database, workers, beat and Flower."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.processes.startup_checks import checked_source
from workers.cli.processes.worker_beat_flower import Concurrency, LogLevel
from workers.cli.terminal.output import Json
from workers.views.errors import SOME_FAILED


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    *,
    workers: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Worker processes.")] = 2,
    concurrency: Concurrency = None,
    flower_port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="Flower's port.")] = 5555,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Run without Flower.")] = False,
    show_urls: Annotated[bool, typer.Option("--show-urls", help="Print addresses with their passwords.")] = False,
    log_level: LogLevel = "WARNING",
    json: Json = False,
) -> None:
    """Run everything in this terminal until Ctrl-C: Redis, database, workers, beat and Flower."""
    from workers.cli.processes.session import Options, run

    settings, source = checked_source()
    options = Options(
        workers=workers,
        concurrency=concurrency,
        flower_port=None if no_flower else flower_port,
        show_urls=show_urls,
        log_level=log_level,
        json=json,
    )
    raise typer.Exit(0 if run(settings, source, options) else SOME_FAILED)
