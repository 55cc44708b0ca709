"""What is wrong between several providers of a configuration: what may be one account, or is, must be told so."""

from __future__ import annotations

from typing import Any

from schemas.config.accounts_file import is_in_file, name_of
from schemas.config.errors import Problem
from schemas.config.policy import Policy

_SHARED = (
    *("rate_limits", "burst", "rate_guard", "lookup_rate_limits", "max_in_flight"),
    *("daily_limit", "max_spend", "cost_if_unknown"),
)


def between(providers: dict[str, Any]) -> list[Problem]:
    """The problems between *providers*, by alias, with None for one whose table is wrong."""
    return [
        *_unlike_twins(providers),
        *_nameless_twins(providers),
        *_split_twins(providers),
        *_repeated(providers),
    ]


def _unlike_twins(providers: dict[str, Any]) -> list[Problem]:
    """Aliases of one account share its limits, so each must know the same ones."""
    first: dict[str, tuple[str, Policy]] = {}
    problems = []
    for alias, provider in providers.items():
        if provider is None:
            continue
        other, policy = first.setdefault(provider.account, (alias, provider.policy))
        unlike = [name for name in _SHARED if getattr(policy, name) != getattr(provider.policy, name)]
        if unlike:
            message = f"{alias!r} is the same account as {other!r}, so {', '.join(unlike)} must be the same in both"
            problems.append(Problem(("providers", alias), message))
    return problems


def _nameless_twins(providers: dict[str, Any]) -> list[Problem]:
    """Aliases of one kind that may be one account: where nothing tells, a number could be bought once for each."""
    aliases: dict[str, list[str]] = {}
    for alias, provider in providers.items():
        if provider is not None and provider.several_need_id:
            aliases.setdefault(provider.kind, []).append(alias)
    return [
        Problem(("providers", alias), f"{why} of kind {kind}: give {alias!r} the account_id of its account")
        for kind, several in aliases.items()
        for alias in several
        # of the first account too: another may come any day
        if (why := "several aliases are" if several[1:] else "there may be several" if is_in_file(alias) else "")
        and not providers[alias].account_id
    ]


def _split_twins(providers: dict[str, Any]) -> list[Problem]:
    """Aliases that the kind says are one account, and account_id says are two: a number could be bought for each."""
    first: dict[str, tuple[str, str]] = {}
    problems = []
    for alias, provider in providers.items():
        own = provider and provider.own_account
        if own is None:
            continue
        other, account = first.setdefault(own, (alias, provider.account))
        if account != provider.account:
            same = f"{alias!r} is the same account as {other!r} at the provider"
            problems.append(Problem(("providers", alias), f"{same}: give both the same account_id, or none"))
    return problems


def _repeated(providers: dict[str, Any]) -> list[Problem]:
    """An accounts file has each account once: two names for one are a slip, and would be bought at as two."""
    first: dict[tuple[str, str], str] = {}
    problems = []
    for alias, provider in providers.items():
        if provider is None or not is_in_file(alias):
            continue
        other = first.setdefault((name_of(alias), provider.own_account or provider.account), alias)
        if other != alias:
            problems.append(Problem(("providers", alias), f"{alias!r} is the account {other!r}: take one of both out"))
    return problems
