"""What is done to the running system. Each blow returns what it did, in a few words, for the report."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress

from tests.chaos.faults.tampering import tamper
from tests.chaos.faults.traps import POINTS, Sprung
from tests.chaos.world import KINDS, POLICY, World
from tests.waiting import eventually, fair_clock

Blow = Callable[[World, random.Random], str]

CALL = POLICY["send_within"] + POLICY["timeout"]
"""Seconds from the intent to the call's deadline."""

PAST = CALL + POLICY["reconcile_after"][-1] + 3.0
"""Seconds from the intent until others have looked, and may have bought anew: a worker that wakes then is too late."""

PASSES = 4
"""Visits to a point until the blow falls there, at the most: fewer than a share brings."""

TRAP_PATIENCE = 12.0
QUEUES = ["purchases", *(f"purchases.{kind}" for kind in KINDS)]


def kill_at(point: str) -> Blow:
    """SIGKILL to the worker that comes to *point*."""

    def blow(world: World, rng: random.Random) -> str:
        caught = _spring(world, point, "kill", rng.randrange(PASSES))
        return f"worker killed at {point}" if caught else _missed(world, point)

    blow.__name__ = f"kill_at_{point}"
    return blow


def freeze_at(point: str) -> Blow:
    """SIGSTOP at *point*, SIGCONT when everything it had in hand is settled by others."""

    def blow(world: World, rng: random.Random) -> str:
        caught = _spring(world, point, "stop", rng.randrange(PASSES))
        if caught is None:
            return _missed(world, point)
        seconds = PAST + rng.random()
        _leave_frozen(world, caught.pid, seconds)
        return f"worker frozen at {point} for {seconds:.1f} s"

    blow.__name__ = f"freeze_at_{point}"
    return blow


def freeze_in_call(world: World, rng: random.Random) -> str:
    """SIGSTOP while the provider works on a call; the answer waits in the socket."""
    for kind in KINDS:
        world.shop.latency(kind, 0.8)
    try:
        caught = _spring(world, "sending", "mark", rng.randrange(PASSES))
        if caught is None:
            return _missed(world, "sending")
        before = len(world.shop.calls())
        with suppress(AssertionError):
            eventually(lambda: len(world.shop.calls()) > before, seconds=1.0)
        with suppress(ProcessLookupError):
            world.fleet.freeze(caught.pid)
    finally:
        for kind in KINDS:
            world.shop.latency(kind, 0.0)
    seconds = PAST + rng.random()
    _leave_frozen(world, caught.pid, seconds)
    return f"worker frozen in its calls for {seconds:.1f} s"


def flush(world: World, rng: random.Random) -> str:
    world.flush()
    return "Redis emptied"


def restart_redis(world: World, rng: random.Random) -> str:
    world.redis.kill()
    world.redis.restart()
    return "Redis killed and restarted"


def lose_redis(world: World, rng: random.Random) -> str:
    world.lose_redis()
    return "Redis killed and restarted without its data"


def redis_away(seconds: float) -> Blow:
    """Redis killed, and back after *seconds*."""

    def blow(world: World, rng: random.Random) -> str:
        world.redis.kill()
        time.sleep(seconds)
        world.redis.restart()
        with fair_clock() as clock:
            calls = len(world.shop.calls())
            eventually(lambda: len(world.shop.calls()) > calls, what="a purchase call after Redis came back")
            world.resumed.append((seconds, clock()))
        return f"Redis away for {seconds:g} s; first call {world.resumed[-1][1]:.1f} s after its return"

    blow.__name__ = "redis_away"
    return blow


def database_away(world: World, rng: random.Random) -> str:
    """PostgreSQL killed and restarted; SQLite's disk full for a while. A worker has to start meanwhile."""
    seconds = 1.0 + rng.random() * 3
    full = world.folder / "full"
    if world.postgres is not None:
        world.postgres.kill()
    else:
        full.touch()
    killed = rng.random() < 0.5
    if killed:
        world.fleet.kill(rng.choice(world.fleet.workers))
    time.sleep(seconds)
    if world.postgres is not None:
        world.postgres.restart()
    else:
        full.unlink()
    what = "PostgreSQL killed and away" if world.postgres is not None else "disk full"
    return f"{what} for {seconds:.1f} s" + (", and a worker killed meanwhile" if killed else "")


def tamper_with_messages(world: World, rng: random.Random) -> str:
    with world.client() as client:
        touched = tamper(client, rng, QUEUES, wanted=40, seconds=2.0)
    return f"{touched} messages lost, doubled, reordered"


ALL: list[Blow] = [
    *(kill_at(point) for point in POINTS),
    *(freeze_at(point) for point in ("claimed", "sending", "answered")),
    freeze_in_call,
    flush,
    restart_redis,
    lose_redis,
    redis_away(10.0),
    database_away,
    tamper_with_messages,
]


def _spring(world: World, point: str, blow: str, passes: int) -> Sprung | None:
    # A rarely visited point is struck at its first visit.
    world.traps.arm(point, blow, 0 if point in ("released", "accepted") else passes)
    return world.traps.wait(TRAP_PATIENCE)


def _missed(world: World, point: str) -> str:
    world.missed.append(point)
    return f"nobody came to {point}"


def _leave_frozen(world: World, pid: int, seconds: float) -> None:
    world.fleet.wait_frozen(pid)
    time.sleep(seconds)
    world.fleet.thaw(pid)
