"""The sandbox is reached by who asks for it, and stands in for nothing; what was tried out is never bought for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.config.errors import ConfigError
from schemas.status import Status
from tasks.providers.configured import parse_config, sandbox_config
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.waiting import eventually
from tests.workers.cli.commands import Running, choose_sandbox, environment, execute
from tests.workers.cli.running import NUMBERS, Cli, purchases, sandbox_config_text, settle, simple_file
from workers.cli.processes.session import sandbox_command
from workers.cli.terminal.context import open_desk

REAL = "real-token"
NUMBER = NUMBERS[0]
ORDER = "0198c0de"
BUYERS: list[list[str]] = [
    ["buy", NUMBER, "--provider", "bird"],
    ["order", "submit", "numbers.csv"],
    ["order", "submit", "numbers.csv", "--dry-run"],
    ["order", "retry", ORDER],
    *(["pool", *rest] for rest in (["list"], ["show", "p"], ["run", "p"], ["take", "p"], ["return", "p", NUMBER])),
    ["number", "search", "--provider", "bird"],
    *(["provider", *rest] for rest in (["list"], ["check"], ["pause", "bird", "--reason", "x"], ["resume", "bird"])),
    *(["provider", *rest] for rest in (["move", "bird", "bird"], ["leave", "bird"])),
    ["audit", "bird"],
    ["up"],
    ["worker"],
    ["beat"],
    ["flower"],
]
READERS: list[list[str]] = [
    ["order", "list"],
    ["order", "show", "last"],
    ["order", "show", "last", "--lines"],
    ["order", "export", "last"],
    ["order", "cancel", "last"],
    ["order", "watch", "last"],
    ["purchase", "list"],
    ["purchase", "show", "last"],
    ["migrate"],
]


@pytest.fixture
def bare(home: Path) -> Path:
    """A folder in which nothing says who is bought from."""
    (home / "providers.toml").unlink()
    simple_file(home, 2, "bird")
    return home


@pytest.fixture
def real() -> Iterator[SandboxServer]:
    """Who plays the real provider: it takes another token than that of the sandbox."""
    with SandboxServer(token=REAL) as server:
        yield server


@pytest.mark.parametrize("command", BUYERS, ids=" ".join)
def test_without_a_file_nothing_is_bought_nor_written(bare: Path, command: list[str]) -> None:
    told = Cli().refused(*command)
    assert f"there is no {bare}/providers.toml" in told
    for mend in ("write it", "DIALSTOCK_CONFIG", "`dialstock sandbox`", "`dialstock --sandbox COMMAND`"):
        assert mend in told
    assert [path.name for path in bare.iterdir()] == ["numbers.csv"]


def test_celery_s_own_command_ends_without_a_file_before_anything_starts(bare: Path) -> None:
    command = [sys.executable, "-m", "celery", "-A", "workers.app:app", "worker"]
    done = subprocess.run(command, env=dict(os.environ), cwd=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"Error: there is no {bare}/providers.toml" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in bare.iterdir()] == ["numbers.csv"]


KINDS = ["directory", "empty", "link"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")], ids=KINDS)
def test_what_is_no_file_of_providers_is_no_choice_of_the_sandbox(bare: Path, make: Callable[[Path], object]) -> None:
    make(bare / "providers.toml")
    assert "providers.toml" in Cli().refused("buy", NUMBER, "--provider", "bird")
    assert not (bare / "home").exists()
    assert "providers.toml" in Cli().refused("purchase", "show", "last")


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_what_is_there_can_be_read_without_a_file(cli: Cli, home: Path, command: list[str]) -> None:
    cli.submit(simple_file(home, 1, "bird"))
    with open_desk() as desk:
        settle(desk, NUMBER, Status.PURCHASED)
    (home / "providers.toml").unlink()
    cli.ok(*command)


def test_a_trial_has_a_folder_of_its_own(bare: Path) -> None:
    tried = run(bare, "--sandbox", "buy", NUMBER, "--provider", "bird")
    assert tried.returncode == 0, tried.stderr
    assert "Buying up to 1 number from bird (bird, the sandbox at 127.0.0.1:8790)" in tried.stderr
    assert "start them with `dialstock --sandbox up`" in tried.stderr
    assert [path.name for path in (bare / "home").iterdir()] == ["sandbox"]
    assert json.loads(run(bare, "purchase", "list", "--json").stdout) == []
    [row] = json.loads(run(bare, "purchase", "list", "--json", "--sandbox").stdout)
    assert (row["number"], row["account"]) == (NUMBER, sandbox_config().providers["bird"].account)


def test_a_trial_leaves_aside_what_is_real(bare: Path, real: SandboxServer) -> None:
    (bare / "providers.toml").write_text(sandbox_config_text(real.url))
    servers = {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1/0"}
    extra = {**servers, "CELERY_BROKER_URL_FILE": "/nowhere", "DIALSTOCK_CONFIG": str(bare / "providers.toml")}
    tried = run(bare, "--sandbox", "buy", NUMBER, "--provider", "bird", **extra)
    assert tried.returncode == 0, tried.stderr
    assert "bird (bird, the sandbox at 127.0.0.1:8790)" in tried.stderr
    asked = run(bare, "provider", "check", "bird", "--sandbox", DIALSTOCK_SANDBOX="http://127.0.0.1:1", **extra)
    assert asked.returncode == 1
    assert real.control.calls() == []


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL_FILE", "CELERY_BROKER_URL", "DIALSTOCK_CONFIG"])
def test_an_environment_that_names_both_is_refused(bare: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALSTOCK_SANDBOX", "http://127.0.0.1:8790")
    monkeypatch.setenv(name, "providers.toml")
    told = Cli().refused("buy", NUMBER, "--provider", "bird")
    assert f"DIALSTOCK_SANDBOX is set, and {name} too" in told


@pytest.mark.parametrize("url", ["1", "https://api.bird.com", "http://10.0.0.1:8790"])
def test_a_sandbox_is_on_this_machine(bare: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALSTOCK_SANDBOX", url)
    told = Cli().refused("buy", NUMBER, "--provider", "bird")
    assert f"DIALSTOCK_SANDBOX names '{url}', where no sandbox can be" in told
    assert told.count("\n") == 1


def test_the_token_of_the_sandbox_buys_from_nobody_else() -> None:
    text = sandbox_config_text("https://shop.example").replace('"SANDBOX_TOKEN"', '"DIALSTOCK_SANDBOX_TOKEN"')
    with pytest.raises(ConfigError, match=r"is the token of `dialstock sandbox`, which is on this machine"):
        parse_config(text, "providers.toml")


def test_a_trial_is_bought_at_the_sandbox_alone(bare: Path, real: SandboxServer) -> None:
    """What was tried out stays there when a file names who is real, in this folder and in another."""
    buy = ("buy", NUMBER, "--provider", "bird", "--wait")
    with SandboxServer() as sandbox:
        extra = {"DIALSTOCK_SANDBOX": sandbox.url}
        with started(bare, "--sandbox", "up", "--workers", "1", "--no-flower", "--json", **extra):
            bought = run(bare, "--sandbox", *buy, **extra)
            assert bought.returncode == 0, bought.stderr
            assert [charge["number"] for charge in sandbox.control.charges()] == [NUMBER]
        waiting = run(bare, "--sandbox", "buy", NUMBERS[1], "--provider", "bird", **extra)
        assert waiting.returncode == 0, waiting.stderr
    (bare / "other").mkdir()
    assert run(bare / "other", *buy).returncode == 2
    (bare / "providers.toml").write_text(sandbox_config_text(real.url))
    with started(bare, "up", "--workers", "1", "--no-flower", "--json", SANDBOX_TOKEN=REAL):
        own = run(bare, "buy", NUMBERS[2], "--provider", "bird", "--wait", SANDBOX_TOKEN=REAL)
        assert own.returncode == 0, own.stderr
    assert [charge["number"] for charge in real.control.charges()] == [NUMBERS[2]]


def test_a_database_of_a_trial_is_refused_to_what_is_real(both: Cli, home: Path, real: SandboxServer) -> None:
    """The same where a file chose the sandbox: no command and no worker takes that database for its own."""
    both.submit(simple_file(home, 2, "bird"))
    with open_desk() as desk:
        settle(desk, NUMBERS[1], Status.PURCHASED)
    (home / "providers.toml").write_text(sandbox_config_text(real.url))
    for command in (["buy", NUMBERS[2], "--provider", "bird"], ["order", "retry", "last"]):
        told = both.refused(*command)
        assert "2 purchases under it are of sandbox:bird|sandbox-workspace" in told
        assert "name another DIALSTOCK_HOME or DATABASE_URL" in told
        assert "provider leave bird" in told
        assert "provider move" not in told
    for shown in (both("doctor").output, both("provider", "list").output):
        assert "the sandbox and a real account share no purchases" in shown
        assert "provider move" not in shown
    result = both("provider", "move", "bird", "bird")
    assert (result.exit_code, "2 purchases of bird stay" in result.stdout) == (1, True)
    with open_desk() as desk:
        assert {row["account"] for row in purchases(desk).values()} == {"sandbox:bird|sandbox-workspace"}
    assert both.json("provider", "leave", "bird")["cancelled"] == 1
    both.ok("buy", NUMBERS[2], "--provider", "bird")


def test_what_is_real_is_not_tried_out(both: Cli, home: Path) -> None:
    (home / "providers.toml").write_text(sandbox_config_text("https://shop.example"))
    both.ok("buy", NUMBER, "--provider", "bird")
    choose_sandbox(home)
    told = both.refused("buy", NUMBERS[1], "--provider", "bird")
    assert "try things out with another DIALSTOCK_HOME or DATABASE_URL" in told
    assert "provider leave" not in told
    assert both("provider", "move", "bird", "bird").exit_code == 1
    with open_desk() as desk:
        assert [row["account"] for row in purchases(desk).values()] == ["bird|w"]


def test_a_worker_is_not_started_on_a_trial(
    home: Path, sqlite_url: str, redis_server: RedisServer, real: SandboxServer
) -> None:
    servers = {"DATABASE_URL": sqlite_url, "REDIS_URL": redis_server.url}
    assert run(home, "buy", NUMBER, "--provider", "bird", **servers).returncode == 0
    (home / "providers.toml").write_text(sandbox_config_text(real.url))
    done = run(home, "worker", SANDBOX_TOKEN=REAL, **servers)
    assert done.returncode == 2
    assert "Buying from timepay (timepay, at 127.0.0.1:" in done.stderr
    assert "the sandbox and a real account share no purchases" in done.stderr
    assert real.control.calls() == []


def test_the_sandbox_says_how_it_is_chosen(bare: Path) -> None:
    with Running("sandbox", "--port", "0", cwd=bare, environ=environment(bare / "home")) as sandbox:
        url = sandbox.line().split()[-1]
        told = eventually(lambda: line if "--sandbox" in (line := sandbox.line()) else None)
    assert told.endswith(f"DIALSTOCK_SANDBOX={url} dialstock --sandbox up\n")


def run(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return execute(*arguments, home=folder / "home", cwd=folder, **extra)


def started(folder: Path, *arguments: str, **extra: str) -> Running:
    """A command that is ready when it has said one line."""
    running = Running(*arguments, cwd=folder, environ=environment(folder / "home", **extra))
    assert json.loads(running.line())["status"] == "ready"
    return running


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("http://127.0.0.1:8790", "dialstock sandbox"),
        ("http://localhost:8790", "dialstock sandbox"),
        ("http://127.0.0.1:8931", "dialstock sandbox --port 8931"),
        ("http://127.0.0.2:8931", "dialstock sandbox --host 127.0.0.2 --port 8931"),
        ("http://[::1]:8790", "dialstock sandbox --host ::1"),
        ("http://localhost", "dialstock sandbox --port 80"),
    ],
)
def test_the_sandbox_is_started_where_it_is_looked_for(url: str, command: str) -> None:
    assert sandbox_command(url) == command
