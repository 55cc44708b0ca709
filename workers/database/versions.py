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

    EMPTY: it has no tables of ours. ELSEWHERE: they stand where its user does not look. BEHIND: it lacks what the
    program needs. SAME. AHEAD: it has more, and the program may go on. BEYOND: it has more, and the program may not.
    STRANGE: no version of ours made it.
    """

    EMPTY = auto()
    ELSEWHERE = auto()
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

    `oldest` is the oldest revision whose programs may go on, None where the database does not say. `elsewhere` names
    the schemas that have tables of ours where the user's search_path leads to none.
    """

    present: str | None
    needed: str
    oldest: str | None
    elsewhere: str | None = None

    @property
    def fit(self) -> Fit:
        """How they go together; what the database does not say is no permission."""
        if self.present is None:
            return Fit.ELSEWHERE if self.elsewhere else Fit.EMPTY
        if not _REVISION.fullmatch(self.present):
            return Fit.STRANGE
        if self.present <= self.needed:
            return Fit.SAME if self.present == self.needed else Fit.BEHIND
        may = self.oldest is not None and _REVISION.fullmatch(self.oldest) and self.oldest <= self.needed
        return Fit.AHEAD if may else Fit.BEYOND

    def said_of(self, where: str) -> str:
        """The two revisions, for a message about the database *where*."""
        if self.fit is Fit.ELSEWHERE:
            return f"the database {where} shows its user none of our tables, which stand in the schema {self.elsewhere}"
        return f"the database {where} is at revision {self.present or 'none'}, and this program is for {self.needed}"

    @property
    def mend(self) -> str:
        """What to do where they are not the same."""
        return {
            Fit.EMPTY: "run dialstock migrate",
            Fit.ELSEWHERE: "have the user's search_path begin with that (ALTER ROLE ... SET search_path). A second set "
            "of tables knows nothing of what was bought, and buys it again; for another installation beside the first: "
            "dialstock migrate --beside",
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
        present = oldest = elsewhere = None
        if tables.has_table("alembic_version"):
            present = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        else:
            _refuse_hidden(connection)
            elsewhere = _elsewhere(connection)
        if tables.has_table("schema_compatibility"):
            oldest = _oldest(connection)
    return Versions(present=present, needed=needed_revision(), oldest=oldest, elsewhere=elsewhere)


def refuse_two_schemas(engine: Engine) -> None:
    """Raise Unfit where new tables would not stand beside those that there are."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(dialstock_read=True) as connection:
            split = connection.execute(_SPLIT).one_or_none()
        if split is not None:
            what = f"its tables stand in the schema {split.ours}, and new ones would go to {split.first}"
            raise Unfit(f"{what}: have the user's search_path begin with {split.ours} (ALTER ROLE ... SET search_path)")


_SPLIT = text(
    "SELECT nspname AS ours, current_schema() AS first FROM pg_catalog.pg_class"
    " JOIN pg_catalog.pg_namespace ON relnamespace = pg_namespace.oid"
    " WHERE pg_class.oid = to_regclass('alembic_version') AND nspname IS DISTINCT FROM current_schema()"
)


def _oldest(connection: Connection) -> str | None:
    return connection.execute(text("SELECT max(oldest_revision) FROM schema_compatibility")).scalar()


def _elsewhere(connection: Connection) -> str | None:
    """The schemas of PostgreSQL in which tables of ours stand."""
    return connection.execute(_OURS).scalar() if connection.dialect.name == "postgresql" else None


# Others use Alembic, too. Who may use no table of a schema sees its name.
_OURS = text(
    "SELECT string_agg(nspname, ', ' ORDER BY nspname) FROM pg_catalog.pg_namespace WHERE 2 = ("
    "SELECT count(*) FROM pg_catalog.pg_class WHERE relnamespace = pg_namespace.oid AND relkind IN ('r', 'p')"
    " AND relpersistence <> 't' AND relname IN ('alembic_version', 'purchase_attempt'))"
)


def _refuse_hidden(connection: Connection) -> None:
    """Raise what PostgreSQL says where the tables are in a schema that the role may not use: they look like none."""
    if connection.dialect.name == "postgresql" and (schema := connection.execute(_HIDDEN).scalar()):
        connection.execute(select(text("1")).select_from(table("alembic_version", schema=schema)))


_HIDDEN = text(
    "SELECT nspname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON relnamespace = pg_namespace.oid"
    " WHERE relname = 'alembic_version' AND NOT has_schema_privilege(pg_namespace.oid, 'USAGE')"
    " AND nspname IN (SELECT trim(unnest(string_to_array(current_setting('search_path'), ',')), ' \"'))"
)
