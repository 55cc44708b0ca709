"""What an audit does not see was bought all the same, or nobody can say: the account does not go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import update

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.policies.pause import Cause
from tasks.providers.adapter import Known, ProviderError
from tasks.providers.transport.turns import take_turn
from tasks.restored_database.go_on import GoingOn
from tests.servers import RedisServer
from tests.tasks.past import TWO, Past, started
from tests.tasks.restored_database.test_answering import take_in
from tests.tasks.scripted_provider import ABSENT, UNCLEAR
from tests.tasks.support import number

SHOWS_NONE = GoingOn(shows_none=True)


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
    listing(behind, [TWO[0]])
    behind.world.provider.looks += [said]
    assert audit(behind) == GoingOn(unclear=(TWO[1],))
    behind.buy_what_is_left()
    assert (behind.charged(), behind.causes()) == (TWO, [Cause.BEHIND] * 2)


def test_a_lost_call_whose_order_was_refused_bought_nothing(behind: Past) -> None:
    listing(behind, [TWO[0]])
    behind.world.provider.looks.append(Look(kind=LookKind.REFUSED))
    assert audit(behind) == GoingOn(settled=True, aliases=("acme", "twin"), unseen=(TWO[1],))


@pytest.mark.parametrize("walks", [([TWO[0]], TWO), (TWO, [TWO[0]])])
def test_a_list_that_changes_while_it_is_read_is_read_once_more(behind: Past, walks: Sequence[Sequence[str]]) -> None:
    """Redis has lost the marks: there is nothing to ask for."""
    behind.redis.flushall()
    listing(behind, *walks)
    assert audit(behind) == GoingOn(unclear=(TWO[1],))
    assert behind.causes() == [Cause.BEHIND] * 2
    listing(behind, TWO)
    behind.world.clock.advance(3600)
    assert audit(behind) == GoingOn(settled=True, aliases=("acme", "twin"))


def bought(past: Past, wanted: str) -> None:
    """Have that be known as bought long ago."""
    row = past.world.accept(wanted)
    with past.world.write() as conn:
        then = past.world.clock.moment - timedelta(hours=1)
        mine = PURCHASE.c.id == row["id"]
        conn.execute(update(PURCHASE).where(mine).values(status=Status.PURCHASED, finished_at=then, due_at=None))


@pytest.mark.parametrize(
    ("known", "shows"),
    [([], []), ([], [number(7)]), ([number(7)], []), ([number(7)], [number(7)])],
    ids=["nothing", "another's", "none", "only the old"],
)
def test_a_list_that_shows_none_of_ours_says_nothing(behind: Past, known: Sequence[str], shows: Sequence[str]) -> None:
    """A backup of before the first purchase, a list of another's, and one that was made before the lost calls."""
    for one in known:
        bought(behind, one)
    listing(behind, shows)
    assert audit(behind) == SHOWS_NONE
    behind.buy_what_is_left()
    assert (behind.charged(), behind.causes()) == (TWO, [Cause.BEHIND] * 2)


@pytest.mark.parametrize("known", [[], [number(7)]], ids=["a new account", "an old one"])
def test_one_lost_call_may_have_bought_nothing_where_the_list_shows_others_of_ours(
    past: Past, known: Sequence[str]
) -> None:
    past.lose(TWO[0])
    past.compare()
    past.world.clock.advance(3600)
    for one in known:
        bought(past, one)
    listing(past, known)
    past.world.provider.charged.clear()
    found = audit(past)
    assert found == (GoingOn(settled=True, aliases=("acme", "twin"), unseen=(TWO[0],)) if known else SHOWS_NONE)


def test_a_list_that_shows_nothing_says_nothing_where_the_marks_are_gone_too(behind: Past) -> None:
    behind.redis.flushall()
    listing(behind, [])
    assert audit(behind) == SHOWS_NONE


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


def pending(past: Past, sold: Mapping[str, str]) -> None:
    """Have the orders of these calls be pending, by our names of them: no list shows their numbers yet."""
    provider = past.world.provider

    def look(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        take_turn()()
        asked = {wanted: known.references if known else () for wanted, known in numbers.items()}
        return {
            wanted: Look(kind=LookKind.PROCESSING) if sold[wanted] in references else ABSENT
            for wanted, references in asked.items()
        }

    provider.look = look  # type: ignore[method-assign]


@pytest.mark.parametrize("batch", [1, 2])
def test_an_order_that_is_not_delivered_yet_is_asked_for_by_our_name_of_the_lost_call(
    database_url: str, redis_server: RedisServer, batch: int
) -> None:
    with started(database_url, redis_server, max_batch=batch) as past:
        past.world.provider.keeps_reference = True
        past.lose(*TWO)
        past.compare()
        past.world.clock.advance(3600)
        sold = {ask.number: ask.reference or "" for ask in past.world.provider.asks}
        assert (len(sold), len(set(sold.values()))) == (2, 2 // batch)
        pending(past, sold)
        listing(past, [TWO[0]])
        assert audit(past) == GoingOn(unclear=(TWO[1],))
        past.buy_what_is_left()
        assert (past.charged(), past.causes()) == (TWO, [Cause.BEHIND] * 2)
