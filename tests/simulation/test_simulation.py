"""A handful of worlds, the proof that a seed is a run, and the proof that a broken promise is seen."""

from __future__ import annotations

import inspect
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import tasks.policies.backoff
from schemas.status import Status
from tests.simulation import themes
from tests.simulation.another_process import trace_of
from tests.simulation.faults import RATES
from tests.simulation.mutants import choosing, purchases
from tests.simulation.mutants.every import MUTANTS
from tests.simulation.mutants.fixed_seeds import FINDS
from tests.simulation.mutants.hunting import hunt
from tests.simulation.report import SURELY, Report, parting, story
from tests.simulation.scheduler.clockwork import Broken, Escaped
from tests.simulation.servers.postgres import Cluster
from tests.simulation.shrink import kind_of, shrink
from tests.simulation.stage import Stage

REPLACED = 6
"""A world whose database is replaced between a claim's commit and its mark: a fault that goes by a function's name."""
RESTORED = 18
"""A world whose database is restored."""
LONG = 600
"""Steps of a world that can be made much smaller."""


@pytest.fixture(scope="module")
def stage(_redis_program: str) -> Iterator[Stage]:
    with Stage(_redis_program) as found:
        yield found


@pytest.mark.parametrize("seed", FINDS)
def test_a_world_keeps_its_promises(stage: Stage, seed: int) -> None:
    lived = stage.live(seed)
    assert lived.broken is None, story(lived)
    assert lived.purchases > 0


@pytest.fixture
def cluster(_postgres_package: Path) -> Cluster:
    return Cluster(_postgres_package)


@pytest.fixture
def postgres_stage(_redis_program: str, cluster: Cluster) -> Iterator[Stage]:
    with Stage(_redis_program, cluster) as found:
        yield found


def test_a_world_on_postgresql_keeps_them_and_is_one_run(postgres_stage: Stage, cluster: Cluster) -> None:
    first = postgres_stage.live(RESTORED)
    assert first.broken is None, story(first)
    assert first.faults["database restored"]
    assert cluster.unlike() == []
    postgres_stage.live(2)
    assert parting(first.trace, postgres_stage.live(RESTORED).trace) is None


def test_the_same_seed_is_the_same_run_byte_for_byte(stage: Stage) -> None:
    first = stage.live(12)
    stage.live(2)
    assert parting(first.trace, stage.live(12).trace) is None
    assert parting(first.trace, trace_of(12)) is None


def test_a_world_that_is_watched_uses_no_clock_and_no_chance_of_the_machines(stage: Stage) -> None:
    assert stage.live(51, watched=True).trace == stage.live(51).trace


def test_who_uses_one_is_told_with_the_line(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.policies.backoff, "call_length", hasty_call_length())
    lived = stage.live(51, watched=True)
    assert isinstance(lived.broken, Escaped)
    assert "tasks.policies.backoff, line 2: time.perf_counter" in story(lived)


def hasty_call_length() -> Any:
    """As if it stood in the module."""
    code = "def call_length(policy):\n    return 3.0 + 0 * time.perf_counter()\n"
    found: dict[str, Any] = {"__name__": "tasks.policies.backoff", "time": time}
    exec(code, found)
    return found["call_length"]


def takes_what_it_takes(new: Callable[..., Any], was: Callable[..., Any]) -> None:
    """Raises TypeError where *new* cannot be called with all that *was* takes, or with no more than it needs."""
    takes = inspect.signature(was).parameters.values()
    for given in (takes, [one for one in takes if one.default is one.empty]):
        positional = [one for one in given if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        named = {one.name: one for one in given if one.kind is one.KEYWORD_ONLY}
        inspect.signature(new).bind(*positional, **named)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_fits_the_code_as_it_is_now(
    mutant: Callable[[], AbstractContextManager[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    unchecked = patch.object

    def checked(target: Any, name: str, new: Any) -> Any:
        if inspect.isroutine(was := getattr(target, name)) and inspect.isroutine(new):
            takes_what_it_takes(new, was)
        return unchecked(target, name, new)

    monkeypatch.setattr(patch, "object", checked)
    with mutant():
        pass


def test_who_finds_a_mutant_names_one() -> None:
    named = [name for names in FINDS.values() for name in names]
    assert set(named) <= {mutant.__name__ for mutant in MUTANTS}
    assert len(named) == len(set(named))


def test_who_is_looked_for_in_a_theme_is_so_in_its_worlds_alone() -> None:
    assert choosing.SHOWS_IN.keys() <= {mutant.__name__ for mutant in MUTANTS}
    for theme in choosing.SHOWS_IN.values():
        first, *more = itertools.islice(choosing._in_turn(theme, [7]), 4)
        assert first == 7
        assert [themes.theme_of(seed) for seed in more] == [theme] * 3


def test_a_seed_is_chosen_by_who_finds_it(stage: Stage) -> None:
    assert choosing.choose(stage, ["posted_before_asked"], 60.0) == {1: ["posted_before_asked"]}


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        (purchases.posted_before_asked, "charged"),
        (purchases.intent_after_call, "no intent stands in the table"),
        (purchases.claim_without_revision, "charged"),
    ],
)
def test_a_broken_promise_is_seen(stage: Stage, mutant: Callable[[], AbstractContextManager[Any]], what: str) -> None:
    assert what in hunt(stage, mutant, 300.0, enough=1).what


def test_a_finding_is_made_smaller_and_what_is_left_out_repeats_it(stage: Stage) -> None:
    with purchases.intent_after_call():
        lives = (stage.live(seed) for seed in range(8, 60))
        found = next(one for one in lives if one.broken is not None and len(one.trace) > LONG)
        # it is as small as it gets within some twenty worlds: seconds, where the machine has the time
        small = shrink(lambda without: stage.live(found.seed, without), found, 300.0)
        again = stage.live(found.seed, small.without)
    assert len(small.trace) < len(found.trace) / 2
    assert again.trace == small.trace
    assert kind_of(again) == kind_of(found)
    assert "--without" in story(small)


def test_a_server_is_replaced_between_a_claim_and_its_mark(stage: Stage) -> None:
    assert stage.live(REPLACED).faults["replaced before the mark"]


def test_what_is_left_out_is_not_met(stage: Stage) -> None:
    without = frozenset({"message doubled", "provider cut_after", "on call", "worker 2", "key-1"})
    lived = stage.live(5, without)
    assert lived.broken is None
    assert not lived.faults.keys() & without
    assert not any(who in line for line in lived.trace for who in ("on call", "worker 2", "key-1:"))


def test_a_fault_that_many_worlds_drew_and_none_met_is_told(stage: Stage) -> None:
    lived = stage.live(5)
    met = {name for name in lived.faults if name in RATES or name.startswith("provider ")}
    assert met
    assert met <= lived.drawn
    report = Report()
    for _ in range(SURELY):
        report.add(replace(lived, faults=lived.faults - Counter({"message doubled": lived.faults["message doubled"]})))
    assert f"message doubled ({SURELY} worlds)" in report.text(1.0).partition("NEVER MET")[2]


def test_reports_of_several_processes_are_one(stage: Stage) -> None:
    lived, one, two = stage.live(6), Report(), Report()
    for report in (one, two):
        report.add(lived)
    one.take_in(two)
    assert (one.worlds, one.purchases) == (2, 2 * lived.purchases)
    assert one.faults["message doubled"] == 2 * lived.faults["message doubled"] > 0
    assert {state for name, state in one.states if name == "killed"} & set(Status)


def test_a_finding_is_told_as_a_story_with_the_way_to_repeat_it(stage: Stage) -> None:
    with purchases.intent_after_call():
        lived = stage.live(2)
    told, report = story(lived), Report()
    report.add(lived)
    assert isinstance(lived.broken, Broken)
    assert "the provider answers" in told
    assert f"make simulate SEED={lived.seed}" in told
    assert "broken: 1" in report.text(1.0)
