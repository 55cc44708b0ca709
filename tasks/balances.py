"""The daily look at an account's balance: a low one is told of before the provider cancels numbers for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from redis.exceptions import RedisError

from schemas.config.balances import Balance
from tasks.ledger import balances
from tasks.ledger.balances import Claim
from tasks.providers.adapter import ProviderError, TellsBalance, tells_balance
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import PATIENCE, Stopped, Turns
from tasks.runtime import Binding, Runtime
from tasks.telemetry.log_fields import about_provider

log = logging.getLogger(__name__)


def watched(runtime: Runtime) -> Iterator[Binding]:
    """Whose balance is looked at: each for which it is said what is low."""
    configured = runtime.config.providers
    aliases = (alias for alias, one in configured.items() if one.low_balance is not None)
    return (runtime.providers[alias] for alias in aliases if alias in runtime.providers)


def scheduled(runtime: Runtime, alias: str, stopping: Callable[[], bool] = lambda: False) -> None:
    """Look at a provider's balance where its account is due, and tell of a low one by an event: once a day.

    One that cannot be read, or held against the setting, is not low: the log says so, and it is looked at sooner again.
    """
    binding = runtime.providers.get(alias)
    teller = None if binding is None else tells_balance(binding.adapter)
    low = None if binding is None else _low_balance(runtime, binding.account)
    if binding is None or teller is None or low is None:
        return
    claim = Claim(account=binding.account, alias=alias, began=runtime.now())
    if not runtime.database.run(lambda conn: balances.take(conn, claim)):
        return
    try:
        found = _ask(runtime, binding, teller, stopping)
    except (ProviderError, RedisError, Stopped) as exc:
        _unclear(runtime, claim, str(exc) or "the worker shuts down")
    else:
        _write(runtime, claim, found, low)


def _write(runtime: Runtime, claim: Claim, found: Balance, low: Balance) -> None:
    if found.is_low(low) is None:
        _unclear(runtime, claim, f"{found} cannot be held against low_balance, {low}")
        return
    runtime.database.run(lambda conn: balances.read(conn, claim, runtime.now(), found, low=low))
    if found.is_low(low):
        words = "the balance of %s is low: %s (low_balance is %s)"
        log.warning(words, claim.alias, found, low, extra=about_provider(claim.alias))


def _low_balance(runtime: Runtime, account: str) -> Balance | None:
    """The highest of the account's aliases: they share one balance, and one event."""
    configured = runtime.config.providers
    aliases = [alias for alias in runtime.accounts[account].aliases if alias in configured]
    found = [low for alias in aliases if (low := configured[alias].low_balance) is not None]
    return max(found, key=lambda low: low.amount, default=None)


def _ask(runtime: Runtime, binding: Binding, teller: TellsBalance, stopping: Callable[[], bool]) -> Balance:
    with in_turn(Turns(runtime=runtime, binding=binding, first=PATIENCE, stopping=stopping)):
        return teller.balance()


def _unclear(runtime: Runtime, claim: Claim, why: str) -> None:
    log.warning("the balance of %s is not known: %s", claim.alias, why, extra=about_provider(claim.alias))
    runtime.database.run(lambda conn: balances.unclear(conn, claim, runtime.now(), why))
