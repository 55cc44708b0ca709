import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from celery import Celery
from redis import Redis

from schemas.requests import parse_buy
from tasks.ledger.rows import find
from tasks.lifecycle.accept import accept_one
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.servers.redis import free_port
from tests.waiting import eventually
from tests.workers.cli.commands import PROJECT, Running, choose_sandbox, environment, execute
from workers.cli.processes.worker_beat_flower import check_password, worker_arguments
from workers.cli.sandbox.serve import sandbox_toml
from workers.fleet import listening
from workers.processes.redis_supervisor import Files
from workers.settings import load_settings
from workers.threads import concurrency_for
from workers.views.errors import Failure
from workers.wiring import Wiring, wire


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def environ(tmp_path: Path, redis_server: RedisServer, sqlite_url: str, sandbox: SandboxServer) -> dict[str, str]:
    config = tmp_path / "providers.toml"
    config.write_text(sandbox_toml(sandbox.url))
    urls = {"REDIS_URL": redis_server.url, "DATABASE_URL": sqlite_url}
    return environment(tmp_path / "home", DIALSTOCK_CONFIG=str(config), **urls)


@pytest.fixture
def wiring(environ: dict[str, str]) -> Iterator[Wiring]:
    wiring = wire(load_settings(environ), Celery(broker=environ["REDIS_URL"], set_as_current=False), environ)
    yield wiring
    wiring.close()


def test_threads_for_all_that_providers_may_have_in_flight_and_never_too_many() -> None:
    in_flight = sum(provider.policy.max_in_flight for provider in sandbox_config().providers.values())
    assert concurrency_for(sandbox_config()) == in_flight + 16
    assert concurrency_for(sandbox_config(policies={"bird": {"max_in_flight": 5000}})) == 400


def test_no_events_is_passed_on() -> None:
    assert "--events" in worker_arguments("w@h", 5, "INFO")
    assert "--events" not in worker_arguments("w@h", 5, "INFO", events=False)


def test_sigterm_in_mid_call_lets_the_call_finish(
    tmp_path: Path, environ: dict[str, str], wiring: Wiring, sandbox: SandboxServer
) -> None:
    sandbox.control.plan("vogent", "slow", seconds=3.0)
    with Running("worker", "-Q", "purchases,purchases.vogent", cwd=tmp_path, environ=environ) as worker:
        queues = eventually(lambda: listening(environ["REDIS_URL"], timeout=0.5), what="the worker answers")
        request = parse_buy({"number": "+14155550100", "provider": "vogent"}, wiring.runtime.kinds)
        row = accept_one(wiring.runtime, request)
        eventually(sandbox.control.calls, what="the call arrives")
        status = worker.stop()
    assert status == 0, worker.log
    assert list(queues.values()) == [{"purchases", "purchases.vogent"}]
    with wiring.runtime.database.read() as conn:
        after = find(conn, row["id"])
    assert after is not None
    assert (after["status"], after["attempts"]) == ("purchased", 1)


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"REDIS_URL": "redis://:hidden@127.0.0.1:1/0"}, 3, "Redis at redis://:***@127.0.0.1:1/0 is away"),
        ({"DATABASE_URL": "sqlite:///empty.db"}, 3, "run dialstock migrate"),
        ({"DIALSTOCK_CONFIG": "nowhere.toml"}, 2, "DIALSTOCK_CONFIG names"),
        ({"WORKER_CONCURRENCY": "0"}, 2, "concurrency"),
        ({"LOG_LEVEL": "loud"}, 2, "log-level"),
    ],
)
def test_a_worker_that_cannot_work_does_not_start(
    tmp_path: Path, environ: dict[str, str], change: dict[str, str], status: int, message: str
) -> None:
    done = execute("worker", home=tmp_path / "home", cwd=tmp_path, **{**environ, **change})
    assert done.returncode == status
    assert message in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_secret_is_named_before_anything_starts(tmp_path: Path, environ: dict[str, str]) -> None:
    config = tmp_path / "providers.toml"
    config.write_text(config.read_text().replace("DIALSTOCK_SANDBOX_TOKEN", "NOT_SET"))
    worker = execute("worker", home=tmp_path / "home", cwd=tmp_path, **environ)
    assert worker.returncode == 2
    assert worker.stderr.count("environment variable NOT_SET") == len(kinds())


def test_beat_runs_from_a_folder_with_a_tasks_module_of_its_own(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "tasks.py").write_text("raise RuntimeError('not ours')")
    # Afresh, for what it imports.
    with Running("beat", cwd=tmp_path, environ=environ, start=subprocess.Popen) as beat:
        eventually(lambda: "beat: Starting" in beat.log, what="beat starts")
        assert beat.stop() == 0
    assert "Traceback" not in beat.log
    # its schedule is in memory
    assert not [path for path in tmp_path.rglob("*") if "schedule" in path.name]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "", "example.com"])
def test_flower_is_not_open_to_others_without_a_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for password in ("", " "):
        monkeypatch.setenv("FLOWER_BASIC_AUTH", password)
        with pytest.raises(Failure, match="without a password"):
            check_password(address)
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "user:password")
    check_password(address)


@pytest.mark.parametrize("password", ["user", "user:", ":password", "user:password,other"])
def test_half_a_password_is_refused_on_loopback_too(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", password)
    with pytest.raises(Failure, match="user:password"):
        check_password("127.0.0.1")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_line_end_is_no_part_of_the_password(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", f"user:pass word {end}")
    check_password("0.0.0.0")
    assert os.environ["FLOWER_BASIC_AUTH"] == "user:pass word "


@pytest.mark.parametrize("password", ["user:password\nother:password", "user:pass\tword"])
def test_a_line_end_within_the_password_is_refused(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", password)
    with pytest.raises(Failure, match="a line's end"):
        check_password("127.0.0.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "localhost"])
def test_on_loopback_flower_needs_no_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "")
    check_password(address)
    assert "FLOWER_BASIC_AUTH" not in os.environ


def test_flower_beyond_loopback_starts_nothing(tmp_path: Path) -> None:
    done = execute("flower", "--address", "0.0.0.0", home=tmp_path / "home", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "FLOWER_BASIC_AUTH=user:password" in done.stderr
    assert not (tmp_path / "home").exists()


def test_flower_takes_its_password_from_the_environment_alone(tmp_path: Path) -> None:
    port = free_port()
    choose_sandbox(tmp_path)
    environ = environment(tmp_path / "home", FLOWER_BASIC_AUTH="someone:hidden-password\n")
    url = f"http://127.0.0.1:{port}/broker"
    # Afresh, for what its command line tells.
    with Running("flower", "--port", str(port), cwd=tmp_path, environ=environ, start=subprocess.Popen) as flower:
        eventually(lambda: _status(url) == 401, what="Flower asks for a password")
        page = httpx.get(url, auth=("someone", "hidden-password"), trust_env=False)
        url_file = Files(tmp_path / "home").read_url()
        sent = httpx.post(
            f"http://127.0.0.1:{port}/api/task/send-task/dialstock.buy_number",
            json={"kwargs": {"number": "+14155550100", "provider": "signalwire"}},
            auth=("someone", "hidden-password"),
            trust_env=False,
        )
        assert sent.status_code == 200, sent.text
        with Redis.from_url(url_file or "") as redis:
            [message] = redis.lrange("purchases", 0, -1)
        headers = json.loads(message)["headers"]
        assert (headers["task"], headers["id"]) == ("dialstock.buy_number", sent.json()["task-id"])
        assert "hidden-password" not in " ".join(psutil.Process(flower.process.pid).cmdline())
        assert flower.stop() == 0
    assert page.status_code == 200
    assert url_file is not None
    for secret in ("hidden-password", url_file.partition("@")[0].rpartition(":")[2]):
        assert secret not in page.text
        assert secret not in flower.log


def _status(url: str) -> int | None:
    try:
        return httpx.get(url, trust_env=False).status_code
    except httpx.HTTPError:
        return None


def test_the_commands_load_without_what_only_running_needs() -> None:
    script = "import sys, workers.cli; print([m for m in ('celery', 'tornado', 'httpx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
