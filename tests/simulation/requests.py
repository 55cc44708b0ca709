"""What callers ask for: a purchase or an order under a key, sent until it is answered."""

from __future__ import annotations

from typing import Any

from tasks.messages.public_names import BUY_NUMBER, ORDER_NUMBERS, SUBMIT_ORDER
from tasks.runtime import Message

PATIENCE = 15.0
"""Seconds until a message that was not answered is sent again."""

PUBLIC = "purchases"


class Request:
    """A purchase or an order under a key: `wanted` are its providers and numbers."""

    def __init__(self, key: str, wanted: list[tuple[str, str]], *, order: bool) -> None:
        self.key, self.wanted, self.order = key, wanted, order
        lines: list[dict[str, Any]] = [{"provider": kind, "number": number} for kind, number in wanted]
        fields = {"requests": lines} if order else lines[0]
        task = SUBMIT_ORDER if order else BUY_NUMBER
        self.message = Message(task=task, queue=PUBLIC, kwargs={**fields, "idempotency_key": key})


class ByCriteria(Request):
    """An order by criteria, whose numbers are found."""

    def __init__(self, key: str, fields: dict[str, Any]) -> None:
        self.key, self.wanted, self.order = key, [], True
        self.message = Message(task=ORDER_NUMBERS, queue=PUBLIC, kwargs={**fields, "idempotency_key": key})


def numbers_of(count: int) -> list[str]:
    """The first numbers that a sandbox's search shows."""
    return [f"+14155000{number:03d}" for number in range(count)]
