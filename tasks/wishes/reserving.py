"""Reservations of what a wish found, before it is written down: nobody else can buy it while it waits for its call.

They cost nothing, and none of our promises rests on them: what is not surely reserved is bought as it would be without,
and one that is not needed, or whose run was killed, lapses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.chunks import chunks
from tasks.providers.adapter import ProviderError, reserving
from tasks.runtime import Binding, Runtime
from tasks.supply.candidates import reading
from tasks.supply.offers import Offer


def reserve(runtime: Runtime, offers: Sequence[Offer]) -> tuple[list[Offer], str | None]:
    """*offers* with the options that reserved ones are bought with, and what was not reserved, and why.

    Raises redis.RedisError where a call needs its turn and Redis is away.
    """
    held: dict[tuple[str, str], Mapping[str, Any]] = {}
    told = []
    for alias in dict.fromkeys(offer.provider for offer in offers):
        numbers = [offer.number for offer in offers if offer.provider == alias]
        found, problem = _at(runtime, runtime.providers[alias], numbers)
        held |= {(alias, number): options for number, options in found.items()}
        if problem or len(found) < len(numbers):
            told.append(f"{alias} reserved {len(found)} of {len(numbers)}{f': {problem}' if problem else ''}")
    with_options = [
        replace(offer, options={**offer.options, **held.get((offer.provider, offer.number), {})}) for offer in offers
    ]
    return with_options, "; ".join(told) or None


def _at(runtime: Runtime, binding: Binding, numbers: list[str]) -> tuple[dict[str, Mapping[str, Any]], str | None]:
    """What one provider reserved, and why it is not all."""
    adapter = reserving(binding.adapter)
    found: dict[str, Mapping[str, Any]] = {}
    if adapter is None:
        return found, "it knows no reservations"
    for chunk in chunks(numbers, adapter.reserves_at_once):
        try:
            with reading(runtime, binding):
                found |= adapter.reserve(chunk)
        except ProviderError as exc:
            return found, str(exc)
    return found, None
