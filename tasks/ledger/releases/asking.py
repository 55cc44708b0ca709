"""A number is asked to be given back: one bought number, that nobody else has, asked for or waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from schemas.outcomes import clip
from schemas.releasing import ReleaseStatus
from schemas.requests import RequestError
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ALIVE, ATTEMPT, KEY, LINE, ORDER, PURCHASE
from schemas.tables.releases import OPEN, RELEASE
from tasks.ledger.locking import locked
from tasks.ledger.releases import keys
from tasks.ledger.rows import Row, insert_once, move, new_id
from tasks.policies.giving_back import Step, wanted_again
from tasks.telemetry.traceparent import present
from tasks.transactions import Raced


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who asks for one purchase's number to be given back.

    `order_id` is the order that it is given back for, if one was named; `force`: others that ask for the number do not
    hinder. `earliest` is when the provider lets it go at the soonest.
    """

    by: str
    key: str | None = None
    fingerprint: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    order_id: str | None = None
    force: bool = False
    earliest: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The release that answers, and its purchase; `repeat` is true where it was there before."""

    release: Row
    purchase: Row
    repeat: bool


def alive_with(conn: Connection, number: str, account: str | None = None) -> list[Row]:
    """The purchases of a number that are alive, of one account, or of all."""
    at = PURCHASE.c
    of_account = () if account is None else (at.account == account,)
    query = select(PURCHASE).where(at.number == number, ALIVE, *of_account).order_by(at.id)
    return [dict(row) for row in conn.execute(query).mappings()]


def released_since(conn: Connection, row: Row, since: datetime) -> bool:
    """Whether another purchase of the same number, at the same account, was released after *since*."""
    at = PURCHASE.c
    same = (at.number == row["number"], at.account == row["account"], at.id != row["id"])
    query = select(at.id).where(*same, at.status == Status.RELEASED, at.updated_at > since).limit(1)
    return conn.execute(query).first() is not None


def by_key(conn: Connection, key: str | None, fingerprint: str | None) -> Asked | None:
    """The release that a key was answered with, whatever became of it; its purchase is locked.

    Read without, an event that tells of it could come after later ones. Raises RequestError (key_conflict).
    """
    if key is None:
        return None
    asked = keys.answered(conn, key)
    if asked is None:
        return None
    if asked["fingerprint"] != fingerprint:
        message = f"idempotency_key: {key!r} came before with another release: send a new key for a new request"
        raise RequestError(message, "key_conflict")
    found = conn.execute(select(RELEASE).where(RELEASE.c.id == asked["release_id"])).mappings().one()
    [purchase] = locked(conn, [found["purchase_id"]])
    return Asked(release=dict(found), purchase=purchase, repeat=True)


def open_release(conn: Connection, purchase_id: str) -> Row | None:
    """The release of a purchase that goes on."""
    found = conn.execute(select(RELEASE).where(RELEASE.c.purchase_id == purchase_id, OPEN)).mappings().first()
    return None if found is None else dict(found)


def ask(conn: Connection, purchase_id: str, asking: Asking, now: datetime) -> Asked:
    """Have a bought number given back. One that is being given back already is answered with that.

    Its place in a pool, if any, is locked before. Raises RequestError: not_bought, in_doubt, no_id, shared_id,
    other_order, asked_for; and Raced.
    """
    # Locked as a whole: no line and no key comes to point to it before the status says where it goes.
    row = next(iter(locked(conn, [purchase_id])), None)
    if row is None:
        raise RequestError(f"there is no purchase {purchase_id}", "not_bought")
    if row["status"] == Status.RELEASING and (standing := open_release(conn, purchase_id)):
        _remember(conn, standing, asking, now)
        return Asked(release=standing, purchase=row, repeat=True)
    refuse(conn, row, asking)
    release = _new(conn, row, asking, now)
    after = move(conn, row, Status.RELEASING, now, finished_at=row["finished_at"], error=None, error_code=None)
    if after is None or not insert_once(conn, RELEASE, release):
        raise Raced
    _remember(conn, release, asking, now)
    return Asked(release=release, purchase=after, repeat=False)


def refuse_unbought(row: Row) -> None:
    """Raise RequestError for a purchase that is not bought, or not ours any more: not_bought, in_doubt."""
    number, status = row["number"], row["status"]
    if status != Status.PURCHASED:
        mend = {
            Status.RELEASED: "it was given back before",
            Status.RELEASING: "it is being given back",
            Status.HELD: f"settle it first: dialstock purchase resolve {row['id']} --bought, or --fail",
            Status.UNKNOWN: "whether it was bought is not known yet: ask again when it is",
        }.get(status, "only what was bought can be given back")
        code = "in_doubt" if status in (Status.UNKNOWN, Status.HELD, Status.PURCHASING) else "not_bought"
        raise RequestError(f"number: {number} is {status}: {mend}", code)


def refuse(conn: Connection, row: Row, asking: Asking) -> None:
    """Raise RequestError for a purchase whose number is not given back."""
    refuse_unbought(row)
    number = row["number"]
    if _is_called_for(conn, row):
        raise RequestError(f"number: a call to buy {number} has not ended: ask again when it has", "in_doubt")
    if row["provider_number_id"] is None:
        read = f"dialstock audit {row['provider']} --adopt, or the daily audit, reads it from the provider's list"
        mend = f"{read}; or give it back at its portal, then dialstock purchase mark-released {row['id']}"
        raise RequestError(f"number: the provider's id of {number} is not known: {mend}", "no_id")
    if (other := conn.execute(select(_sharing(row))).scalar()) is not None:
        raise RequestError(f"number: {_shared(row, other)}", "shared_id")
    if not asking.force:
        _refuse_wanted(conn, row, asking.order_id)


def hindrances(purchase: Row) -> tuple[ColumnElement[Any], ...]:
    """What `hindrance` has to know of a purchase, to be read with its release."""
    return asked_for(purchase["id"]).label("asked_now"), _sharing(purchase).label("shared_with")


def hindrance(release: Row, purchase: Row) -> Step | None:
    """What ends a release before its next call: somebody asked for the number since, or its id is another's too."""
    if release["asked_now"] != release["asked_for"]:
        return wanted_again()
    if (other := release["shared_with"]) is not None:
        return Step(status=ReleaseStatus.KEPT, error=_shared(purchase, other), error_code="shared_id")
    return None


def asked_for(purchase_id: str) -> ColumnElement[int]:
    """How many lines and keys point to a purchase: it only rises."""
    lines = select(func.count()).select_from(LINE).where(LINE.c.purchase_id == purchase_id).scalar_subquery()
    requests = select(func.count()).select_from(KEY).where(KEY.c.purchase_id == purchase_id).scalar_subquery()
    return lines + requests


def _new(conn: Connection, row: Row, asking: Asking, now: datetime) -> Row:
    return {
        "id": new_id(),
        "purchase_id": row["id"],
        "status": str(ReleaseStatus.OPEN),
        "provider_number_id": row["provider_number_id"],
        **_request(asking),
        "by": clip(asking.by, 100),
        "asked_for": conn.execute(select(asked_for(row["id"]))).scalar_one(),
        **{"attempts": 0, "revision": 0, "doubt": False, "looks": 0, "found": None, "look_failures": 0},
        "due_at": max(now, asking.earliest or now),
        **{"call_deadline": None, "error": None, "error_code": None},
        **{"created_at": now, "updated_at": now, "finished_at": None},
    }


def _request(asking: Asking) -> Row:
    return {
        "idempotency_key": asking.key,
        "fingerprint": asking.fingerprint,
        "metadata": dict(asking.metadata),
        "traceparent": present(),
    }


def _remember(conn: Connection, release: Row, asking: Asking, now: datetime) -> None:
    if asking.key is not None:
        keys.remember(conn, release["id"], _request(asking), now)


def _is_called_for(conn: Connection, row: Row) -> bool:
    """Whether a call to buy has left no outcome yet: its answer may be on its way."""
    at = ATTEMPT.c
    query = select(at.revision).where(at.purchase_id == row["id"], at.outcome.is_(None)).limit(1)
    return conn.execute(query).first() is not None


def _sharing(row: Row) -> ColumnElement[str | None]:
    """The number of another living purchase of the account with the same id at the provider: that one could go."""
    of = PURCHASE.c
    same = (of.provider_number_id == row["provider_number_id"], of.account == row["account"], of.id != row["id"])
    return select(of.number).where(*same, ALIVE).limit(1).scalar_subquery()


def _shared(row: Row, other: str) -> str:
    known = row["provider_number_id"]
    mend = f"see at {row['provider']}'s portal which is whose, give it back there, then dialstock purchase"
    return f"{row['number']} and {other} have one id of the provider's, {known}: {mend} mark-released {row['id']}"


def _refuse_wanted(conn: Connection, row: Row, order_id: str | None) -> None:
    """Raise RequestError where an order, or a request, points to the purchase beside the one that it was bought for."""
    lines = select(LINE.c.order_id).join(ORDER, ORDER.c.id == LINE.c.order_id).where(LINE.c.purchase_id == row["id"])
    # One that was given up before it was whole was answered with nothing.
    orders = set(conn.execute(lines.where(ORDER.c.status != OrderStatus.ABANDONED)).scalars())
    orders |= {row["order_id"]} if row["order_id"] else set()
    # Bought for a request outside of any order, it is that one's, whichever orders found it there.
    alone = row["order_id"] is None and row["idempotency_key"] is not None
    own = {order_id or row["order_id"] or (None if alone else min(orders, default=None))} - {None}
    force = "if nobody needs it, dialstock release --force gives it back"
    if others := sorted(orders - own):
        raise RequestError(f"number: order {others[0]} points to {row['number']} too: {force}", "other_order")
    others_keys = select(KEY.c.idempotency_key).where(
        KEY.c.purchase_id == row["id"],
        KEY.c.idempotency_key.is_distinct_from(None if alone and order_id else row["idempotency_key"]),
        KEY.c.order_id.is_(None) | KEY.c.order_id.not_in(own),
    )
    if (key := conn.execute(others_keys.limit(1)).scalar()) is not None:
        raise RequestError(f"number: the request {key!r} was answered with {row['number']} too: {force}", "asked_for")
