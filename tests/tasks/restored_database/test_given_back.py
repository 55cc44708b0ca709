"""A number that was given back since: the database that went back in time takes it for ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import RedisError
from sqlalchemy import delete

from schemas.status import Status
from schemas.tables.releases import RELEASE_ATTEMPT
from tasks.audit import compare
from tasks.ledger import history
from tasks.ledger.releases import made
from tasks.policies.pause import Cause
from tasks.restored_database import go_on
from tasks.restored_database.go_on import GoingOn
from tasks.watermark import Mark, Watermark
from tests.tasks.past import Past
from tests.tasks.releasing import LOST, Answer, Returns, takes_back
from tests.tasks.support import ACCOUNT, NUMBER, number


class Forgotten:
    """Given back after the copy was made, at a provider that shows another number of ours."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self.returns: Returns = takes_back(past.world)
        self.other = self.returns.bought(number(5))
        self.row = self.returns.bought(idempotency_key="one")

    def forget(self, *answers: Answer, asked: bool = False) -> None:
        """Go back to where the number was bought, or *asked* to be given back."""
        if not asked:
            self.past.keep()
        self.returns.ask(self.row)
        if asked:
            self.past.keep()
        self.returns.provider.answers.extend(answers)
        while not self.returns.provider.given:
            self.returns.step()
        self.past.go_back()

    def status(self) -> str:
        return str(self.past.world.row(self.row["id"])["status"])

    def audit(self, *, mark_released: bool = False) -> GoingOn | None:
        """What `dialstock audit acme --adopt` does, and --mark-released before it."""
        runtime, binding = self.past.world.runtime, self.past.world.binding
        report = compare.audit(runtime, binding)
        if mark_released:
            report = report.without(compare.mark_released(runtime, binding, report, "ann").settled)
        done = compare.adopt(runtime, binding, report, "ann")
        return go_on.take_in(runtime, binding, report, done, "ann")


@pytest.fixture
def forgotten(past: Past) -> Forgotten:
    return Forgotten(past)


def test_it_is_told_and_nothing_is_bought_until_the_number_is_marked_as_released(forgotten: Forgotten) -> None:
    past = forgotten.past
    forgotten.forget()
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    reason = past.told("paused")[0]["reason"]
    assert "it has lost 1 calls to give back at acme-account" in reason
    assert NUMBER in reason
    past.world.clock.advance(600)
    assert forgotten.audit() == GoingOn(given_back=(NUMBER,))
    assert past.causes() == [Cause.BEHIND] * 2
    assert forgotten.audit(mark_released=True) == GoingOn(settled=True, aliases=("acme", "twin"))
    past.compare()
    assert (forgotten.status(), past.causes()) == (Status.RELEASED, [None, None])
    assert past.world.row(forgotten.other["id"])["status"] == Status.PURCHASED
    assert forgotten.returns.bought(idempotency_key="two")["status"] == Status.PURCHASED


def test_what_the_provider_shows_still_stays(forgotten: Forgotten) -> None:
    """The call was not executed, or the number was bought again."""
    forgotten.forget(LOST)
    forgotten.past.compare()
    forgotten.past.world.clock.advance(600)
    assert forgotten.audit() == GoingOn(settled=True, aliases=("acme", "twin"))
    forgotten.past.compare()
    assert (forgotten.status(), forgotten.past.causes()) == (Status.PURCHASED, [None, None])


def test_a_persons_word_lets_it_go_on_and_the_number_is_the_audits(forgotten: Forgotten) -> None:
    past = forgotten.past
    forgotten.forget()
    past.compare()
    aliases, held = go_on.believe(past.world.runtime, past.world.binding, "ann", "seen")
    assert (aliases, held) == (["acme", "twin"], [])
    past.compare()
    assert (forgotten.status(), past.causes()) == (Status.PURCHASED, [None, None])
    past.world.clock.advance(600)
    forgotten.audit(mark_released=True)
    assert forgotten.status() == Status.RELEASED


def test_nothing_is_claimed_even_before_anybody_compares(forgotten: Forgotten) -> None:
    """What was asked for already is not called for again: the number may be bought again by another since."""
    forgotten.forget(asked=True)
    forgotten.past.world.accept(number(7))
    forgotten.past.world.work()
    forgotten.returns.step()
    assert len(forgotten.returns.provider.given) == 1
    assert number(7) not in forgotten.past.charged()
    assert forgotten.past.causes() == [Cause.BEHIND] * 2


def test_a_database_that_has_the_call_is_not_behind(forgotten: Forgotten) -> None:
    past = forgotten.past
    forgotten.returns.ask(forgotten.row)
    forgotten.returns.settle(forgotten.row)
    past.compare()
    past.keep()
    past.go_back()
    past.compare()
    assert past.causes() == [None, None]


def test_calls_that_are_forgotten_after_their_release_had_ended_are_not_lost(forgotten: Forgotten) -> None:
    past, returns = forgotten.past, forgotten.returns
    returns.ask(forgotten.row)
    returns.settle(forgotten.row)
    long_after = datetime.now(UTC) + timedelta(days=1)
    with past.world.write() as conn:
        assert made.forget(conn, long_after, 10) == 1
    past.compare()
    assert past.causes() == [None, None]
    [mark] = [one for one in past.world.runtime.watermark.newest(ACCOUNT) if one.release_id]
    later = replace(mark, started_at=long_after)
    assert lost(past, [mark, later]) == [later]


def test_a_call_of_a_release_that_goes_on_is_lost_without_its_row(forgotten: Forgotten) -> None:
    returns, past = forgotten.returns, forgotten.past
    returns.provider.answers.append(LOST)
    returns.ask(forgotten.row)
    returns.step()
    with past.world.write() as conn:
        conn.execute(delete(RELEASE_ATTEMPT))
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2


def test_no_call_goes_out_that_could_not_be_marked(forgotten: Forgotten) -> None:
    class Away(Watermark):
        def write_release(self, account: str, mark: Mark, server: str = "") -> None:
            raise RedisError("away")

    past, returns = forgotten.past, forgotten.returns
    past.world.runtime = replace(past.world.runtime, watermark=Away(past.redis))
    returns.ask(forgotten.row)
    assert returns.step()
    assert (returns.provider.given, returns.calls()) == ([], ["not_sent"])


def test_who_knows_only_calls_to_buy_reads_none_to_give_back(forgotten: Forgotten) -> None:
    """A worker of the release before would take it for a purchase that the database lost."""
    forgotten.returns.ask(forgotten.row)
    forgotten.returns.step()
    watermark = forgotten.past.world.runtime.watermark
    kinds = [one.release_id is not None for one in watermark.newest(ACCOUNT)]
    assert sorted(kinds) == [False, False, True]
    shared = next(
        key for key in forgotten.past.redis.scan_iter("dialstock:watermark:*", _type="LIST") if key.count(b":") == 2
    )
    assert {len(text.split(b" ")) for text in forgotten.past.redis.lrange(shared, 0, -1)} == {5}


def lost(past: Past, marks: list[Mark]) -> list[Mark]:
    with past.database.read() as conn:
        return history.lost(conn, marks, account=ACCOUNT)
