"""Programs and databases of different versions: who goes on, who migrates, and who must not start."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import inspect, text

from tests.servers import PostgresServer
from tests.workers.cli.commands import choose_sandbox, execute
from workers.database.connections import SqlDatabase, make_engine, migrate, revisions
from workers.database.versions import Fit, Unfit, Versions, needed_revision
from workers.health import Away, check_database, database_versions, is_usable, tell_if_older

NEEDED = needed_revision()


def move_on(url: str, revision: str, oldest: str | None) -> None:
    """Have the database say that a newer program has migrated it, and which programs may go on."""
    database = SqlDatabase(url)
    with database.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        if not inspect(conn).has_table("schema_compatibility"):
            conn.execute(text("CREATE TABLE schema_compatibility (oldest_revision VARCHAR(4) PRIMARY KEY)"))
        conn.execute(text("DELETE FROM schema_compatibility"))
        if oldest:
            conn.execute(text("INSERT INTO schema_compatibility VALUES (:oldest)"), {"oldest": oldest})
    database.close()


@pytest.mark.parametrize(
    ("present", "oldest", "fit"),
    [
        (None, None, Fit.EMPTY),
        ("0011", None, Fit.BEHIND),
        ("0011", "0011", Fit.BEHIND),
        ("0012", None, Fit.SAME),
        ("0012", "0012", Fit.SAME),
        ("0013", "0012", Fit.AHEAD),
        ("9999", "0001", Fit.AHEAD),
        ("0013", None, Fit.BEYOND),
        ("0013", "0013", Fit.BEYOND),
        ("0013", "nonsense", Fit.BEYOND),
        ("0013", "", Fit.BEYOND),
        ("1a2b3c4d5e6f", "0001", Fit.STRANGE),
        ("", "0001", Fit.STRANGE),
    ],
)
def test_what_a_database_is_to_a_program(present: str | None, oldest: str | None, fit: Fit) -> None:
    assert Versions(present=present, needed="0012", oldest=oldest).fit is fit


def test_an_older_program_goes_on_where_it_may_and_says_so_once(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    tell_if_older(database_url)
    move_on(database_url, "9998", NEEDED)
    assert check_database(database_url) == "9998"
    assert is_usable(database_url)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        tell_if_older(database_url)
    [told] = [record.getMessage() for record in caplog.records]
    assert f"is at revision 9998, and this program is for {NEEDED}: this program is older than the database" in told
    migrate(database_url)
    engine = make_engine(database_url)
    assert revisions(engine) == ("9998", NEEDED)
    engine.dispose()


@pytest.mark.parametrize(("revision", "oldest"), [("9998", "9997"), ("9998", None), ("abc", "0001")])
def test_one_that_may_not_go_on_does_not_start(database_url: str, revision: str, oldest: str | None) -> None:
    move_on(database_url, revision, oldest)
    said = "this program is older than the database" if revision == "9998" else "no version of Dialstock made it"
    for use in (check_database, migrate):
        with pytest.raises((Away, Unfit), match=said) as told:
            use(database_url)
        assert "dialstock migrate" not in str(told.value)
        assert revision in str(told.value)
    assert not is_usable(database_url)


def test_one_that_is_behind_is_told_to_migrate(database_url: str) -> None:
    move_on(database_url, "0001", "0001")
    with pytest.raises(Away, match=r"is at revision 0001, .* run dialstock migrate"):
        check_database(database_url)


def test_commands_of_an_older_program(tmp_path: Path, sqlite_url: str) -> None:
    move_on(sqlite_url, "9998", NEEDED)

    def run(*arguments: str) -> tuple[int, str]:
        done = execute(*arguments, home=tmp_path, cwd=tmp_path, DATABASE_URL=sqlite_url)
        return done.returncode, done.stdout + done.stderr

    status, said = run("migrate")
    assert status == 0
    assert f"is at 9998 already, which is newer than {NEEDED}" in said
    choose_sandbox(tmp_path)
    checks = json.loads(run("doctor", "--json")[1])["checks"]
    [database] = [one for one in checks if one["name"] == "database"]
    assert database["level"] == "warn"
    assert database["mend"].startswith("this program is older than the database")
    assert "relay" in {one["name"] for one in checks}
    assert "0 rejected_request" in next(one["message"] for one in checks if one["name"] == "rows")
    assert run("order", "list")[0] == 0
    move_on(sqlite_url, "9998", "9998")
    for arguments in (("migrate",), ("doctor", "--quick"), ("order", "list"), ("worker",)):
        status, said = run(*arguments)
        assert status == 3, said
        assert "this program is older than the database: deploy one for revision 9998" in " ".join(said.split())


@pytest.fixture
def elsewhere(postgres_server: PostgresServer) -> Iterator[tuple[str, str]]:
    """The URLs of a user whose search_path leads to the tables, and of one whose does not."""
    with postgres_server.database() as url:
        postgres_server.once("CREATE ROLE astray LOGIN")
        database = SqlDatabase(url)
        with database.write() as conn:
            for statement in ("CREATE SCHEMA theirs", "GRANT ALL ON SCHEMA theirs, public TO astray"):
                conn.execute(text(statement))
            conn.execute(text("ALTER ROLE astray SET search_path = theirs"))
        database.close()
        yield url, url.replace("postgres@", "astray@")


def test_tables_that_a_user_does_not_look_at_are_no_empty_database(elsewhere: tuple[str, str], tmp_path: Path) -> None:
    _, astray = elsewhere
    choose_sandbox(tmp_path)
    for command in (("migrate",), ("doctor",), ("order", "list"), ("worker",), ("migrate", "--wait", "9")):
        done = execute(*command, home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=astray)
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 3, said
        assert "shows its user none of our tables, which stand in the schema public" in said
        assert "ALTER ROLE ... SET search_path" in said
        assert "run dialstock migrate" not in said
    assert database_versions(astray).fit is Fit.ELSEWHERE
    done = execute("migrate", "--beside", home=tmp_path, cwd=tmp_path, DATABASE_URL=astray)
    assert (done.returncode, done.stderr) == (0, "")
    assert check_database(astray) == NEEDED


def test_new_tables_go_nowhere_but_beside_the_others(elsewhere: tuple[str, str]) -> None:
    url, _ = elsewhere
    move_on(url, "0022", None)
    path = quote("-c search_path=theirs,public")
    with pytest.raises(
        Unfit, match=r"stand in the schema public, and new ones would go to theirs: .* begin with public"
    ):
        migrate(f"{url}&options={path}")
    assert database_versions(url).present == "0022"
