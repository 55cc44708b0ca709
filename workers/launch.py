"""Celery's command line on our app: python -P -m workers.launch [--with-parent PID] worker|beat|flower ...

Our packages are imported before Celery puts the working directory first on the path: a `tasks.py` there, as many
projects have one, must not be taken for ours.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence

from celery.__main__ import main as celery

from workers.redis_access.sentinel_url import is_sentinel

log = logging.getLogger(__name__)

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


def mount_pages() -> None:
    """Have Flower serve our pages; without them, and with a line in the log, where it lacks what they build on."""
    import workers.app  # noqa: PLC0415

    try:
        from workers.pages.mount import mount  # noqa: PLC0415 - no other process needs it

        desk = mount(workers.app.settings, workers.app.source)
    except (ImportError, AttributeError) as exc:
        lacks = "the pages under /dialstock/ are not there: this Flower lacks what they build on"
        mend = "The rest of Flower goes on; for the pages install the release that requirements.lock names."
        log.error("%s (%s). %s", lacks, exc, mend)  # noqa: TRY400 - one line says it
        return
    if desk is not None:
        atexit.register(desk.close)


def _dress_flower(broker_url: str) -> None:
    from tornado.ioloop import IOLoop  # noqa: PLC0415 - no other process needs it

    from workers.processes.signs import write_signs  # noqa: PLC0415
    from workers.processes.stop_signals import heed_first  # noqa: PLC0415
    from workers.telemetry.logs import dress_flower  # noqa: PLC0415

    # It has no signal as worker and beat have; that its pages answer, its /healthcheck tells.
    write_signs("flower")
    dress_flower()
    # It sets its handlers before its loop runs.
    IOLoop.current().add_callback(heed_first, signal.SIGTERM, signal.SIGINT)
    mount_pages()
    if is_sentinel(broker_url):
        from workers.broker.flower import use_sentinels  # noqa: PLC0415 - no other process needs it

        use_sentinels()


def main(arguments: list[str]) -> None:
    """Run Celery; ends with its exit status, or 2 where settings or configuration are wrong, 3 without a server."""
    if arguments[:1] == [WITH_PARENT]:
        stop_with(int(arguments[1]))
        arguments = arguments[2:]
    # What is imported stays: to search it for garbage again and again takes a sixth of the start.
    gc.disable()
    import workers.app  # noqa: PLC0415 - ends the process where settings or configuration are wrong
    from workers.telemetry.logs import wants_json  # noqa: PLC0415

    gc.enable()
    if "flower" in arguments:
        _dress_flower(workers.app.settings.broker_url)

    # A banner is no JSON.
    quiet = ["--quiet"] if wants_json() else []
    sys.argv = ["celery", "-A", "workers.app:app", *quiet, *arguments]
    try:
        celery()
    finally:
        # With these Celery begins a worker anew that was sent SIGHUP.
        sys.argv = sys.orig_argv[1:]


if __name__ == "__main__":
    main(sys.argv[1:])
