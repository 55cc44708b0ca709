"""A world's story in words, and a search's report in numbers."""

from __future__ import annotations

import re
import shlex
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import zip_longest

from schemas.status import Status
from tests.simulation.actors.edits import HOWS
from tests.simulation.faults import PROVIDER_RATES, RATES
from tests.simulation.judges.judge import NOTHING
from tests.simulation.scheduler.clockwork import Broken
from tests.simulation.servers.writers import DEADLOCK, WAITS
from tests.simulation.world import Lived

TAIL = 40
"""The last steps that a story tells whatever they are about."""

SURELY = 50
"""Worlds that drew a fault: in fewer it may be missed by chance."""

FRAMES = 8
"""Lines of a traceback that a story ends with."""

_TOLD = re.compile(
    r"FAULT|takes the message|charges|the provider|a person|killed|starts$|stands still|LOG|no more faults"
)
_NUMBER = re.compile(r"\+\d{8,15}")


def story(lived: Lived, *, whole: bool = False) -> str:
    """Who did what, and when; what it ended in; how to see it again."""
    lines = list(lived.trace)
    if not whole:
        told, end = lines[:-TAIL], lines[-TAIL:]
        lines = [line for line in told if _TOLD.search(line) and _concerns(line, lived)] + end
    return "\n".join([*lines, "", *_line(lived.broken), _end(lived), f"again: {again(lived)}", ""])


def again(lived: Lived) -> str:
    """The command that repeats a world."""
    # Some names have an apostrophe.
    told = shlex.quote(f'--without "{", ".join(sorted(lived.without))}"')
    without = f" ARGS={told}" if lived.without else ""
    return f"make simulate SEED={lived.seed}{without}"


def parting(one: Sequence[str], other: Sequence[str]) -> str | None:
    """Where two runs of a seed part, None where they do not: something unordered decides there, or just before."""
    for number, (mine, theirs) in enumerate(zip_longest(one, other)):
        if mine != theirs:
            return f"after {number} steps, the last of them {one[number - 1]!r}: {mine!r}, and {theirs!r}"
    return None


def _line(broken: BaseException | None) -> list[str]:
    """Where code under test raised what nobody foresaw, or left the box."""
    if broken is None or isinstance(broken, Broken):
        return []
    return [line.rstrip() for line in traceback.format_exception(broken)[-FRAMES:]]


def _concerns(line: str, lived: Lived) -> bool:
    """Whether a line tells of what broke: of its number, or of no number at all."""
    broken, numbers = _NUMBER.search(str(lived.broken)), _NUMBER.findall(line)
    return broken is None or not numbers or broken[0] in numbers


def _end(lived: Lived) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in sorted(lived.statuses.items()))
    if lived.broken is None:
        return f"every promise held: {counts} after {lived.virtual:.0f} virtual seconds"
    what = "" if isinstance(lived.broken, Broken) else f"{type(lived.broken).__name__}: "
    return f"BROKEN after {lived.virtual:.3f} virtual seconds: {what}{lived.broken} ({counts})"


@dataclass
class Report:
    """What a search met. `drawn` is how many worlds might have met a fault, `found` the seeds that broke a promise."""

    worlds: int = 0
    steps: int = 0
    purchases: int = 0
    charges: int = 0
    virtual: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    found: dict[int, str] = field(default_factory=dict)

    def add(self, lived: Lived) -> None:
        """Count one world."""
        self.worlds += 1
        self.steps += len(lived.told)
        self.purchases += lived.purchases
        self.charges += lived.charges
        self.virtual += lived.virtual
        self.statuses += lived.statuses
        self.faults += lived.faults
        self.states += lived.states
        self.drawn.update(lived.drawn)
        if lived.broken is not None:
            self.found[lived.seed] = f"{type(lived.broken).__name__}: {lived.broken}"

    def take_in(self, other: Report) -> None:
        """Count what another process met."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            setattr(self, one.name, mine | theirs if isinstance(mine, dict) and one.name == "found" else mine + theirs)

    def text(self, seconds: float) -> str:
        """The report, as people read it."""
        lines = [
            f"{self.worlds:,} worlds, {self.steps:,} steps, {self.purchases:,} purchases, {self.charges:,} charges, "
            f"{self.virtual / 3600:.1f} virtual hours in {seconds:.0f} s",
            f"{self.worlds / seconds:.2f} worlds and {self.purchases / seconds:.1f} purchases a second",
            "ended " + ", ".join(f"{count:,} {status}" for status, count in sorted(self.statuses.items())),
            "faults met, and the status of what the actor had in hand (. is a hole):",
            *self._table(),
            *self._never_met(),
            f"broken: {len(self.found)}",
            *(f"  SEED={seed}: {what}" for seed, what in self.found.items()),
        ]
        return "\n".join(lines)

    def _never_met(self) -> list[str]:
        """Faults that had a rate above 0 in some world, and happened in none: what they go by may be gone."""
        missed = {name: worlds for name, worlds in sorted(self.drawn.items()) if not self.faults[name]}
        surely = [f"{name} ({worlds:,} worlds)" for name, worlds in missed.items() if worlds >= SURELY]
        perhaps = [f"{name} ({worlds})" for name, worlds in missed.items() if worlds < SURELY]
        lines = [f"NEVER MET, in so many worlds that drew them: {', '.join(surely)}"] if surely else []
        return lines + ([f"not met, as may be in so few: {', '.join(perhaps)}"] if perhaps else [])

    def _table(self) -> list[str]:
        known = [*RATES, WAITS, DEADLOCK, *(f"alias {how}" for how in HOWS)]
        known += [f"provider {name}" for name in PROVIDER_RATES]
        columns = [NOTHING, *Status]
        lines = ["".join([f"{'':28}", f"{'met':>8}", *(f"{column[:10]:>11}" for column in columns)])]
        for name in known:
            cells = (f"{self.states[name, column] or '.':>11}" for column in columns)
            lines.append("".join([f"  {name:26}", f"{self.faults[name]:8}", *cells]))
        return lines
