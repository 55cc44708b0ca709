"""A stop that comes twice: systemd tells a whole group, `up` its children, the kernel a child for each thread gone."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.servers import RedisServer
from tests.servers.redis import free_port
from tests.waiting import PATIENCE, eventually
from tests.workers.cli.commands import Running, choose_sandbox, environment

MANY = 1000
"""So many that the one before is nearly always under way."""


@pytest.mark.parametrize(
    ("program", "begun"),
    [("worker", "ready."), ("beat", "beat: Waking up"), ("flower", "Inspect method")],
)
def test_a_process_that_is_told_to_stop_again_and_again_ends(
    tmp_path: Path, redis_server: RedisServer, sqlite_url: str, program: str, begun: str
) -> None:
    choose_sandbox(tmp_path)
    environ = environment(tmp_path, REDIS_URL=redis_server.url, DATABASE_URL=sqlite_url)
    options = ["--port", str(free_port())] if program == "flower" else []
    with Running(program, "--log-level", "debug", *options, cwd=tmp_path, environ=environ) as running:
        eventually(lambda: begun in running.log, what=f"{program} is ready")
        for _ in range(MANY):
            running.process.send_signal(signal.SIGTERM)
        # The last of them may meet a Python that has already given up its handlers.
        assert running.process.wait(PATIENCE) in (0, -signal.SIGTERM), running.log


def test_a_worker_begins_anew_where_it_is_sent_sighup(
    tmp_path: Path, redis_server: RedisServer, sqlite_url: str
) -> None:
    choose_sandbox(tmp_path)
    # A name that Celery says of itself.
    (tmp_path / "celery").write_text("raise SystemExit('this is not Celery')")
    environ = environment(tmp_path, REDIS_URL=redis_server.url, DATABASE_URL=sqlite_url)
    with Running("worker", cwd=tmp_path, environ=environ, start=subprocess.Popen) as worker:
        eventually(lambda: "ready." in worker.log, what="the worker is ready")
        worker.process.send_signal(signal.SIGHUP)
        eventually(lambda: worker.log.count("ready.") == 2, what="it is ready again")
        assert worker.stop() == 0
