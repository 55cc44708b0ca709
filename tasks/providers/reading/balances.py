"""What an account has left, as its provider tells it, and the line of `dialstock provider check` about that."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from schemas.config.balances import Balance, read_balance
from schemas.outcomes import Check
from tasks.providers.adapter import ProviderError
from tasks.providers.reading.check import Probe
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session


def balance_in(session: Session, answer: Answer, amount: Any, currency: Any) -> Balance:
    """The balance that *answer* tells of now. Raises ProviderError for one that cannot be read, or that a cache kept.

    A number of JSON has to be read as an exact one.
    """
    text = str(amount) if isinstance(amount, int | Decimal) and not isinstance(amount, bool) else amount
    well = not answer.flaw and isinstance(text, str) and isinstance(currency, str)
    found = read_balance(text, currency) if well else None
    if found is None:
        raise ProviderError(session.unsettled(answer, "no_balance", answer.flaw or "no balance as documented"))
    return found


def balance_probe(balance: Callable[[], Balance], low: Balance | None, used_up: str = "") -> Probe:
    """Tell the *balance*, which is not needed to buy, and fail where it is *low*; *used_up* says what happens then."""
    return Probe(
        name="balance",
        call=lambda: _judged(balance(), low, used_up),
        proves="is told",
        mend="check the token",
        needed=False,
    )


def _judged(found: Balance, low: Balance | None, used_up: str) -> Check:
    is_low = low is not None and found.is_low(low)
    if is_low is None:
        error = f"{found} cannot be held against low_balance, {low}: write that in the currency of the balance"
        return Check(name="balance", ok=None, message=error)
    if is_low:
        return Check(name="balance", ok=False, message=f"{found} is low (low_balance is {low}): pay in{used_up}")
    return Check(name="balance", ok=True, message=f"is told: {found}{used_up}")
