"""The command line in this process, on a fresh database; and the same as a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.policies import pace
from tasks.sandbox import SandboxServer
from tests import forked
from tests.workers.cli.commands import choose_sandbox
from tests.workers.cli.running import Cli, sandbox_config_text
from workers.cli.terminal.context import open_desk
from workers.views.desk import Desk

_OURS = (
    *("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "DIALSTOCK_CONFIG", "DIALSTOCK_HOME", "DIALSTOCK_TRACEBACK"),
    *("DATABASE_URL_FILE", "REDIS_URL_FILE", "CELERY_BROKER_URL_FILE", "FORCE_COLOR", "TTY_COMPATIBLE"),
    *("DIALSTOCK_SANDBOX", "DIALSTOCK_SANDBOX_TOKEN"),
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, in which only a file says that the sandbox is meant; no settings but DIALSTOCK_HOME."""
    for name in _OURS:
        # Set first, so that what a command sets, as `--sandbox` does, is gone after the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    # Where the machine stands still for some seconds, a command in this process does not lose its turn to call a
    # provider.
    monkeypatch.setattr(pace, "WAKING", 10.0)
    choose_sandbox(tmp_path)
    monkeypatch.setenv("DIALSTOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(home: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on SQLite, with the sandboxes of all kinds as providers and no worker anywhere."""
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    return Cli()


@pytest.fixture
def both(home: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line on SQLite, then on PostgreSQL."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    return Cli()


@pytest.fixture
def desk(home: Path) -> Iterator[Desk]:
    """The same database, to look into it and to play the workers' part. Ask for `cli` or `both` before it."""
    with open_desk() as opened:
        yield opened


@pytest.fixture
def sandbox(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """All providers on a socket, and a providers.toml that names them."""
    with SandboxServer() as server:
        (home / "providers.toml").write_text(sandbox_config_text(server.url))
        monkeypatch.setenv("SANDBOX_TOKEN", "sandbox")
        yield server


@pytest.fixture
def start(cli: Cli) -> Iterator[type[subprocess.Popen[str]]]:
    """Starts `dialstock` with arguments as a process of its own; it is gone when the test ends."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = forked.start([*forked.DIALSTOCK, *arguments], text=True, env=dict(os.environ), **pipes)
        running.append(process)
        return process

    yield begin  # type: ignore[misc]
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
