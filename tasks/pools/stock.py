"""The stock of the pools: their state, and every move of their places that supply makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, literal, or_, select, update

from schemas.config.pools import PoolConfig
from schemas.status import DEAD, Status
from schemas.tables.pools import LIVE, ORDERED, POOL, POOL_NUMBER, WANTED, PoolStatus, Slot
from schemas.tables.purchases import KEY, LINE, PURCHASE
from tasks.ledger.rows import Row, insert_new
from tasks.runtime import Runtime

CHUNK = 500
"""Places that one transaction settles."""

TRIES_AT_ONCE = 5
"""After so many numbers that came to nothing, a place waits for its pool's schedule, and then has as many again."""

FAILED = "a run failed with "
"""How the reason of a pool begins whose last run ended in an error that nobody foresaw."""

_AT = POOL_NUMBER.c
_BOUGHT = PURCHASE.c
_ENDED = (Status.PURCHASED, *sorted(DEAD))

_OTHERS_LINE = select(LINE.c.line).where(LINE.c.purchase_id == _BOUGHT.id, LINE.c.order_id != _BOUGHT.order_id)
_OTHERS_KEY = select(literal(1)).where(
    KEY.c.purchase_id == _BOUGHT.id, KEY.c.idempotency_key != _BOUGHT.idempotency_key
)
ASKED_BY_OTHERS = or_(_OTHERS_LINE.exists(), _OTHERS_KEY.exists())
"""Whether somebody else asked for a pool's purchase too."""

# Asked once a second by every worker, so built once.
_ANY_ENDED = (
    select(literal(1))
    .select_from(POOL_NUMBER.join(PURCHASE, _BOUGHT.id == _AT.purchase_id))
    .where(ORDERED, _BOUGHT.status.in_(_ENDED))
    .limit(1)
)


def ensure_pools(conn: Connection, pools: Mapping[str, PoolConfig], now: datetime) -> None:
    """Have a state row for each pool; a new one is due at once, and one whose schedule is another than it was."""
    fresh = {"status": str(PoolStatus.OK), "since": now, "next_slot": 1, "next_run_at": now, "updated_at": now}
    schedules = {name: str(pool.schedule) for name, pool in pools.items()}
    insert_new(conn, POOL, [{"name": name, "schedule": text, **fresh} for name, text in schedules.items()])
    for name, text in schedules.items():
        other = (POOL.c.name == name, POOL.c.schedule != text)
        conn.execute(update(POOL).where(*other).values(schedule=text, next_run_at=now, updated_at=now))


def find_pool(conn: Connection, name: str) -> Row | None:
    """The pool's state; None before its first run."""
    found = conn.execute(select(POOL).where(POOL.c.name == name)).mappings().first()
    return None if found is None else dict(found)


def lock_pool(conn: Connection, name: str, pool: PoolConfig, now: datetime) -> Row:
    """The pool's state, locked until the transaction ends."""
    ensure_pools(conn, {name: pool}, now)
    return dict(conn.execute(select(POOL).where(POOL.c.name == name).with_for_update()).mappings().one())


def set_lease(conn: Connection, name: str, until: datetime | None) -> None:
    """Give a pool to one run, or back."""
    conn.execute(update(POOL).where(POOL.c.name == name).values(leased_until=until))


def renew_lease(conn: Connection, name: str, until: datetime) -> None:
    """Have whoever has a pool keep it until then."""
    conn.execute(update(POOL).where(POOL.c.name == name, POOL.c.leased_until.is_not(None)).values(leased_until=until))


def end_run(conn: Connection, name: str, now: datetime, next_run: datetime) -> None:
    """Give a pool back whose run is over, however it ended."""
    ended = {"last_run_at": now, "next_run_at": next_run, "leased_until": None}
    conn.execute(update(POOL).where(POOL.c.name == name).values(**ended))


def any_ended(conn: Connection, pool: str | None = None) -> bool:
    """Whether there is something to settle, in one pool or in any."""
    query = _ANY_ENDED if pool is None else _ANY_ENDED.where(_AT.pool == pool)
    return conn.execute(query).first() is not None


def settle_due(runtime: Runtime) -> bool:
    """Settle what is to be settled in any pool; whether there may be more."""
    if not runtime.database.may_find(_ANY_ENDED):
        return False
    return runtime.database.run(lambda conn: settle(conn, runtime.now())) == CHUNK


def settle(conn: Connection, now: datetime, pool: str | None = None, *, waits: bool = False) -> int:
    """Make what was bought available, and the places wanted again whose purchase came to nothing.

    Those are replaced at once: their pool is due now, unless too many of a place's numbers failed, or its runs fail.
    Places that another transaction works on are left to it, unless this one *waits* for it.
    Returns how many places it moved, CHUNK at most.
    """
    rows = [dict(row) for row in conn.execute(_ended(pool, waits=waits)).mappings()]
    bought = [row for row in rows if row["ended"] == Status.PURCHASED]
    failed = [row for row in rows if row["ended"] != Status.PURCHASED]
    _move(conn, bought, now, status=Slot.AVAILABLE, provider_number_id=bindparam("known"), available_at=now)
    _move(conn, failed, now, status=Slot.WANTED, purchase_id=None)
    at_once = {row["in_pool"] for row in failed if row["tries"] % TRIES_AT_ONCE}
    if at_once:
        late = (POOL.c.name.in_(sorted(at_once)), POOL.c.next_run_at > now)
        fails = func.coalesce(POOL.c.reason, "").startswith(FAILED)
        conn.execute(update(POOL).where(*late, ~fails).values(next_run_at=now, updated_at=now))
    return len(rows)


def gone(conn: Connection, purchase_id: str, now: datetime) -> None:
    """Take a number out of its pool that was released at the provider, wherever it is."""
    here = (_AT.purchase_id == purchase_id, LIVE)
    conn.execute(update(POOL_NUMBER).where(*here).values(status=Slot.GONE, updated_at=now))


def waiting(conn: Connection, name: str, providers: Sequence[str], *, lock: bool) -> list[Row]:
    """Purchases for a pool that wait in the queue of one of *providers*; first those that may move, the latest first.

    What was ever in doubt may not, nor what somebody else asked for too. With *lock* those that another transaction
    works on are left out. Rows of purchase_id, provider, ordered_at and may_move.
    """
    bound = or_(_BOUGHT.doubt, ASKED_BY_OTHERS)
    query = (
        select(_AT.purchase_id, _AT.provider, _AT.ordered_at, (~bound).label("may_move"))
        .join(PURCHASE, _BOUGHT.id == _AT.purchase_id)
        .where(_AT.pool == name, ORDERED, _AT.provider.in_(providers))
        .where(_BOUGHT.status == Status.QUEUED)
    )
    if lock:
        query = query.with_for_update(skip_locked=True, of=PURCHASE)
    rows = [dict(row) for row in conn.execute(query).mappings()]
    # sorted here: asked for in order, SQLite would walk through the whole pool
    return sorted(rows, key=lambda row: (row["may_move"], row["ordered_at"], row["purchase_id"]), reverse=True)


def providers_of_ordered(conn: Connection, name: str) -> set[str]:
    """The providers of what is on its way."""
    return set(conn.execute(select(_AT.provider).where(_AT.pool == name, ORDERED).distinct()).scalars())


def vacate(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> None:
    """Have the places wanted again whose purchases were cancelled."""
    here = (_AT.purchase_id.in_(purchase_ids), ORDERED)
    if purchase_ids:
        conn.execute(update(POOL_NUMBER).where(*here).values(status=Slot.WANTED, purchase_id=None, updated_at=now))


def make_places(conn: Connection, name: str, count: int, now: datetime) -> list[Row]:
    """Have exactly *count* wanted places in a locked pool. Returns their slot and tries, the oldest first.

    New ones are made where there are too few. What is too many is forgotten: it was wanted for a lower level.
    """
    query = select(_AT.slot, _AT.tries).where(_AT.pool == name, WANTED).order_by(_AT.slot)
    places = [dict(row) for row in conn.execute(query).mappings()]
    if surplus := [place["slot"] for place in places[count:]]:
        conn.execute(delete(POOL_NUMBER).where(_AT.pool == name, _AT.slot.in_(surplus), WANTED))
    if (fresh := count - len(places)) > 0:
        taken = update(POOL).where(POOL.c.name == name).values(next_slot=POOL.c.next_slot + fresh)
        end = conn.execute(taken.returning(POOL.c.next_slot)).scalar_one()
        made = [{"slot": slot, "tries": 0} for slot in range(end - fresh, end)]
        conn.execute(
            insert(POOL_NUMBER), [{**one, "pool": name, "status": Slot.WANTED, "updated_at": now} for one in made]
        )
        places += made
    return places[:count]


_FILL = (
    update(POOL_NUMBER)
    .where(_AT.pool == bindparam("of_pool"), _AT.slot == bindparam("at_slot"), WANTED)
    .values(
        status=Slot.ORDERED,
        tries=bindparam("tried"),
        number=bindparam("wanted"),
        provider=bindparam("of"),
        purchase_id=bindparam("bought_by"),
        ordered_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)


def fill(conn: Connection, name: str, places: Sequence[Row], purchases: Sequence[Row], now: datetime) -> None:
    """Write down which purchase was ordered for which wanted place, and at which of its tries.

    Raises sqlalchemy's IntegrityError where another pool has one of the numbers since.
    """
    filled = [
        {
            "of_pool": name,
            "at_slot": place["slot"],
            "tried": place["tries"],
            "wanted": row["number"],
            "of": row["provider"],
            "bought_by": row["id"],
            "now": now,
        }
        for place, row in zip(places, purchases, strict=False)
    ]
    conn.execute(_FILL, filled)


def in_pools(conn: Connection, numbers: Sequence[str]) -> set[str]:
    """Those of *numbers* that a pool has, or has ordered."""
    query = select(_AT.number).where(_AT.number.in_(numbers), LIVE)
    return set(conn.execute(query).scalars())


def _ended(pool: str | None, *, waits: bool) -> Select[Any]:
    """Places whose purchase is over, locked."""
    of_pool = () if pool is None else (_AT.pool == pool,)
    return (
        select(
            _AT.pool.label("in_pool"),
            _AT.slot.label("at_slot"),
            _AT.tries,
            _BOUGHT.status.label("ended"),
            _BOUGHT.provider_number_id.label("known"),
        )
        .join(PURCHASE, _BOUGHT.id == _AT.purchase_id)
        .where(*of_pool, ORDERED, _BOUGHT.status.in_(_ENDED))
        .limit(CHUNK)
        .with_for_update(skip_locked=not waits, of=POOL_NUMBER)
    )


def _move(conn: Connection, rows: Sequence[Row], now: datetime, **values: Any) -> None:
    """Move ordered places."""
    here = (_AT.pool == bindparam("in_pool"), _AT.slot == bindparam("at_slot"), ORDERED)
    if rows:
        conn.execute(update(POOL_NUMBER).where(*here).values(**values, updated_at=now), list(rows))
