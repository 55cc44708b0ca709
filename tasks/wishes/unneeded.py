"""Reservations that no purchase needs: they are given back where the provider documents how, and lapse elsewhere.

Every worker looks. A call that fails or is doubtful is made a few times, and what stays reserved by it lapses.
"""

from __future__ import annotations

import logging

from tasks.ledger.orders import reservations
from tasks.ledger.rows import Row
from tasks.providers.adapter import ProviderError, cancels_reservations
from tasks.runtime import Runtime
from tasks.supply.reading import reading
from tasks.telemetry.log_fields import about_provider

log = logging.getLogger(__name__)


def look(runtime: Runtime) -> bool:
    """Give back what is not needed. Whether there may be more.

    Raises redis.RedisError where a call needs its turn and Redis is away: the rest is looked at again.
    """
    with runtime.database.read() as conn:
        if not reservations.any_due(conn, runtime.now()):
            return False
    rows = runtime.database.run(lambda conn: reservations.take_due(conn, runtime.now()))
    runtime.reached("unneeded")
    for row in rows:
        _give_back(runtime, row)
    return len(rows) == reservations.AT_ONCE


def _give_back(runtime: Runtime, row: Row) -> None:
    binding = runtime.providers.get(row["provider"])
    known = binding is not None and binding.account == row["account"]
    adapter = cancels_reservations(binding.adapter) if binding is not None and known else None
    if binding is None or adapter is None:
        runtime.database.run(lambda conn: reservations.leave(conn, row))
        return
    try:
        with reading(runtime, binding):
            adapter.cancel_reservation(row["reservation_id"])
    except ProviderError as exc:
        words = "the reservation of %s at %s may stand, until it lapses at %s: %s"
        log.warning(words, row["number"], binding.alias, row["lapses_at"], exc, extra=about_provider(binding.alias))
        return
    runtime.database.run(lambda conn: reservations.forget(conn, row))
