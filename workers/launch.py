"""Celery's command line on our app: python -P -m workers.launch [--with-parent PID] worker|beat|flower ...

Our packages are imported before Celery puts the working directory first on the path: a `tasks.py` there, as many
projects have one, must not be taken for ours.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Sequence

from celery.__main__ import main as celery

from workers.redis_access.sentinel_url import is_sentinel

WITH_PARENT = "--with-parent"
_PR_SET_PDEATHSIG = 1


def celery_command(arguments: Sequence[str], *, with_parent: bool = False) -> list[str]:
    """The command that runs Celery's *arguments* on our app; *with_parent* has it stop when this process goes."""
    tie = [WITH_PARENT, str(os.getpid())] if with_parent else []
    return [sys.executable, "-P", "-m", "workers.launch", *tie, *arguments]


def stop_with(parent: int) -> None:
    """Have SIGTERM sent to this process when *parent* goes, however it goes. On Linux only; elsewhere it lives on."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


def main(arguments: list[str]) -> None:
    """Run Celery; ends with its exit status, or 2 where settings or configuration are wrong, 3 without a server."""
    if arguments[:1] == [WITH_PARENT]:
        stop_with(int(arguments[1]))
        arguments = arguments[2:]
    # What is imported stays: to search it for garbage again and again takes a sixth of the start.
    gc.disable()
    import workers.app  # noqa: PLC0415 - ends the process where settings or configuration are wrong
    from workers.logs import wants_json  # noqa: PLC0415
    from workers.processes.signs import write_signs  # noqa: PLC0415

    gc.enable()
    if "flower" in arguments:
        # It has no signal as worker and beat have; that its pages answer, its /healthcheck tells.
        write_signs("flower")
        from workers.logs import dress_flower  # noqa: PLC0415
        from workers.pages.mount import mount  # noqa: PLC0415

        dress_flower()

        if desk := mount(workers.app.settings, workers.app.source):
            atexit.register(desk.close)
        if is_sentinel(workers.app.settings.broker_url):
            from workers.broker.flower import use_sentinels  # noqa: PLC0415 - no other process needs it

            use_sentinels()

    # A banner is no JSON.
    quiet = ["--quiet"] if wants_json() else []
    sys.argv = ["celery", "-A", "workers.app:app", *quiet, *arguments]
    celery()


if __name__ == "__main__":
    main(sys.argv[1:])
