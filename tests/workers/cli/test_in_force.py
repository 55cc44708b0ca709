"""What commands say of a file that is wrong in part, and of processes that run by another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from schemas.tables.purchases import PROVIDER
from tasks import processes
from tasks.accounts import identity
from tasks.processes import ALIVE, WORKER, Process
from tasks.reports.measures import measure
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.workers.cli.running import NUMBERS, Cli, rested, simple_file, steady
from workers.views.desk import Desk

BAD = '\n[pools.bad]\nproviders = ["bird"]\nlow = 0\n'
NOTE = "has another configuration in force than this command reads"


def run_by(desk: Desk, digest: str, refused: str | None = None) -> None:
    runtime, me = desk.runtime, Process(role=WORKER, host="there", pid=7)
    runtime.database.run(lambda conn: processes.write_down(conn, me, digest, refused, runtime.now()))


def test_commands_and_the_doctor_tell_of_another_configuration(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 1))
    digest = desk.runtime.config.digest
    run_by(desk, digest)
    assert NOTE not in cli("order", "show", order).stderr
    assert f"processes     1 have this configuration in force, {digest}" in cli("doctor").stdout
    run_by(desk, "older")
    assert f"Note: worker 7 on there {NOTE}" in cli("order", "show", order).stderr
    told = cli("doctor")
    assert f"worker 7 on there {NOTE}: older of" in told.stdout
    assert told.exit_code == 1


def test_a_database_that_went_back_to_before_an_edit_is_told_with_its_mend(both: Cli, desk: Desk, home: Path) -> None:
    """Running workers do not know which is newer, so they refuse what is asked of that alias until one starts anew."""
    both.submit(simple_file(home, 1, "bird"))
    with desk.runtime.database.write() as conn:
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "timepay").values(account="timepay|former"))
    assert "timepay|former" not in both("doctor").stdout, "no worker runs: the first that starts writes it down anew"
    run_by(desk, desk.runtime.config.digest)
    told = both("doctor")
    assert "timepay takes no requests: it is the account timepay|former in the database" in told.stdout
    assert (told.exit_code, "start a worker anew" in told.stdout) == (1, True)
    states = {row["provider"]: row["state"] for row in both.json("provider", "list")}
    assert "takes no requests" in states["timepay"]
    assert "start a worker anew" in states["timepay"]
    assert states["bird"] == "open"
    assert measure(desk.runtime).paused == {"timepay": "outdated"}
    identity.settle(desk.runtime)
    assert "takes no requests" not in both("doctor").stdout + both.ok("provider", "list")


def test_the_doctor_tells_who_refuses_its_file(cli: Cli, desk: Desk, home: Path) -> None:
    run_by(desk, desk.runtime.config.digest, "providers.toml:3: is not TOML")
    told = cli("doctor")
    assert told.exit_code == 1
    assert "worker 7 on there keeps the configuration that it had" in told.stdout
    # and where the doctor cannot read it either
    (home / "providers.toml").write_text("[")
    told = cli("doctor")
    assert told.exit_code == 2
    assert "worker 7 on there keeps the configuration that it had" in told.stdout


def test_the_doctor_tells_of_workers_that_all_fell_silent(cli: Cli, desk: Desk, home: Path) -> None:
    hung, stopped = (Process(role=WORKER, host="there", pid=pid) for pid in (7, 8))
    run, digest = desk.runtime.database.run, desk.runtime.config.digest
    long_ago = desk.runtime.now() - ALIVE * 2
    for one in (hung, stopped):
        run(lambda conn, one=one: processes.write_down(conn, one, digest, None, long_ago))
    run(lambda conn: processes.take_out(conn, stopped))
    told = cli("doctor")
    assert told.exit_code == 1
    assert "no worker runs: worker 7 on there gave its last sign of life at" in told.stdout
    assert "worker 8" not in told.stdout
    run_by(desk, digest)
    assert "no worker runs" not in cli("doctor").stdout


@pytest.mark.parametrize("text", [BAD, "\n[providers.other]\nkind = 'none'\n", "[["])
def test_what_is_wrong_elsewhere_in_the_file_stops_no_look_at_an_order(
    cli: Cli, desk: Desk, home: Path, text: str
) -> None:
    order = cli.submit(simple_file(home, 1))
    path = home / "providers.toml"
    path.write_text(path.read_text() + text)
    for command in (["order", "show", order], ["purchase", "show", NUMBERS[0]]):
        shown = cli(*command)
        assert shown.exit_code == 0, shown.output
        assert "What is wrong in the configuration is left aside here" in shown.stderr
    assert cli("order", "submit", str(simple_file(home, 2))).exit_code == 2


def test_a_bad_pool_stops_no_audit_and_no_pause_of_a_provider(
    both: Cli,
    desk: Desk,
    sandbox: SandboxServer,
    redis_server: RedisServer,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    steady(home, sandbox.url)
    rested(redis_server.url)
    path = home / "providers.toml"
    good = path.read_text()
    path.write_text(good + BAD)
    # nobody has seen who the alias is yet, and the whole file is needed to tell
    refused = both("audit", "fluents")
    assert refused.exit_code == 2
    assert "fluents is not known as" in refused.stderr
    path.write_text(good)
    assert both("audit", "fluents").exit_code == 0
    path.write_text(good + BAD)
    audited = both("audit", "fluents")
    assert audited.exit_code == 0, audited.output
    assert "[pools.bad]" in audited.stderr or "providers.toml:" in audited.stderr
    assert both("provider", "pause", "fluents", "--reason", "a try").exit_code == 0
    assert both("audit", "none").exit_code == 2
