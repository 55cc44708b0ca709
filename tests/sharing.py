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
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

MOST = 8
"""Processes for what computes: each has a Valkey and a PostgreSQL."""

BESIDE = 4
"""Processes for what waits."""

COMPILED_WITHIN = 60.0
"""Seconds that those wait at most until the others have compiled what they import."""

MATRIX = "tests/integration/test_troubles.py"
"""Each of its tests takes more than a minute, and is a unit."""

WAITING = (MATRIX, "tests/deploy/test_image.py", "tests/chaos", "tests/integration")
"""Files and folders whose tests mostly wait, the longest units first."""

LONGEST = (*WAITING, "tests/simulation", "tests/workers/cli", "tests/deploy", "tests/workers")
"""Files and folders, the longest units first: what takes minutes must not begin last."""

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
    folder = f"{os.path.relpath(argument).rstrip('/')}/"
    return any(f"{one}/".startswith(folder) or folder.startswith(f"{one}/") for one in WAITING)


def unit(nodeid: str) -> str:
    """The unit of a test: its file, on one kind of database.

    Those that share a deployment are one unit, as its start takes longer than a test. So are those of chaos, which
    would take the processors from each other.
    """
    file, _, name = nodeid.partition("::")
    if file == MATRIX:
        return nodeid
    shared, database = found.groups() if (found := _DATABASE.search(name)) else (None, "")
    folder = file.rpartition("/")[0]
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

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if self.numnodes > computing():
            beside = is_beside(node.gateway.id)
            first = next((one for one in self.workqueue if waits(one) is beside), None)
            if first is not None:
                self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)
