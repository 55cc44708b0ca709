"""Whatever an adapter raises or returns, it settles nothing, and what its callers raise comes through."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisAway

from schemas.config.balances import Balance
from schemas.money import Price
from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import (
    Adapter,
    Ask,
    Known,
    PreparesTogether,
    ProviderError,
    Reserving,
    SearchQuery,
    Shown,
    TellsBalance,
    Unsupported,
)
from tasks.providers.guard import ADAPTER_ERROR, guarded
from tasks.providers.transport.turns import Withheld
from tests.tasks.providers.adapters import NUMBER, OTHER

SECRET = "s3cret"
YES = Outcome(kind=OutcomeKind.PURCHASED)
CALLS: dict[str, Callable[[Adapter], object]] = {
    "prepare": lambda adapter: adapter.prepare(Ask(number=NUMBER)),
    "buy": lambda adapter: adapter.buy([Ask(number=NUMBER), Ask(number=OTHER)]),
    "look": lambda adapter: adapter.look({NUMBER: None, OTHER: Known(number_id="id")}),
    "search": lambda adapter: adapter.search(SearchQuery()),
    "owned": lambda adapter: list(adapter.owned()),
    "check": lambda adapter: adapter.check(),
    "balance": lambda adapter: cast(TellsBalance, adapter).balance(),
    "reserve": lambda adapter: cast(Reserving, adapter).reserve([NUMBER, OTHER]),
    "cancel_reservation": lambda adapter: cast(Any, adapter).cancel_reservation("1"),
    "prepare_together": lambda adapter: cast(PreparesTogether, adapter).prepare_together(
        [Ask(number=NUMBER), Ask(number=OTHER)]
    ),
}


class Said:
    """An adapter that does what a test says, whatever it is asked."""

    lookup = "by_number"
    can_search = True
    max_batch = 2
    prepares = True
    keeps_reference = False

    def __init__(self, said: Any, token: str) -> None:
        self._said = said

    def _say(self, *_: object) -> Any:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said

    prepare = buy = look = search = check = owned = balance = prepare_together = reserve = cancel_reservation = _say


def adapter(said: Any) -> Adapter:
    return guarded(Said)(said, "token")  # type: ignore[arg-type]


def answer(name: str, said: Any) -> object:
    try:
        return CALLS[name](adapter(said))
    except ProviderError as exc:
        return exc.outcome


def settles_nothing(name: str, found: Any) -> bool:
    if name == "prepare":
        return bool((found.kind, found.error_code) == (OutcomeKind.NOT_SENT, ADAPTER_ERROR))
    if name == "prepare_together":
        return bool(found == [None, None])
    if name == "buy":
        return [(one.kind, one.error_code) for one in found] == [(OutcomeKind.UNKNOWN, ADAPTER_ERROR)] * 2
    if name == "look":
        return {number: one.kind for number, one in found.items()} == dict.fromkeys((NUMBER, OTHER), LookKind.UNCLEAR)
    if name == "check":
        return [(one.name, one.ok) for one in found] == [("adapter", False)]
    return bool((found.kind, found.error_code) == (OutcomeKind.UNKNOWN, ADAPTER_ERROR))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("raised", [KeyError(SECRET), RuntimeError(SECRET), OSError(5, SECRET), StopIteration(SECRET)])
def test_what_it_raises_settles_nothing_and_is_logged_without_what_was_said(
    name: str, raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        found = answer(name, raised)
    assert settles_nothing(name, found)
    assert "Said._say raised" in caplog.text
    assert "test_guard.py" in caplog.text
    assert SECRET not in f"{found}{caplog.text}"


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("said", [None, 5, "yes", [YES], [YES, 5], [5, YES], [YES] * 3, {NUMBER: YES}, [5]])
def test_what_is_no_answer_settles_nothing(name: str, said: Any) -> None:
    # It says no more than that it was done.
    if (said, name) != (None, "cancel_reservation"):
        assert settles_nothing(name, answer(name, said))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "raised",
    [RedisAway("away"), Withheld("stop"), Unsupported("no"), ProviderError(Outcome(kind=OutcomeKind.THROTTLED))],
    ids=lambda raised: type(raised).__name__,
)
def test_what_its_callers_have_to_hear_comes_through(name: str, raised: Exception) -> None:
    with pytest.raises(type(raised)) as caught:
        CALLS[name](adapter(raised))
    assert caught.value is raised


def test_an_answer_comes_through_as_it_is() -> None:
    look = {NUMBER: Look(kind=LookKind.ABSENT), OTHER: Look(kind=LookKind.OWNED)}
    ours = [OwnedNumber(number=NUMBER, provider_number_id="1")]
    said: dict[str, Any] = {"prepare": YES, "buy": [YES, YES], "look": look, "search": [], "owned": ours}
    said["check"] = [Check(name="connection", ok=True, message="answers")]
    said["reserve"] = {NUMBER: None, OTHER: "1"}
    said["cancel_reservation"] = None
    said["prepare_together"] = [None, YES]
    said["balance"] = Balance(Decimal("1.00"), "USD")
    assert {name: answer(name, value) for name, value in said.items()} == said


def test_a_search_tells_prices_and_pages_or_is_no_answer() -> None:
    shown = Shown([Candidate(number=NUMBER, price=Price(monthly=Decimal(1), currency="USD"))], following="2")
    assert answer("search", shown) is shown
    text: Any = "1.00 USD"
    assert settles_nothing("search", answer("search", [Candidate(number=NUMBER, price=text)]))


def test_a_walk_that_breaks_off_is_no_list() -> None:
    def walk() -> Iterator[OwnedNumber]:
        yield OwnedNumber(number=NUMBER, provider_number_id="1")
        raise KeyError(SECRET)

    found = adapter(walk()).owned()
    assert next(found).number == NUMBER
    with pytest.raises(ProviderError) as caught:
        next(found)
    assert caught.value.outcome.error_code == ADAPTER_ERROR
