"""One at a time, in virtual time, as the seed has it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from tests.simulation.scheduler import box
from tests.simulation.scheduler.clockwork import Actor, Broken, Clockwork, Escaped, Killed, Process
from tests.simulation.scheduler.threads import Threads


def end_of(clockwork: Clockwork) -> Callable[[], None]:
    """Whoever ends the world after nine seconds."""

    def body() -> None:
        clockwork.sleep(9.0)
        clockwork.stop()

    return body


def walk(seed: int) -> list[tuple[int, str, str]]:
    """Three actors with five steps each."""
    clockwork = Clockwork(seed)

    def body() -> None:
        for step in range(5):
            clockwork.boundary(f"step {step}")
            clockwork.sleep(clockwork.rng.random())

    for name in "abc":
        clockwork.spawn(name, Process(name), body)
    clockwork.spawn("end", Process("end"), end_of(clockwork))
    clockwork.run()
    return clockwork.trace


def alone(clockwork: Clockwork, body: object) -> None:
    clockwork.spawn("alone", Process("alone"), body)  # type: ignore[arg-type]
    with box.closed(clockwork):
        clockwork.run()


def test_a_seed_decides_all_and_another_otherwise() -> None:
    assert walk(1) == walk(1)
    assert walk(1) != walk(2)
    assert {who for _, who, _ in walk(1)} == {"a", "b", "c"}


def test_a_day_passes_at_once() -> None:
    clockwork = Clockwork(1)

    def body() -> None:
        time.sleep(86_400)
        clockwork.stop()

    alone(clockwork, body)
    assert clockwork.seconds() == 86_400


def test_who_is_killed_dies_at_its_boundary_with_all_its_threads() -> None:
    clockwork, ended, process = Clockwork(1), [], Process("worker")
    clockwork.may_happen = lambda _actor, what: -1.0 if what == "deadly" else 0.0

    def lives(name: str, what: str) -> None:
        try:
            while True:
                clockwork.sleep(0.1)
                clockwork.boundary(what)
        except Exception:
            ended.append("code under test caught it")
        finally:
            ended.append(name)

    clockwork.spawn("one", process, lambda: lives("one", "harmless"))
    clockwork.spawn("two", process, lambda: lives("two", "deadly"))
    clockwork.spawn("end", Process("end"), end_of(clockwork))
    clockwork.run()
    assert sorted(ended) == ["one", "two"]
    assert process.gone


def test_a_lock_that_is_held_makes_others_wait_in_virtual_time() -> None:
    clockwork, seen = Clockwork(1), []
    lock = Threads(clockwork).Lock()

    def body(name: str) -> None:
        with lock:
            clockwork.sleep(2.0)
            seen.append((name, clockwork.seconds()))

    for name in "ab":
        clockwork.spawn(name, Process(name), lambda name=name: body(name))  # type: ignore[misc]
    clockwork.spawn("end", Process("end"), end_of(clockwork))
    clockwork.run()
    assert sorted(at for _, at in seen) == [2.0, 4.0]


def test_everybody_waiting_for_somebody_else_is_found() -> None:
    clockwork = Clockwork(1)
    with pytest.raises(Broken, match="everybody waits"):
        alone(clockwork, clockwork.wait)


def test_who_asks_for_the_time_for_ever_is_found() -> None:
    clockwork = Clockwork(1)

    def spin() -> None:
        while time.monotonic() < 1.0:
            pass

    with pytest.raises(Broken, match="lets none pass"):
        alone(clockwork, spin)


def test_a_real_thread_in_the_box_is_an_escape() -> None:
    clockwork = Clockwork(1)
    with pytest.raises(Escaped):
        alone(clockwork, lambda: threading.Thread(target=print).start())


def test_chance_is_the_seeds_and_is_given_back() -> None:
    drawn, before = [], random.getstate()
    for _ in range(2):
        clockwork = Clockwork(5)

        def body(clockwork: Clockwork = clockwork) -> None:
            drawn.append(random.random())
            clockwork.stop()

        alone(clockwork, body)
    assert drawn[0] == drawn[1]
    assert random.getstate() == before


def test_killed_is_nothing_that_code_under_test_catches() -> None:
    assert not issubclass(Killed, Exception)
    assert not issubclass(Broken, Exception)
    assert Actor.__hash__ is object.__hash__
