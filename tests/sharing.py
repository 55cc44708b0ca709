"""How a run shares its tests over processes: whole files, the longest first, and one process for one file.

Each process has servers of its own, and tests start workers, commands and sandboxes beside it: with more processes than
cores, calls in them ran into their time-outs. What runs on one of them, and in which order, is a unit; two runs have
the same units.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

MOST = 8
"""Processes: each has a Valkey and a PostgreSQL."""

LONGEST = ("tests/chaos", "tests/integration", "tests/simulation", "tests/workers/cli", "tests/deploy", "tests/workers")
"""Folders, the longest units first: what takes minutes must not begin last."""

_DATABASE = re.compile(r"\[.*?(shared-)?(sqlite|postgresql)")


def workers(option: Any, arguments: Iterable[str]) -> int:
    """How many processes a run takes where nobody says it; 0 for this one, which starts sooner and can be talked to."""
    picked = option.keyword and not option.keyword.startswith("not ")
    few = picked or all(".py" in argument for argument in arguments)
    talks = option.capture == "no" or option.collectonly
    return 0 if few or talks else min(max(2, os.cpu_count() or 1), MOST)


def unit(nodeid: str) -> str:
    """The unit of a test: its file, on one kind of database.

    Those that share a deployment are one unit, as its start takes longer than a test. So are those of chaos, which
    would take the processors from each other.
    """
    file, _, name = nodeid.partition("::")
    shared, database = found.groups() if (found := _DATABASE.search(name)) else (None, "")
    folder = file.rpartition("/")[0]
    return f"{folder if shared or folder == 'tests/chaos' else file} {shared or ''}{database}"


def longest_first(items: list[pytest.Item]) -> None:
    """Sort them by their folder; within one their order stays."""
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    return next((rank for rank, folder in enumerate(LONGEST) if nodeid.startswith(f"{folder}/")), len(LONGEST))


def end_what_is_left(run: str) -> None:
    """Kill what the processes of a run started and did not end: they are killed themselves where a run breaks off."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PYTEST_XDIST_TESTRUNUID") == run:
                process.kill()


class Sharing(LoadScopeScheduling):
    """Hands out units in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
