"""How a run shares its tests over processes: whole files, the longest first, and one process for one file.

Each process has servers of its own. What runs on one of them, and in which order, is a unit; two runs have the same
units. Some units mostly wait, for workers and commands that they started: processes of their own take those, beside one
a core for what computes. More of the latter would take the cores from the former, whose calls ran into their time-outs.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

MOST = 8
"""Processes for what computes: each has a Valkey and a PostgreSQL."""

BESIDE = 5
"""Processes for what waits: each uses a fifth of a core."""

COMPILED_WITHIN = 60.0
"""Seconds that those wait at most until the others have compiled what they import."""

MATRIX = "tests/integration/outages/test_troubles.py"
"""Each of its tests takes more than a minute, and is a unit."""

WAITING = (
    MATRIX,
    "tests/deploy/test_image.py",
    "tests/chaos",
    "tests/integration",
    "tests/workers/database",
    "tests/workers/cli",
    "tests/workers/pages",
    "tests/workers/redis_access",
    "tests/workers/broker",
    "tests/workers/processes",
    "tests/plugin",
)
"""Files and folders whose tests mostly wait, the longest units first."""

LONGEST = (*WAITING, "tests/simulation", "tests/deploy", "tests/workers", "tests/test_forked.py")
"""Files and folders, the longest units first: what takes minutes must not begin last."""

PART = "part"
"""What a process is told that collects only what is in LONGEST: it takes the processor seconds to collect the rest."""

_DATABASE = re.compile(r"\[.*?(shared-)?(sqlite|postgresql)")


def workers(option: Any, arguments: Iterable[str]) -> int:
    """How many processes a run takes where nobody says it; 0 for this one, which starts sooner and can be talked to."""
    given = list(arguments)
    picked = option.keyword and not option.keyword.startswith("not ")
    few = picked or all(".py" in argument for argument in given)
    talks = option.capture == "no" or option.collectonly
    if few or talks:
        return 0
    whole = not (option.keyword or option.markexpr)
    return computing() + (BESIDE if whole and any(map(_has_waiting, given)) else 0)


def computing() -> int:
    """How many processes take what computes."""
    return min(max(2, os.cpu_count() or 1), MOST)


def is_beside(worker: str) -> bool:
    """Whether a process, by its id, is one for what waits."""
    return int(worker.removeprefix("gw")) >= computing()


def is_for_what_waits(worker: str) -> bool:
    """Whether it is one of those that a whole run begins with, and none that replaces one which died."""
    return is_beside(worker) and int(worker.removeprefix("gw")) < computing() + BESIDE


class Compiled:
    """Whether all modules of a run are compiled: in a fresh clone each process would compile them all, side by side.

    So those for what waits collect after the others have, which is told by a file in the run's folder. *run* is its id.
    """

    def __init__(self, run: str) -> None:
        self._file = Path(tempfile.gettempdir()) / f"dialstock-compiled-{run}"
        self._collected = 0

    def collected(self) -> None:
        """Tell that one more process has collected."""
        self._collected += 1
        if self._collected == computing():
            self._file.touch()

    def wait(self, seconds: float = COMPILED_WITHIN) -> bool:
        """Wait until they are, and no longer than that: who compiles may have died. Returns whether they are."""
        deadline = time.monotonic() + seconds
        while not self._file.exists():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    def forget(self) -> None:
        """Leave no file behind."""
        self._file.unlink(missing_ok=True)


def _has_waiting(argument: str) -> bool:
    return _leads_to(WAITING, os.path.relpath(argument))


@cache
def is_in_part(path: str) -> bool:
    """Whether a process that collects a part looks into a folder or a file, by its path below the root."""
    return _leads_to(LONGEST, path)


def _leads_to(places: Iterable[str], path: str) -> bool:
    folder = f"{path.rstrip('/')}/"
    return any(f"{one}/".startswith(folder) or folder.startswith(f"{one}/") for one in places)


def unit(nodeid: str) -> str:
    """The unit of a test: its file, on one kind of database.

    Those that share a deployment are one unit, as its start takes longer than a test. So are those of chaos, which
    would take the processors from each other.
    """
    file, _, name = nodeid.partition("::")
    if file == MATRIX:
        return nodeid
    shared, database = found.groups() if (found := _DATABASE.search(name)) else (None, "")
    folder = "/".join(file.split("/")[:2])
    return f"{folder if shared or folder == 'tests/chaos' else file} {shared or ''}{database}"


def longest_first(items: list[pytest.Item]) -> None:
    """Sort them by their folder; within one their order stays."""
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    return next(
        (rank for rank, path in enumerate(LONGEST) if nodeid.startswith((f"{path}/", f"{path}:"))), len(LONGEST)
    )


def waits(unit: str) -> bool:
    """Whether a unit mostly waits."""
    return unit.startswith(WAITING)


def _place(unit: str) -> str:
    return unit.partition(" ")[0]


def end_what_is_left(run: str) -> None:
    """Kill what the processes of a run started and did not end: they are killed themselves where a run breaks off."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PYTEST_XDIST_TESTRUNUID") == run:
                process.kill()


class Sharing(LoadScopeScheduling):
    """Hands out units in the order in which they were collected, to each process those of its sort while there are any.

    The processes beyond those that compute take what waits. Without them each takes what comes next.
    """

    def __init__(self, config: pytest.Config, log: Any = None, session: Any = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._session = session
        self._places: dict[WorkerController, dict[str, int]] = {}

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        super().add_node_collection(node, collection)
        self._places[node] = {nodeid: place for place, nodeid in enumerate(collection)}
        if self._session is not None:
            # pytest-xdist takes what was collected last for all, which may be a part.
            self._session.testscollected = max(map(len, self._places.values()))

    def _check_nodes_have_same_collection(self) -> bool:
        """Compare those that collect all; the others get nothing that they do not know."""
        every = self.registered_collections
        self.registered_collections = {node: tests for node, tests in every.items() if not node.workerinput.get(PART)}
        same = super()._check_nodes_have_same_collection()
        # Of the first comes what there is.
        self.registered_collections |= every
        return same

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Forget the test: all that is remembered of a process is counted at each test's end."""
        nodeid = self.registered_collections[node][item_index]
        units, name = self.assigned_work[node], unit(nodeid)
        del units[name][nodeid]
        if not units[name]:
            del units[name]
        self._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        name = self._next(node)
        if name is None:
            node.shutdown()
            return
        tests = self.assigned_work[node][name] = self.workqueue.pop(name)
        node.send_runtest_some([self._places[node][nodeid] for nodeid in tests])

    def _next(self, node: WorkerController) -> str | None:
        """The unit that a process gets next, of those whose tests it has collected."""
        known = self._places[node].keys()
        units = [name for name, tests in self.workqueue.items() if tests.keys() <= known]
        if self.numnodes <= computing():
            return next(iter(units), None)
        if is_beside(node.gateway.id):
            return min(units, key=lambda name: not waits(name), default=None)
        # What the others do not know is left to these, and would be left to two processes at the end.
        return min(units, key=lambda name: (waits(name), is_in_part(_place(name))), default=None)
