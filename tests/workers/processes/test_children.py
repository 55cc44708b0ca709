import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually
from workers.processes.children import MAX_RESTARTS, Program, Signals, Supervisor, restart_wait

OBEDIENT = (
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(60)"
)
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class Told:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.notices: list[str] = []

    def tell(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def wait_for(self, *lines: tuple[str, str]) -> None:
        eventually(lambda: set(lines) <= set(self.lines), what=f"{lines}")


def program(name: str, script: str, *, stage: int = 0, grace: float = 20.0) -> Program:
    return Program(name=name, command=[sys.executable, "-c", script], stage=stage, grace=grace)


def supervisor(told: Told, *programs: Program) -> Supervisor:
    return Supervisor(programs, told.tell, told.notices.append)


def test_lines_come_with_the_name_and_without_what_steers_a_terminal() -> None:
    told = Told()
    watched = supervisor(told, program("a", "print('one\\x1b[2Jtwo'); print('\\xff'.encode('latin-1'))"))
    watched.start(0)
    told.wait_for(("a", "one [2Jtwo"))
    watched.stop()


def test_what_dies_is_started_again_after_a_while() -> None:
    told = Told()
    watched = supervisor(told, program("a", OBEDIENT))
    watched.start(0)
    told.wait_for(("a", "up"))
    first = watched.pids["a"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: watched.check() or watched.pids.get("a", first) != first, what="it is started again")
    assert told.notices == ["a ended with signal SIGKILL; it starts again in 1 s", "a started again"]
    assert watched.stop()


def test_what_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.processes.children.restart_wait", lambda deaths: None if deaths > 2 else 0.0)
    told = Told()
    watched = supervisor(told, program("a", "raise SystemExit(7)"))
    watched.start(0)
    assert eventually(watched.check) == "a"
    assert told.notices[-1] == "a ended with status 7, 3 times in a row: given up"
    assert watched.check() == "a"
    assert watched.stop()


def test_the_wait_doubles_and_ends() -> None:
    assert [restart_wait(deaths) for deaths in range(1, MAX_RESTARTS + 1)] == [1, 2, 4, 8, 16]
    assert restart_wait(MAX_RESTARTS + 1) is None


def test_a_stage_stops_when_the_one_before_it_has_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(float(sys.argv[2])); open(sys.argv[3], 'a').write(sys.argv[1]); sys.exit(0)\n"
        "signal.signal(15, end); print('up', flush=True); time.sleep(60)"
    )
    delays = {"a": ("0.4", 0), "b": ("0", 1)}
    programs = [
        Program(name=name, command=[sys.executable, "-c", script, name, delay, str(log)], stage=stage)
        for name, (delay, stage) in delays.items()
    ]
    told = Told()
    watched = supervisor(told, *programs)
    watched.start(0)
    assert set(watched.pids) == {"a"}
    watched.start(1)
    told.wait_for(("a", "up"), ("b", "up"))
    assert watched.stop()
    assert log.read_text() == "ab"
    assert watched.pids == {}


@pytest.mark.parametrize(("grace", "hurry"), [(0.2, lambda: False), (60.0, lambda: True)])
def test_what_does_not_stop_is_killed(grace: float, hurry: Callable[[], bool]) -> None:
    told = Told()
    watched = supervisor(told, program("a", STUBBORN, grace=grace))
    watched.start(0)
    told.wait_for(("a", "up"))
    pid = watched.pids["a"]
    assert not watched.stop(hurry)
    assert not psutil.pid_exists(pid)
    assert told.notices == ["a has not stopped by itself, and is killed"]


def test_a_terminal_that_is_gone_does_not_block_the_child(tmp_path: Path) -> None:
    def gone(_name: str, _line: str) -> None:
        raise OSError("no terminal")

    done = tmp_path / "done"
    script = f"print('x' * 100_000); print('y' * 100_000); open({str(done)!r}, 'w').close()"
    watched = Supervisor([program("a", script)], gone, lambda _: None)
    watched.start(0)
    eventually(done.exists, what="the child writes to its end")
    watched.stop()


def test_signals_are_counted_and_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        eventually(lambda: signals.count == 1)
        os.kill(os.getpid(), signal.SIGINT)
        eventually(lambda: signals.count == 2)
    assert signal.getsignal(signal.SIGTERM) is before
