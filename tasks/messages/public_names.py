"""The tasks that callers name, and what is kept of their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BUY_NUMBER = "dialstock.buy_number"
SUBMIT_ORDER = "dialstock.submit_order"
TAKE_NUMBER = "dialstock.take_number"
RETURN_NUMBER = "dialstock.return_number"
RELEASE_NUMBER = "dialstock.release_number"
ORDER_NUMBERS = "dialstock.order_numbers"
PUBLIC = (BUY_NUMBER, SUBMIT_ORDER, ORDER_NUMBERS, TAKE_NUMBER, RETURN_NUMBER, RELEASE_NUMBER)

LATER = "later"
"""Why a message goes back to its queue that is not to be tried again at once."""

INTERNAL = "an error of ours that nobody foresaw, a worker's log has it: once it is mended, send this again as it is"


def body_of(args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a message that is rejected."""
    return {**kwargs, "args": list(args)} if args else kwargs
