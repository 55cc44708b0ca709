"""Messages for our public tasks that Celery takes, and drops before or beside the task: first they are kept.

It drops what has expired, what was revoked and what has a time to start that is none; and what its pool cannot even
begin, a thread pool would never acknowledge.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from celery.exceptions import Ignore, InvalidTaskError, Reject, Retry
from celery.worker.request import Request
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from schemas.requests import RequestError
from tasks.lifecycle.accept import reject
from tasks.messages.answered_before import accepted_before, rejected_before
from tasks.messages.public_names import INTERNAL, LATER, PUBLIC, body_of
from tasks.runtime import current
from workers.broker.waiting_room import room

log = logging.getLogger(__name__)

_DROPPED = {
    "expired": "the message expired before a worker had it: nothing was accepted",
    "revoked": "the message was revoked before a worker had it: nothing was accepted",
}
_CELERYS = ("args", "kwargs", "hostname", "is_eager")


class NotKept(Exception):
    """A message could not be kept now: it must not be acknowledged."""


_COMES_AGAIN = (OSError, RedisError, OperationalError, NotKept)
"""The broker is away, or the database: a message that is not acknowledged then is delivered again."""


class KeptRequest(Request):
    """Celery's request, for a task that other services call. Raises NotKept where a message would be lost."""

    _later = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        arguments, keywords, embedded = self._payload  # type: ignore[attr-defined]
        named = embedded if isinstance(embedded, Mapping) else {}
        if not isinstance(arguments, list | tuple) or not isinstance(keywords, dict):
            raise InvalidTaskError("the body is not [args, kwargs, embed]: a list and an object come first")
        if not isinstance(embedded, Mapping | None) or any(name in named for name in _CELERYS):
            raise InvalidTaskError("the body is not [args, kwargs, embed]: the third is an object of Celery's, or null")
        if not isinstance(self.name, str):
            raise InvalidTaskError("the header `shadow` is no text")

    @property
    def _apply_result(self) -> Any:
        return self.__dict__.get("_result")

    @_apply_result.setter
    def _apply_result(self, result: Any) -> None:
        """Celery remembers, by a weak reference, what its pool makes of the message: there the end can be heard of."""
        self.__dict__["_result"] = result
        future = getattr(result(), "f", None) if result is not None else None
        if future is not None:
            future.add_done_callback(self._ended)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:  # noqa: FBT001 - as Celery calls it
        error = RequestError(_DROPPED.get(reason, f"the message was {reason}"), reason)
        self._keep(error, answered=self._again() and self._accepted())
        super()._announce_revoked(reason, terminated, signum, expired)  # type: ignore[misc]

    def reject(self, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - as Celery calls it
        """Give the message back, some later than now; one that would not come again is kept before."""
        if requeue and self._later and not self.acknowledged:
            self._later = False
            room.wait(partial(super().reject, requeue))
            return
        if not requeue and not self.acknowledged:
            self._keep(RequestError("not a Celery task message: its headers make no sense", "invalid_message"))
        super().reject(requeue)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as Celery calls it
        """The task has answered whatever was raised in it: this was raised before it, or after."""
        exc = exc_info.exception
        cause = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
        self._later = isinstance(cause, Reject) and getattr(cause, "reason", None) == LATER
        try:
            if not isinstance(cause, Reject | Ignore | Retry):
                self._keep(RequestError(INTERNAL, "internal_error"), answered=self._accepted())
        except NotKept:
            self.reject(requeue=True)
        else:
            super().on_failure(exc_info, send_failed_event, return_ok)

    def _ended(self, future: Future[Any]) -> None:
        """A thread pool tells nobody of an error of Celery's own, which a message can cause by what it holds."""
        error = None if future.cancelled() else future.exception()
        if error is None or self.acknowledged or isinstance(error, _COMES_AGAIN):
            return
        log.error("Celery could not end message %r of %s", self.id, self.task.name, exc_info=error)
        try:
            self._keep(RequestError(INTERNAL, "internal_error"), answered=self._accepted())
        except NotKept:
            self.reject(requeue=True)
        else:
            self.acknowledge()

    def _again(self) -> bool:
        return bool(self.delivery_info["redelivered"])

    def _accepted(self) -> bool:
        with _or_not_kept():
            return accepted_before(current(), self.task.name, self.kwargs, self.id)

    def _keep(self, error: RequestError, *, answered: bool = False) -> None:
        """What was *answered* when it was delivered before, or before its pool failed, gets no other answer."""
        known = (self.task.name, self.id, body_of(self.args, self.kwargs))
        with _or_not_kept():
            if not answered and not (self._again() and rejected_before(current(), *known)):
                reject(current(), *known, error, once=True)


@contextmanager
def _or_not_kept() -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        raise NotKept(type(exc).__name__) from exc


def kept_requests() -> Mapping[str, Mapping[str, str]]:
    """Celery's task_annotations that have our public tasks come as such requests."""
    return {name: {"Request": f"{__name__}:{KeptRequest.__name__}"} for name in PUBLIC}
