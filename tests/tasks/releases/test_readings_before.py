"""What an adapter reads before a number can be given back takes its turn, and goes before the call's own moment."""

from __future__ import annotations

import pytest

from schemas.releasing import ReleaseOutcome
from schemas.status import Status
from tasks.providers.transport.turns import take_turn
from tests.tasks.releasing import Returns, TakesBack


class _ReadsFirst(TakesBack):
    """It fetches a token before it gives a number back."""

    read = 0

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        leave = take_turn()()
        self.read += 1
        if leave is not None:
            leave()
        return super().release(number, number_id)


def test_it_takes_its_turn(returns: Returns, monkeypatch: pytest.MonkeyPatch) -> None:
    row = returns.bought()
    provider = returns.provider
    monkeypatch.setattr(provider, "__class__", _ReadsFirst)
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED
    assert (len(provider.given), provider.read) == (1, 1)  # type: ignore[attr-defined]
