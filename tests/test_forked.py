from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import forked
from tests.forked import DIALSTOCK
from tests.waiting import PATIENCE, eventually, is_gone
from tests.workers.cli.commands import choose_sandbox

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is a fresh one")


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **_settings(), "DIALSTOCK_HOME": str(tmp_path), **more}


def _settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LD_"))}


def is_fresh(process: subprocess.Popen[str] | psutil.Process) -> bool:
    return forked.__file__ not in psutil.Process(process.pid).cmdline()


@ON_LINUX
@pytest.mark.parametrize(
    ("arguments", "more", "told"),
    [
        (["order", "list"], {"DATABASE_URL": "mysql://here"}, "mysql"),
        # It becomes Celery, which says that.
        (["worker", "--none-such"], {"PYTHONWARNINGS": "ignore"}, "No such option '--none-such'"),
    ],
    ids=["command", "Celery"],
)
def test_a_command_has_an_environment_a_folder_and_files_of_its_own(
    tmp_path: Path, arguments: list[str], more: dict[str, str], told: str
) -> None:
    choose_sandbox(tmp_path)
    command = [*DIALSTOCK, *arguments]
    options: dict[str, Any] = {"env": environment(tmp_path, **more), "cwd": tmp_path}
    forked_one = forked.run(command, timeout=PATIENCE, **options)
    fresh_one = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, **options)
    # The lines before tell how Celery was called.
    ended, ended_fresh = ((one.returncode, one.stdout, one.stderr.splitlines()[-1]) for one in (forked_one, fresh_one))
    assert ended == ended_fresh
    assert forked_one.returncode == 2
    assert told in forked_one.stderr


@ON_LINUX
def test_a_program_of_the_tests_that_comes_to_its_end_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.scratch"]
    root = Path(__file__).parents[1]
    ended = forked.run(command, timeout=PATIENCE, env=environment(tmp_path), cwd=root)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@ON_LINUX
@pytest.mark.parametrize("how", ["0", "3", "256", "-1", "words", "nothing", "an error", "comes to its end"])
@pytest.mark.parametrize("more", [{}, {"PYTHONWARNINGS": "ignore"}], ids=["short", "whole"])
def test_its_end_is_that_of_a_fresh_one(tmp_path: Path, how: str, more: dict[str, str]) -> None:
    """Threads and what waits for the end have their turn, all is printed, and the status is the same."""
    command = [sys.executable, "-m", "tests.ending", how]
    options: dict[str, Any] = {"env": environment(tmp_path, **more), "cwd": Path(__file__).parents[1]}
    one = forked.run(command, timeout=PATIENCE, **options)
    fresh = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, **options)
    told, told_fresh = (found.stderr.splitlines()[-1:] for found in (one, fresh))
    assert (one.returncode, one.stdout, told) == (fresh.returncode, fresh.stdout, told_fresh)
    assert one.stdout == "here, a thread, at the end"


@ON_LINUX
def test_one_that_nobody_listens_to_tells_so_at_its_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.ending", "0"]
    options: dict[str, Any] = {"env": environment(tmp_path), "cwd": Path(__file__).parents[1]}
    reader, writer = os.pipe()
    os.close(reader)
    ended = []
    with os.fdopen(writer, "wb") as nobody:
        for start in (forked.start, subprocess.Popen):
            with start(command, stdout=nobody, stderr=subprocess.PIPE, **options) as process:
                ended.append((process.wait(PATIENCE), process.stderr.read().splitlines()[-1]))
    assert ended[0] == ended[1]
    assert ended[0][1] == b"BrokenPipeError: [Errno 32] Broken pipe"


@ON_LINUX
def test_it_is_a_child_that_can_be_killed_and_waited_for(tmp_path: Path) -> None:
    command = [*DIALSTOCK, "sandbox", "--port", "0"]
    process = forked.start(command, env=environment(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    with process:
        assert not is_fresh(process)
        assert psutil.Process(process.pid).ppid() == os.getpid()
        assert process.stdout is not None
        assert process.stdout.readline()
        assert process.poll() is None
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL
    eventually(lambda: not psutil.pid_exists(process.pid), what="it is gone")


@ON_LINUX
def test_what_it_starts_is_its_child_and_goes_with_it(tmp_path: Path) -> None:
    choose_sandbox(tmp_path)
    command = [*DIALSTOCK, "up", "--json", "--no-flower"]
    with forked.start(command, env=environment(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        family = [psutil.Process(pid) for pid in json.loads(process.stdout.readline())["pids"].values()]
        assert {one.ppid() for one in family} == {process.pid}
        assert not [one for one in family if is_fresh(one)]
        process.kill()
    eventually(lambda: all(map(is_gone, family)), what="all are gone")


@ON_LINUX
def test_packages_that_come_first_on_its_path_are_found_as_by_a_fresh_one(tmp_path: Path) -> None:
    info = tmp_path / "site" / "bad-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dialstock.providers]\nbad = json:loads\n")
    site = str(info.parent)
    path = os.pathsep.join(filter(None, [site, os.environ.get("PYTHONPATH")]))
    options: dict[str, Any] = {"env": environment(tmp_path, PYTHONPATH=path, **{forked.SITE: site}), "cwd": tmp_path}
    command = [*DIALSTOCK, "provider", "kinds"]
    with forked.start(command, stderr=subprocess.PIPE, text=True, **options) as process:
        assert not is_fresh(process)
        _, said = process.communicate(timeout=PATIENCE)
    assert "bad 1.0: json:loads is a function and no ProviderKind" in said
    fresh = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, **options)
    assert said == fresh.stderr


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ([sys.executable, "-c", "input()"], {}),
        (["sh", "-c", "read line"], {}),
        ([*DIALSTOCK, "sandbox", "--port", "0"], {"PYTHONPATH": "/nowhere"}),
        ([*DIALSTOCK, "sandbox", "--port", "0"], {"PYTHONOPTIMIZE": "1"}),
        ([*DIALSTOCK, "sandbox", "--port", "0"], {"LD_BIND_NOW": "1"}),
    ],
)
def test_what_would_not_be_the_same_is_started_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], more: dict[str, str]
) -> None:
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with forked.start(command, env=environment(tmp_path), cwd=tmp_path, text=True, **pipes) as process:
        assert is_fresh(process)
        process.kill()


def test_another_pythons_start_is_left_alone() -> None:
    class Other:
        def _execute_child(self, args: Any, cwd: Any, env: Any) -> None: ...

    assert not forked.is_known(Other)
    assert not forked.is_known(object)
