"""A database that went back in time together with its file: what was bought by another name is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tasks.accounts import identity
from tasks.accounts.stranded import homes_in
from tasks.lifecycle import release_and_sweep
from tasks.policies.pause import Cause
from tasks.providers.configured import parse_config
from tasks.restored_database import go_on
from tasks.runtime import Binding, Runtime
from tasks.watermark import Watermark
from tests.tasks.past import Past
from tests.tasks.support import number


@dataclass(frozen=True)
class Files:
    """A world with one file or another; what workers do with it."""

    past: Past
    binding: Binding

    def use(self, text: str) -> Runtime:
        world, config = self.past.world, parse_config(text, "providers.toml")
        bindings = {
            alias: replace(self.binding, alias=alias, account=one.account) for alias, one in config.providers.items()
        }
        world.runtime = replace(
            world.runtime, config=config, providers=bindings, kinds={}, watermark=Watermark(self.past.redis)
        )
        return world.runtime

    def work(self, *, looks: bool = True) -> None:
        """All that workers do in a while, or in the moment before they look at the marks once more."""
        runtime, world = self.past.world.runtime, self.past.world
        for _ in range(10):
            if looks:
                self.past.compare()
            for binding in runtime.providers.values():
                release_and_sweep.sweep_provider(runtime, binding)
                release_and_sweep.release_due(runtime, binding)
            world.work()
            world.clock.advance(30)


VOGENT = '[providers.{}]\nkind = "vogent"\nbase_url = "https://api.vogent.ai"\ntoken_env = "T"\n'
OLD = VOGENT.format("v")
ONE, TWO = (f'{VOGENT.format(alias)}account_id = "{alias}"\n' for alias in "vw")


@pytest.mark.parametrize(
    ("old", "new", "source", "home"),
    [
        (OLD, VOGENT.format("main"), "v", "main"),
        (OLD, OLD + 'account_id = "acme"\n', "v", "v"),
        (ONE + TWO, TWO, "v", "w"),
    ],
    ids=["renamed", "account_id", "put together"],
)
@pytest.mark.parametrize("waited", [True, False])
@pytest.mark.parametrize("emptied", ["never", "before the look", "after the look"])
def test_a_file_that_went_back_with_its_database_knows_what_was_bought_by_another_name(
    past: Past, old: str, new: str, source: str, home: str, waited: bool, emptied: str
) -> None:
    """By the book: the new file, `provider move` where anything waits, and workers that start anew.

    Redis may be emptied before anything is bought: a moment before workers look, or a moment after.
    """
    files = Files(past, past.world.binding)
    identity.settle(files.use(old))
    if waited:
        past.world.accept(number(1), provider="v")
    past.world.sent.clear()
    past.keep()
    runtime = files.use(new)
    if waited or source != home:
        identity.move(runtime, source, homes_in(runtime.config)[home])
    identity.settle(runtime)
    past.world.accept(number(1), provider=home)
    if emptied == "before the look":
        past.redis.flushall()
    past.compare()
    if emptied == "after the look":
        past.redis.flushall()
    files.work(looks=emptied != "after the look")
    assert past.charged() == [number(1)]
    past.go_back()
    identity.settle(files.use(old))
    past.world.accept(number(1), provider="v")
    files.work()
    assert past.state("v")["cause"] == Cause.BEHIND
    assert past.charged() == [number(1)]


@pytest.mark.parametrize("first", ["v", "w"])
def test_each_account_that_may_have_made_a_lost_call_answers_for_itself(past: Past, first: str) -> None:
    """A second account came, so the file names both now: the lost calls may be of either."""
    files, two = Files(past, past.world.binding), ("v", "w")
    identity.settle(files.use(OLD))
    past.keep()
    past.world.accept(number(1), provider="v")
    files.work()
    past.go_back()
    runtime = files.use(ONE + TWO)
    identity.settle(runtime)
    files.work()
    assert [past.state(alias)["cause"] for alias in two] == [Cause.BEHIND] * 2
    for alias in sorted(two, key=lambda one: one != first):
        going, held = go_on.believe(runtime, runtime.providers[alias], "ann", "seen")
        assert (going, [row["account"] for row in held]) == ([alias], [f"vogent|{alias}"])
    past.world.accept(number(1), provider="v")
    files.work()
    assert past.charged() == [number(1)]
    files.work()
    assert [past.state(alias)["cause"] for alias in two] == [None] * 2


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (OLD, VOGENT.format("w"), True),
        (OLD, VOGENT.format("w"), False),
        (ONE, VOGENT.format("w") + 'account_id = "v"\n', False),
        (ONE, ONE + VOGENT.format("w") + 'account_id = "v"\n', False),
    ],
    ids=["moved", "renamed", "another alias", "a further alias"],
)
def test_an_account_that_is_behind_stays_so_by_another_name_and_without_its_marks(
    past: Past, old: str, new: str, moved: bool
) -> None:
    files = Files(past, past.world.binding)
    identity.settle(files.use(old))
    if moved:
        past.world.accept(number(2), provider="v")
        past.world.sent.clear()
    past.keep()
    past.world.accept(number(1), provider="v")
    files.work()
    bought = past.charged()
    past.go_back()
    files.work()
    past.redis.flushall()
    runtime = files.use(new)
    if moved:
        identity.move(runtime, "v", homes_in(runtime.config)["w"])
    identity.settle(runtime)
    past.world.accept(number(1), provider="w")
    files.work()
    assert past.charged() == bought
    going, held = go_on.believe(runtime, runtime.providers["w"], "ann", "seen")
    assert (going, held) == (sorted(runtime.providers), [])
    files.work()
    assert past.charged().count(number(1)) == 2
