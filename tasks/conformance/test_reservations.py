"""What every adapter that reserves numbers must do, against its sandbox."""

from __future__ import annotations

from contextlib import suppress

import pytest

from schemas.outcomes import OutcomeKind
from tasks.conformance.fixtures import NUMBER, OTHER, adapter, bought, charged
from tasks.providers.adapter import (
    Adapter,
    Ask,
    CancelsReservations,
    ProviderError,
    SearchQuery,
    cancels_reservations,
    reserving,
)
from tasks.sandbox import SandboxServer


@pytest.fixture
def keeper(sandbox: SandboxServer, kind: str) -> Adapter:
    """An adapter of a kind that reserves numbers."""
    found = adapter(sandbox, kind)
    if reserving(found) is None:
        pytest.skip("no documents say how a number of this kind is reserved")
    return found


def reserve(keeper: Adapter, number: str) -> dict[str, str | None]:
    """What one number comes to that is to be reserved."""
    found = reserving(keeper)
    assert found is not None
    assert found.reserves_for > 0 < found.reserves_at_once
    # What is to be named goes by `prepare`.
    assert keeper.prepares or not found.names_reservations
    kept = found.reserve([number])
    assert all((known is not None) is found.names_reservations for known in kept.values())
    return kept


def test_a_reservation_costs_nothing_and_is_bought(sandbox: SandboxServer, kind: str, keeper: Adapter) -> None:
    reserved = reserve(keeper, NUMBER)
    assert list(reserved) == [NUMBER]
    assert charged(sandbox, kind) == []
    ask = keeper.prepare(Ask(number=NUMBER, reservation=reserved[NUMBER]))
    assert isinstance(ask, Ask)
    (outcome,) = keeper.buy([ask])
    assert bought(keeper, outcome).kind is OutcomeKind.PURCHASED
    assert charged(sandbox, kind) == [NUMBER]


def test_what_is_not_for_sale_is_not_reserved(sandbox: SandboxServer, kind: str, keeper: Adapter) -> None:
    sandbox.control.stock(kind, [OTHER])
    with suppress(ProviderError):
        assert reserve(keeper, NUMBER) == {}
    assert list(reserve(keeper, OTHER)) == [OTHER]


@pytest.mark.parametrize("fault", ["error_before", "cut_before", "html", "throttle", "account"])
def test_a_reservation_that_fails_reserves_nothing(
    sandbox: SandboxServer, kind: str, keeper: Adapter, fault: str
) -> None:
    # Who gets a new token after a 401 asks twice.
    sandbox.control.plan(kind, fault, on="read", times=2)
    with pytest.raises(ProviderError):
        reserve(keeper, NUMBER)
    assert charged(sandbox, kind) == []


@pytest.fixture
def canceller(keeper: Adapter) -> CancelsReservations:
    """The same, of a kind that gives reservations back."""
    found = cancels_reservations(keeper)
    if found is None:
        pytest.skip("no documents say how a reservation of this kind is given back: it lapses")
    return found


def known_as(keeper: Adapter, number: str) -> str:
    """The id of a new reservation."""
    known = reserve(keeper, number)[number]
    assert known is not None
    return known


def ordered(keeper: Adapter, reservation: str | None = None) -> OutcomeKind:
    """What an order of NUMBER comes to that names a *reservation*, or none."""
    ask = keeper.prepare(Ask(number=NUMBER, reservation=reservation))
    assert isinstance(ask, Ask)
    (outcome,) = keeper.buy([ask])
    return bought(keeper, outcome).kind


def test_a_reservation_that_is_given_back_is_anybody_s(
    sandbox: SandboxServer, kind: str, keeper: Adapter, canceller: CancelsReservations
) -> None:
    sandbox.control.stock(kind, [NUMBER])
    query = SearchQuery(country="US", prefix=NUMBER[2:5])
    known = known_as(keeper, NUMBER)
    assert keeper.search(query) == []
    canceller.cancel_reservation(known)
    assert [one.number for one in keeper.search(query)] == [NUMBER]
    assert ordered(keeper) is OutcomeKind.PURCHASED
    assert charged(sandbox, kind) == [NUMBER]


@pytest.mark.usefixtures("canceller")
def test_what_is_kept_is_sold_to_who_names_it(sandbox: SandboxServer, kind: str, keeper: Adapter) -> None:
    known = known_as(keeper, NUMBER)
    assert reserve(keeper, NUMBER) == {}
    assert ordered(keeper) is OutcomeKind.REFUSED
    assert charged(sandbox, kind) == []
    assert ordered(keeper, known) is OutcomeKind.PURCHASED
    assert charged(sandbox, kind) == [NUMBER]


def test_one_that_is_not_there_is_given_back_already(keeper: Adapter, canceller: CancelsReservations) -> None:
    known = known_as(keeper, NUMBER)
    for _ in range(2):
        canceller.cancel_reservation(known)


@pytest.mark.parametrize("fault", ["error_before", "cut_before", "html", "throttle", "account"])
def test_one_that_may_stand_is_not_said_to_be_given_back(
    sandbox: SandboxServer, kind: str, keeper: Adapter, canceller: CancelsReservations, fault: str
) -> None:
    known = known_as(keeper, NUMBER)
    sandbox.control.plan(kind, fault, on="read", times=2 if fault == "account" else 1)
    with pytest.raises(ProviderError):
        canceller.cancel_reservation(known)
    canceller.cancel_reservation(known)
