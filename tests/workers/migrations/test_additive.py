"""Migrations only add: programs of the release before go on with what each of them leaves.

What is allowed is listed, so that what nobody thought of is not.
"""

from __future__ import annotations

import re

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text

from tests.servers import PostgresServer
from tests.workers.migrations.test_versions import alembic
from workers.database.connections import SqlDatabase
from workers.database.versions import MIGRATIONS

BASELINE = "0001"

_NAME = r'"?(\w+)"?'
_ADDED_COLUMN = re.compile(rf"ALTER TABLE {_NAME} ADD COLUMN {_NAME} (.*)")
_NEW_TABLE = re.compile(rf"CREATE TABLE {_NAME} ")
_NEW_INDEX = re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON {_NAME} ")
_BESIDE = re.compile(rf"CREATE INDEX CONCURRENTLY IF NOT EXISTS {_NAME} ON ")
_ROWS_OF_A_NEW_TABLE = re.compile(rf"(?:INSERT INTO|UPDATE) {_NAME} ")
_NOT_CHANGING = re.compile(r"SELECT |SHOW |SET LOCAL |BEGIN |UPDATE alembic_version |INSERT INTO alembic_version ")

EXCEPTIONS = {
    "0004": ["CREATE INDEX purchase_doubtful ON purchase"],
    # Columns that were added in the same migration, which older programs do not know.
    "0005": ["UPDATE purchase SET joined = true"],
    "0007": [
        "UPDATE purchase SET pool =",
        "CREATE INDEX purchase_by_pool ON purchase",
        "DROP INDEX pool_number_by_order_time",
    ],
    # A value more: what was allowed before still is.
    "0009": [
        "ALTER TABLE purchase_resolution DROP CONSTRAINT purchase_resolution_decision",
        "ALTER TABLE purchase_resolution ADD CONSTRAINT purchase_resolution_decision",
        "ALTER TABLE audit_finding DROP CONSTRAINT audit_finding_kind",
        "ALTER TABLE audit_finding ADD CONSTRAINT audit_finding_kind",
    ],
    # The same, and read without a lock that anybody waits for.
    "0020": [
        "ALTER TABLE public.purchase DROP CONSTRAINT purchase_status, ADD CONSTRAINT purchase_status CHECK (status",
        "ALTER TABLE public.purchase VALIDATE CONSTRAINT purchase_status",
    ],
    # They refuse nothing, and change but a column that was added in the same migration.
    "0035": ["CREATE FUNCTION purchase_counted()", "CREATE TRIGGER purchase_counted"],
}
"""What stood before this rule did, by migration: the beginnings of its statements; a value more of a status; and
triggers by which programs of the release before count, too. No other belongs here: a migration that cannot but take
something away writes its own revision into schema_compatibility."""


def is_additive(statement: str, new_tables: set[str]) -> bool:
    """Whether a statement only adds; *new_tables* are those that the same migration has made."""
    if found := _NEW_TABLE.match(statement):
        new_tables.add(found[1])
        return True
    if found := _ADDED_COLUMN.match(statement):
        return found[1] in new_tables or "NOT NULL" not in found[3] or "DEFAULT" in found[3]
    if found := _NEW_INDEX.match(statement):
        return found[2] in new_tables
    if found := _ROWS_OF_A_NEW_TABLE.match(statement):
        return found[1] in new_tables or bool(_NOT_CHANGING.match(statement))
    return bool(_BESIDE.match(statement) or _NOT_CHANGING.match(statement))


def taken_away(revision: str, statements: list[str]) -> list[str]:
    """The statements of a migration that do not only add, and are no exception; none where older programs must end."""
    if f"UPDATE schema_compatibility SET oldest_revision = '{revision}'" in statements:
        return []
    tables: set[str] = set()
    excepted = tuple(EXCEPTIONS.get(revision, ()))
    return [one for one in statements if not is_additive(one, tables) and not one.startswith(excepted or ("\0",))]


@pytest.fixture(scope="module")
def statements(_postgres_of_the_session: PostgresServer) -> dict[str, list[str]]:
    """What each migration after the baseline executes on PostgreSQL."""
    _postgres_of_the_session.ensure_running()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    with _postgres_of_the_session.database(empty=True) as url:
        database = SqlDatabase(url)
        executed: list[str] = []

        def keep(_conn: Connection, _cursor: object, statement: str, *_: object) -> None:
            executed.append(" ".join(statement.split()))

        found = {}
        event.listen(database.engine, "before_cursor_execute", keep)
        for script in reversed(scripts):
            executed.clear()
            with database.write() as conn:
                alembic(conn, command.upgrade, script.revision)
            found[script.revision] = [one for one in executed if "pg_catalog." not in one]
        database.close()
    del found[BASELINE]
    return found


def test_the_database_says_which_programs_may_go_on_in_one_row(postgres_url: str) -> None:
    database = SqlDatabase(postgres_url)
    with database.read() as conn:
        [oldest] = conn.execute(text("SELECT oldest_revision FROM schema_compatibility")).scalars()
    database.close()
    assert re.fullmatch(r"[0-9]{4}", oldest)


def test_every_migration_adds_alone(statements: dict[str, list[str]]) -> None:
    assert {one: wrong for one, done in statements.items() if (wrong := taken_away(one, done))} == {}
    assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS pool_request_created" in " ".join(statements["0014"])


def test_one_that_takes_away_ends_older_programs() -> None:
    ends = "UPDATE schema_compatibility SET oldest_revision = '9999'"
    assert taken_away("9999", ["DROP TABLE purchase", ends]) == []
    assert taken_away("9998", ["DROP TABLE purchase", ends]) == ["DROP TABLE purchase", ends]


def test_no_exception_is_left_over(statements: dict[str, list[str]]) -> None:
    for revision, excepted in EXCEPTIONS.items():
        for one in excepted:
            assert any(statement.startswith(one) for statement in statements[revision]), (revision, one)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE purchase",
        "ALTER TABLE purchase DROP COLUMN pool",
        "ALTER TABLE purchase RENAME COLUMN pool TO stock",
        "ALTER TABLE purchase RENAME TO purchases",
        "ALTER TABLE purchase ADD COLUMN more TEXT NOT NULL",
        "ALTER TABLE purchase ALTER COLUMN number TYPE VARCHAR(8)",
        "ALTER TABLE purchase ALTER COLUMN pool SET NOT NULL",
        "ALTER TABLE purchase ADD CONSTRAINT more CHECK (attempts < 9)",
        "CREATE INDEX more ON purchase (pool)",
        "CREATE UNIQUE INDEX more ON purchase (pool)",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS more ON purchase (pool)",
        "DROP INDEX purchase_by_pool",
        "DELETE FROM audit_finding",
        "UPDATE purchase SET status = 'held'",
        "CREATE TRIGGER more BEFORE INSERT ON purchase EXECUTE FUNCTION more()",
    ],
)
def test_what_takes_away_or_locks_is_found(statement: str) -> None:
    assert taken_away("9999", ["CREATE TABLE other (id INTEGER)", statement]) == [statement]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE purchase ADD COLUMN more TEXT",
        "ALTER TABLE purchase ADD COLUMN more BOOLEAN DEFAULT false NOT NULL",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS more ON public.purchase (pool)",
        "CREATE UNIQUE INDEX one ON other (id)",
        "INSERT INTO other (id) VALUES (1)",
    ],
)
def test_what_adds_is_not(statement: str) -> None:
    assert taken_away("9999", ["CREATE TABLE other (id INTEGER)", statement]) == []
