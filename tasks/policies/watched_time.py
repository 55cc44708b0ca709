"""How much of the time that seems to have passed did pass: a clock that is set ahead makes hours of a second.

Looks say 'not ours' by their distance in time, and a call is lost by its length. So each process watches the clock that
rows are dated by against its own monotonic one, which nobody sets, and counts only the time that it watched:

    a wait that began after `since` was watched whole, so its dates are true;
    any other is over once the process has watched for as long as the longest such wait.

A new process, and one that saw the clock being set, starts over. That costs time, and only where a purchase was in
doubt before; processes that watched all along go on as they were.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """The time now, and since when this process has watched it pass without a step: since its first look, or, where
    the clock *was_set*, since it noticed that.
    """

    now: datetime
    since: datetime = ALWAYS
    was_set: bool = False

    @property
    def seconds(self) -> float:
        """How long this process has watched."""
        return (self.now - self.since).total_seconds()

    def was_set_within(self, seconds: float) -> bool:
        """Whether the clock was set in the last *seconds*, so that dates from before tell nothing of them."""
        return self.was_set and self.seconds < seconds

    def saw(self, begun: datetime) -> bool:
        """Whether all the time since *begun* was watched."""
        return begun >= self.since

    def seconds_since(self, begun: datetime) -> float:
        """How much of the time since *begun* was watched."""
        return max(0.0, (self.now - max(begun, self.since)).total_seconds())


def seconds_spent(started_at: datetime, began: float, now: datetime) -> float:
    """Seconds since *started_at*, which was *began* in time.monotonic, by whichever clock says more.

    The one may be set back, and the other may stand still with the machine.
    """
    return max((now - started_at).total_seconds(), time.monotonic() - began)
