"""The migrations and the tables say the same, on the way up and on the way down."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import IntegrityError

import schemas.tables.accounts
import schemas.tables.audits
import schemas.tables.history
import schemas.tables.pools
import schemas.tables.processes
import schemas.tables.releases
import schemas.tables.versions  # noqa: F401 - its tables join the metadata
from schemas.settling import FindingKind, Verdict
from schemas.tables.purchases import PURCHASE
from workers.database.connections import SqlDatabase, migrate, revisions
from workers.database.migrating import widen_check
from workers.database.versions import MIGRATIONS


def alembic(conn: Connection, move: Callable[[Config, str], None], revision: str) -> None:
    if conn.dialect.name == "postgresql":
        # The scripts load meanwhile, which lasts on a starved machine.
        conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = conn
    move(config, revision)


def test_migrations_and_tables_agree(empty_database_url: str) -> None:
    migrate(empty_database_url)
    database = SqlDatabase(empty_database_url)
    with database.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, PURCHASE.metadata) == []
    database.close()


def test_the_checks_of_the_tables_are_in_the_database_too(database_url: str) -> None:
    # Alembic does not compare CHECK constraints.
    database = SqlDatabase(database_url)
    with database.read() as conn:
        for table in PURCHASE.metadata.tables.values():
            wanted = {str(c.name) for c in table.constraints if c.name and type(c).__name__ == "CheckConstraint"}
            assert {c["name"] for c in inspect(conn).get_check_constraints(table.name)} == wanted
    rows = [
        "INSERT INTO purchase_resolution (purchase_id, revision, decision, by, at) "
        "VALUES ('0190a0a0-0000-7000-8000-000000000001', 1, '{}', 'me', '2026-01-01 00:00:00')",
        "INSERT INTO audit_finding (id, account, kind, number, provider, provider_number_ids, found_at) "
        "VALUES ('0190a0a0-0000-7000-8000-000000000001', 'a', '{}', '+1', 'p', '[]', '2026-01-01 00:00:00')",
    ]
    for statement, known in zip(rows, (Verdict, FindingKind), strict=True):
        for good in known:
            with database.engine.connect() as conn:
                conn.execute(text(statement.format(good)))
                conn.rollback()
        with pytest.raises(IntegrityError), database.write() as conn:
            conn.execute(text(statement.format("nonsense")))
    database.close()


def test_every_migration_goes_down_and_up_again(empty_database_url: str) -> None:
    migrate(empty_database_url)
    database = SqlDatabase(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    steps = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    for below in [*steps[1:], "base"]:
        with database.write() as conn:
            alembic(conn, command.downgrade, below)
        assert revisions(database.engine)[0] == (None if below == "base" else below)
    with database.read() as conn:
        assert inspect(conn).get_table_names() == ["alembic_version"]
    migrate(empty_database_url)
    assert revisions(database.engine) == (steps[0], steps[0])
    database.close()


def test_purchases_that_were_asked_for_twice_before_they_told_of_it_tell_of_it(empty_database_url: str) -> None:
    database = SqlDatabase(empty_database_url)
    ids = {name: f"0190a0a0-0000-7000-8000-00000000000{n}" for n, name in enumerate(("two", "one", "adopted", "over"))}
    with database.write() as conn:
        alembic(conn, command.upgrade, "0004")
        for name, status in (("two", "queued"), ("one", "held"), ("adopted", "unknown"), ("over", "failed")):
            key = "NULL" if name == "adopted" else f"'{name}'"
            conn.execute(
                text(
                    "INSERT INTO purchase (id, number, provider, account, status, already_owned, attempts, revision, "
                    "options, metadata, created_at, updated_at, doubt, looks, look_failures, tried_seconds, "
                    f"idempotency_key) VALUES ('{ids[name]}', '+1', '{name}', '{name}', '{status}', false, 0, 0, "
                    f"'{{}}', '{{}}', '2026-01-01 00:00:00', '2026-01-01 00:00:00', false, 0, 0, 0, {key})"
                )
            )
        for key, name in (("two", "two"), ("again", "two"), ("one", "one"), ("late", "adopted"), ("x", "over")):
            row = f"('{key}', 'f', '{ids[name]}', '2026-01-01 00:00:00')"
            into = "INSERT INTO purchase_key (idempotency_key, fingerprint, purchase_id, created_at) VALUES "
            conn.execute(text(into + row))
    migrate(empty_database_url)
    with database.read() as conn:
        found = conn.execute(text("SELECT provider FROM purchase WHERE joined ORDER BY provider")).scalars().all()
    database.close()
    assert found == ["adopted", "two"]


def test_a_check_that_was_widened_holds_for_the_rows_that_there_are(postgres_url: str) -> None:
    database = SqlDatabase(postgres_url)
    query = "SELECT convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'purchase_status'"
    with database.read() as conn:
        [(validated, said)] = conn.execute(text(query)).all()
    database.close()
    assert validated
    assert "'releasing'" in said


def test_a_table_that_is_made_anew_keeps_what_was_made_on_it(sqlite_url: str) -> None:
    made_on = text("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'purchase' AND type <> 'table'")
    database = SqlDatabase(sqlite_url)
    with database.write() as conn, Operations.context(MigrationContext.configure(conn)):
        before = conn.execute(made_on).all()
        widen_check("purchase_status", "purchase", "status <> 'nonsense'")
        assert sorted(conn.execute(made_on).all()) == sorted(before)
        assert {"purchase_counted", "purchase_counted_at_once"} <= {
            name for kind, name, _ in before if kind == "trigger"
        }
        conn.rollback()
    database.close()
