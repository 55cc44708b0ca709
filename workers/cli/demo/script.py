"""What the demo plays: the faults, the shortened policies in plain words, and the file of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tasks.providers.registry import kinds

FAULTS: dict[str, float] = {
    "throttle": 0.05,
    "refuse": 0.03,
    "error_before": 0.03,
    "error_after": 0.04,
    "cut_before": 0.02,
    "cut_after": 0.03,
    "silence_after": 0.02,
    "html": 0.02,
    "missing_item": 0.02,
    "late_show": 0.03,
    "slow": 0.05,
}
"""Shares of purchase calls, by the sandbox's names of its faults."""

NO_BALANCE = "signalwire"
"""The provider whose account is refused once, for want of balance."""

POLICY: dict[str, Any] = {
    "timeout": 2.0,
    "reconcile_after": [0.5, 1.5, 3.0],
    "poll_every": 0.5,
    "backoff_initial": 0.2,
    "backoff_max": 2.0,
    "pause_cooldown": 2.0,
}
"""What is shorter than a user's defaults, so that the demo ends within a minute."""

POOL = "support"
TARGET = 12
TAKERS = TARGET + 4

WISHED = 30
WISHED_AREA = "713"
STOCKS = {"telnyx": 8, "plivo": 10}
"""How many numbers of that area those providers have: they run out."""

WISHED_FROM = (*STOCKS, "fluents")

POOL_TABLE = f"""\
[pools.{POOL}]
providers = ["bird", "signalwire"]
prefix = "512"
low = {TARGET}
target = {TARGET}
daily_limit = 200
count_held = false
"""
"""Its numbers are none of the file's. What is held there is bought anew, for nobody is there to settle it."""

SHORTENED = """\
Shortened, so that you need not wait (in brackets what users have by default):
  a call may take 2 s (30 s); after one in doubt the provider is asked 0.5, 1.5
  and 3 s after its deadline (5, 30 and 120 s); Bird's numbers are asked for
  every 0.5 s until they are usable (15 s); backoff is 0.2 to 2 s (1 to 300 s);
  a refused account is tried again after 2 s (60 s); the pool's numbers are
  counted four times a second (every minute).
Each provider's pace, and everything else, is as users have it.
"""

FAULT_WORDS: dict[str, str] = {
    "throttle": "429, slow down",
    "refuse": "number refused",
    "account": "no balance",
    "error_before": "500 before the charge",
    "error_after": "500 after the charge",
    "cut_before": "connection cut before the charge",
    "cut_after": "connection cut after the charge",
    "silence_after": "charged, then silence",
    "html": "charged, then a page of HTML",
    "missing_item": "charged, the answer leaves the number out",
    "late_show": "charged, a 500, and shown to look-ups only 2 s later",
    "slow": "slow answer",
}


def order_file(numbers: int) -> Iterator[tuple[str, str]]:
    """Pairs of provider and number: the providers in turn, each with numbers of its own."""
    found = list(kinds().values())
    for index in range(numbers):
        kind = found[index % len(found)]
        yield kind.name, _number(kind.sandbox.numbers, index // len(found))


def _number(begin: str, index: int) -> str:
    """A subscriber number of eight digits in India, of seven in North America."""
    return f"{begin}{10_000_000 + index:08}" if begin.startswith("+91") else f"{begin}{2_000_000 + index:07}"
