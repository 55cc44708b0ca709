"""Which version's tables a database has, and whether this program may work with them.

Migrations only add (CONTRIBUTING.md says what that is), so a program goes on with a database that a newer one has
migrated: while a deploy rolls, and after a roll-back. A migration after which older programs may not go on writes into
`schema_compatibility` the oldest revision whose programs still may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, table, text

MIGRATIONS = Path(__file__).parents[1] / "migrations"

_REVISION = re.compile(r"[0-9]{4}")


class Fit(Enum):
    """How a database fits a program.

    EMPTY: it has no tables of ours. BEHIND: it lacks what the program needs. SAME. AHEAD: it has more, and the program
    may go on. BEYOND: it has more, and the program may not. STRANGE: no version of ours made it.
    """

    EMPTY = auto()
    BEHIND = auto()
    SAME = auto()
    AHEAD = auto()
    BEYOND = auto()
    STRANGE = auto()


class Unfit(RuntimeError):
    """This program may not work with the database: says which revision it has, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """The revision that a database has (None for an empty one), and the one that this program needs.

    `oldest` is the oldest revision whose programs may go on, None where the database does not say.
    """

    present: str | None
    needed: str
    oldest: str | None

    @property
    def fit(self) -> Fit:
        """How they go together; what the database does not say is no permission."""
        if self.present is None:
            return Fit.EMPTY
        if not _REVISION.fullmatch(self.present):
            return Fit.STRANGE
        if self.present <= self.needed:
            return Fit.SAME if self.present == self.needed else Fit.BEHIND
        may = self.oldest is not None and _REVISION.fullmatch(self.oldest) and self.oldest <= self.needed
        return Fit.AHEAD if may else Fit.BEYOND

    def said_of(self, where: str) -> str:
        """The two revisions, for a message about the database *where*."""
        return f"the database {where} is at revision {self.present or 'none'}, and this program is for {self.needed}"

    @property
    def mend(self) -> str:
        """What to do where they are not the same."""
        return {
            Fit.EMPTY: "run dialstock migrate",
            Fit.BEHIND: "run dialstock migrate",
            Fit.SAME: "",
            Fit.AHEAD: "this program is older than the database, and goes on; deploy the newer one when it suits",
            Fit.BEYOND: "this program is older than the database: deploy one for revision "
            f"{self.oldest or self.present} or later, or restore the backup from before that was migrated",
            Fit.STRANGE: "no version of Dialstock made it: name another database",
        }[self.fit]


def needed_revision() -> str:
    """The revision that this program needs."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def read_versions(engine: Engine) -> Versions:
    """Ask the database. Raises SQLAlchemyError."""
    with engine.connect().execution_options(dialstock_read=True) as connection:
        tables = inspect(connection)
        present = oldest = None
        if tables.has_table("alembic_version"):
            present = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        else:
            _refuse_hidden(connection)
        if tables.has_table("schema_compatibility"):
            oldest = _oldest(connection)
    return Versions(present=present, needed=needed_revision(), oldest=oldest)


def _oldest(connection: Connection) -> str | None:
    return connection.execute(text("SELECT max(oldest_revision) FROM schema_compatibility")).scalar()


def _refuse_hidden(connection: Connection) -> None:
    """Raise what PostgreSQL says where the tables are in a schema that the role may not use: they look like none."""
    if connection.dialect.name == "postgresql" and (schema := connection.execute(_HIDDEN).scalar()):
        connection.execute(select(text("1")).select_from(table("alembic_version", schema=schema)))


_HIDDEN = text(
    "SELECT nspname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON relnamespace = pg_namespace.oid"
    " WHERE relname = 'alembic_version' AND NOT has_schema_privilege(pg_namespace.oid, 'USAGE')"
    " AND nspname IN (SELECT trim(unnest(string_to_array(current_setting('search_path'), ',')), ' \"'))"
)
