"""A provider's policy: pace, time-outs, retries, looks. Every field may be overridden in providers.toml."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.config.rates import Rate, Seconds, parse_rate
from schemas.money import Money, MostMoney


class Policy(BaseModel):
    """How one provider is called. Times are in seconds.

    rate_limits: purchase calls, counted over all workers in any sliding window; burst: calls that may go at once
    after a pause; rate_guard: extra spacing for jitter on the way to the provider.
    max_batch: numbers in one call, where the provider takes several. Only a number's first call is shared;
    a batch in doubt is settled number by number, and what it leaves is bought alone.
    lookup_rate_limits: the same for calls that only read. max_in_flight: purchases released to workers at once.
    max_concurrent_calls: calls of all kinds that are under way at once, over all workers; none for no such limit. After
    a restart of Redis, or a failover, none is made until those that it does not know of are over.
    daily_limit: purchases in 24 hours, 0 for none. max_spend: the most that is spent in any 24 hours, on each number
    its setup and first month; one that does not tell both counts as cost_if_unknown. Aliases of one account share all
    limits.
    timeout: the whole call, from connecting to the last byte. send_within: a request that is not on its way this
    long after its intent was written is not sent. take_within: a released purchase that no worker took is due again;
    while messages wait longer than half of it, only that long after the last one that is as old was taken.
    max_attempts, give_up_after: calls, and time spent trying; waiting for pace, pause or budget is not counted. A call
    that was not sent, as without a network, is no attempt: it costs time only.
    backoff_initial, backoff_max: full jitter, doubling. reconcile_after: the looks after a doubtful call's deadline.
    on_unknown: ask the provider, or hold for a person. poll_every, poll_for: how an accepted number is followed
    until it is usable. pause_cooldown: after an account's refusal, until one purchase is let through as a probe.
    audit_every: the provider's list of owned numbers is compared with the table this often; 0 never. settle_after: what
    is held in doubt after a refusal, a cancel, or looks that said no or failed, is settled as not bought by that audit
    once the whole list, read this long after its last call, does not show it; 0 leaves it to a person, and so does
    on_unknown = "hold".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rate_limits: tuple[Rate, ...] = (parse_rate("5/second"),)
    burst: int = Field(default=1, ge=1, strict=True)
    rate_guard: float = Field(default=0.025, ge=0, le=5, strict=True)
    lookup_rate_limits: tuple[Rate, ...] = (parse_rate("5/second"),)
    max_batch: int = Field(default=1, ge=1, le=25, strict=True)
    max_in_flight: int = Field(default=20, ge=1, le=10_000, strict=True)
    max_concurrent_calls: int | None = Field(default=None, ge=1, le=1000, strict=True)
    daily_limit: int = Field(default=0, ge=0, strict=True)
    max_spend: MostMoney | None = None
    cost_if_unknown: MostMoney | None = None
    connect_timeout: float = Field(default=5.0, gt=0, le=60, strict=True)
    timeout: float = Field(default=30.0, gt=0, le=300, strict=True)
    send_within: float = Field(default=2.0, gt=0, le=30, strict=True)
    take_within: float = Field(default=8.0, gt=0, le=600, strict=True)
    max_attempts: int = Field(default=6, ge=1, le=100, strict=True)
    backoff_initial: float = Field(default=1.0, gt=0, le=86_400, strict=True)
    backoff_max: float = Field(default=300.0, gt=0, le=86_400, strict=True)
    reconcile_after: tuple[Seconds, ...] = (5.0, 30.0, 120.0)
    on_unknown: Literal["reconcile", "hold"] = "reconcile"
    give_up_after: Seconds = Field(default=6 * 3600.0, gt=0)
    poll_every: Seconds = Field(default=15.0, gt=0)
    poll_for: Seconds = Field(default=24 * 3600.0, gt=0)
    pause_cooldown: Seconds = Field(default=60.0, gt=0)
    pause_after_failures: int = Field(default=20, ge=2, strict=True)
    audit_every: Seconds = 24 * 3600.0
    settle_after: Seconds = 24 * 3600.0

    @property
    def in_flight(self) -> int:
        """How many purchases are released to workers at once: beside each that is called for, one that is got ready."""
        places = self.max_concurrent_calls
        return self.max_in_flight if places is None else min(self.max_in_flight, 2 * places)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for field in ("rate_limits", "lookup_rate_limits", "reconcile_after"):
            if not getattr(self, field):
                raise ValueError(f"{field}: is empty: give at least one")
        for rate in self.rate_limits:
            if self.burst > rate.limit:
                raise ValueError(f"burst: {self.burst} is above the limit {rate}: lower the burst")
        _refuse_contradictions(self.rate_limits, "rate_limits")
        _refuse_contradictions(self.lookup_rate_limits, "lookup_rate_limits")
        if self.backoff_max < self.backoff_initial:
            raise ValueError(f"backoff_max: {self.backoff_max:g} is below backoff_initial: raise it")
        if any(later <= sooner for sooner, later in pairwise(self.reconcile_after)):
            raise ValueError("reconcile_after: must rise: these are the times of the looks")
        _refuse_uncounted(self.max_spend, self.cost_if_unknown)
        return self


def _refuse_uncounted(most: Money | None, if_unknown: Money | None) -> None:
    if most is None:
        return
    if if_unknown is None:
        raise ValueError("max_spend: needs cost_if_unknown beside it, what a number counts as that tells no price")
    if if_unknown.currency != most.currency:
        raise ValueError(f"cost_if_unknown: is in {if_unknown.currency}, and max_spend in {most.currency}: write one")
    if if_unknown.amount > most.amount:
        raise ValueError(f"cost_if_unknown: {if_unknown} is above max_spend, {most}: nothing without a price is bought")


def _refuse_contradictions(rates: tuple[Any, ...], field: str) -> None:
    ordered = sorted(rates)
    for short, long in pairwise(ordered):
        if short.window == long.window or long.limit < short.limit:
            raise ValueError(f"{field}: {short} contradicts {long}: a longer window must allow at least as many calls")
