from pathlib import Path

import pytest

from tests.servers import RedisServer
from workers.health import Away, check_database, database_versions, is_usable, redis_info

NOWHERE = "postgresql+psycopg://someone:hidden@127.0.0.1:1/nothing"


def test_a_database_with_our_tables_is_well(database_url: str) -> None:
    found = database_versions(database_url)
    present, wanted = found.present, found.needed
    assert check_database(database_url) == present == wanted
    assert is_usable(database_url)


def test_an_empty_database_needs_migrating(empty_database_url: str) -> None:
    assert database_versions(empty_database_url).present is None
    assert not is_usable(empty_database_url)
    with pytest.raises(Away, match="dialstock migrate"):
        check_database(empty_database_url)


def test_asking_makes_no_sqlite_file(tmp_path: Path) -> None:
    found = database_versions(f"sqlite:///{tmp_path / 'folder' / 'none.db'}")
    present, wanted = found.present, found.needed
    assert (present, wanted is None) == (None, False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, and long enough to be looked at\n" * 50)
    with pytest.raises(Away, match=r"text\.db is no database \(file is not a database\): name another"):
        database_versions(f"sqlite:///{tmp_path / 'text.db'}")


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(Away, match=r"127\.0\.0\.1:1/nothing is away") as told:
        check_database(NOWHERE)
    assert "hidden" not in str(told.value)


def test_redis_that_answers(redis_server: RedisServer) -> None:
    assert redis_info(redis_server.url)["aof_enabled"] == 1


def test_redis_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(Away, match=r"127\.0\.0\.1:1/0 is away") as told:
        redis_info("redis://:hidden@127.0.0.1:1/0")
    assert "hidden" not in str(told.value)


def test_redis_that_is_too_old(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.health.MIN_REDIS", (999, 0))
    with pytest.raises(Away, match="or newer is needed"):
        redis_info(redis_server.url)
