"""A pace whose time a test moves. Redis's clock cannot be moved, so what the lane remembers is: the same, seen from
the lane."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from redis import Redis

from schemas.config.policy import Policy
from tasks.policies.pace import Lane, Later, Pace, Slot, buying_lane
from tests.tasks.support import policy

MICRO = 1_000_000
FROM_REDIS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def replid(redis: Redis) -> str:
    """What names the server and its time as a master."""
    return str(redis.execute_command("INFO", "replication")["master_replid"])


def names(lane: Lane) -> list[str]:
    """The fields of the lane's arrivals."""
    return [f"{interval}:{burst}" for interval, burst in lane.windows]


def saved_up(redis: Redis, lane: Lane) -> None:
    """The lane as after a long silence."""
    redis.hset(lane.key, mapping={"replid": replid(redis)} | dict.fromkeys(names(lane), 0))


class Bench:
    """A pace whose time is moved by moving the lane's memory back; slots are told on one time axis, in microseconds."""

    def __init__(self, redis: Redis, rules: Policy, *, warm: bool = True) -> None:
        self.redis = redis
        self.rules = rules
        self.pace = Pace(redis)
        self.lane = buying_lane("account", rules)
        self.passed = self.moved = 0
        self._kept: dict[int, int] = {}
        redis.delete(self.lane.key)
        if warm:
            saved_up(redis, self.lane)

    def pass_time(self, seconds: float) -> None:
        step = round(seconds * MICRO)
        self.passed += step
        self._move(step)

    def set_back(self, seconds: float) -> None:
        """Set the server's clock back: no time passes."""
        step = round(seconds * MICRO)
        self._move(-step)

    def _move(self, step: int) -> None:
        self.moved += step
        for name, value in self.redis.hgetall(self.lane.key).items():
            if name not in (b"replid", b"penalty") and int(value):
                self.redis.hset(self.lane.key, name, max(0, int(value) - step))

    def reserve(self, lane: Lane | None = None) -> tuple[Slot, int] | None:
        slot = self.pace.reserve(lane or self.lane)
        if isinstance(slot, Later):
            return None
        told = slot.token + self.passed
        self._kept[told] = slot.token + self.moved
        return slot, told

    def refund(self, slot: Slot, told: int, lane: Lane | None = None) -> bool:
        return self.pace.refund(lane or self.lane, Slot(slot.wait, self._kept[told] - self.moved))

    def check(self, grants: list[int]) -> None:
        """In no window of W + guard are there more than N."""
        grants = sorted(grants)
        for rate in self.rules.rate_limits:
            window = round((rate.window + self.rules.rate_guard) * MICRO)
            for first, beyond in zip(grants, grants[rate.limit :], strict=False):
                assert beyond - first >= window, (str(rate), beyond - first)


@st.composite
def rules(draw: st.DrawFn) -> Policy:
    """A policy of one or two windows, with or without a burst and a guard."""
    limit = draw(st.integers(1, 40))
    rates = [f"{limit}/second"]
    if draw(st.booleans()):
        rates.append(f"{draw(st.integers(limit, limit * 3))}/{draw(st.integers(2, 10))} seconds")
    return policy(
        rate_limits=rates, burst=draw(st.integers(1, limit)), rate_guard=draw(st.sampled_from([0, 0.025, 0.5]))
    )
