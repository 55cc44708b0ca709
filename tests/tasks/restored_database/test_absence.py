"""What an audit does not see was bought all the same, or nobody can say: the account does not go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.policies.pause import Cause
from tasks.providers.adapter import ProviderError
from tasks.providers.transport.turns import take_turn
from tasks.restored_database import GoingOn
from tests.tasks.past import TWO, Past
from tests.tasks.restored_database.test_answering import take_in
from tests.tasks.scripted_provider import UNCLEAR
from tests.tasks.support import number


def listing(past: Past, *walks: Sequence[str]) -> None:
    """Have each walk through the list show that; the last one again and again."""
    left = list(walks)

    def owned() -> Iterator[OwnedNumber]:
        take_turn()()
        for wanted in left.pop(0) if len(left) > 1 else left[0]:
            yield OwnedNumber(number=wanted, provider_number_id=f"id of {wanted}")

    past.world.provider.owned = owned  # type: ignore[method-assign, assignment]


def audit(past: Past) -> GoingOn | None:
    return take_in(past.world.runtime, past.world.binding)


@pytest.fixture
def behind(past: Past) -> Past:
    """Two were bought and lost long ago, and the account is paused for that."""
    past.lose(*TWO)
    past.compare()
    past.world.clock.advance(3600)
    return past


def test_what_the_list_hides_is_asked_for_once_more(behind: Past) -> None:
    """An entry went while the list was read, and another moved up to a page that was read already."""
    listing(behind, [TWO[0]])
    assert audit(behind) == GoingOn(unclear=(TWO[1],))
    behind.buy_what_is_left()
    assert (behind.charged(), behind.causes()) == (TWO, [Cause.BEHIND] * 2)
    listing(behind, TWO)
    assert audit(behind) == GoingOn(settled=True, aliases=("acme", "twin"))


@pytest.mark.parametrize("said", [UNCLEAR, Look(kind=LookKind.LOST), Look(kind=LookKind.PROCESSING)])
def test_only_a_look_that_says_so_tells_that_a_number_is_not_ours(behind: Past, said: Look) -> None:
    listing(behind, [])
    behind.world.provider.looks += [said, said]
    assert audit(behind) == GoingOn(unclear=(TWO[1], TWO[0]))
    behind.buy_what_is_left()
    assert (behind.charged(), behind.causes()) == (TWO, [Cause.BEHIND] * 2)


@pytest.mark.parametrize("walks", [([TWO[0]], TWO), (TWO, [TWO[0]])])
def test_a_list_that_changes_while_it_is_read_is_read_once_more(behind: Past, walks: Sequence[Sequence[str]]) -> None:
    """Redis has lost the marks: there is nothing to ask for."""
    behind.redis.flushall()
    listing(behind, *walks)
    assert audit(behind) == GoingOn(unclear=(TWO[1],))
    assert behind.causes() == [Cause.BEHIND] * 2
    listing(behind, TWO)
    assert audit(behind) == GoingOn(settled=True, aliases=("acme", "twin"))


def test_a_list_that_shows_none_of_ours_says_nothing(behind: Past) -> None:
    shown = behind.world.accept(number(7))
    with behind.world.write() as conn:
        then = behind.world.clock.moment - timedelta(hours=1)
        mine = PURCHASE.c.id == shown["id"]
        conn.execute(update(PURCHASE).where(mine).values(status=Status.PURCHASED, finished_at=then, due_at=None))
    listing(behind, [])
    assert audit(behind) == GoingOn(shows_none=True)
    assert behind.causes() == [Cause.BEHIND] * 2


def test_a_list_that_breaks_off_lets_nothing_go_on(behind: Past) -> None:
    listing(behind, TWO)
    shows = behind.world.provider.owned
    walks = iter([shows, broken])

    def owned() -> Iterator[OwnedNumber]:
        yield from next(walks)()

    behind.world.provider.owned = owned  # type: ignore[method-assign]
    with pytest.raises(ProviderError):
        audit(behind)
    assert behind.causes() == [Cause.BEHIND] * 2


def broken() -> Iterator[OwnedNumber]:
    raise ProviderError(Outcome(kind=OutcomeKind.UNKNOWN, error="HTTP 500"))
