"""Numbers that stand in a pool: nobody else is told that they were bought for him."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, and_, or_, select

from schemas.requests import MAX_PROBLEMS, BuyNumber, RequestError, SubmitOrder
from schemas.status import Status
from schemas.tables.pools import GONE, LIVE, POOL_NUMBER
from schemas.tables.purchases import ALIVE, KEY, ORDER, PURCHASE
from tasks.ledger.requests.accept import Accepted
from tasks.runtime import Runtime

IN_POOL = "in_pool"
_CHUNK = 500

_AT = POOL_NUMBER.c
_BOUGHT = PURCHASE.c


def refuse_reserved(conn: Connection, accepted: Sequence[Accepted]) -> None:
    """Raise RequestError (in_pool) where a new request was answered with a pool's purchase; a repeat may be."""
    found = [one.row for one in accepted if not (one.created or one.known)]
    for (_, number), pool in pools_of(conn, [(row["account"], row["number"]) for row in found]).items():
        raise RequestError(f"number: {_mend(number, pool)}", IN_POOL)


def refuse_reserved_lines(runtime: Runtime, order: SubmitOrder) -> None:
    """Raise RequestError (in_pool) where numbers of a new order stand in a pool; a repeat goes on."""
    found = [(f"requests.{n}.number", mend) for n, mend in reserved(runtime, order.requests).items()]
    if found and not _came_before(runtime, order):
        problems = tuple(found[:MAX_PROBLEMS])
        more = f"; and {len(found) - MAX_PROBLEMS} more" if len(found) > MAX_PROBLEMS else ""
        raise RequestError("; ".join(f"{place}: {mend}" for place, mend in problems) + more, IN_POOL, problems)


def reserved(runtime: Runtime, requests: Sequence[BuyNumber]) -> dict[int, str]:
    """Which of *requests*, by their place, are for a number that stands in a pool, and the mend.

    Not those whose key came before: they get the purchase that they got.
    """
    wanted = [(runtime.providers[one.provider].account, one.number) for one in requests]
    pools: dict[tuple[str, str], str] = {}
    with runtime.database.read() as conn:
        for begin in range(0, len(wanted), _CHUNK):
            pools |= pools_of(conn, wanted[begin : begin + _CHUNK])
        places = [n for n, one in enumerate(wanted) if one in pools]
        known = _known(conn, [requests[n].idempotency_key for n in places])
    return {n: _mend(requests[n].number, pools[wanted[n]]) for n in places if requests[n].idempotency_key not in known}


def _came_before(runtime: Runtime, order: SubmitOrder) -> bool:
    with runtime.database.read() as conn:
        same = select(ORDER.c.id).where(ORDER.c.idempotency_key == order.idempotency_key)
        return conn.execute(same).first() is not None


def _mend(number: str, pool: str) -> str:
    return f"{number} is in the pool {pool}: take it with dialstock pool take {pool}, or dialstock.take_number"


def pools_of(conn: Connection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The pools of those of *wanted*, pairs of account and number, that were bought or are being bought for one.

    Also of what may be gone, and comes back once a person has seen that it is ours.
    """
    if not wanted:
        return {}
    query = (
        select(_BOUGHT.account, _BOUGHT.number, _AT.pool)
        .join(PURCHASE, _BOUGHT.id == _AT.purchase_id)
        .where(_AT.number.in_([number for _, number in wanted]), ALIVE)
        # What is on its way back is refused as that.
        .where(or_(LIVE, and_(GONE, _BOUGHT.status != Status.RELEASING)))
    )
    pools = {(account, number): pool for account, number, pool in conn.execute(query)}
    return {one: pools[one] for one in wanted if one in pools}


def _known(conn: Connection, keys: Collection[str | None]) -> set[str | None]:
    """Those of *keys* that came before."""
    if not keys:
        return set()
    query = select(KEY.c.idempotency_key).where(KEY.c.idempotency_key.in_([key for key in keys if key]))
    return set(conn.execute(query).scalars())
