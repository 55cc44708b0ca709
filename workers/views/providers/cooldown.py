"""The cool-downs that providers asked for (429 with Retry-After): only Redis knows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from schemas.config.file import Config
from schemas.config.provider import ProviderConfig
from tasks.policies.pace import Lane, Pace, buying_lane, looking_lane
from tasks.runtime import utc_now
from workers.settings import Settings
from workers.views.desk import open_redis
from workers.views.words import moment

CoolDown = Mapping[str, datetime]
"""Until when which calls wait, "purchases" and "look-ups"; those that do not wait are left out."""


def cool_downs(settings: Settings, config: Config) -> dict[str, CoolDown]:
    """By alias, for each configured provider; nothing where Redis is away."""
    try:
        with open_redis(settings) as client:
            return _cool_downs(Pace(client), config)
    except RedisError:
        return {}


def lift_cool_down(settings: Settings, provider: ProviderConfig) -> bool | None:
    """End the cool-down of a provider's account. Whether there was one; None where Redis is away."""
    try:
        with open_redis(settings) as client:
            pace = Pace(client)
            return any([pace.lift(lane) for lane in _lanes(provider).values()])  # noqa: C419 - each of them
    except RedisError:
        return None


def cool_down_in_words(found: CoolDown) -> str:
    """'asked to slow down: no purchases until ..., no look-ups until ...'; empty where nothing waits."""
    waits = ", ".join(f"no {calls} until {moment(until)}" for calls, until in found.items())
    return f"asked to slow down: {waits}" if waits else ""


def _cool_downs(pace: Pace, config: Config) -> dict[str, CoolDown]:
    """All at once: a question for each of a thousand accounts takes seconds."""
    lanes = [(alias, *one) for alias, provider in config.providers.items() for one in _lanes(provider).items()]
    waits = pace.all_cool_for([lane for *_, lane in lanes])
    found: dict[str, dict[str, datetime]] = {alias: {} for alias in config.providers}
    for (alias, calls, _), seconds in zip(lanes, waits, strict=True):
        if seconds:
            found[alias][calls] = utc_now() + timedelta(seconds=seconds)
    return {**found}


def _lanes(provider: ProviderConfig) -> dict[str, Lane]:
    return {
        "purchases": buying_lane(provider.account, provider.policy),
        "look-ups": looking_lane(provider.account, provider.policy),
    }
