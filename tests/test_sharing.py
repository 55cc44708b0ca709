"""How a run is shared over processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.servers import PostgresServer, RedisServer
from tests.sharing import LONGEST, end_what_is_left, longest_first, unit, workers


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("tests/tasks/test_a.py::test_1[sqlite]", "tests/tasks/test_a.py::test_2[sqlite-7]", True),
        ("tests/tasks/test_a.py::test_1[sqlite]", "tests/tasks/test_a.py::test_1[postgresql]", False),
        ("tests/tasks/test_a.py::test_1", "tests/tasks/test_a.py::test_2[x]", True),
        ("tests/tasks/test_a.py::test_1", "tests/tasks/test_b.py::test_1", False),
        (
            "tests/integration/test_a.py::test_1[shared-sqlite]",
            "tests/integration/test_b.py::TestX::test_2[shared-sqlite-7]",
            True,
        ),
        ("tests/integration/test_a.py::test_1[shared-sqlite]", "tests/integration/test_a.py::test_1[sqlite]", False),
        ("tests/chaos/test_a.py::test_1[sqlite]", "tests/chaos/test_b.py::test_2[sqlite]", True),
    ],
)
def test_what_runs_on_one_process(one: str, other: str, together: bool) -> None:
    assert (unit(one) == unit(other)) is together


@pytest.mark.parametrize(
    ("arguments", "options", "several"),
    [
        (["tests"], {}, True),
        (["tests/tasks"], {}, True),
        (["tests"], {"keyword": "not postgresql"}, True),
        (["tests/test_a.py"], {}, False),
        (["tests/test_a.py::test_1"], {}, False),
        (["tests"], {"keyword": "test_1"}, False),
        (["tests"], {"capture": "no"}, False),
        (["tests"], {"collectonly": True}, False),
    ],
)
def test_a_few_tests_run_in_the_process_that_was_started(
    arguments: list[str], options: dict[str, Any], several: bool
) -> None:
    option = SimpleNamespace(**{"keyword": "", "capture": "fd", "collectonly": False, **options})
    assert (workers(option, arguments) > 0) is several


def test_the_longest_begin_first() -> None:
    items = [SimpleNamespace(nodeid=f"{folder}/test_a.py::test_1") for folder in ("tests/tasks", *reversed(LONGEST))]
    longest_first(items)  # type: ignore[arg-type]
    assert [item.nodeid.rpartition("/")[0] for item in items] == [*LONGEST, "tests/tasks"]


def test_each_folder_of_the_longest_is_there() -> None:
    assert all(Path(__file__).parents[1].joinpath(folder).is_dir() for folder in LONGEST)


def test_what_a_run_left_is_ended_and_nothing_else() -> None:
    command, run = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"], uuid.uuid4().hex
    runs = (run, f"{run}-other")
    ours, other = (
        subprocess.Popen(command, env={**os.environ, "PYTEST_XDIST_TESTRUNUID": one}, stdout=subprocess.PIPE)
        for one in runs
    )
    with ours, other:
        for process in (ours, other):
            assert process.stdout is not None
            process.stdout.readline()
        end_what_is_left(run)
        assert ours.wait(60) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def test_a_server_can_be_found_by_its_environment(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    for pid in (redis_server.pid, postgres_server.pid):
        assert psutil.Process(pid).environ().get("PATH") == os.environ["PATH"]
