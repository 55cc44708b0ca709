"""Bird's records: the state of a number, and the price of a stock item."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from schemas.outcomes import LookKind, OutcomeKind
from tasks.providers.transport.answers import fields

OUTCOMES: Final = {LookKind.OWNED: OutcomeKind.PURCHASED, LookKind.PROCESSING: OutcomeKind.PROCESSING}

_PROVISIONING = {
    "provisioned": LookKind.OWNED,
    "provisioning": LookKind.PROCESSING,
    "deprovisioned": LookKind.LOST,
    "deprovisioning": LookKind.LOST,
}
_GIVEN_UP = ("rejected", "cancelled")
_UNDER_WAY = ("draft", "submitted", "processing")
_MOST = 10**15


def state(record: Mapping[str, Any]) -> LookKind:
    """OWNED, PROCESSING, LOST, or UNCLEAR for a state that the page does not name.

    A number that is provisioned is ours, whatever its order says; one still on its way is lost with its order, but not
    one in a state that nobody knows.
    """
    endpoint, order = fields(record.get("endpoint")), fields(record.get("order")).get("status")
    status = endpoint.get("provisioningStatus")
    shown = _PROVISIONING.get(status) if isinstance(status, str) else None
    if shown in (LookKind.OWNED, LookKind.LOST):
        return shown
    if shown is None and status is not None:
        return LookKind.UNCLEAR
    if order in _GIVEN_UP:
        return LookKind.LOST
    return LookKind.PROCESSING if shown or order in _UNDER_WAY else LookKind.OWNED


def price(value: Any) -> str | None:
    """{currencyCode, amount, exponent} as text: EUR, 3500000, -6 is '3.50 EUR'; None for anything else."""
    currency, amount, exponent = (fields(value).get(key) for key in ("currencyCode", "amount", "exponent"))
    if not isinstance(currency, str) or not isinstance(amount, int) or not isinstance(exponent, int):
        return None
    if not 0 <= amount < _MOST or not -12 <= exponent <= 6:
        return None
    exact = Decimal(amount).scaleb(exponent)
    cents = exact.quantize(Decimal("0.01"))
    return f"{cents if cents == exact else exact.normalize():f} {currency}"
