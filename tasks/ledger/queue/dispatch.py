"""The queue of a provider: what is due there, and how much of it there is room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    exists,
    func,
    literal,
    select,
    true,
    union,
)

from schemas.config.policy import Policy
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import DOUBTFUL, ORDER, PROVIDER, PURCHASE, QUEUED, RUNNING, UNFINISHED
from tasks.ledger.among import among
from tasks.ledger.orders.limits import SURELY_MAY
from tasks.ledger.queue import standing as standings
from tasks.ledger.queue.daily_limit import DAY, left_today
from tasks.ledger.queue.day_spend import DaySpend, day_spend
from tasks.ledger.queue.release import COUNTED, OF, due
from tasks.ledger.queue.standing import Standing
from tasks.ledger.rows import Row, insert_new
from tasks.policies.accounts import Account

MAX_LANES = 50
"""Orders that share one release."""

DAILY_LIMIT, MAX_SPEND = "daily_limit", "max_spend"
"""Why there is no room: an account's limits of a day."""

Running = Counter[tuple[str, str]]
"""How many purchases are in a status, dispatched or purchasing, by alias and status."""

_AT = PURCHASE.c
# Asked ten times a second by every worker, so built once.
_COUNT_RUNNING = (
    select(_AT.provider, _AT.status, func.count())
    .where(among(_AT.provider, "aliases"), RUNNING)
    .group_by(_AT.provider, _AT.status)
)
_DUE_SINGLES = due(_AT.order_id.is_(None))
# Without the provider, which would draw SQLite to the index of all that waits.
_COUNTED_LANES = union(
    *(
        select(_AT.provider, _AT.account, _AT.order_id).where(lane, QUEUED, COUNTED, _AT.due_at <= bindparam("now"))
        for lane in (among(_AT.order_id, "lanes"), _AT.order_id.is_(None))
    )
)
_DUE_IN_ORDER = exists().where(OF, QUEUED, _AT.order_id == ORDER.c.id, _AT.due_at <= bindparam("now"))
_DUE_ORDERS = (
    select(ORDER.c.id)
    .where(
        UNFINISHED,
        ORDER.c.status == literal(str(OrderStatus.OPEN)),
        ORDER.c.cancel_requested_at.is_(None),
        _DUE_IN_ORDER,
        case(
            (SURELY_MAY, true()),
            (among(ORDER.c.id, "full"), _DUE_IN_ORDER.where(DOUBTFUL)),
            # It is counted with the order locked.
            else_=true(),
        ),
    )
    # By chance: the oldest may have more due than is released in hours.
    .order_by(func.random())
    .limit(MAX_LANES)
)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a provider has room for now. `free` is how many purchases may be released; `why` if none.

    `again` is how many may all the same that the account's limits of a day count already: an earlier call may have been
    charged. `day` is what those that are released may cost, None for any.
    """

    free: int
    again: int = 0
    why: str | None = None
    day: DaySpend | None = None


def due_lanes(
    conn: Connection, provider: str, account: str, now: datetime, full: Collection[str] = ()
) -> list[str | None]:
    """What has something due: open orders by id, `MAX_LANES` of them by chance, and None for the single purchases.

    Asked on a reading connection, before any write lock is taken. Left out are orders that are still loading, and
    those that were found *full* lately, and have nothing due that is counted already.
    """
    values = {"of": provider, "owner": account, "now": now}
    orders: list[str | None] = list(conn.execute(_DUE_ORDERS, {**values, "full": [*full]}).scalars())
    single = conn.execute(_DUE_SINGLES, {**values, "most": 1}).first()
    return [None, *orders] if single else orders


def due_singles(conn: Connection, provider: str, account: str, now: datetime, *, but: str) -> bool:
    """Whether a single purchase other than *but* waits for its release."""
    found = conn.execute(_DUE_SINGLES, {"of": provider, "owner": account, "now": now, "most": 2})
    return any(one != but for one in found.scalars())


def counted_lanes(
    conn: Connection, provider: str, account: str, lanes: Sequence[str | None], now: datetime
) -> list[str | None]:
    """Those of *lanes*, and of the single purchases, that have something due that a day's limits count already."""
    orders = [lane for lane in lanes if lane is not None]
    found = conn.execute(_COUNTED_LANES, {"lanes": orders, "now": now, "since": now - DAY})
    return [order_id for *of, order_id in found if of == [provider, account]]


def lock_provider(conn: Connection, provider: str, account: Account, now: datetime) -> Standing | None:
    """How the provider stands, its row locked with those of its account's other names, the file's and former ones.

    None while another worker holds one, and where *account* is not the provider's any more, by who started later.
    """
    found = standings.lock(conn, account)
    if found is not None and not set(account.aliases) <= {row["provider"] for row in found}:
        ensure_providers(conn, account.aliases, now)
        found = standings.lock(conn, account)
    if found is None or not set(account.aliases) <= {row["provider"] for row in found}:
        return None
    standing = standings.standing(found, provider, account)
    return standing if standing.state["account"] in (None, account.name) else None


def room(
    conn: Connection,
    policy: Policy,
    standing: Standing,
    account: Account,
    *,
    now: datetime,
    soon: int,
    counts: Running | None = None,
) -> Room:
    """How many purchases may be released; *soon* is how many calls the pace allows in the next moments.

    All names of the account count: `lock_provider` keeps the others from a release meanwhile. *counts* is what is
    `running` under them, where that was asked before.
    """
    counts = running(conn, standing.names) if counts is None else counts
    if standing.paused and not _probe_is_due(standing.state, counts, now):
        return Room(free=0, why="paused")
    under_way = sum(counts.values())
    released = sum(count for (_, status), count in counts.items() if status == Status.DISPATCHED)
    free = min(policy.in_flight - under_way, soon - released)
    if free <= 0:
        return Room(free=0, why="in flight")
    day = day_spend(conn, account, standing.names, policy, now)
    # What is counted is called for again, but where more may have been bought than a limit allows.
    again = 0 if day is not None and day.overdrawn else free
    if policy.daily_limit:
        # What may be bought while a count is remembered: what was in flight, and what the pace lets through.
        since = policy.in_flight + 2 * soon * policy.max_batch
        left = left_today(conn, account, standing.names, policy.daily_limit, now, far=free + under_way + since)
        if left <= under_way:
            return Room(free=0, again=0 if left < under_way else again, why=DAILY_LIMIT)
        free = min(free, left - under_way)
    if day is not None and not day.left:
        return Room(free=0, again=again, why=MAX_SPEND, day=day)
    return Room(free=1, why="probe", day=day) if standing.paused else Room(free=free, day=day)


def running(conn: Connection, names: Collection[str]) -> Running:
    """How many purchases are dispatched and purchasing, for each alias."""
    found = conn.execute(_COUNT_RUNNING, {"aliases": list(names)})
    return Counter({(provider, status): count for provider, status, count in found})


def running_of(counts: Running, names: Collection[str]) -> Running:
    """What of these is under *names*."""
    keys = product(names, (str(Status.DISPATCHED), str(Status.PURCHASING)))
    return Counter({key: counts[key] for key in keys if key in counts})


def _probe_is_due(state: Row, counts: Running, now: datetime) -> bool:
    own = any(provider == state["provider"] for provider, _ in counts)
    return state["probe_at"] is not None and state["probe_at"] <= now and not own


def ensure_providers(conn: Connection, aliases: Sequence[str], now: datetime) -> None:
    """Have a state row for each configured provider."""
    insert_new(conn, PROVIDER, [{"provider": alias, "updated_at": now} for alias in aliases])
