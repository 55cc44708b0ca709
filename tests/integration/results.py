"""The results channel as another service reads it: a plain Redis client, and what the AsyncAPI document says."""

from __future__ import annotations

import json
import uuid
from typing import Any, Self

from redis import Redis

from tests.asyncapi import problems_of_event
from tests.waiting import PATIENCE, eventually

Event = dict[str, Any]


class Results:
    """Reads the stream with a consumer group of its own, and listens to the channel; both from now on."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, decode_responses=True)
        self._group = f"group-{uuid.uuid4()}"
        self._redis.xgroup_create("dialstock:results", self._group, id="$", mkstream=True)
        self._channel = self._redis.pubsub(ignore_subscribe_messages=True)
        self._channel.subscribe("dialstock.results")
        self.stream: list[Event] = []
        self.live: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self._channel.close()
        self._redis.xgroup_destroy("dialstock:results", self._group)
        self._redis.close()
        if failed is None:
            wrong = {event["type"]: found for event in self.stream if (found := problems_of_event(event))}
            assert wrong == {}, "the AsyncAPI document describes them otherwise"

    def wait(self, kind: str, subject: str | None = None, *, seconds: float = PATIENCE, count: int = 1) -> Event:
        """The newest event of this type and subject in the stream, once there are *count*."""
        events = eventually(
            lambda: self._enough(kind, subject, count), seconds=seconds, what=f"{count} {kind} for {subject}"
        )
        return events[-1]

    def all(self, kind: str | None = None, subject: str | None = None) -> list[Event]:
        """What the stream has brought so far."""
        self._read()
        return [event for event in self.stream if _is(event, kind, subject)]

    def heard(self, kind: str, subject: str | None = None) -> Event:
        """The event as the channel told it live."""

        def listen() -> Event | None:
            while (message := self._channel.get_message(timeout=0)) is not None:
                self.live.append(json.loads(message["data"]))
            return next((event for event in self.live if _is(event, kind, subject)), None)

        return eventually(listen, what=f"{kind} for {subject} on the channel")

    def _enough(self, kind: str, subject: str | None, count: int) -> list[Event] | None:
        found = self.all(kind, subject)
        return found if len(found) >= count else None

    def _read(self) -> None:
        reply: Any = self._redis.xreadgroup(self._group, "reader", {"dialstock:results": ">"}, count=1000)
        for entry_id, fields in reply[0][1] if reply else ():
            self.stream.append(json.loads(fields["event"]))
            self._redis.xack("dialstock:results", self._group, entry_id)


def _is(event: Event, kind: str | None, subject: str | None) -> bool:
    return kind in (None, event["type"]) and subject in (None, event.get("subject"))
