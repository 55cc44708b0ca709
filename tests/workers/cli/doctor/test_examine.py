import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import insert, update

from schemas.events import EventType
from schemas.tables.purchases import EVENT, ORDER, PROVIDER, PURCHASE
from tasks.ledger.rows import new_id
from tasks.policies.pace import Pace, buying_lane
from tasks.providers.configured import parse_config, sandbox_config
from tasks.providers.registry import kinds
from tests.servers import RedisServer
from tests.servers.redis import free_port
from tests.workers.cli.commands import PROJECT, choose_sandbox, execute
from workers.cli.doctor import servers
from workers.cli.doctor.findings import Finding, Level, exit_status, fail, ok, warn
from workers.cli.doctor.tables import ledger
from workers.database.connections import SqlDatabase
from workers.settings import load_settings

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(minutes=10)


def test_a_fresh_machine_lacks_a_file_alone_and_stays_untouched(tmp_path: Path) -> None:
    done = execute("doctor", home=tmp_path / "home", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    [wrong] = [line for line in done.stdout.splitlines() if line.startswith("fail")]
    assert f"there is no {tmp_path}/providers.toml" in wrong
    tried = execute("--sandbox", "doctor", home=tmp_path / "home", cwd=tmp_path)
    assert tried.returncode == 0, tried.stdout
    assert "the sandbox at http://127.0.0.1:8790: timepay, fluents" in tried.stdout
    assert "none answers" in tried.stdout
    assert list(tmp_path.iterdir()) == []


def test_quick_looks_at_the_servers_alone(tmp_path: Path, redis_server: RedisServer, database_url: str) -> None:
    urls = {"REDIS_URL": redis_server.url, "DATABASE_URL": database_url}
    done = execute("doctor", "--quick", "--json", home=tmp_path / "home", cwd=tmp_path, **urls)
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"]) == (0, 0)
    assert {check["name"] for check in document["checks"]} == {"database", "redis"}


def test_quick_does_without_celery() -> None:
    script = (
        "import sys; from workers.cli.doctor.examine import examine; list(examine(quick=True)); "
        "print('celery' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("quick", [(), ("--quick",)])
def test_servers_that_are_away(tmp_path: Path, quick: tuple[str, ...]) -> None:
    urls = {"REDIS_URL": "redis://:hidden@127.0.0.1:1/0", "DATABASE_URL": "postgresql://a:hidden@127.0.0.1:1/x"}
    done = execute("doctor", *quick, home=tmp_path, cwd=tmp_path, **urls)
    assert done.returncode == 3
    assert done.stdout.count("is away") == 2
    assert "hidden" not in done.stdout + done.stderr


def test_a_database_that_is_behind(tmp_path: Path, redis_server: RedisServer, empty_database_url: str) -> None:
    urls = {"REDIS_URL": redis_server.url, "DATABASE_URL": empty_database_url}
    done = execute("doctor", "--quick", home=tmp_path, cwd=tmp_path, **urls)
    assert done.returncode == 3
    assert "dialstock migrate" in done.stdout


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DATABASE_URL": "mysql://x"}, "scheme 'mysql' is not supported"),
        ({"DIALSTOCK_CONFIG": "bad.toml"}, "bad.toml:1: is not TOML"),
        ({"DIALSTOCK_CONFIG": "good.toml"}, "provider v: environment variable NOT_SET is not set"),
    ],
)
def test_a_bad_configuration(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    (tmp_path / "bad.toml").write_text("[")
    (tmp_path / "good.toml").write_text(
        '[providers.v]\nkind = "vogent"\nbase_url = "https://x.test"\ntoken_env = "NOT_SET"\n'
    )
    done = execute("doctor", home=tmp_path / "home", cwd=tmp_path, **environ)
    assert done.returncode == 2
    assert message in done.stdout


def test_a_token_is_never_shown(tmp_path: Path) -> None:
    choose_sandbox(tmp_path, f"http://127.0.0.1:{free_port()}")
    done = execute("doctor", "--json", home=tmp_path / "home", cwd=tmp_path, DIALSTOCK_SANDBOX_TOKEN="hidden")
    assert done.returncode == 0
    assert f"tokens of all {len(kinds())}" in done.stdout
    assert "hidden" not in done.stdout


def test_the_weightiest_failure_gives_the_status() -> None:
    findings = [ok("a", ""), warn("b", "", ""), fail("c", "")]
    assert exit_status(findings[:2]) == 0
    assert exit_status(findings) == 1
    assert exit_status([*findings, fail("d", "", status=2)]) == 2
    assert exit_status([*findings, fail("d", "", status=2), fail("e", "", status=3)]) == 3


def levels(url: str) -> dict[str, Level]:
    return {finding.name: finding.level for finding in ledger.read(url, None).findings}


def test_tables_at_rest_are_well(database_url: str) -> None:
    assert levels(database_url) == dict.fromkeys(("relay", "overdue", "waiting", "held", "providers", "rows"), Level.OK)
    assert ledger.read(database_url, None).waiting == 0


@pytest.mark.parametrize(
    ("status", "due", "name", "level"),
    [
        ("dispatched", LONG_AGO, "overdue", Level.FAIL),
        ("purchasing", LONG_AGO, "overdue", Level.FAIL),
        ("unknown", LONG_AGO, "overdue", Level.FAIL),
        ("processing", LONG_AGO, "overdue", Level.FAIL),
        ("dispatched", NOW + timedelta(days=1), "overdue", Level.OK),
        ("queued", LONG_AGO, "overdue", Level.OK),
        ("held", None, "held", Level.WARN),
    ],
)
def test_purchases_that_need_a_look(
    database_url: str, status: str, due: datetime | None, name: str, level: Level
) -> None:
    write(database_url, insert(PURCHASE).values(**purchase(status, due)))
    assert levels(database_url)[name] is level
    assert ledger.read(database_url, None).waiting == (status != "held")


@pytest.mark.parametrize(
    ("order", "due", "mend"),
    [
        ("abandoned", NOW, "dialstock order cancel"),
        ("completed", NOW, "dialstock order cancel"),
        ("open", NOW, "start a worker"),
        ("loading", NOW, "start a worker"),
        (None, None, "report it"),
    ],
)
def test_purchases_that_wait_for_what_cannot_come(
    database_url: str, order: str | None, due: datetime | None, mend: str
) -> None:
    order_id = new_id() if order else None
    if order:
        times = dict.fromkeys(("cancel_requested_at", "created_at", "updated_at"), LONG_AGO)
        write(database_url, insert(ORDER).values(id=order_id, status=order, lines=1, metadata={}, **times))
    row = purchase("queued", due)
    write(database_url, insert(PURCHASE).values(**row, order_id=order_id))
    [found] = [finding for finding in ledger.read(database_url, None).findings if finding.name == "waiting"]
    assert (found.level, mend in (found.mend or "")) == (Level.FAIL, True)
    assert row["id"] in found.message
    assert (order_id or "") in found.message


def test_events_that_are_not_published(database_url: str) -> None:
    event = {"id": new_id(), "type": EventType.PURCHASED, "source": "/dialstock/orders", "data": {}}
    write(database_url, insert(EVENT).values(**event, time=datetime.now(UTC)))
    assert levels(database_url)["relay"] is Level.OK
    write(database_url, update(EVENT).values(time=LONG_AGO))
    assert levels(database_url)["relay"] is Level.FAIL


def test_a_provider_that_is_paused(database_url: str) -> None:
    state = {"provider": "bird", "paused_at": NOW, "reason": "no balance", "cause": "account", "updated_at": NOW}
    write(database_url, insert(PROVIDER).values(**state))
    found = [finding for finding in ledger.read(database_url, None).findings if finding.name == "providers"]
    assert [finding.level for finding in found] == [Level.FAIL]
    assert "dialstock provider check bird; then dialstock provider resume bird" in (found[0].mend or "")
    assert "no balance" in found[0].message
    assert "provider resume bird" in (found[0].mend or "")


def test_a_provider_that_asked_to_slow_down(tmp_path: Path, redis_server: RedisServer, sqlite_url: str) -> None:
    with Redis.from_url(redis_server.url) as client:
        bird = sandbox_config().providers["bird"]
        Pace(client).penalise(buying_lane(bird.account, bird.policy), 3600.0)
    urls = {"REDIS_URL": redis_server.url, "DATABASE_URL": sqlite_url}
    choose_sandbox(tmp_path)
    done = execute("doctor", "--json", home=tmp_path / "home", cwd=tmp_path, **urls)
    found = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "providers"]
    assert [check["level"] for check in found] == ["ok", "warn"]
    assert "bird asked to slow down: no purchases until 20" in found[1]["message"]
    assert "provider resume bird" in found[1]["mend"]
    assert done.returncode == 0


def test_redis_that_loses_messages_is_told(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.level for finding in servers.redis(redis_server.url)] == [Level.OK]
    forgetful = {"redis_version": "7.0.0", "maxmemory_policy": "allkeys-lru", "aof_enabled": 0}
    monkeypatch.setattr(servers, "redis_info", lambda _url: forgetful)
    assert [finding.level for finding in servers.redis(redis_server.url)] == [Level.OK, Level.WARN, Level.WARN]


def test_nobody_works_while_purchases_wait(tmp_path: Path, redis_server: RedisServer, sqlite_url: str) -> None:
    write(sqlite_url, insert(PURCHASE).values(**purchase("queued", NOW)))
    urls = {"REDIS_URL": redis_server.url, "DATABASE_URL": sqlite_url}
    choose_sandbox(tmp_path)
    done = execute("doctor", home=tmp_path / "home", cwd=tmp_path, **urls)
    assert done.returncode == 1
    assert "none answers, and 1 purchases wait" in done.stdout


@pytest.mark.parametrize(
    ("queues", "level"),
    [
        ({"w1": {"purchases.bird"}, "w2": {"purchases.vogent", "purchases"}}, Level.OK),
        ({"w1": {"purchases.bird"}}, Level.FAIL),
    ],
)
def test_a_provider_that_no_worker_works_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, queues: dict[str, set[str]], level: Level
) -> None:
    monkeypatch.setattr("workers.fleet.listening", lambda *_args, **_kwargs: queues)
    finding = workers_finding(tmp_path)
    assert finding.level is level
    assert ("vogent" in finding.message) == (level is Level.FAIL)


def workers_finding(tmp_path: Path) -> Finding:
    kinds = {"bird": 'workspace_id = "w"\norganization_id = "o"\n', "vogent": ""}
    text = "".join(
        f'[providers.{kind}]\nkind = "{kind}"\nbase_url = "https://x.test"\ntoken_env = "T"\n{more}'
        for kind, more in kinds.items()
    )
    settings = load_settings({"DIALSTOCK_HOME": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1"})
    return servers.workers(lambda: servers.asking_workers()(settings), parse_config(text, "test"), 0)


def purchase(status: str, due: datetime | None) -> dict[str, Any]:
    return {
        "id": new_id(),
        "number": "+14155550100",
        "provider": "bird",
        "account": "a",
        "status": status,
        "due_at": due,
        "already_owned": False,
        "attempts": 0,
        "revision": 0,
        "options": {},
        "metadata": {},
        "created_at": NOW,
        "updated_at": NOW,
        "doubt": False,
        "looks": 0,
        "look_failures": 0,
        "tried_seconds": 0.0,
    }


def write(url: str, statement: Any) -> None:
    database = SqlDatabase(url)
    with database.write() as conn:
        conn.execute(statement)
    database.close()
