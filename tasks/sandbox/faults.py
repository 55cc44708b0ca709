"""What can go wrong at a provider, planned call by call or drawn by a seed.

    throttle       429 with Retry-After (param retry_after, seconds; None leaves the header out)
    refuse         the page's refusal of a number (param reason: refused or compliance, where papers are missing)
    account        the account is refused (param reason: credentials, balance or quota)
    error_before   500 before charging;  error_after   500 after charging
    cut_before     connection closed without an answer, before charging;  cut_after   after charging
    silence_before accepted and never answered, before charging;  silence_after   after charging
    drip           the answer byte by byte (param seconds: in all)
    html           a 200 page that is no JSON
    missing_item   a success that is silent about the number
    wrong_number   a success about another number
    slow           a normal answer after some time (param seconds)
    late_show      charged, answered with 500 or a cut (param answer: error or cut), and shown in look-ups only
                   after some time (param seconds)
    status         any answer (params status, body, headers)

drip, html, missing_item, wrong_number charge, status does not; the param `charge` says otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SPECS: dict[str, tuple[bool, dict[str, Any]]] = {
    "throttle": (False, {"retry_after": 1}),
    "refuse": (False, {"reason": "refused"}),
    "account": (False, {"reason": "credentials"}),
    "error_before": (False, {}),
    "error_after": (True, {}),
    "cut_before": (False, {}),
    "cut_after": (True, {}),
    "silence_before": (False, {}),
    "silence_after": (True, {}),
    "drip": (True, {"seconds": 5.0}),
    "html": (True, {}),
    "missing_item": (True, {}),
    "wrong_number": (True, {}),
    "slow": (True, {"seconds": 1.0}),
    "late_show": (True, {"seconds": 2.0, "answer": "error"}),
    "status": (False, {"status": 503, "body": None, "headers": {}}),
}
FAULTS = tuple(_SPECS)
_CHARGE_MAY_CHANGE = {"drip", "html", "missing_item", "wrong_number", "status"}
_CHOICES = {
    ("account", "reason"): ("credentials", "balance", "quota"),
    ("refuse", "reason"): ("refused", "compliance"),
    ("late_show", "answer"): ("error", "cut"),
}
# These concern one number of a call; all others the call as a whole.
ITEM_FAULTS = {"refuse", "missing_item", "wrong_number"}
NOT_FOR_READS = {*ITEM_FAULTS, "late_show"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as it will happen; `charge` says whether the purchase is executed all the same."""

    name: str
    charge: bool
    params: Mapping[str, Any]


def make_fault(name: str, params: Mapping[str, Any]) -> Fault:
    """The fault *name* with its defaults under *params*. Raises ValueError for a name or param it does not have."""
    if name not in _SPECS:
        raise ValueError(f"fault {name!r} is unknown: use one of {', '.join(_SPECS)}")
    charge, defaults = _SPECS[name]
    known = {*defaults, "charge"} if name in _CHARGE_MAY_CHANGE else set(defaults)
    if strange := sorted(set(params) - known):
        raise ValueError(f"fault {name!r} has no param {strange[0]!r}: it has {', '.join(sorted(known)) or 'none'}")
    merged = {**defaults, **params}
    charge = bool(merged.pop("charge", charge))
    for (fault, param), choices in _CHOICES.items():
        if fault == name and merged[param] not in choices:
            raise ValueError(f"{param} {merged[param]!r} is unknown: use one of {', '.join(choices)}")
    return Fault(name, charge, merged)


@dataclass(slots=True)
class _Plan:
    fault: Fault
    number: str | None
    times: int


@dataclass(slots=True)
class Planner:
    """Planned faults first, in the order planned; then random ones.

    A random fault hangs on the seed, the kind, the number and how many calls that number has had, so that a run
    replays whatever the order of its calls.
    """

    seed: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    _plans: dict[tuple[str, str], list[_Plan]] = field(default_factory=dict)
    _had: dict[tuple[str, str], int] = field(default_factory=dict)

    def plan(self, kind: str, on: str, fault: Fault, number: str | None, times: int) -> None:
        """Let *fault* happen to the next *times* calls, those for *number* where one is given."""
        self._plans.setdefault((kind, on), []).append(_Plan(fault, number, times))

    def roll(self, seed: int, rates: Mapping[str, float]) -> None:
        """Draw random faults with these rates (0 to 1 each, 1 at most together). Raises ValueError."""
        for name, rate in rates.items():
            make_fault(name, {})
            if not 0 <= rate <= 1:
                raise ValueError(f"rate {rate!r} of {name!r} must be from 0 to 1")
        if sum(rates.values()) > 1 + 1e-9:
            raise ValueError("the rates come to more than 1 together")
        self.seed, self.rates = seed, dict(rates)

    def clear(self) -> None:
        """No faults, and every number's count at nought. The seed stays."""
        self.rates = {}
        self._plans.clear()
        self._had.clear()

    def draw(self, kind: str, numbers: Sequence[str]) -> list[Fault | None]:
        """What happens to each number of one purchase call."""
        for number in numbers:
            self._had[kind, number] = self._had.get((kind, number), 0) + 1
        whole = self._take(kind, "purchase", None)
        return [self._take(kind, "purchase", number) or whole or self._random(kind, number) for number in numbers]

    def draw_read(self, kind: str) -> Fault | None:
        """What happens to one reading call."""
        return self._take(kind, "read", None)

    def draw_release(self, kind: str) -> Fault | None:
        """What happens to one call that gives a number back."""
        return self._take(kind, "release", None)

    def _take(self, kind: str, on: str, number: str | None) -> Fault | None:
        plans = self._plans.get((kind, on), [])
        plan = next((plan for plan in plans if plan.number == number), None)
        if plan is None:
            return None
        plan.times -= 1
        if plan.times <= 0:
            plans.remove(plan)
        return plan.fault

    def _random(self, kind: str, number: str) -> Fault | None:
        if not self.rates:
            return None
        left = _chance(f"{self.seed}|{kind}|{number}|{self._had[kind, number]}")
        for name, rate in sorted(self.rates.items()):
            left -= rate
            if left < 0:
                return make_fault(name, {})
        return None


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64
