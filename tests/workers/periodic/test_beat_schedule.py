"""What beat sends."""

from __future__ import annotations

from typing import Any

from schemas.config.balances import parse_low_balance
from schemas.config.pools import PoolConfig
from tasks.messages.celery_tasks import AUDIT, BALANCE, REPLENISH
from tasks.messages.daily_looks import EXPIRES
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import kinds
from workers.periodic.beat_schedule import AUDIT_TICK, BALANCE_TICK, POOL_TICK, PUBLIC_QUEUE, beat_schedule

ALL_AUDITS = {
    "task": AUDIT,
    "schedule": AUDIT_TICK,
    "kwargs": {"provider": None},
    "options": {"queue": PUBLIC_QUEUE, "expires": EXPIRES.total_seconds()},
}


def test_one_message_is_for_the_audits_of_all_however_many_there_are() -> None:
    config = sandbox_config()
    assert beat_schedule(config) == {"audits": ALL_AUDITS}
    bird = config.providers["bird"]
    thousand = config.model_copy(update={"providers": {f"a{number}": bird for number in range(1_000)}})
    assert beat_schedule(thousand) == {"audits": ALL_AUDITS}


def test_every_pool_is_looked_at_every_few_seconds() -> None:
    pool = PoolConfig(providers=("bird",), low=1, target=2, daily_limit=0)
    config = sandbox_config().model_copy(update={"pools": {"support": pool}})
    assert beat_schedule(config)["replenish support"] == {
        "task": REPLENISH,
        "schedule": POOL_TICK,
        "kwargs": {"pool": "support"},
        "options": {"queue": "purchases", "expires": EXPIRES.total_seconds()},
    }


def test_a_policy_sets_how_often_and_never_is_never() -> None:
    never: dict[str, Any] = {name: {"audit_every": 0} for name in kinds()}
    assert beat_schedule(sandbox_config(policies=never)) == {}
    for text, expected in {"30s": 30.0, "7d": AUDIT_TICK}.items():
        policies = {**never, "bird": {"audit_every": text}}
        assert beat_schedule(sandbox_config(policies=policies)) == {"audits": {**ALL_AUDITS, "schedule": expected}}


def test_who_shows_no_list_is_not_audited() -> None:
    config = sandbox_config()
    blind = {alias: one for alias, one in config.providers.items() if not kinds()[one.kind].lists_owned}
    assert blind
    assert beat_schedule(config.model_copy(update={"providers": blind})) == {}


def test_balances_are_looked_at_where_one_may_be_low() -> None:
    config = sandbox_config()
    vonage = config.providers["vonage"].model_copy(update={"low_balance": parse_low_balance("5.00 EUR")})
    entries = beat_schedule(config.model_copy(update={"providers": {**config.providers, "vonage": vonage}}))
    assert {name: entry for name, entry in entries.items() if entry["task"] == BALANCE} == {
        "balances": {
            "task": BALANCE,
            "schedule": BALANCE_TICK,
            "kwargs": {"provider": None},
            "options": {"queue": PUBLIC_QUEUE, "expires": EXPIRES.total_seconds()},
        }
    }
