"""No secret of a URL is shown, whatever is wrong with the URL: in messages, by a server's own words, in any log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from schemas.config.errors import ConfigError
from tasks.server_errors import database_trouble
from tests.servers import PostgresServer, RedisServer
from tests.servers.redis import free_port
from tests.waiting import eventually
from tests.workers.cli.commands import Running, choose_sandbox, environment, execute
from workers.redaction import cleaned, cleaned_of_settings, ours, redacted
from workers.server_urls import SettingsError
from workers.settings import load_settings
from workers.views.errors import failure_of

SECRET = "s3cret"
PASSWORD = "p@ss/w:rd;#?%41"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://alice:s3cret@db/x", "postgresql://alice:***@db/x"),
        ("redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("redis://:s3@cr/3:t@cache:6379/0", "redis://:***@cache:6379/0"),
        ("redis://s3cret@cache:6379/0", "redis://***@cache:6379/0"),
        ("postgresql://s3cret@db:5432/x", "postgresql://***@db:5432/x"),
        ("redis://s3@cret:more@cache", "redis://***@cache"),
        ("redis://s3cret@more@cache", "redis://***@cache"),
        ("redis://alice:s3cret@more@cache", "redis://alice:***@cache"),
        ("redis://s3/cret@cache/0", "redis://***@cache/0"),
        ("redis://s3?cr#et@cache/0", "redis://***@cache/0"),
        ("redis://%3As3cret%40cache/0", "redis://***@cache/0"),
        ("redis://alice:s3cret%2540cache/0", "redis://alice:***@cache/0"),
        ("postgres//alice:s3cret@db/x", "postgres//alice:***@db/x"),
        ("s3cret@db/x", "***@db/x"),
        ("postgresql:///x?host=db&password=s3cret&a=1", "postgresql:///x?host=db&password=***&a=1"),
        ("postgresql:///x?%70ass%77ord=s3cret&sslPassword=s3cret", "postgresql:///x?%70ass%77ord=***&sslPassword=***"),
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("rediss://:s3cret@cache/0?ssl_ca_certs=/ca.pem", "rediss://:***@cache/0?ssl_ca_certs=/ca.pem"),
        ("sqlite:////home/me@work/d.db", "sqlite:////home/me@work/d.db"),
        ("sqlite://s3cret@host/d.db", "sqlite://***@host/d.db"),
    ],
)
def test_redacted_hides_whatever_may_be_a_secret(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert SECRET not in redacted(url)


@pytest.mark.parametrize(
    ("url", "text", "told"),
    [
        ("postgresql://s3cret@db/x", 'role "s3cret" does not exist', 'role "***" does not exist'),
        ("postgresql://alice:s3cret@db/x", 'no "alice"; s3cret', 'no "alice"; ***'),
        ("redis://:a%2Fb@h", "a/b, or a%2Fb", "***, or ***"),
        ("redis://:s3cret@h/0?ssl_ca_certs=/a@b", "s3cret", "***"),
        ("postgresql:///x?password=s3%20cret", "of 's3 cret'", "of '***'"),
        ("postgresql://postgres:sql@db/x", "postgresql: sql", "postgresql: ***"),
        ("redis://:@h", "as it is", "as it is"),
        ("SENTINEL://:s3cret@h:1,:own@h:2/n/0", "s3cret, own", "***, ***"),
        ("sentinel://s3cret@h:1,:own@h:2/n/0", "s3cret, own", "***, ***"),
        ("SQLITE:////home/me@work/d.db", "/home/me", "/home/me"),
    ],
)
def test_what_others_say_of_a_url_is_cleaned(url: str, text: str, told: str) -> None:
    assert cleaned(text, url) == told


def test_the_urls_of_the_environment_are_known_from_their_files_too(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:s3cret@h\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    environ = {"REDIS_URL_FILE": str(tmp_path / "url"), "DATABASE_URL": "postgresql://other@h/x"}
    assert cleaned_of_settings("s3cret, other", {**environ, "CELERY_BROKER_URL_FILE": str(tmp_path / "bytes")}) == (
        "***, ***"
    )
    assert cleaned_of_settings("as it is", {"DATABASE_URL_FILE": "/nowhere"}) == "as it is"


@pytest.mark.parametrize(
    ("name", "url", "message"),
    [
        ("REDIS_URL", "redis://s3cret@cache/0", "no colon stands before the @: write redis://:PASSWORD@HOST"),
        ("CELERY_BROKER_URL", "rediss://s3cret@cache/0", "CELERY_BROKER_URL: no colon stands before the @"),
        ("REDIS_URL", "redis://a@s3cret:pw@cache/0", "cannot be told where the password ends: percent-encode"),
        ("REDIS_URL", "redis://:a;s3cret@cache/0", "cannot be told where the password ends: percent-encode"),
        ("REDIS_URL", "redis://:pw@s3cret%40cache/0", "cannot be told where the password ends: percent-encode"),
        ("REDIS_URL", "redis://s3cret/0@cache/0", "only a database number may follow the host"),
        ("REDIS_URL", "redis://s3cret?x@cache/0", "only these options"),
        ("DATABASE_URL", "postgresql://s3/cret@db/x", "the host contains an @"),
        ("DATABASE_URL", "postgresql://a:s3@cret/cret@db/x", "the host contains an @"),
        ("DATABASE_URL", "postgresql://a%3As3cret%40db/x", "the host contains an @"),
        ("REDIS_URL_FILE", "redis://:s3cret@cache/0", "holds a URL, and should name the file of one"),
    ],
)
def test_a_url_whose_secret_may_be_taken_for_something_else_is_refused(name: str, url: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: url})
    assert message in str(caught.value)
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://:s3@cret@cache/0", "redis://alice:@cache/0", "redis://cache/0"])
def test_a_url_that_can_be_told_is_taken_as_it_is(url: str) -> None:
    assert load_settings({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize("command", [("doctor", "--json"), ("doctor", "--quick"), ("purchase", "list"), ("worker",)])
def test_a_password_without_its_colon_is_in_no_word_of_the_server_s(
    tmp_path: Path, postgres_server: PostgresServer, command: tuple[str, ...]
) -> None:
    choose_sandbox(tmp_path)
    url = postgres_server.url.replace("postgres@", f"{SECRET}@")
    done = execute(*command, home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=url)
    assert done.returncode == 3, done.stdout + done.stderr
    assert 'role "***" does not exist' in (done.stdout + done.stderr).replace("\\", "")
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("user", ["dialstock", "run", "start"])
def test_a_user_that_is_a_word_of_ours_is_hidden_in_the_server_s_words_alone(
    tmp_path: Path, postgres_server: PostgresServer, user: str
) -> None:
    choose_sandbox(tmp_path)
    postgres_server.once(f"CREATE ROLE {user} LOGIN")
    with postgres_server.database(empty=True) as empty:
        url = empty.replace("postgres@", f"{user}@")
        done = execute("order", "list", home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=url)
        assert "run dialstock migrate" in done.stderr, done.stderr
        assert "//***@/" in done.stderr
    away = f"postgresql://{user}@127.0.0.1:1/x"
    for command in ("doctor", "order list"):
        done = execute(*command.split(), home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=away)
        assert "start it, or mend DATABASE_URL" in done.stdout + done.stderr
        assert f"//{user}@" not in done.stdout + done.stderr


def test_words_of_ours_lose_what_surely_is_a_secret_alone() -> None:
    def told(text: str, url: str) -> str:
        return ours(text, {"DATABASE_URL": url})

    assert told("run dialstock migrate", "postgresql://dialstock@h/x") == "run dialstock migrate"
    assert told("run it with s3cret", "postgresql://run:s3cret@h/x") == "run it with ***"
    assert told("own", "sentinel://run@h:1,:own@h:2/n/0") == "***"
    assert told("s3cret", "postgresql://run@h/x?password=s3cret") == "***"
    environ = {"DATABASE_URL": "postgresql://dialstock@h/x"}
    words = DBAPIError("", {}, Exception('FATAL: role "dialstock" does not exist'))
    cleaned_words = database_trouble(words).without(lambda text: cleaned_of_settings(text, environ))
    assert cleaned_words.words == 'FATAL: role "***" does not exist'


def test_a_failure_at_the_command_line_hides_a_lone_user_in_what_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://dialstock@h/x")
    for exc in (DBAPIError("", {}, Exception("of dialstock")), OSError("of dialstock"), RedisError("of dialstock")):
        assert "of ***" in str(failure_of(exc))
    assert str(failure_of(ConfigError("run dialstock doctor"))) == "run dialstock doctor"


def test_a_bug_is_told_without_the_secrets_of_the_urls(tmp_path: Path) -> None:
    script = f"from workers.startup_errors import or_end\nwith or_end(): raise TypeError('of {SECRET}')"
    environ = environment(tmp_path, DATABASE_URL=f"postgresql://{SECRET}@db/x")
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "TypeError: of ***" in done.stderr) == (1, True)


@pytest.fixture
def guarded_redis(redis_server: RedisServer) -> Iterator[str]:
    """A URL with a password of awkward characters."""
    with Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", PASSWORD)
        client.execute_command("AUTH", PASSWORD)
        yield f"redis://:{quote(PASSWORD, safe='')}@{urlsplit(redis_server.url).netloc}/0"
        client.config_set("requirepass", "")


@pytest.mark.parametrize("form_of_lines", ["text", "json"])
def test_no_process_of_celery_s_shows_the_broker_s_password(
    tmp_path: Path, guarded_redis: str, sqlite_url: str, form_of_lines: str
) -> None:
    choose_sandbox(tmp_path)
    environ = environment(
        tmp_path / "home", DATABASE_URL=sqlite_url, REDIS_URL=guarded_redis, DIALSTOCK_LOG=form_of_lines
    )
    port = free_port()
    with ExitStack() as stack:
        start = [("worker", "--log-level=DEBUG", "-c2"), ("beat", "--log-level=DEBUG"), ("flower", f"--port={port}")]
        running = [stack.enter_context(Running(*arguments, cwd=tmp_path, environ=environ)) for arguments in start]
        worker, beat, flower = running
        eventually(lambda: " ready." in worker.log, what="the worker is ready")
        eventually(lambda: "beat: Starting" in beat.log, what="beat starts")
        pages = [eventually(lambda path=path: _page(port, path), what=path) for path in ("/workers", "/broker")]
        for one in reversed(running):
            assert one.stop() == 0, one.log
        output = [one.log for one in running]
    for form in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD)):
        assert all(form not in text for text in (*output, *pages))
    if form_of_lines == "text":
        assert "@127.0.0.1" in flower.log
        return
    # What Celery writes right in its signal handler, as it stops, is no log line.
    written = [line for text in output for line in text.splitlines() if line and not line.startswith("worker: ")]
    lines = [json.loads(line) for line in written]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "celery.beat" in {line["logger"] for line in lines}
    assert any(line["message"].startswith("Buying from") for line in lines)


def _page(port: int, path: str) -> str:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=20)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == 200 else ""
