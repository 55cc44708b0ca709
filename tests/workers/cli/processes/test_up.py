import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from celery import Celery

from tasks.providers.configured import sandbox_config
from tasks.sandbox import SandboxServer
from tests.servers.redis import free_port
from tests.waiting import PATIENCE, eventually, is_gone
from tests.workers.cli.commands import Running, environment, execute
from workers.cli.processes.flower_address import FlowerAddress
from workers.cli.processes.session import describe
from workers.cli.sandbox.serve import sandbox_toml
from workers.processes.redis_supervisor import Files
from workers.settings import load_settings

PAGES = ("/", "/workers", "/tasks", "/broker", "/api/workers?refresh=1", "/api/tasks", "/metrics")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(token="hidden-token") as server:
        yield server


@pytest.fixture
def environ(tmp_path: Path, sandbox: SandboxServer) -> dict[str, str]:
    (tmp_path / "providers.toml").write_text(sandbox_toml(sandbox.url))
    return environment(tmp_path / "home", DIALSTOCK_SANDBOX_TOKEN="hidden-token")


def test_everything_in_one_terminal(tmp_path: Path, environ: dict[str, str], sandbox: SandboxServer) -> None:
    port = free_port()
    arguments = ("up", "--json", "--flower-port", str(port))
    # Afresh, for what their command lines tell.
    with Running(*arguments, cwd=tmp_path, environ=environ, start=subprocess.Popen) as up:
        ready = json.loads(up.line())
        family = psutil.Process(up.process.pid).children(recursive=True)
        broker = Files(tmp_path / "home").read_url()
        assert broker is not None
        assert sorted(ready["pids"]) == ["beat", "flower", "worker-1", "worker-2"]
        assert {process.pid for process in family} >= set(ready["pids"].values())
        number = _buy(broker, tmp_path / "home")
        secrets = ["hidden-token", _password(broker), ready["flower"]["password"]]
        _check_flower(ready, secrets)
        commands = " ".join(part for process in family for part in process.cmdline())
        assert up.stop() == 0, up.log
    assert [charge["number"] for charge in sandbox.control.charges()] == [number]
    eventually(lambda: all(map(is_gone, family)), what="all are gone")
    eventually(lambda: not _of(tmp_path / "home"), what="the embedded server is gone")
    for secret in secrets:
        assert secret not in commands + up.log
    assert _password(broker) not in json.dumps(ready)


def test_an_edit_of_the_file_is_in_force_in_all_that_runs(tmp_path: Path, environ: dict[str, str]) -> None:
    path, database = tmp_path / "providers.toml", tmp_path / "home" / "dialstock.db"

    def in_force() -> dict[str, set[tuple[str, bool]]]:
        with closing(sqlite3.connect(database)) as conn:
            rows = conn.execute("SELECT role, digest, refused IS NULL FROM running_process").fetchall()
        return {role: {(digest, bool(well)) for name, digest, well in rows if name == role} for role, *_ in rows}

    with Running("up", "--json", "--no-flower", cwd=tmp_path, environ=environ) as up:
        up.line()
        roles = {"worker", "beat", "up"}
        before = eventually(lambda: one if set(one := in_force()) == roles else None, what="all are written down")
        assert len(set().union(*before.values())) == 1
        policy = "[providers.signalwire.policy]\nmax_in_flight = 60\ntimeout = 60.0\n"
        path.write_text(path.read_text() + policy)

        def changed() -> bool:
            found = in_force()
            return len(set().union(*found.values())) == 1 and not set().union(*found.values()) & before["up"]

        eventually(changed, what="all have the other one")
        path.write_text("[")
        eventually(lambda: not any(well for _, well in set().union(*in_force().values())), what="all refuse it")
        assert up.stop() == 0, up.log
        assert re.search(r"restart for this: .* threads", up.log)
    assert in_force() == {}


def _buy(broker: str, home: Path) -> str:
    """A purchase by a plain Celery client; returns the number."""
    number = "+14155550100"
    app = Celery(broker=broker, set_as_current=False)
    key = str(uuid4())
    app.send_task(
        "dialstock.buy_number",
        kwargs={"number": number, "provider": "signalwire", "idempotency_key": key},
        queue="purchases",
        ignore_result=True,
    )
    app.close()
    eventually(lambda: _status(home) == [("purchased", key)], what="the number is purchased")
    return number


def _status(home: Path) -> list[Any]:
    with closing(sqlite3.connect(home / "dialstock.db")) as connection:
        return connection.execute("SELECT status, idempotency_key FROM purchase").fetchall()


def _check_flower(ready: dict[str, Any], secrets: list[str]) -> None:
    """Flower asks for its password, and shows none."""
    flower = ready["flower"]
    with httpx.Client(base_url=flower["url"], trust_env=False, timeout=PATIENCE) as client:
        eventually(lambda: _answers(client) == 401, what="Flower asks for a password")
        client.auth = (flower["user"], flower["password"])
        workers = eventually(lambda: client.get("/api/workers?refresh=1").json(), what="Flower sees the workers")
        pages = [f"/worker/{name}" for name in workers]
        eventually(lambda: _all_there(client, pages), what="the workers tell Flower all in time")
        for page in (*PAGES, *pages):
            shown = client.get(page)
            assert shown.status_code == 200, page
            assert not [secret for secret in secrets if secret in shown.text], page


def _all_there(client: httpx.Client, pages: list[str]) -> bool:
    return all(client.get(page).status_code == 200 for page in pages)


def _answers(client: httpx.Client) -> int | None:
    try:
        return client.get("/").status_code
    except httpx.HTTPError:
        return None


def _password(url: str) -> str:
    found = re.search(":([0-9a-f]+)@", url)
    assert found is not None
    return found[1]


def _of(home: Path) -> list[psutil.Process]:
    """Processes whose command line names *home*."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(home) in " ".join(p.info["cmdline"] or [])]


def test_a_taken_port_starts_nothing(tmp_path: Path, environ: dict[str, str], sandbox: SandboxServer) -> None:
    taken = sandbox.url.rpartition(":")[2]
    done = execute("up", "--flower-port", taken, home=tmp_path / "home", cwd=tmp_path, **environ)
    assert done.returncode == 2
    assert f"port {taken}" in done.stderr
    assert "--flower-port" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_bad_configuration_starts_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "providers.toml").write_text('[providers.x]\nkind = "vogentt"\n')
    done = execute("up", home=tmp_path / "home", cwd=tmp_path, **environ)
    assert done.returncode == 2
    assert "providers.toml:2: unknown kind 'vogentt': did you mean 'vogent'?" in done.stderr
    assert not (tmp_path / "home").exists()


def test_an_alias_that_is_another_account_now_starts_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    assert (
        execute(
            "buy", "+14155550100", "--provider", "vogent", home=tmp_path / "home", cwd=tmp_path, **environ
        ).returncode
        == 0
    )
    path = tmp_path / "providers.toml"
    path.write_text(path.read_text().replace("[providers.vogent]", '[providers.vogent]\naccount_id = "another"'))
    done = execute("up", "--no-flower", home=tmp_path / "home", cwd=tmp_path, **environ)
    assert done.returncode == 2
    assert "dialstock provider leave vogent" in done.stderr
    assert "worker" not in done.stdout
    eventually(lambda: not _of(tmp_path / "home"), what="the embedded server is gone")


def test_people_are_told_where_everything_is(tmp_path: Path) -> None:
    environ = environment(tmp_path / "home", FLOWER_BASIC_AUTH="someone:hidden")
    port = str(free_port())
    with Running("--sandbox", "up", "--workers", "1", "--flower-port", port, cwd=tmp_path, environ=environ) as up:
        told = ""
        while "Ready" not in told:
            told += up.line()
        password = _password(Files(tmp_path / "home" / "sandbox").read_url() or "")
        assert up.stop() == 0
    assert "bird (bird, the sandbox at 127.0.0.1:8790)" in told
    assert "dialstock sandbox" in told
    assert str(tmp_path / "home" / "sandbox" / "redis" / "url") in told
    assert "1 worker" in told
    assert "hidden" not in told
    assert password not in told + up.log


@pytest.mark.parametrize("show_urls", [False, True])
def test_passwords_of_servers_are_shown_on_request_only(tmp_path: Path, *, show_urls: bool) -> None:
    environ = {"DIALSTOCK_HOME": str(tmp_path), "DATABASE_URL": "postgresql://someone:hidden@db.test/dialstock"}
    settings = load_settings(environ).with_redis("redis://:hidden@127.0.0.1:1/0")
    facts = describe(settings, sandbox_config(), FlowerAddress(port=1, password=None), show_urls=show_urls)
    assert json.dumps(facts).count("hidden") == (3 if show_urls else 0)
