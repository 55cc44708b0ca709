import json
from pathlib import Path

from tests.servers import PostgresServer
from tests.waiting import eventually
from tests.workers.cli.commands import Running, environment, execute


def test_from_nothing_to_this_version_and_then_nothing_to_do(tmp_path: Path, empty_database_url: str) -> None:
    def migrate(*options: str) -> str:
        done = execute("migrate", *options, home=tmp_path, cwd=tmp_path, DATABASE_URL=empty_database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = json.loads(migrate("--json"))
    assert (first["from"], first["changed"]) == (None, True)
    assert json.loads(migrate("--json")) == {**first, "from": first["to"], "changed": False}
    assert f"is at {first['to']} already" in migrate()


def test_the_embedded_database_too(tmp_path: Path) -> None:
    done = execute("migrate", home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "from an empty database to" in done.stdout
    assert (tmp_path / "home" / "dialstock.db").exists()


def test_a_database_that_is_away(tmp_path: Path) -> None:
    url = "postgresql://someone:hidden@127.0.0.1:1/nothing"
    done = execute("migrate", home=tmp_path, cwd=tmp_path, DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (3, "")
    assert "is away" in done.stderr
    assert "hidden" not in done.stderr


def test_a_database_that_comes_while_it_is_waited_for(tmp_path: Path, postgres_server: PostgresServer) -> None:
    with postgres_server.database(empty=True) as url:
        postgres_server.stop()
        environ = environment(tmp_path, DATABASE_URL=url)
        with Running("migrate", "--wait", "120", "--json", cwd=tmp_path, environ=environ) as migrate:
            eventually(lambda: "tried again every 2 s, for 120 s at most" in migrate.log, what="it is told")
            postgres_server.restart()
            done = json.loads(migrate.process.communicate(timeout=120)[0])
    assert (migrate.process.returncode, done["changed"]) == (0, True)
    assert migrate.log.count("tried again") < 4


def test_one_that_does_not_come_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    url = "postgresql://someone:hidden@127.0.0.1:1/nothing"
    done = execute("migrate", "--wait", "5", home=tmp_path, cwd=tmp_path, DATABASE_URL=url)
    assert done.returncode == 3
    # On a busy machine the first try may take as long as there is to wait.
    assert done.stderr.count("is away") == 1 + done.stderr.count("tried again") <= 2
    assert "hidden" not in done.stderr
