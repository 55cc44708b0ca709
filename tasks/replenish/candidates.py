"""Numbers that a pool may order: from its stock file, and by its criteria from its providers' searches."""

from __future__ import annotations

from schemas.by_criteria.criteria import Criteria
from schemas.config.pools import PoolConfig
from tasks.replenish.stock_file import StockFileError, read_stock
from tasks.runtime import Runtime
from tasks.supply import candidates
from tasks.supply.candidates import Found
from tasks.supply.offers import Offer

STOCK_FILE = "stock_file"
"""The key of its problems among the reasons."""


def find(runtime: Runtime, pool: PoolConfig, count: int, *, urgent: int | None = None) -> Found:
    """As `candidates.find`; where anything in the stock file is wrong, there are none."""
    try:
        listed = _listed(runtime, pool)
    except StockFileError as exc:
        return Found(reasons={STOCK_FILE: str(exc)})
    # checked when the pool was read
    criteria = Criteria.model_construct(
        country=pool.country, prefix=pool.prefix, providers=pool.providers, max_price=pool.max_price
    )
    return candidates.find(runtime, criteria, count, urgent=urgent, listed=listed)


def _listed(runtime: Runtime, pool: PoolConfig) -> list[Offer]:
    """What the stock file lists. Raises StockFileError."""
    if pool.stock_file is None:
        return []
    kinds = {alias: runtime.kinds[alias] for alias in pool.providers}
    found = read_stock(pool.stock_file, kinds, pool.country)
    return [Offer(number=one.number, provider=one.provider, options=one.options) for one in found]
