"""Bird's records: the state of a number, and the price of a stock item."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from schemas.money import Price, read_price
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
_KNOWN = (*_GIVEN_UP, *_UNDER_WAY, "fulfilled")
_MOST = 10**15


def state(record: Mapping[str, Any]) -> LookKind:
    """OWNED, PROCESSING, LOST, or UNCLEAR where the record says it in no word, or no shape, of the page's.

    A number that is provisioned is ours, whatever its order says; one still on its way is lost with its order, but not
    one in a state that nobody knows.
    """
    status, ordered = _word(record, "endpoint", "provisioningStatus"), _word(record, "order", "status")
    shown = _PROVISIONING.get(status) if status is not None else None
    if shown is LookKind.OWNED:
        return shown
    if (shown is None and status is not None) or (ordered is not None and ordered not in _KNOWN):
        return LookKind.UNCLEAR
    if shown is LookKind.LOST or ordered in _GIVEN_UP:
        return LookKind.LOST
    return LookKind.PROCESSING if shown or ordered in _UNDER_WAY else LookKind.OWNED


def _word(record: Mapping[str, Any], part: str, key: str) -> str | None:
    """The word of a record's part: None where it is left out, empty where one of both is of another type."""
    inner = record.get(part)
    if inner is None:
        return None
    word = inner.get(key) if isinstance(inner, dict) else ""
    return word if word is None or isinstance(word, str) else ""


def price(value: Any) -> Price | None:
    """{currencyCode, amount, exponent}, a month: EUR, 3500000, -6 is 3.50 EUR; None for anything else."""
    currency, amount, exponent = (fields(value).get(key) for key in ("currencyCode", "amount", "exponent"))
    if type(amount) is not int or type(exponent) is not int:  # a truth value is an int, and no amount
        return None
    if not 0 <= amount < _MOST or not -12 <= exponent <= 6:
        return None
    return read_price(monthly=f"{Decimal(amount).scaleb(exponent):f}", currency=currency)
