"""How log lines look: text, or a JSON object each with DIALSTOCK_LOG=json, with the same fields.

Only fields that are named here leave the process: other libraries hang whole messages on their records.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from tasks.telemetry.log_fields import FIELDS
from workers.server_urls import SettingsError

LOG = "DIALSTOCK_LOG"

_SHOWN = ("time", "level", "logger", "message", *FIELDS, "exception")


def wants_json(environ: Mapping[str, str] | None = None) -> bool:
    """Whether log lines are JSON. Raises SettingsError."""
    value = (os.environ if environ is None else environ).get(LOG, "").strip().lower()
    if value not in ("", "text", "json"):
        raise SettingsError(f"{LOG}: {value!r} is neither text nor json")
    return value == "json"


class AsJson(JsonFormatter):
    """One object a line: time in UTC, level, logger, message, our fields, and an exception's traceback."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "exception"},
            timestamp="time",
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """What is shown of a record, in its order."""
        return {name: log_data[name] for name in _SHOWN if log_data.get(name) is not None}


class WithFields(logging.Formatter):
    """Another formatter's text, with our fields behind the message."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The text."""
        told = [f"{name}={value}" for name in FIELDS if (value := getattr(record, name, None)) is not None]
        if told:
            record = copy.copy(record)
            record.msg, record.args = f"{record.getMessage()} ({' '.join(told)})", None
        return self._inner.format(record)


def dress(logger: logging.Logger | None = None) -> None:
    """Have the handlers of *logger*, by default the root's, write as DIALSTOCK_LOG says."""
    json = wants_json()
    for handler in (logger or logging.getLogger()).handlers:
        if isinstance(handler.formatter, AsJson | WithFields):
            continue
        handler.setFormatter(AsJson() if json else WithFields(handler.formatter or logging.Formatter()))


def dress_celery() -> None:
    """The same for the loggers that Celery sets up in a worker and in beat, without what goes back to its queue."""
    from celery import signals  # noqa: PLC0415 - commands do without it

    if wants_json():
        _from_the_start()
    signals.after_setup_logger.connect(_dress, weak=False)
    signals.after_setup_task_logger.connect(_dress, weak=False)
    logging.getLogger("celery.app.trace").addFilter(_ends)


def _ends(record: logging.LogRecord) -> bool:
    """Whether a task came to an end. Why one goes back is told once: a traceback for each message would hide that."""
    from celery.exceptions import Reject  # noqa: PLC0415

    exc = record.exc_info[1] if record.exc_info else None
    return not (isinstance(exc, Reject) and getattr(exc, "requeue", False))


def dress_flower() -> None:
    """The same for Flower, which sets up its own."""
    import flower.command  # noqa: PLC0415

    before = flower.command.setup_logging

    def set_up() -> None:
        before()
        dress()

    flower.command.setup_logging = set_up


def _dress(logger: logging.Logger | None = None, **_: Any) -> None:
    dress(logger)


def dress_command() -> None:
    """For a command, which writes no log by itself: as JSON, where that is asked for, our words and all warnings."""
    if wants_json():
        _from_the_start()
        logging.getLogger("workers").setLevel(logging.INFO)


def _from_the_start() -> None:
    """Lines that come before a process has set its log up, and Python's own warnings, as JSON too."""
    logging.basicConfig(level=logging.WARNING)
    logging.captureWarnings(capture=True)
    dress()
