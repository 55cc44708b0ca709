"""One run: customers come in, blows fall in an order drawn from the seed, then all must settle, and the judge reads."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.config.rates import parse_rate
from tests.chaos.faults.blows import Blow
from tests.chaos.feeder import Ask, Feeder, draw_asks
from tests.chaos.histories import settle_lost
from tests.chaos.judge import COLUMNS, Verdict, held, judge, unsettled
from tests.chaos.world import BEAT_NUMBER, KINDS, POLICY, World
from tests.waiting import eventually, fair_clock

SETTLE_PATIENCE = 90.0
"""Seconds within which everything is settled after the last blow, on a machine that has the time."""

EXPECTED = (-signal.SIGKILL, 3)
"""How processes may end: by our hand, or because a worker finds no database when it starts."""

LATE = POLICY["send_within"] + POLICY["timeout"] + POLICY["reconcile_after"][0] + 0.5
"""Seconds until a purchase shows: too late for the first look, and before the last one even where the call was made at
the last moment for it."""

ASK_AGAIN = 4.0
"""Seconds after which a customer sends a message again that left no trace."""


@dataclass
class Report:
    """What was done and when, and what came of it."""

    seed: int
    database: str
    total: int
    batch: int
    lines: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    begun: float = field(default_factory=time.monotonic)

    def note(self, text: str) -> None:
        """Write down and show what was just done."""
        self.lines.append(f"{time.monotonic() - self.begun:7.1f} s  {text}")
        print(self.lines[-1], flush=True)

    def head(self) -> str:
        return f"\nchaos, seed {self.seed}, {self.database}, {self.total} purchases, {self.batch} in a call"

    def result(self) -> str:
        """The ledger against the table, the measures, and what broke a promise."""
        verdict = self.verdict
        widths = [max(10, len(column) + 1) for column in COLUMNS]
        table = [" " * 12 + "".join(f"{name:>{width}}" for name, width in zip(COLUMNS, widths, strict=True))]
        for kind in KINDS:
            counts = verdict.table[kind]
            table.append(
                f"{kind:12}" + "".join(f"{counts.get(c, 0):>{w}}" for c, w in zip(COLUMNS, widths, strict=True))
            )
        return "\n".join(["", *table, "", *self._measures(), *verdict.wrong, self._replay()])

    def _measures(self) -> list[str]:
        verdict = self.verdict
        busiest = ", ".join(f"{kind} {count}" for kind, count in verdict.busiest.items())
        held = ", ".join(f"{why} {count}" for why, count in sorted(verdict.held.items()))
        return [
            f"held, but for TimePay's: {held or 'none'}",
            f"calls {verdict.calls}, the most in a second: {busiest}",
            f"events {verdict.events}, published again {verdict.repeats}",
            f"calls that a worker was too late to make {verdict.too_late}, late answers kept {verdict.late_evidence}",
            f"calls of dead workers: {_spread(verdict.found_after)} from the deadline until found,",
            f"    {_spread(verdict.settled_after)} from the last look until settled as not ours",
        ]

    def _replay(self) -> str:
        return f"again: make chaos SEED={self.seed}"


def run(world: World, seed: int, blows: Sequence[Blow], *, total: int) -> Report:
    """Strike *blows* in their order, while *total* purchases come in; then wait, and judge."""
    rng = random.Random(seed)
    report = Report(seed, world.database_name, total, world.batch)
    print(report.head())
    asked = draw_asks(total)
    _hide(world, rng.sample(asked, total // 25))
    # Each blow meets what came a while ago, and what comes just now.
    with Feeder(world, asked, shares=2 * len(blows), seed=seed) as feeder:
        for blow in blows:
            feeder.next_share()
            time.sleep(rng.random())
            feeder.next_share()
            begun = time.monotonic()
            report.note(f"{blow(world, rng)} ({time.monotonic() - begun:.1f} s)")
            eventually(world.fleet.ready, what=f"both workers run again\n{world.fleet.log()}")
        feeder.finish()
        report.note(f"the last blow has fallen, everything is asked for; open: {unsettled(world)}")
        settle(world, feeder)
        report.note(f"settled; {feeder.resent} lost messages were sent again by their customers")
    asked.append({"provider": "signalwire", "number": BEAT_NUMBER})
    report.verdict = judge(world, asked, dict.fromkeys(KINDS, parse_rate(POLICY["rate_limits"][0])))
    report.verdict.wrong += [
        f"{name} ended by itself: status {status}" for name, status in world.fleet.deaths if status not in EXPECTED
    ]
    print(report.result())
    return report


def _hide(world: World, asks: Sequence[Ask]) -> None:
    """Let these be sold with an error as answer, and shown to the later looks only."""
    for ask in asks:
        world.shop.plan(ask["provider"], "late_show", number=ask["number"], seconds=LATE)


def settle(world: World, feeder: Feeder) -> None:
    """Wait until nothing is left to do, and do what is left to people.

    Customers ask again, now and then, for what left no trace.
    """
    world.shop.rates(0, {})
    ask_again_at = ASK_AGAIN
    with fair_clock() as clock:
        while clock() < SETTLE_PATIENCE:
            if clock() > ask_again_at:
                feeder.send_again()
                if not feeder.missing():
                    # Not before: who asks after a person's no asks anew.
                    settle_lost(world)
                ask_again_at += ASK_AGAIN
            if not feeder.missing() and not unsettled(world) and not held(world):
                return
            time.sleep(0.2)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "none"
    ordered = sorted(values)
    return f"{len(ordered)} of them, median {ordered[len(ordered) // 2]:.1f} s, at most {ordered[-1]:.1f} s"
