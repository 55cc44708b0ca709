"""pytest-celery's nodes do with a local process what they do with a container."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_celery import CeleryTestWorker

from tests.integration.containers import LocalProcess, LocalWorker

SLEEPER = "import time; print('sleeper ready.', flush=True); time.sleep(60)"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[CeleryTestWorker]:
    process = LocalProcess("sleeper", [sys.executable, "-c", SLEEPER], {"WHO": "me"}, tmp_path / "log")
    node = CeleryTestWorker(LocalWorker(process), app=None)
    yield node
    node.teardown()


def test_a_node_is_ready_once_it_says_so(node: CeleryTestWorker) -> None:
    assert node.ready()
    assert node.name() == "sleeper"
    assert "sleeper ready." in node.logs()
    assert node.container.status == "running"


def test_a_killed_node_has_exited_and_is_not_ready(node: CeleryTestWorker) -> None:
    assert node.ready()
    node.kill()
    assert node.container.wait() == -9
    assert node.container.status == "exited"
    with pytest.raises(AssertionError, match="sleeper has ended"):
        node.ready()


def test_a_restarted_node_is_another_process(node: CeleryTestWorker) -> None:
    before = node.container.id
    node.restart()
    assert node.container.id != before
    assert node.container.status == "running"


def test_a_command_runs_in_the_environment_of_the_node(node: CeleryTestWorker) -> None:
    assert node.container.exec_run("/bin/sh -c 'echo $WHO; exit 3'") == (3, b"me\n")


def test_teardown_ends_the_process(node: CeleryTestWorker) -> None:
    node.teardown()
    assert node.container.status == "exited"
