import pytest
from sqlalchemy import create_engine, text

from schemas.config.errors import ConfigError
from workers.health import Away
from workers.processes.embedded_redis import EmbeddedError
from workers.startup_errors import or_end


@pytest.mark.parametrize(
    ("exc", "status"),
    [(ConfigError("p.toml:3: no"), 2), (EmbeddedError("no server"), 3), (Away("run dialstock migrate"), 3)],
)
def test_what_a_person_can_mend_is_told_in_a_line(
    exc: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught, or_end():
        raise exc
    assert caught.value.code == status
    assert capsys.readouterr().err == f"Error: {exc}\n"


def test_a_database_that_is_away_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    engine = create_engine("sqlite:////nowhere/at/all.db")
    with pytest.raises(SystemExit) as caught, or_end():
        engine.connect()
    assert caught.value.code == 3
    assert "DATABASE_URL" in capsys.readouterr().err


def test_a_bug_ends_the_process_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, or_end():
        raise ZeroDivisionError
    assert caught.value.code == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_works_goes_on() -> None:
    engine = create_engine("sqlite://")
    with or_end(), engine.connect() as conn:
        found = conn.execute(text("SELECT 1")).scalar()
    engine.dispose()
    assert found == 1
