"""What tests and demos may ask of a running sandbox, from any thread of its process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from schemas.numbering.numbers import parse_e164
from tasks.providers.sandbox.inventory import Inventory
from tasks.providers.sandbox.ledger import Call, Charge, Ledger, Return, new_record, of_kind
from tasks.sandbox.faults import NOT_FOR_READS, Planner, make_fault


class Control:
    """The sandbox's state and its switches. Numbers are E.164, with or without the plus; times are in seconds.

    Every method raises ValueError for a kind, a number, a fault or a value that it does not know.
    """

    def __init__(
        self,
        kinds: Iterable[str],
        *,
        seed: int = 0,
        rates: Mapping[str, float] | None = None,
        latency: float = 0.0,
        ledger_path: Path | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.ledger = Ledger(ledger_path)
        self.inventory = Inventory()
        self.planner = Planner()
        self.planner.roll(seed, rates or {})
        self.refuses_owned = False
        self.provision_seconds = 0.5
        self.provision_succeeds = True
        self._latency = dict.fromkeys(kinds, _seconds(latency))

    def stock(self, kind: str, numbers: Iterable[str] | None) -> None:
        """Sell only these numbers; None sells every possible number, as at the start."""
        with self.lock:
            self.inventory.restrict(self._kind(kind), None if numbers is None else _numbers(numbers))

    def own(self, kind: str, numbers: Iterable[str]) -> None:
        """Let every account of *kind* own these numbers, without a charge."""
        with self.lock:
            for number in _numbers(numbers):
                self.ledger.own(self.ledger.named(new_record(self._kind(kind), None, number)))

    def plan(
        self, kind: str, fault: str, number: str | None = None, times: int = 1, on: str = "purchase", **params: Any
    ) -> None:
        """Let *fault* happen to the next *times* purchase calls, or the next ones for *number*.

        `on='read'` means look-ups, lists and searches instead, `on='release'` calls that give a number back, which are
        executed where a purchase would be charged. The faults and their params stand in `faults`.
        """
        made = make_fault(fault, params)
        if on not in ("purchase", "read", "release"):
            raise ValueError(f"on {on!r} is unknown: use purchase, read or release")
        if on != "purchase" and (fault in NOT_FOR_READS or number is not None):
            raise ValueError(f"fault {fault!r} for {number or 'any number'} is of purchases alone")
        with self.lock:
            self.planner.plan(self._kind(kind), on, made, None if number is None else parse_e164(number), times)

    def rates(self, seed: int, rates: Mapping[str, float]) -> None:
        """Draw random faults from now on: a share of calls (0 to 1) by the fault's name."""
        with self.lock:
            self.planner.roll(seed, rates)

    def latency(self, kind: str, seconds: float) -> None:
        """Answer every call of *kind* this much later; a purchase is charged when it arrives."""
        with self.lock:
            self._latency[self._kind(kind)] = _seconds(seconds)

    def latency_of(self, kind: str) -> float:
        """The latency of *kind* in seconds."""
        return self._latency[kind]

    def refuse_owned(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Refuse numbers that are owned already. Off at the start, so that a second purchase shows as a charge."""
        with self.lock:
            self.refuses_owned = bool(on)

    def provisioning(self, seconds: float, succeed: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Let numbers of a kind that delivers later take *seconds* from now on to be usable, or to be rejected then."""
        with self.lock:
            self.provision_seconds, self.provision_succeeds = _seconds(seconds), bool(succeed)

    def list_pending(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Have lists show numbers whose order is not delivered yet, as at the start, or not.

        It is of the kinds that take orders: what their lists show then is not documented.
        """
        with self.lock:
            self.ledger.lists_pending = bool(on)

    def charges(self, kind: str | None = None) -> list[Charge]:
        """Every executed purchase, in order."""
        with self.lock:
            return of_kind(self.ledger.charges, kind)

    def calls(self, kind: str | None = None) -> list[Call]:
        """Every purchase call that came in, refused ones too, in order."""
        with self.lock:
            return of_kind(self.ledger.calls, kind)

    def returns(self, kind: str | None = None) -> list[Return]:
        """Every call that gave a number back, or was to, in order."""
        with self.lock:
            return of_kind(self.ledger.returns, kind)

    def owned(self, kind: str) -> list[str]:
        """The owned numbers, E.164 with the plus, whether look-ups show them yet or not."""
        with self.lock:
            return self.ledger.numbers(self._kind(kind))

    def reset(self) -> None:
        """Forget purchases (in the ledger file too), calls, stock, faults, switches and latency. The seed stays."""
        with self.lock:
            self.ledger.clear()
            self.inventory.clear()
            self.planner.clear()
            self.refuses_owned, self.ledger.lists_pending = False, True
            self.provision_seconds, self.provision_succeeds = 0.5, True
            self._latency = dict.fromkeys(self._latency, 0.0)

    def _kind(self, kind: str) -> str:
        if kind not in self._latency:
            raise ValueError(f"kind {kind!r} is unknown: use one of {', '.join(self._latency)}")
        return kind


def _numbers(numbers: Iterable[str]) -> list[str]:
    if isinstance(numbers, str):
        raise TypeError("numbers must be a list of numbers")
    return [parse_e164(number) for number in numbers]


def _seconds(value: float) -> float:
    if not 0 <= value < 86_400:
        raise ValueError(f"{value!r} must be seconds, 0 or more and less than a day")
    return float(value)
