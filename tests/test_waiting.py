"""What tests wait with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests import waiting
from tests.waiting import LONGEST_NAP, eventually, fair_clock, time_with

SCRIPT = """
import sys, time
from tests.waiting import eventually, fair_clock, lateness
with lateness() as late, fair_clock() as clock:
    eventually(clock)
    began, counted = time.monotonic(), clock()
    print("begun", flush=True)
    sys.stdin.readline()
    time.sleep(0.05)
    print(late(), time.monotonic() - began - (clock() - counted))
"""


def test_a_process_that_stood_still_woke_its_threads_late_and_counts_no_seconds() -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    stood = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    stood.wait()
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate("go on\n")
    late, left_out = map(float, said.split())
    assert late >= 0.25
    assert left_out >= 0.25


def test_the_seconds_of_a_machine_that_is_not_held_up_are_counted() -> None:
    with fair_clock() as clock:
        began = time.monotonic()
        eventually(lambda: clock() > 1.0, what="a second passes")
    assert clock() <= time.monotonic() - began


def test_what_computes_for_long_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting, "time", time_with(sleep=slept.append))

    def compute() -> bool:
        until = time.thread_time() + 0.05 * len(slept)
        while time.thread_time() < until:
            pass
        return len(slept) == 2

    eventually(compute)
    assert slept[0] < 0.2 <= slept[1]


def test_what_does_not_come_is_asked_for_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(waiting, "time", time_with(sleep=slept.append, monotonic=lambda: sum(slept), thread_time=float))
    eventually(lambda: sum(slept) > 10)
    assert (slept[0], slept[-1]) == (0.02, LONGEST_NAP)
    assert all(nap <= max(0.02, sum(slept[:before]) / 20) for before, nap in enumerate(slept))
