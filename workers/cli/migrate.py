"""`dialstock migrate`: bring the database to this version's tables."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli.terminal.output import Json, emit_json, say, show

if TYPE_CHECKING:
    from workers.database.versions import Versions

ASK_EVERY = 2.0
"""Seconds between two attempts on a database that is not there yet."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(migrate)


def migrate(
    *,
    wait: Annotated[
        int,
        typer.Option(
            min=0,
            max=3600,
            metavar="SECONDS",
            help="Try again so long where the database is not there yet, as when both start together.",
        ),
    ] = 0,
    beside: Annotated[
        bool,
        typer.Option(
            "--beside",
            help="Make tables although another schema of this database has some: for a second installation, which "
            "knows nothing of what the first one bought.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Bring the database to this version's tables; does nothing where it has them already, or a newer version's."""
    from workers.redaction import redacted
    from workers.settings import load_settings

    url = load_settings().database_url
    before, found = _migrated(url, wait, beside=beside)
    after = found.present
    where = redacted(url)
    if json:
        emit_json({"database": where, "from": before, "to": after, "changed": before != after})
    elif before == after:
        newer = "" if after == found.needed else f", which is newer than {found.needed}: {found.mend}"
        show(f"{where} is at {after} already{newer or ': nothing to do'}")
    else:
        show(f"{where}: from {before or 'an empty database'} to {after}")


def _migrated(url: str, wait: float, *, beside: bool) -> tuple[str | None, Versions]:
    """The revision before, and what there is after.

    Raises Away or DBAPIError where the database is not there after *wait* seconds.
    A migration is done whole or not at all: one that broke off is done again.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    from workers.health import Away
    from workers.views.errors import failure_of

    deadline, told = time.monotonic() + wait, ""
    while True:
        try:
            return _migrate_once(url, beside=beside)
        except (Away, OperationalError, InterfaceError) as exc:
            if time.monotonic() + ASK_EVERY > deadline:
                raise
            if (why := str(failure_of(exc))) != told:
                say(f"It is tried again every {ASK_EVERY:g} s, for {wait:g} s at most: {why}", "yellow")
            told = why
        time.sleep(ASK_EVERY)


def _migrate_once(url: str, *, beside: bool) -> tuple[str | None, Versions]:
    from workers.database.connections import migrate as run_migrations
    from workers.health import database_versions

    before = database_versions(url).present
    run_migrations(url, beside=beside)
    return before, database_versions(url)
