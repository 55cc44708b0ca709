"""How long each mutant lives: `python -m tests.simulation.mutants.hunting [--seconds N] [NAME ...]` prints the table.

With `--fixed` each is tried in the one world of `fixed_seeds.py` that is to find it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.simulation import world
from tests.simulation.mutants.every import MUTANTS
from tests.simulation.mutants.fixed_seeds import FINDS
from tests.simulation.mutants.writers import MUTANTS_OF_WRITERS
from tests.simulation.stage import Stage, stage_on


@dataclass(frozen=True)
class Hunt:
    """What a search for one mutant came to; `found` is how often, `after` the processor's seconds and the worlds until
    the first, which is of `seed`.
    """

    worlds: int
    found: int
    after: tuple[float, int] | None
    seed: int | None
    what: str


def hunt(
    stage: Stage,
    mutant: Callable[[], AbstractContextManager[Any]],
    seconds: float,
    *,
    enough: int = 2,
    seeds: Iterable[int] | None = None,
) -> Hunt:
    """Search worlds with *mutant*, of *seeds* or from 0 on, until *enough* broke or the processor's *seconds* end."""
    began, worlds, found = time.process_time(), 0, 0
    after, first, what = None, None, ""
    with mutant():
        for seed in count() if seeds is None else seeds:
            if found >= enough or time.process_time() - began >= seconds:
                break
            lived = stage.live(seed)
            worlds += 1
            if lived.broken is not None:
                _refuse_own(lived.broken)
                found += 1
                if after is None:
                    after, first = (time.process_time() - began, worlds), seed
                    what = f"SEED={seed}: {lived.broken}"
    return Hunt(worlds, found, after, first, what)


def _refuse_own(broken: BaseException) -> None:
    """Raise what a mutant itself raised, that does not fit the code any more: it would be found for nothing."""
    where = traceback.extract_tb(broken.__traceback__)
    if where and Path(where[-1].filename).parent == Path(__file__).parent:
        raise broken


def main() -> int:
    """The table of all mutants. Status 1 where one was not found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fixed", action="store_true", help="each in the world that is to find it")
    parser.add_argument("--writers", action="store_true", help="those of several writers, on PostgreSQL")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    mutants = MUTANTS_OF_WRITERS if given.writers else MUTANTS
    missed, fixed = 0, {name: [seed] for seed, names in FINDS.items() for name in names}
    wanted = given.names or (fixed if given.fixed else [mutant.__name__ for mutant in mutants])
    # Theirs are found in no other worlds.
    shared = patch.object(world, "SHARED", 1.0 if given.writers else world.SHARED)
    with shared, stage_on(postgresql=given.writers) as stage:
        for mutant in mutants:
            if mutant.__name__ not in wanted:
                continue
            done = hunt(stage, mutant, given.seconds, seeds=fixed[mutant.__name__] if given.fixed else None)
            missed += not done.found
            first = f"first after {done.after[0]:.1f} s, world {done.after[1]}" if done.after else "NOT FOUND"
            print(
                f"{mutant.__name__:24} {done.found:3} of {done.worlds:3} worlds, {first}: {done.what[:200]}", flush=True
            )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
