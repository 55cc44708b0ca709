import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.config.provider import read_token
from tasks.providers.adapter import Ask
from tasks.providers.configured import load_config, sandbox_config
from tasks.providers.registry import build
from tasks.providers.transport.turns import at_once, in_turn
from tasks.sandbox import SandboxControl, SandboxServer
from tests.workers.cli.commands import Running, environment, execute
from workers.cli.processes.startup_checks import is_loopback
from workers.cli.sandbox.serve import make_server, reachable, read_rates, sandbox_toml
from workers.views.errors import Failure


def served(tmp_path: Path, *options: str, **environ: str) -> Running:
    return Running("sandbox", "--port", "0", *options, cwd=tmp_path, environ=environment(tmp_path / "home", **environ))


def test_its_configuration_buys_from_all_kinds(tmp_path: Path) -> None:
    config_path, ledger = tmp_path / "providers.toml", tmp_path / "ledger.jsonl"
    with served(tmp_path, "--json", "--write-config", str(config_path), "--ledger", str(ledger)) as sandbox:
        ready = json.loads(sandbox.line())
        config = load_config(config_path)
        assert config_path.read_text() == ready["toml"]
        assert config.providers == sandbox_config(ready["url"]).providers
        for index, provider in enumerate(config.providers.values()):
            adapter = build(provider, read_token(provider, {}))
            with in_turn(at_once):
                prepared: Any = adapter.prepare(Ask(number=f"+1415555010{index}", options={}))
            assert adapter.buy([prepared])[0].yes
        with SandboxControl(ready["url"]) as control:
            assert [charge["kind"] for charge in control.charges()] == list(config.providers)
        assert sandbox.stop() == 0
    assert len(ledger.read_text().splitlines()) == len(config.providers)


def test_the_token_of_the_environment_is_the_one_that_it_takes(tmp_path: Path) -> None:
    with served(tmp_path, "--json", DIALSTOCK_SANDBOX_TOKEN="another") as sandbox:
        url = f"{json.loads(sandbox.line())['url']}/vogent/api/phone_numbers"
        statuses = [
            httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False).status_code
            for token in ("sandbox", "another")
        ]
    assert statuses == [401, 200]


def test_faults_and_latency_are_played(tmp_path: Path) -> None:
    with served(tmp_path, "--json", "--fault", "error_after=1", "--latency", "0.2") as sandbox:
        url = json.loads(sandbox.line())["url"]
        body = {"type": "purchase", "purchase": {"number": "+14155550100"}}
        answer = httpx.post(
            f"{url}/vogent/api/phone_numbers", json=body, headers={"Authorization": "Bearer sandbox"}, trust_env=False
        )
    assert answer.status_code == 500
    assert answer.elapsed.total_seconds() >= 0.2


def test_people_see_what_to_do(tmp_path: Path) -> None:
    with served(tmp_path) as sandbox:
        told = ""
        while 'organization_id = "' not in told:
            told += sandbox.line()
    assert "listens on http://127.0.0.1:" in told
    assert "--write-config" in told
    assert "DIALSTOCK_SANDBOX_TOKEN" in told


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "providers.toml"
    mine.write_text("mine")
    done = execute("sandbox", "--port", "0", "--write-config", str(mine), home=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "stays as it is" in done.stderr
    assert mine.read_text() == "mine"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with SandboxServer() as taken:
        port = taken.url.rpartition(":")[2]
        done = execute("sandbox", "--port", port, home=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "give another --port" in done.stderr


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("throttle", "is not NAME=RATE"),
        ("throttle=much", "is not NAME=RATE"),
        ("throtle=0.1", "fault 'throtle' is unknown"),
        ("throttle=2", "must be from 0 to 1"),
    ],
)
def test_a_fault_that_is_wrong_is_told(fault: str, message: str) -> None:
    with pytest.raises(Failure, match=message):
        read_rates([fault])


def test_a_ledger_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no ledger\n")
    with pytest.raises(Failure, match="--ledger"):
        make_server(0, "127.0.0.1", seed=0, faults=[], latency=0.0, ledger=tmp_path / "file")


@pytest.mark.parametrize(("name", "why"), [("nodir/x", "No such file or directory"), ("", "Is a directory")])
def test_a_ledger_that_cannot_be_written_is_told_at_the_start(tmp_path: Path, name: str, why: str) -> None:
    told = f"cannot be used: {why}: name a file that can be written, in a folder that is there"
    with pytest.raises(Failure, match=told) as caught:
        make_server(0, "127.0.0.1", seed=0, faults=[], latency=0.0, ledger=tmp_path / name)
    assert caught.value.status == 2


def test_the_address_for_clients_of_this_machine() -> None:
    assert reachable("http://0.0.0.0:8790") == "http://127.0.0.1:8790"
    assert reachable("http://[::]:8790") == "http://127.0.0.1:8790"
    assert reachable("http://127.0.0.2:8790") == "http://127.0.0.2:8790"
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "")] == [
        *(True, True, True),
        *(False, False, False),
    ]


def test_a_policy_goes_into_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "providers.toml"
    path.write_text(sandbox_toml("http://127.0.0.1:1", {"timeout": 2.0, "reconcile_after": [0.5, 1.5]}))
    policies = {provider.policy.timeout for provider in load_config(path).providers.values()}
    assert policies == {2.0}
    assert load_config(path).providers["bird"].policy.reconcile_after == (0.5, 1.5)
