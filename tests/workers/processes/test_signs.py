"""Signs of life: a process that hangs is told from one that waits for a server, and from one that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tasks.sandbox import SandboxServer
from tests import forked
from tests.servers import RedisServer
from tests.servers.redis import free_port
from tests.waiting import eventually
from tests.workers.cli.commands import Running, environment, execute
from workers.cli.sandbox.serve import sandbox_toml
from workers.fleet import listening
from workers.periodic.timers import Timer
from workers.processes import signs
from workers.processes.signs import Sign, Signs, read_signs, write_signs

HANG = """
import time
from celery.worker.control import control_command

@control_command(name="hang")
def hang(state):
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "alive"


@pytest.fixture
def environ(tmp_path: Path, folder: Path, redis_server: RedisServer, sqlite_url: str) -> Iterator[dict[str, str]]:
    with SandboxServer() as sandbox:
        config = tmp_path / "providers.toml"
        config.write_text(sandbox_toml(sandbox.url))
        (tmp_path / "hanging.py").write_text(HANG)
        extra = {"REDIS_URL": redis_server.url, "DATABASE_URL": sqlite_url, "DIALSTOCK_ALIVE": str(folder)}
        path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
        extra |= {"PYTHONPATH": path, forked.SITE: str(tmp_path)}
        yield environment(tmp_path / "home", DIALSTOCK_CONFIG=str(config), **extra)


def last(folder: Path) -> Sign:
    """That of the one process there."""
    return eventually(lambda: read_signs(folder), what="a sign")[0]


def given(folder: Path) -> float:
    """When the oldest sign was given."""
    return time.monotonic() - last(folder).age


def goes_on(folder: Path) -> None:
    since = time.monotonic()
    eventually(lambda: given(folder) > since, what="a sign of every part")


def probe(tmp_path: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return execute("doctor", "--alive", *options, home=tmp_path, cwd=tmp_path, DIALSTOCK_ALIVE=str(folder))


def test_a_worker_that_is_frozen_is_seen_and_one_that_goes_on_again(
    tmp_path: Path, folder: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running("worker", cwd=tmp_path, environ=environ) as worker:
        eventually(lambda: "ready." in worker.log, what="the worker is ready")
        done = probe(tmp_path, folder)
        assert (done.returncode, done.stdout.split()) == (0, ["ok", "alive", "worker", "goes", "on"])
        monkeypatch.setattr(signs, "STILL", 10.0)
        worker.process.send_signal(signal.SIGSTOP)
        eventually(lambda: last(folder).hung, what="it is found hung")
        worker.process.send_signal(signal.SIGCONT)
        eventually(lambda: not last(folder).hung, what="it goes on")
    assert worker.process.returncode == 0
    done = probe(tmp_path, folder)
    assert done.returncode == 1
    assert "no process gives a sign of life" in done.stdout


def test_an_event_loop_that_hangs_is_named_while_the_timers_go_on(
    tmp_path: Path, folder: Path, environ: dict[str, str], redis_server: RedisServer
) -> None:
    with Running("worker", "-I", "hanging", cwd=tmp_path, environ=environ) as worker:
        eventually(lambda: listening(redis_server.url, timeout=0.5), what="the worker answers")
        goes_on(folder)
        with Celery(broker=redis_server.url, set_as_current=False) as app:
            app.control.broadcast("hang")
        eventually(lambda: (last(folder).part, last(folder).age > 8) == ("event loop", True), what="it is named")
        worker.process.kill()
        worker.process.wait()
    assert read_signs(folder) == []


def test_a_worker_that_waits_for_its_broker_goes_on(
    tmp_path: Path, folder: Path, environ: dict[str, str], redis_server: RedisServer
) -> None:
    with Running("worker", cwd=tmp_path, environ=environ) as worker:
        eventually(lambda: "ready." in worker.log, what="the worker is ready")
        redis_server.kill()
        eventually(lambda: "the broker cannot be used: it is away" in worker.log, what="it misses the broker")
        eventually(lambda: "timer relay waits" in worker.log, what="its timers miss Redis")
        goes_on(folder)
        redis_server.restart()
        worker.process.kill()
        worker.process.wait()


def test_a_worker_whose_broker_is_frozen_goes_on(
    tmp_path: Path, folder: Path, environ: dict[str, str], redis_server: RedisServer
) -> None:
    with Running("worker", cwd=tmp_path, environ=environ) as worker:
        eventually(lambda: "ready." in worker.log, what="the worker is ready")
        with redis_server.frozen():
            frozen = time.monotonic()
            # By then its heartbeat has missed it, in the event loop.
            eventually(lambda: given(folder) > frozen + 20, what="a sign of every part")
        goes_on(folder)
        eventually(lambda: "the broker can be used again" in worker.log, what="it says that this is over")
        assert worker.log.count("the broker cannot be used: it does not answer") == 1
    assert worker.process.returncode == 0


def test_beat_and_flower_give_signs_too(tmp_path: Path, folder: Path, environ: dict[str, str]) -> None:
    with Running("beat", cwd=tmp_path, environ=environ):
        eventually(lambda: last(folder).part == "scheduler", what="its scheduler gives signs")
        assert last(folder).process == "beat"
        goes_on(folder)
    with Running("flower", "--port", str(free_port()), cwd=tmp_path, environ=environ):
        assert last(folder).process == "flower"
        goes_on(folder)


def test_a_timer_that_hangs_is_the_oldest_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Signs()
    monkeypatch.setattr("workers.periodic.timers.SIGNS", mine)
    gate = threading.Event()
    quick, stuck = Timer("quick", 0.01, lambda: False), Timer("stuck", 0.01, gate.wait)
    for timer in (quick, stuck):
        timer.start()
    eventually(lambda: mine.oldest()[1] == "timer stuck" and time.monotonic() - mine.oldest()[0] > 0.5)
    hung_since = mine.oldest()[0]
    eventually(lambda: time.monotonic() - hung_since > 1.0)
    assert mine.oldest() == (hung_since, "timer stuck")
    gate.set()
    for timer in (stuck, quick):
        timer.stop()
    assert mine.oldest()[1] == "process"


def test_a_process_that_ends_is_not_asked_for_its_parts() -> None:
    mine = Signs()
    mine.give("event loop")
    assert mine.oldest()[1] == "event loop"
    mine.leave()
    mine.give("event loop")
    assert mine.oldest()[1] == "process"


def test_what_a_killed_process_left_is_nobody_and_is_swept_by_the_next(folder: Path) -> None:
    folder.mkdir()
    (folder / "worker-1-0.alive").write_text("1.0 event loop")
    assert read_signs(folder) == []
    write_signs("beat", {"DIALSTOCK_ALIVE": str(folder)})
    assert [sign.process for sign in read_signs(folder)] == ["beat"]
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize(("age", "hung"), [(0.0, False), (119.0, False), (121.0, True), (-1.0, True)])
def test_how_long_a_part_may_stand_still(age: float, hung: bool) -> None:
    assert Sign("worker", "event loop", age).hung is hung


def test_without_a_folder_nothing_is_written_and_the_probe_says_so(tmp_path: Path) -> None:
    write_signs("worker", {})
    write_signs("worker", {"DIALSTOCK_ALIVE": "/proc/nowhere"})
    done = probe(tmp_path, Path("/"), "--json")
    assert done.returncode == 1
    done = execute("doctor", "--alive", home=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "DIALSTOCK_ALIVE is not set" in done.stdout


def test_the_probe_loads_nothing_that_takes_long() -> None:
    script = (
        "import sys; from workers.cli.doctor.alive import alive; list(alive({'DIALSTOCK_ALIVE': '/'})); "
        "print({'celery', 'sqlalchemy', 'redis', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
