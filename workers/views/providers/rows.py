"""The configured providers as the table knows them, and a person's pause."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from schemas.config.policy import Policy
from schemas.money import Money
from schemas.tables.accounts import BALANCE_CHECK
from tasks.accounts import identity
from tasks.accounts.overtaken import MEND, in_words, overtaken
from tasks.ledger.queue import pausing, standing
from tasks.ledger.queue.day_counts import DayCount
from tasks.ledger.queue.day_spend import DaySpend
from tasks.policies.pace import buying_lane
from tasks.policies.pause import Cause, Pause
from tasks.reports.calls_made import calls_by_minute
from tasks.reports.queries import open_counts, provider_states
from tasks.runtime import Binding, Runtime
from tasks.supply.budgets import day_spends
from workers.views.day_limits import counts_of
from workers.views.desk import Desk, known_provider
from workers.views.errors import Failure
from workers.views.explain import mend_of, pause_in_words
from workers.views.providers.cooldown import CoolDown, cool_down_in_words, cool_downs, lift_cool_down

MAX_REASON = 500

MINUTES = 60


def provider_rows(desk: Desk) -> list[dict[str, Any]]:
    """One row for each configured provider; no secret is in it."""
    runtime = desk.runtime
    with runtime.database.read() as conn:
        counts, states = open_counts(conn), provider_states(conn, runtime.accounts.values())
        spends = day_spends(conn, runtime, runtime.providers, waiting=False)
        days = counts_of(conn, runtime, runtime.providers)
        balances = {row["account"]: row for row in conn.execute(select(BALANCE_CHECK)).mappings()}
        apart = overtaken(conn, runtime.config, runtime.now())
    cooling = cool_downs(desk.settings, runtime.config)
    return [
        _row(
            binding,
            counts.get(alias, {}),
            {
                **_balance(balances.get(binding.account)),
                **_state(states.get(alias), cooling.get(alias, {}), runtime.now(), binding.kind, apart.get(alias)),
            },
            spends.get(alias),
            days.get(alias),
        )
        for alias, binding in sorted(runtime.providers.items())
    ]


def calls_of_the_hour(runtime: Runtime) -> dict[str, list[int]]:
    """By provider, its calls to buy in each of the last 60 minutes, the oldest first."""
    batches = {alias: binding.policy.max_batch for alias, binding in runtime.providers.items()}
    with runtime.database.read() as conn:
        found = calls_by_minute(conn, runtime.now(), MINUTES, batches)
    return {alias: found.get(alias, [0] * MINUTES) for alias in sorted(runtime.providers)}


def stranded_in_words(runtime: Runtime) -> list[str]:
    """What waits under an alias, or for an account, that no worker buys for, with the mend."""
    return identity.stranded_in_words(runtime)


def pause_by_person(runtime: Runtime, alias: str, reason: str, by: str | None = None) -> bool:
    """Pause a provider until a person resumes it; *by* stands behind the reason. True where it was not paused before.

    One whose database went back in time waits for both from then on. Raises Failure.
    """
    known_provider(runtime.config, alias)
    account = runtime.accounts[runtime.providers[alias].account]
    why = said(reason)
    wanted = Pause(cause=Cause.PERSON, reason=f"{why} ({by})" if by else why, cooldown=None)

    def pause(conn: Connection) -> bool:
        former = standing.former(standing.read(conn, account), account.aliases)
        return pausing.pause(conn, alias, wanted, runtime.now(), also=former)

    return runtime.database.run(pause)


def said(reason: str) -> str:
    """*reason* as it is written down. Raises Failure for what is none."""
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise Failure(f"the reason must be one line of 1 to {MAX_REASON} characters: say why, for those who find it")
    return reason


def resume_by_person(desk: Desk, alias: str) -> tuple[bool, bool | None]:
    """End a pause, whoever began it, and the cool-down. Whether there was the one, and the other.

    A person's pause of a former name of its account goes too. None: Redis is away, and may know of a cool-down. Raises
    Failure where the database went back in time: nothing but what a person paused beside that is ended.
    """
    provider = known_provider(desk.runtime.config, alias)
    paused, state = desk.runtime.database.run(lambda conn: _resume(conn, desk.runtime, alias))
    if state["cause"] == Cause.BEHIND:
        raise Failure(f"{alias} stays paused: {state['reason']}. {mend_of(alias, provider.kind)}")
    return paused, lift_cool_down(desk.settings, provider)


def _row(
    binding: Binding, counts: dict[str, int], state: dict[str, Any], spend: DaySpend | None, day: DayCount | None
) -> dict[str, Any]:
    return {
        "provider": binding.alias,
        "kind": binding.kind,
        "account": binding.account,
        "limits": ", ".join(_limits(binding.policy, spend, day)),
        "daily_limit_left": day and day.left(binding.policy.daily_limit),
        "max_spend_left": spend and str(Money(spend.left, spend.most.currency)),
        "seconds_per_purchase": buying_lane(binding.account, binding.policy).interval,
        "queued": counts.get("queued", 0),
        "in flight": counts.get("running", 0),
        "in doubt": counts.get("followed", 0),
        "held": counts.get("held", 0),
        **state,
    }


def _limits(policy: Policy, spend: DaySpend | None, day: DayCount | None) -> list[str]:
    a_day = [] if day is None else [day.of(policy.daily_limit)]
    money = [] if spend is None else [str(spend)]
    return [*map(str, policy.rate_limits), *a_day, *money]


def _balance(look: RowMapping | None) -> dict[str, Any]:
    """What the last look at the account's balance said, and when; null where none did."""
    told = look if look is not None and look["balance"] is not None else None
    return {
        "balance": told and told["balance"],
        "balance_at": told and told["ended_at"],
        "balance_low": bool(told and told["low"]),
    }


def _state(
    state: dict[str, Any] | None, cooling: CoolDown, now: datetime, kind: str, otherwise: str | None
) -> dict[str, Any]:
    """*otherwise*: which account it is in the database, where that is another than workers have in their file."""
    paused = state if state is not None and state["paused_at"] is not None else {}
    apart = None if otherwise is None else f"{in_words(otherwise)}: {MEND}"
    words = (apart, pause_in_words(state, now, kind), cool_down_in_words(cooling))
    return {
        "paused_at": paused.get("paused_at"),
        "pause_reason": paused.get("reason"),
        "pause_cause": paused.get("cause"),
        "probe_at": paused.get("probe_at"),
        "no_purchases_until": cooling.get("purchases"),
        "no_lookups_until": cooling.get("look-ups"),
        "state": "; ".join(filter(None, words)) or "open",
    }


def _resume(conn: Connection, runtime: Runtime, alias: str) -> tuple[bool, dict[str, Any]]:
    """Whether a pause was ended, and the alias's state then."""
    now, account = runtime.now(), runtime.accounts[runtime.providers[alias].account]
    ended = [pausing.resume(conn, alias, now, by_machine=False), pausing.resume_former(conn, account, now)]
    return any(ended), standing.standing(standing.read(conn, account), alias, account).state
