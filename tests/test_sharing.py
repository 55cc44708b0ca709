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
from tests.sharing import (
    BESIDE,
    LONGEST,
    MATRIX,
    PART,
    Compiled,
    Sharing,
    computing,
    end_what_is_left,
    is_beside,
    is_for_what_waits,
    is_in_part,
    longest_first,
    unit,
    workers,
)

NOTHING_SAID = {"keyword": "", "markexpr": "", "capture": "fd", "collectonly": False}


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
        (
            "tests/integration/a/test_1.py::test_1[shared-sqlite]",
            "tests/integration/test_2.py::test_1[shared-sqlite]",
            True,
        ),
        ("tests/chaos/test_a.py::test_1[sqlite]", "tests/chaos/test_b.py::test_2[sqlite]", True),
        (f"{MATRIX}::test_1[Redis-PgBouncer]", f"{MATRIX}::test_1[Redis-PostgreSQL]", False),
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
    option = SimpleNamespace(**NOTHING_SAID | options)
    assert (workers(option, arguments) > 0) is several


@pytest.mark.parametrize(
    ("arguments", "options", "beside"),
    [
        (["tests"], {}, True),
        (["tests/tasks", f"{Path(__file__).parent}/integration/"], {}, True),
        (["tests/deploy"], {}, True),
        (["tests"], {"keyword": "not postgresql"}, False),
        (["tests"], {"markexpr": "not served"}, False),
        (["tests/tasks", "tests/schemas"], {}, False),
    ],
)
def test_what_waits_has_processes_of_its_own(
    arguments: list[str],
    options: dict[str, Any],
    beside: bool,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pytestconfig.rootpath)
    option = SimpleNamespace(**NOTHING_SAID | options)
    assert workers(option, arguments) - computing() == (BESIDE if beside else 0)


def within(path: str) -> str:
    return f"{path}::test_1" if path.endswith(".py") else f"{path}/test_a.py::test_1"


def test_the_longest_begin_first() -> None:
    items = [SimpleNamespace(nodeid=within(path)) for path in ("tests/tasks", *reversed(LONGEST))]
    longest_first(items)  # type: ignore[arg-type]
    assert [item.nodeid for item in items] == [within(path) for path in (*LONGEST, "tests/tasks")]


def test_each_path_of_the_longest_is_there() -> None:
    assert all(Path(__file__).parents[1].joinpath(path).exists() for path in LONGEST)


class Node:
    """One of a run's processes, which notes what it gets."""

    shutting_down = False

    def __init__(self, number: int, *, part: bool = False) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.workerinput = {PART: part}
        self.got: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.got += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def shared_over(nodes: int, session: Any = None) -> Any:
    option = SimpleNamespace(tx=[f"{nodes}*popen"], maxprocesses=None, numprocesses=nodes)
    config: Any = SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name), hook=None)
    return Sharing(config, session=session)


def handed_out(nodes: int, tests: list[str], part: list[str] | None = None) -> list[list[str]]:
    """What each of *nodes* processes gets of *tests*, where each in turn ends one after the other.

    The last one has collected only *part*, where there is one.
    """
    sharing = shared_over(nodes)
    every = [Node(number, part=part is not None and number == nodes - 1) for number in range(nodes)]
    collected = {node: part if node.workerinput[PART] and part is not None else tests for node in every}
    # It is the first to have collected.
    for node in reversed(every):
        sharing.add_node(node)
        sharing.add_node_collection(node, collected[node])
    sharing.schedule()
    ended = [0] * nodes
    while sum(ended) < len(tests):
        for number, node in enumerate(every):
            if ended[number] < len(node.got):
                sharing.mark_test_complete(node, node.got[ended[number]])
                ended[number] += 1
    assert not sharing.has_pending
    return [[collected[node][index] for index in node.got] for node in every]


def test_each_process_begins_with_what_is_of_its_sort_and_all_is_handed_out() -> None:
    waiting = [f"tests/integration/test_{number}.py::test_1" for number in range(10)]
    cheap = [f"tests/tasks/test_{number}.py::test_1" for number in range(40)]
    first, *others = handed_out(computing() + 1, [*waiting, *cheap])
    beside = others.pop()
    assert beside[:10] == waiting
    assert {*first, *(one for other in others for one in other)} <= {*cheap}
    assert sorted([*first, *beside, *(one for other in others for one in other)]) == sorted([*waiting, *cheap])


def test_who_has_collected_a_part_gets_nothing_else() -> None:
    waiting = [f"tests/integration/test_{number}.py::test_1" for number in range(3)]
    first = [f"tests/workers/test_{number}.py::test_1" for number in range(9)]
    cheap = [f"tests/tasks/test_{number}.py::test_1" for number in range(9)]
    # Another id there is another test, which only the others know.
    unlike = ["tests/integration/test_a.py::test_1[0x2]", "tests/integration/test_a.py::test_2"]
    got = handed_out(computing() + 1, [*waiting, *first, *cheap, *unlike], [*waiting, *first, unlike[1]])
    assert {*waiting} <= {*got[-1]} <= {*waiting, *first}
    assert sorted(one for its in got for one in its) == sorted([*waiting, *first, *cheap, *unlike])


def test_what_others_know_too_is_left_for_those_who_are_done() -> None:
    known = [f"tests/simulation/test_{number}.py::test_1" for number in range(6)]
    cheap = [f"tests/tasks/test_{number}.py::test_1" for number in range(12)]
    *computed, beside = handed_out(computing() + 1, [*known, *cheap], known)
    assert {*beside} <= {*known}
    for its in computed:
        assert [one in cheap for one in its] == sorted((one in cheap for one in its), reverse=True)
    assert sum(len({*its} & {*cheap}) for its in computed) == len(cheap)


def test_there_are_as_many_as_one_that_collects_all_says() -> None:
    session = SimpleNamespace(testscollected=0)
    sharing, tests = shared_over(2, session), [f"tests/test_{number}.py::test_1" for number in range(9)]
    for node, its in ((Node(0), tests), (Node(1, part=True), tests[:2])):
        sharing.add_node(node)
        # pytest-xdist takes the last for all.
        session.testscollected = len(its)
        sharing.add_node_collection(node, its)
    assert session.testscollected == len(tests)


def test_a_part_is_all_that_begins_first_and_what_leads_there() -> None:
    there = ["tests", *LONGEST, "tests/workers/cli/pool", "tests/integration/test_orders.py"]
    elsewhere = ["tests/tasks", "tests/tasks/test_balances.py", "tests/schemas", "tests/integration_of_another"]
    assert [*filter(is_in_part, [*there, *elsewhere])] == there


def test_only_those_that_a_whole_run_begins_with_collect_a_part() -> None:
    begun, later = range(computing() + BESIDE), range(computing() + BESIDE, 20)
    assert [n for n in begun if is_for_what_waits(f"gw{n}")] == [*range(computing(), computing() + BESIDE)]
    assert not any(is_for_what_waits(f"gw{number}") for number in later)


def test_without_processes_for_what_waits_it_comes_in_its_place() -> None:
    tests = [f"{folder}/test_a.py::test_1" for folder in ("tests/integration", "tests/tasks", "tests/chaos")]
    assert handed_out(1, tests) == [tests]


def test_those_for_what_waits_collect_once_each_of_the_others_has() -> None:
    assert not any(is_beside(f"gw{number}") for number in range(computing()))
    assert all(is_beside(f"gw{computing() + number}") for number in range(BESIDE))
    run = uuid.uuid4().hex
    told, asked = Compiled(run), Compiled(run)
    for _ in range(computing()):
        assert not asked.wait(0.0)
        told.collected()
    assert asked.wait()
    told.forget()
    assert not asked.wait(0.0)


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
