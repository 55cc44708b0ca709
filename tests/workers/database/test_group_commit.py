"""Threads that write together, on real databases; the first holds the line up until all others wait in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from schemas.tables.purchases import PROVIDER
from tasks.transactions import NotHere
from tests.waiting import PATIENCE, eventually
from workers.database import group_commit
from workers.database.connections import SqlDatabase
from workers.database.group_commit import MAX_GROUP, GroupCommit

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Line:
    """A group commit, what it ran, and threads that come while it is held up."""

    def __init__(self, database: SqlDatabase, most: int = 1) -> None:
        self.database = database
        self.group = GroupCommit(self.begin, most)
        self.ran: list[list[str]] = []
        self.fails_with: list[BaseException] = []
        self.marked: list[tuple[list[str], bool]] = []

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        with self.database.write() as conn:
            yield conn
            if self.fails_with:
                raise self.fails_with.pop()

    def add(self, conn: Connection, names: Sequence[str]) -> list[str]:
        self.ran.append(list(names))
        conn.execute(insert(PROVIDER), [{"provider": name, "updated_at": NOON} for name in names])
        return [name.upper() for name in names]

    def add_other(self, conn: Connection, names: Sequence[str]) -> list[str]:
        return self.add(conn, names)

    def mark(self, names: Sequence[str]) -> list[str]:
        """What follows a commit: it sees what is committed, and no transaction is open."""
        self.marked.append((list(names), self.rows() >= {name.lower() for name in names}))
        return [f"{name}!" for name in names]

    def together(self, *wanted: tuple[Any, ...]) -> list[Any]:
        """What each of *wanted* came to, in a thread of its own: its results, or its error."""
        gate = threading.Event()
        with ThreadPoolExecutor(len(wanted) + 1) as pool:
            pool.submit(self.group.run, lambda _conn, items: [gate.wait()] * len(items), [None])
            eventually(lambda: self.group._under_way)
            futures = []
            for count, one in enumerate(wanted):
                futures.append(pool.submit(self.group.run, *one))
                eventually(lambda count=count: len(self.group._line) == count + 1)
            gate.set()
            return [outcome(future) for future in futures]

    def rows(self) -> set[str]:
        with self.database.read() as conn:
            return set(conn.execute(select(PROVIDER.c.provider)).scalars())


def outcome(future: Future[Any]) -> Any:
    return future.exception(30) or future.result()


@pytest.fixture
def line(database_url: str) -> Iterator[Line]:
    database = SqlDatabase(database_url)
    yield Line(database)
    database.close()


def test_one_action_runs_once_for_all_that_wait_with_it(line: Line) -> None:
    done = line.together((line.add, ["a", "b"]), (line.add_other, ["x"]), (line.add, []), (line.add, ["c"]))
    assert done == [["A", "B"], ["X"], [], ["C"]]
    assert line.ran == [["a", "b", "c"], ["x"]]
    assert line.rows() == {"a", "b", "c", "x"}


def test_who_fails_fails_alone(line: Line) -> None:
    done = line.together((line.add, ["a"]), (line.add, ["b", "b"]), (line.add_other, ["c"]))
    assert done[0] == ["A"]
    assert isinstance(done[1], IntegrityError)
    assert done[2] == ["C"]
    assert line.rows() == {"a", "c"}


def test_what_is_not_done_on_a_connection_is_told_to_all_who_came_with_it_and_to_no_other(line: Line) -> None:
    tried: list[list[str]] = []

    def refuse(_conn: Connection, names: Sequence[str]) -> list[str]:
        tried.append(list(names))
        raise NotHere

    done = line.together((refuse, ["a"]), (line.add, ["x"]), (refuse, ["b"]), (line.add, ["y"]))
    assert [type(one) for one in (done[0], done[2])] == [NotHere, NotHere]
    assert (done[1], done[3]) == (["X"], ["Y"])
    assert tried == [["a", "b"], ["a", "b"]]
    assert line.ran == [["x", "y"]]
    assert line.rows() == {"x", "y"}


def test_a_commit_that_fails_once_is_made_for_each(line: Line) -> None:
    line.group.run(line.add, ["first"])
    line.fails_with = [OSError("full"), OSError("full")]
    done = line.together((line.add, ["a"]), (line.add, ["b"]))
    # The thread that held the line up saw the one, the group the other.
    assert done == [["A"], ["B"]]
    assert line.rows() == {"first", "a", "b"}


def test_a_commit_that_fails_for_all_is_told_to_all(line: Line) -> None:
    line.fails_with = [OSError("full") for _ in range(4)]
    done = line.together((line.add, ["a"]), (line.add, ["b"]))
    assert [str(one) for one in done] == ["full", "full"]
    assert line.rows() == set()


@pytest.mark.parametrize("error", [OperationalError(None, None, OSError("away")), PoolTimeout("none left")])
def test_a_group_without_a_connection_is_told_so_at_once(line: Line, error: SQLAlchemyError) -> None:
    """Each thread by itself would wait for one in vain, and after a host that vanished for seconds."""
    line.fails_with = [error] * 3
    done = line.together((line.add, ["a"]), (line.add_other, ["b"]), (line.add, ["c"]))
    assert (done, len(line.fails_with)) == ([error] * 3, 1)


def test_a_thread_that_is_ended_while_it_leads_ends_its_group_and_not_the_line(line: Line) -> None:
    line.fails_with = [SystemExit("gone"), OSError("full")]
    done = line.together((line.add, ["a"]), (line.add, ["b"]))
    assert [str(one) for one in done] == ["gone", "gone"]
    assert line.group.run(line.add, ["c"]) == ["C"]
    assert line.rows() == {"c"}


def test_a_leader_who_had_to_wait_lets_others_join(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, gate = threading.Event(), threading.Event()
    monkeypatch.setattr(group_commit, "sleep", lambda _: (waiting.set(), gate.wait(PATIENCE)))
    with ThreadPoolExecutor(2) as pool:
        pool.submit(line.together, (line.add, ["a"]))
        assert waiting.wait(PATIENCE)
        later = pool.submit(line.group.run, line.add, ["b"])
        eventually(lambda: len(line.group._line) == 2)
        gate.set()
        assert later.result() == ["B"]
    assert line.ran == [["a", "b"]]


def test_a_leader_who_is_ended_while_others_join_ends_his_group_and_not_the_line(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GATHER", -1)  # a sleep that raises
    assert {type(one) for one in line.together((line.add, ["a"]), (line.add, ["b"]))} == {ValueError}
    assert line.group.run(line.add, ["c"]) == ["C"]


def test_who_finds_no_line_does_not_wait(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "GATHER", -1)  # a sleep that raises
    assert line.group.run(line.add, ["a"]) == ["A"]


def test_a_longer_line_goes_in_groups(line: Line) -> None:
    done = line.together(*((line.add, [f"p{n}"]) for n in range(MAX_GROUP + 5)))
    assert done == [[f"P{n}"] for n in range(MAX_GROUP + 5)]
    assert [len(names) for names in line.ran] == [MAX_GROUP, 5]


def test_what_follows_a_commit_is_done_once_for_all_that_ask_for_it(line: Line) -> None:
    wanted = [(line.add, ["a", "b"], line.mark), (line.add, ["c"]), (line.add_other, ["x"], line.mark)]
    assert line.together(*wanted) == [["A!", "B!"], ["C"], ["X!"]]
    # `==` of bound methods: the same of the same line.
    assert line.marked == [(["A", "B", "X"], True)]


def test_nothing_follows_what_was_rolled_back(line: Line) -> None:
    done = line.together((line.add, ["a"], line.mark), (line.add, ["b", "b"], line.mark))
    assert done[0] == ["A!"]
    assert isinstance(done[1], IntegrityError)
    assert line.marked == [(["A"], True)]


def test_who_fails_after_the_commit_fails_alone_and_the_line_goes_on(line: Line) -> None:
    def fails(_names: Sequence[str]) -> list[str]:
        raise OSError("full")

    done = line.together((line.add, ["a"], fails), (line.add, ["b"], fails))
    assert sorted(map(str, done)) == ["['B']", "full"]
    assert line.group.run(line.add, ["c"], line.mark) == ["C!"]
    assert line.rows() == {"a", "b", "c"}


def test_the_next_group_commits_while_the_first_one_goes_on(line: Line) -> None:
    went_on, gate = threading.Event(), threading.Event()

    def waits(names: Sequence[str]) -> Sequence[str]:
        went_on.set()
        assert gate.wait(PATIENCE)
        return names

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(line.group.run, line.add, ["a"], waits)
        assert went_on.wait(PATIENCE)
        assert line.group.run(line.add, ["b"]) == ["B"]
        gate.set()
        assert first.result() == ["A"]


@pytest.fixture
def far(postgres_url: str) -> Iterator[Line]:
    database = SqlDatabase(postgres_url)
    yield Line(database, most=3)
    database.close()


def test_a_group_that_takes_long_has_the_next_one_set_out_beside_it(far: Line) -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(far.group.run, lambda _conn, items: [gate.wait(PATIENCE)] * len(items), [None])
        eventually(lambda: far.group._under_way)
        assert far.group.run(far.add, ["b"]) == ["B"]
        assert not first.done()
        gate.set()
        assert first.result() == [True]


def test_no_more_than_so_many_groups_are_under_way(far: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", 0.001)
    lock, now, seen = threading.Lock(), [0], [0]

    def add(conn: Connection, names: Sequence[str]) -> list[str]:
        with lock:
            now[0] += 1
            seen.append(now[0])
        conn.execute(text("SELECT pg_sleep(0.02)"))
        try:
            return far.add(conn, names)
        finally:
            with lock:
                now[0] -= 1

    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda n: far.group.run(add, [f"p{n}"]), range(100)))
    assert done == [[f"P{n}"] for n in range(100)]
    assert far.rows() == {f"p{n}" for n in range(100)}
    assert 1 < max(seen) <= 3
    assert (far.group._under_way, far.group._led, list(far.group._line)) == (0, False, [])


def test_of_those_who_wait_only_the_first_of_a_group_wakes_up_to_look_at_the_time(
    far: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP", 2)
    monkeypatch.setattr(group_commit, "PATIENCE", PATIENCE)
    seen: list[bool] = []
    take = far.group._take

    def taken(group: list[Any], gather: float) -> None:
        take(group, gather)
        seen.extend(one.first for one in far.group._line)

    monkeypatch.setattr(far.group, "_take", taken)
    assert far.together(*[(far.add, [name]) for name in "abcde"]) == [[name] for name in "ABCDE"]
    assert seen == [True, False, True, True]


def test_a_line_longer_than_a_group_goes_on_beside_one_that_takes_long(
    far: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP", 2)
    gate = threading.Event()

    def hold(_conn: Connection, items: Sequence[Any]) -> list[bool]:
        return [gate.wait(PATIENCE)] * len(items)

    with ThreadPoolExecutor(6) as pool:
        held = [pool.submit(far.group.run, hold, [None]) for _ in range(4)]
        eventually(lambda: far.group._under_way == 3)
        late = [pool.submit(far.group.run, far.add, [name]) for name in "ab"]
        gate.set()
        assert [one.result() for one in held] == [[True]] * 4
        assert [one.result() for one in late] == [["A"], ["B"]]
