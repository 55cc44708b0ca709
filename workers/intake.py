"""Messages that Celery itself drops: a body it cannot decode, a task it does not know. They are kept and answered."""

from __future__ import annotations

import logging
from typing import Any

from celery.worker.consumer import Consumer

from schemas.requests import RequestError
from tasks.accepting import reject
from tasks.runtime import current

log = logging.getLogger(__name__)


class KeepingConsumer(Consumer):
    """Celery's consumer; it tells nobody of a body that it cannot decode, so this one does."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep the message, then let Celery drop it."""
        on_rejected(message=message, exc=exc)
        super().on_decode_error(message, exc)


def on_rejected(message: Any = None, exc: BaseException | None = None, **_: Any) -> None:
    """A message that is no task message, or cannot be decoded."""
    why = f": {exc}" if exc is not None else ""
    error = f"not a Celery task message of protocol 2 in JSON{why}"
    _keep(message, None, None, RequestError(error, "invalid_message"))


def on_unknown(message: Any = None, name: str | None = None, id: str | None = None, **_: Any) -> None:
    """A message for a task that does not exist."""
    error = f"unknown task {name!r}: send dialstock.buy_number or dialstock.submit_order"
    _keep(message, name, id, RequestError(error, "unknown_task"))


def _keep(message: Any, task: str | None, message_id: str | None, exc: RequestError) -> None:
    try:
        body = getattr(message, "body", b"")
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
        reject(current(), task, message_id, text, exc)
    except Exception:
        log.exception("a message that Celery dropped could not be kept")
