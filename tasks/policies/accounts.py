"""Accounts of the configuration, each with the aliases that share its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass
class Account:
    """The aliases of the file that share one account's limits; when, and at what, its last day was counted last.

    `elsewhere` is the same of what stands under aliases that are another account by now, and `spent_elsewhere` what
    that cost, and of how many it is not known.
    """

    name: str
    aliases: tuple[str, ...]
    counted: tuple[datetime, int] | None = None
    elsewhere: tuple[datetime, int] | None = None
    spent_elsewhere: tuple[datetime, Decimal, int] | None = None


def accounts_of(aliases: Iterable[tuple[str, str]]) -> dict[str, Account]:
    """The accounts by name, from aliases and the account of each."""
    found: dict[str, list[str]] = {}
    for alias, account in aliases:
        found.setdefault(account, []).append(alias)
    return {account: Account(account, tuple(shared)) for account, shared in found.items()}
