"""Saying what is about to be spent on, before anything is: from whom, where, and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from schemas.config.file import Config
from schemas.wording import listed
from workers.cli.terminal.output import say
from workers.views.providers.whereabouts import whereabouts
from workers.views.words import count


def say_spending(config: Config, numbers: Mapping[str, int], limit: int | None = None) -> None:
    """One line on standard error for each provider that *numbers* counts; of them all at most *limit* are bought."""
    some = f", and of all no more than {limit:,}" if limit is not None and limit < sum(numbers.values()) else ""
    for alias, many in sorted(numbers.items()):
        if many > 0:
            say(f"Buying up to {count(many, 'number')} from {alias} ({whereabouts(config, alias)}){some}")


def say_spending_again(config: Config, again: Mapping[tuple[str, str], int]) -> None:
    """The same of purchases, by alias and account: of an account that the alias is not nothing is bought."""
    numbers: Counter[str] = Counter()
    for (alias, account), many in sorted(again.items()):
        provider = config.providers.get(alias)
        if provider is None or provider.account == account:
            numbers[alias] += many
        else:
            say(f"{count(many, 'number')} under {alias} will wait: no worker buys there for the account {account}")
    say_spending(config, numbers)


def sellers(config: Config) -> str:
    """All providers, for what buys from any of them."""
    return listed(f"{alias} ({whereabouts(config, alias)})" for alias in config.providers)
