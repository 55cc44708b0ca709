"""What beat sends."""

from __future__ import annotations

from typing import Any

from schemas.config.balances import parse_low_balance
from schemas.config.pools import PoolConfig
from tasks.messages.celery_tasks import AUDIT, BALANCE, REPLENISH
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import kinds
from workers.periodic.beat_schedule import AUDIT_TICK, BALANCE_TICK, EXPIRES, POOL_TICK, beat_schedule


def test_every_provider_with_a_list_is_audited() -> None:
    entries = beat_schedule(sandbox_config())
    assert sorted(entries) == sorted(f"audit {name}" for name, kind in kinds().items() if kind.lists_owned)
    assert entries["audit bird"] == {
        "task": AUDIT,
        "schedule": AUDIT_TICK,
        "kwargs": {"provider": "bird"},
        "options": {"queue": "purchases.bird", "expires": EXPIRES},
    }


def test_every_pool_is_looked_at_every_few_seconds() -> None:
    pool = PoolConfig(providers=("bird",), low=1, target=2, daily_limit=0)
    config = sandbox_config().model_copy(update={"pools": {"support": pool}})
    assert beat_schedule(config)["replenish support"] == {
        "task": REPLENISH,
        "schedule": POOL_TICK,
        "kwargs": {"pool": "support"},
        "options": {"queue": "purchases", "expires": EXPIRES},
    }


def test_a_policy_sets_how_often_and_never_is_never() -> None:
    policies: dict[str, Any] = {
        "bird": {"audit_every": "30s"},
        "vogent": {"audit_every": 0},
        "fluents": {"audit_every": "7d"},
    }
    entries = beat_schedule(sandbox_config(policies=policies))
    others = {f"audit {name}": AUDIT_TICK for name, kind in kinds().items() if kind.lists_owned and name != "vogent"}
    assert {name: entry["schedule"] for name, entry in entries.items()} == {
        **others,
        "audit bird": 30.0,
        "audit fluents": AUDIT_TICK,
        "audit signalwire": AUDIT_TICK,
    }


def test_a_balance_is_looked_at_where_it_may_be_low() -> None:
    config = sandbox_config()
    vonage = config.providers["vonage"].model_copy(update={"low_balance": parse_low_balance("5.00 EUR")})
    entries = beat_schedule(config.model_copy(update={"providers": {**config.providers, "vonage": vonage}}))
    assert {name: entry for name, entry in entries.items() if entry["task"] == BALANCE} == {
        "balance vonage": {
            "task": BALANCE,
            "schedule": BALANCE_TICK,
            "kwargs": {"provider": "vonage"},
            "options": {"queue": "purchases.vonage", "expires": EXPIRES},
        }
    }
