"""What tests wait with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

SCRIPT = """
import sys, time
from tests.waiting import lateness
with lateness() as late:
    time.sleep(0.05)
    print("begun", flush=True)
    sys.stdin.readline()
    time.sleep(0.05)
    print(late())
"""


def test_a_process_that_stood_still_woke_its_threads_late() -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    stood = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    stood.wait()
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate("go on\n")
    assert float(said) >= 0.25
