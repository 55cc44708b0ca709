"""A clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.policies.watched_time import ALWAYS, Watch

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """The time, as a test has it pass; sleeping passes it too."""

    def __init__(self) -> None:
        self.moment = START
        self.since = ALWAYS
        self.was_set = False
        self.set_by = timedelta(0)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    @property
    def passed(self) -> float:
        """The seconds that passed indeed."""
        return (self.moment - self.set_by - START).total_seconds()

    def set(self, seconds: float) -> None:
        """The clock is set, and the process notices it."""
        self.advance(seconds)
        self.set_by += timedelta(seconds=seconds)
        self.since, self.was_set = self.moment, True

    def start_anew(self) -> None:
        """The process is a new one: it knows nothing of the time before."""
        self.since, self.was_set = self.moment, False

    def watch(self) -> Watch:
        return Watch(now=self.moment, since=self.since, was_set=self.was_set)
