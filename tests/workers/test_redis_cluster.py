"""A Redis Cluster is refused by name, wherever it is met first."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.containers import LocalWorker
from tests.servers import RedisServer
from tests.waiting import PATIENCE
from tests.workers.cli.commands import PROJECT, choose_sandbox, environment, execute
from workers.cli.doctor import servers
from workers.health import Unusable, check_usable, redis_info

TOLD = "is a Redis Cluster, or a part of one, which is not supported"
MEND = "or sentinels: sentinel://HOST:26379"


@pytest.fixture(scope="module")
def cluster(_redis_program: str) -> Iterator[RedisServer]:
    """A node that serves a part of the slots."""
    server = RedisServer(_redis_program, options=["--cluster-enabled", "yes"])
    with Redis.from_url(server.url) as admin:
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 100)
    yield server
    server.close()


def test_before_anything_starts(cluster: RedisServer) -> None:
    for ask in (redis_info, check_usable):
        with pytest.raises(Unusable, match=f"{TOLD}.*{MEND}"):
            ask(cluster.url)


def test_by_the_doctor_in_one_line(cluster: RedisServer) -> None:
    [found] = servers.redis(cluster.url)
    assert TOLD in found.message
    assert MEND in found.message


@pytest.mark.parametrize("command", [("worker",), ("beat",), ("up", "--no-flower")])
def test_by_each_process_that_starts(cluster: RedisServer, tmp_path: Path, command: tuple[str, ...]) -> None:
    choose_sandbox(tmp_path)
    done = execute(*command, home=tmp_path / "home", cwd=tmp_path, REDIS_URL=cluster.url)
    assert done.returncode == 3, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(TOLD) == 1, done.stderr


def test_by_a_worker_that_celery_starts(cluster: RedisServer, tmp_path: Path) -> None:
    choose_sandbox(tmp_path)
    environ = environment(tmp_path / "home", REDIS_URL=cluster.url, PYTHONPATH=str(PROJECT))
    done = subprocess.run(
        [sys.executable, "-m", *LocalWorker.command()],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(TOLD) == 1, done.stderr
