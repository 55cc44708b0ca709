"""The queues that a running worker listens to, as providers come and go."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

_BROKEN = (OSError, RedisError, OperationalError)

log = logging.getLogger(__name__)


class Listening:
    """What Celery's *consumer* listens to. One that was told with -Q or -X which queues are its own keeps to these."""

    def __init__(self, consumer: Any, queues: Iterable[str]) -> None:
        """*queues* are those of the app as it was made."""
        self._consumer = consumer
        self._known = set(queues)
        self._chosen = self._known != self._now
        self._told = False

    @property
    def _now(self) -> set[str]:
        return set(self._consumer.app.amqp.queues.consume_from)

    def follow(self, queues: Iterable[str]) -> None:
        """Listen to these alone from now on; nothing is lost of what was taken from another before."""
        wanted = set(queues)
        if self._chosen:
            self._tell_chosen(wanted - self._known)
        elif wanted != self._now:
            # The connection belongs to the event loop's thread.
            self._consumer.call_soon(self._change, wanted)

    def _change(self, wanted: set[str]) -> None:
        try:
            self._listen(wanted)
        except _BROKEN:
            raise  # Celery connects anew, and listens to what it remembers
        except Exception:
            log.exception("this worker does not listen to the queues that it should: restart it")

    def _listen(self, wanted: set[str]) -> None:
        """Celery remembers the queues first: one whose connection breaks here listens to them on the next."""
        for name in sorted(wanted - self._now):
            self._consumer.app.amqp.queues.select_add(name, exchange=name, exchange_type="direct", routing_key=name)
            if self._consumer.task_consumer is not None:
                self._consumer.add_task_queue(name)
        for name in sorted(self._now - wanted):
            self._consumer.app.amqp.queues.deselect(name)
            if self._consumer.task_consumer is not None:
                self._consumer.cancel_task_queue(name)

    def _tell_chosen(self, new: set[str]) -> None:
        if new and not self._told:
            self._told = True
            log.warning("this worker keeps to the queues of its -Q or -X: restart it for %s", ", ".join(sorted(new)))
