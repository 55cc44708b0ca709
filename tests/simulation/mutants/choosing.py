"""Choose the fixed worlds anew, as seeds have become other worlds: `python -m tests.simulation.mutants.choosing`.

Each mutant is tried in the world that found it, in those that find others, and then from 0 on: where `SHOWS_IN` has its
theme, only in worlds of that. Prints the table of `fixed_seeds.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count

from tests.simulation.mutants.every import MUTANTS
from tests.simulation.mutants.fixed_seeds import FINDS
from tests.simulation.mutants.hunting import hunt
from tests.simulation.stage import Stage, stage_on
from tests.simulation.themes import (
    AUDIT_REPLACED,
    CLOCK_SET,
    LOST_ORDER,
    SHRINKING,
    TOO_LATE,
    Theme,
    theme_of,
)

SHOWS_IN: dict[str, Theme] = {
    "clock_believed": CLOCK_SET,
    "kept_after_it_went_on": TOO_LATE,
    "list_read_once": SHRINKING,
    "lost_name_not_marked": LOST_ORDER,
    "lost_order_not_asked": LOST_ORDER,
    "pause_alone_believed": AUDIT_REPLACED,
}
"""Where a mutant shows that does so in less than one of a hundred worlds."""


def choose(stage: Stage, names: Sequence[str], seconds: float) -> dict[int, list[str]]:
    """Seeds, and who of *names* each finds; *seconds* of the processor for each, and who is not found is left out."""
    before = {name: seed for seed, found in FINDS.items() for name in found}
    chosen: defaultdict[int, list[str]] = defaultdict(list)
    # Those that were found in a world first: others may be found there, too.
    for mutant in sorted(MUTANTS, key=lambda one: one.__name__ not in before):
        name = mutant.__name__
        if name not in names:
            continue
        first = [*([before[name]] if name in before else []), *chosen]
        seed = hunt(stage, mutant, seconds, enough=1, seeds=_in_turn(SHOWS_IN.get(name), first)).seed
        print(f"{name}: {'NOT FOUND' if seed is None else seed}", file=sys.stderr, flush=True)
        if seed is not None:
            chosen[seed].append(name)
    return dict(sorted(chosen.items()))


def _in_turn(theme: Theme | None, first: Sequence[int]) -> Iterator[int]:
    yield from first
    yield from (seed for seed in count() if seed not in first and theme in (None, theme_of(seed)))


def main() -> None:
    """Choose, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    names = given.names or [mutant.__name__ for mutant in MUTANTS]
    with stage_on(postgresql=False) as stage:
        for seed, found in choose(stage, names, given.seconds).items():
            print(f"    {seed}: {tuple(found)!r},".replace("'", '"'), flush=True)


if __name__ == "__main__":
    main()
