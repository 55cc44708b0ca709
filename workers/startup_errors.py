"""What keeps a process from starting is told in one message, and ends it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def or_end() -> Iterator[None]:
    """End the process where the block fails: with 2 for settings and configuration, 3 for a server that is away.

    A bug ends it with 1 and its traceback. Celery only logs what a signal's receiver raises and goes on, and a worker
    without a runtime drops its messages; a SystemExit goes through.
    """
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - none of them may live on
        message, status = _told(exc)
        sys.stderr.write(f"{message}\n")
        raise SystemExit(status) from None


def _told(exc: Exception) -> tuple[str, int]:
    # The command line costs a worker memory that it needs on its way out only.
    from workers.redaction import cleaned_of_settings  # noqa: PLC0415
    from workers.views.errors import failure_of  # noqa: PLC0415

    failure = failure_of(exc)
    if failure is None:
        return cleaned_of_settings("".join(traceback.format_exception(exc))), 1
    return f"Error: {failure}", failure.status
