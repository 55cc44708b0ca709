"""`dialstock release` of very many numbers: no transaction is open while somebody writes, or reads what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.tasks.reports.test_reading_in_steps import held_up
from tests.workers.cli.release.test_release import bought
from tests.workers.cli.running import NUMBERS, Cli
from workers.cli.release import give_back
from workers.database.connections import SqlDatabase
from workers.views import ids
from workers.views.desk import Desk


def lets_go(desk: Desk, action: Callable[..., Any]) -> Callable[..., Any]:
    """*action*, where no transaction may be open."""
    database = desk.runtime.database
    assert isinstance(database, SqlDatabase)

    def watched(*args: Any, **kwargs: Any) -> Any:
        assert not held_up(database)
        return action(*args, **kwargs)

    return watched


def test_a_file_that_comes_slowly_and_a_pager_hold_nothing_up(
    both: Cli, desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought(both, desk, home, 3)
    for name in ("opened", "show_line"):
        monkeypatch.setattr(give_back, name, lets_go(desk, getattr(give_back, name)))
    result = both("release", "--file", "-", "--yes", input="\n".join(NUMBERS[:3]))
    assert result.exit_code == 0, result.exception
    assert [line.split()[0] for line in result.stdout.splitlines()] == NUMBERS[:3]


@contextmanager
def longest_transaction() -> Iterator[list[int]]:
    """How many statements the longest transaction had, as the last of the list."""
    longest, now = [0], [0]

    def begins(_conn: Any) -> None:
        now[0] = 0

    def runs(*_: Any) -> None:
        now[0] += 1
        longest.append(max(longest[-1], now[0]))

    event.listen(Engine, "begin", begins)
    event.listen(Engine, "before_cursor_execute", runs)
    try:
        yield longest
    finally:
        event.remove(Engine, "begin", begins)
        event.remove(Engine, "before_cursor_execute", runs)


@pytest.mark.parametrize("call_off", [(), ("--cancel",)], ids=["give_back", "call_off"])
def test_no_transaction_is_the_longer_for_more_numbers(
    cli: Cli, desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch, call_off: tuple[str, ...]
) -> None:
    monkeypatch.setattr(ids, "STEP", 2)
    bought(cli, desk, home, 20)
    if call_off:
        cli.ok("release", *NUMBERS[:20], "--yes")
    lengths = []
    for some in (NUMBERS[:2], NUMBERS[2:20]):
        with longest_transaction() as longest:
            cli.ok("release", *some, "--yes", *call_off)
        lengths.append(longest[-1])
    assert lengths[0] == lengths[1]
