"""Everything that the demo runs, in a temporary home of its own: nothing of the user's is read or touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.config.provider import SANDBOX_VARIABLE
from tasks.providers.configured import load_config
from tasks.runtime import Runtime
from tasks.sandbox import SandboxServer
from workers.broker.app import broker_app
from workers.cli.demo.script import FAULTS, NO_BALANCE, POLICY, POOL_TABLE
from workers.cli.processes import children
from workers.cli.processes.flower_address import HOST, FlowerAddress, address_at
from workers.cli.processes.worker_beat_flower import PASSWORD_VARIABLE
from workers.cli.sandbox.serve import sandbox_toml
from workers.cli.terminal.output import say
from workers.pages.frame.access import OPERATORS
from workers.processes.children import Signals, Supervisor
from workers.settings import EMBEDDED, SANDBOX, Settings, load_settings
from workers.threads import concurrency_for
from workers.wiring import wire

WORKERS = 2
_SERVER_GOES = 20.0
_NOT_OURS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
_NOT_READ = (
    *_NOT_OURS,
    *(f"{name}_FILE" for name in _NOT_OURS),
    SANDBOX,
    SANDBOX_VARIABLE,
    EMBEDDED,
    PASSWORD_VARIABLE,
    OPERATORS,
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What runs; `nodes` are the workers' names on the broker."""

    home: Path
    sandbox: SandboxServer
    runtime: Runtime
    supervisor: Supervisor
    settings: Settings
    nodes: list[str]
    flower: FlowerAddress


class Home:
    """The temporary folder; it goes at the end unless it is to be kept."""

    def __init__(self, *, keep: bool) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="dialstock-demo-"))
        self.keep = keep

    def close(self) -> None:
        """Remove it, or leave it."""
        if not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def staged(home: Home, seed: int, signals: Signals) -> Iterator[Stage]:
    """Sandbox, servers and workers; all of them end with the block, however it ends. A second signal hurries that."""
    with ExitStack() as stack:
        stack.callback(home.close)
        ledger = home.path / "sandbox-ledger.jsonl"
        sandbox = stack.enter_context(SandboxServer(seed=seed, rates=FAULTS, ledger_path=ledger))
        sandbox.control.plan(NO_BALANCE, "account", reason="balance")
        environ = _environ(home.path, sandbox.url)
        stack.callback(children.wait_until_gone, home.path, _SERVER_GOES)
        settings = children.start_servers(load_settings(environ), environ, stack)
        config = load_config(settings.config_path)
        programs = children.worker_programs(
            config, environ, count=WORKERS, concurrency=concurrency_for(config), log_level="INFO"
        )
        flower = address_at(0)
        pages = children.flower_program(HOST, flower.port, flower.environ(environ), "INFO")
        supervisor = Supervisor([*programs.values(), pages], _Log(home.path / "workers.log", stack), say)
        stack.callback(lambda: _stop(supervisor, signals))
        supervisor.start(children.WORKERS)
        app = broker_app("dialstock-demo", settings.broker_url, settings.key_prefix, set_as_current=False)
        wiring = wire(settings, app, environ)
        stack.callback(wiring.close)
        yield Stage(
            home=home.path,
            sandbox=sandbox,
            runtime=wiring.runtime,
            supervisor=supervisor,
            settings=settings,
            nodes=list(programs),
            flower=flower,
        )


def _environ(home: Path, sandbox_url: str) -> dict[str, str]:
    config = home / "providers.toml"
    config.write_text(f"{sandbox_toml(sandbox_url, POLICY)}\n{POOL_TABLE}", encoding="utf-8")
    for name in _NOT_READ:
        # Out of this process too: Celery reads CELERY_BROKER_URL itself, and prefers it to what it is told.
        os.environ.pop(name, None)
    return {**os.environ, "DIALSTOCK_HOME": str(home), "DIALSTOCK_CONFIG": str(config)}


def _stop(supervisor: Supervisor, signals: Signals) -> None:
    before = signals.count
    supervisor.stop(lambda: signals.count > before)


class _Log:
    """The workers' lines go to a file."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._file = stack.enter_context(path.open("a", encoding="utf-8", buffering=1))

    def __call__(self, name: str, line: str) -> None:
        if not self._file.closed:
            self._file.write(f"{name} | {line}\n")
