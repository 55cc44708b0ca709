"""The watermark: which calls to buy were committed last, kept outside the database, which can go back in time.

A restored backup, or a replica that lagged and was promoted, does not know the newest purchases, and would buy their
numbers again. So each committed intent is marked in Redis *before its call goes out* (commit, mark, call): what was
called for is marked, whatever dies; what was rolled back is not, and raises no alarm. An intent that was committed and
not marked was not called for. One write marks all that a group commit wrote for an account.

A mark names its attempt, and the database is behind where that attempt is not in it: no clock and no order is compared,
and attempts are never deleted. Marks stand in the order in which they were written, which is nearly that of their
commits: what was committed before a mark and marked after it was under way meanwhile. A database that went back lost
what was committed last, so if anything marked is lost, one of the newest marks is, among as many as the account has
calls under way. That is why not the newest alone is looked at.

Redis emptied, or itself back in time, forgets marks and raises no alarm. Both back in time at once cannot be told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KEPT = 20_000
"""Marks of each account, the newest; about 140 bytes each. No fewer than twice the most calls that a policy allows."""

_WRITE = f"""
redis.call('LPUSH', KEYS[1], unpack(ARGV))
redis.call('LTRIM', KEYS[1], 0, {KEPT - 1})
"""


# In the order of their times again: whatever is lost, one of the newest is. The former keeps its own.
_HAND_ON = f"""
local marks, there = redis.call('LRANGE', KEYS[2], 0, -1), {{}}
local before = #marks
for _, mark in ipairs(marks) do there[mark] = true end
for _, mark in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if not there[mark] then marks[#marks + 1] = mark end
end
if #marks == before then return end
local function began(mark) return string.match(mark, '^%S+ %S+ %S+ (%S+)') end
table.sort(marks, function(one, other) return began(one) > began(other) end)
redis.call('DEL', KEYS[2])
for place = 1, math.min(#marks, {KEPT}) do redis.call('RPUSH', KEYS[2], marks[place]) end
"""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One committed intent: a purchase's attempt by its key, its number, and its times by the database's clock."""

    purchase_id: str
    revision: int
    number: str
    started_at: datetime
    deadline: datetime

    @property
    def text(self) -> str:
        """How it stands in Redis."""
        times = f"{self.started_at.isoformat()} {self.deadline.isoformat()}"
        return f"{self.purchase_id} {self.revision} {self.number} {times}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Raises ValueError for what is no mark."""
        purchase_id, revision, number, started_at, deadline = text.split(" ")
        return cls(
            purchase_id=purchase_id,
            revision=int(revision),
            number=number,
            started_at=datetime.fromisoformat(started_at),
            deadline=datetime.fromisoformat(deadline),
        )


class Watermark:
    """The marks in Redis. Every method raises redis.RedisError while Redis is away: no mark, no call."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._script = redis.register_script(_WRITE)
        self._hand_on = redis.register_script(_HAND_ON)

    def write(self, account: str, marks: Iterable[Mark]) -> None:
        """Keep these marks of *account*, the newest last."""
        self._script(keys=[_key(account)], args=[mark.text for mark in marks])

    def newest(self, account: str, count: int = KEPT) -> list[Mark]:
        """At most *count* marks of *account*, the newest first."""
        found = self._redis.lrange(_key(account), 0, count - 1)
        return [Mark.parse(one.decode() if isinstance(one, bytes) else one) for one in found]

    def hand_on(self, former: str, account: str) -> None:
        """Have *account* answer for the marks of *former* too, which is the same by another name, or may be.

        The former keeps them, for where it is not: nobody buys there, and a mark that is known raises no alarm.
        """
        self._hand_on(keys=[_key(former), _key(account)])


def _key(account: str) -> str:
    return f"dialstock:watermark:{hashlib.sha256(account.encode()).hexdigest()[:16]}"
