"""`dialstock migrate`: bring the database to this version's tables."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import typer

from workers.cli.terminal.output import Json, emit_json, show


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(migrate)


def migrate(*, json: Json = False) -> None:
    """Bring the database to this version's tables; does nothing where it has them already, or a newer version's."""
    from workers.database.connections import migrate as run_migrations
    from workers.health import database_revisions, database_versions
    from workers.redaction import redacted
    from workers.settings import load_settings

    url = load_settings().database_url
    before, _ = database_revisions(url)
    run_migrations(url)
    found = database_versions(url)
    after = found.present
    where = redacted(url)
    if json:
        emit_json({"database": where, "from": before, "to": after, "changed": before != after})
    elif before == after:
        newer = "" if after == found.needed else f", which is newer than {found.needed}: {found.mend}"
        show(f"{where} is at {after} already{newer or ': nothing to do'}")
    else:
        show(f"{where}: from {before or 'an empty database'} to {after}")
