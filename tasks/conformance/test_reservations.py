"""What every adapter that reserves numbers must do, against its sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from schemas.outcomes import OutcomeKind
from tasks.conformance.fixtures import NUMBER, OTHER, adapter, bought, charged
from tasks.providers.adapter import Adapter, Ask, ProviderError, reserving
from tasks.sandbox import SandboxServer


@pytest.fixture
def keeper(sandbox: SandboxServer, kind: str) -> Adapter:
    """An adapter of a kind that reserves numbers."""
    found = adapter(sandbox, kind)
    if reserving(found) is None:
        pytest.skip("no documents say how a number of this kind is reserved")
    return found


def reserve(keeper: Adapter, number: str) -> dict[str, Mapping[str, Any]]:
    """What one number comes to that is to be reserved."""
    found = reserving(keeper)
    assert found is not None
    assert found.reserves_for > 0 < found.reserves_at_once
    return found.reserve([number])


def test_a_reservation_costs_nothing_and_is_bought(sandbox: SandboxServer, kind: str, keeper: Adapter) -> None:
    reserved = reserve(keeper, NUMBER)
    assert list(reserved) == [NUMBER]
    assert charged(sandbox, kind) == []
    ask = keeper.prepare(Ask(number=NUMBER, options=reserved[NUMBER]))
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
