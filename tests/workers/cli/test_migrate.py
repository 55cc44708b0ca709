import json
from pathlib import Path

from tests.workers.cli.commands import execute


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
