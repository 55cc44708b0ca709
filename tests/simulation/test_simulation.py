"""A handful of worlds, the proof that a seed is a run, and the proof that a broken promise is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import mutants
from tests.simulation.clockwork import Broken
from tests.simulation.mutants import hunt
from tests.simulation.report import Report, story
from tests.simulation.stage import Stage

ROOT = Path(__file__).parents[2]
SEEDS = (2, 5, 6, 13, 15, 18, 22, 36)
DIGEST = "import os; from tests.simulation.stage import Stage; from workers.embedded import find_server\n"
DIGEST += "with Stage(find_server(os.environ)) as stage: print(stage.live({seed}).digest)"


@pytest.fixture(scope="module")
def stage(_redis_program: str) -> Iterator[Stage]:
    with Stage(_redis_program) as found:
        yield found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_world_keeps_its_promises(stage: Stage, seed: int) -> None:
    lived = stage.live(seed)
    assert lived.broken is None, story(lived)
    assert lived.charges > 0


def test_the_same_seed_is_the_same_run_byte_for_byte(stage: Stage) -> None:
    first = stage.live(12)
    stage.live(2)
    assert stage.live(12).trace == first.trace
    done = subprocess.run(
        [sys.executable, "-c", DIGEST.format(seed=12)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == first.digest, done.stderr


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        (mutants.posted_before_asked, "charged"),
        (mutants.intent_after_call, "no intent stands in the table"),
        (mutants.claim_without_revision, "was charged, and its purchase is"),
    ],
)
def test_a_broken_promise_is_seen(stage: Stage, mutant: Callable[[], AbstractContextManager[Any]], what: str) -> None:
    assert what in hunt(stage, mutant, 60.0, enough=1).what


def test_a_finding_is_told_as_a_story_with_the_way_to_repeat_it(stage: Stage) -> None:
    with mutants.intent_after_call():
        lived = stage.live(2)
    told, report = story(lived), Report()
    report.add(lived)
    assert isinstance(lived.broken, Broken)
    assert "the provider answers" in told
    assert f"make simulate SEED={lived.seed}" in told
    assert "broken: 1" in report.text(1.0)
