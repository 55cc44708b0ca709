"""Purchases settled from outside their own calls and looks: by a person, or by an audit. Each is written down.

The orders that a settled purchase belongs to are told of it once: those that were completed are opened again in the
same transaction, and completing them again, by the sweep, writes one `dialstock.order.updated` with the new counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select

from schemas.outcomes import COMPLIANCE, clip
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import PURCHASE, RESOLUTION
from tasks.ledger.accounts import Home, move_home
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders.reopen import reopen_orders
from tasks.ledger.rows import Row, move, version
from tasks.policies.retry import RESOLVED

_BY_PERSON = {Verdict.BOUGHT: Status.PURCHASED, Verdict.RETRY: Status.QUEUED, Verdict.FAIL: Status.FAILED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What a person says of one held purchase: BOUGHT, RETRY or FAIL.

    `line` is that of the file it came from; `number` and `version` are what stands there beside the id, and must be the
    purchase's.
    """

    purchase_id: str
    verdict: Verdict
    provider_number_id: str | None = None
    note: str | None = None
    line: int | None = None
    number: str | None = None
    version: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Settler:
    """Who settles, and when."""

    by: str
    now: datetime


def standing(conn: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """Each of *ids* that there is, with its `version`; `again` is whether a person had it bought again before."""
    at, said = PURCHASE.c, RESOLUTION.c
    again = exists().where(said.purchase_id == at.id, said.decision == Verdict.RETRY).label("again")
    found = conn.execute(
        select(at.id, at.number, at.status, at.revision, at.call_deadline, again).where(at.id.in_(ids))
    )
    return {row["id"]: {**row, "version": version(row)} for row in map(dict, found.mappings())}


def sold_by(conn: Connection, ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """How many of *ids* each alias has for each account."""
    at = PURCHASE.c
    query = select(at.provider, at.account, func.count().label("purchases")).where(at.id.in_(ids))
    found = conn.execute(query.group_by(at.provider, at.account))
    return {(row.provider, row.account): row.purchases for row in found}


def resolutions_of(conn: Connection, purchase_id: str) -> list[Row]:
    """How a purchase was settled by persons and audits, first to last."""
    at = RESOLUTION.c
    query = select(at.at, at.decision, at.by, at.note).where(at.purchase_id == purchase_id).order_by(at.revision)
    return [dict(row) for row in conn.execute(query).mappings()]


def resolve(
    conn: Connection,
    wanted: Sequence[Resolution],
    versions: Mapping[str, str],
    settler: Settler,
    seller: Callable[[str, str], str] = lambda alias, _account: alias,
) -> list[Row]:
    """Settle those of the purchases that are held at their version, and open their completed orders again.

    What goes on does so under the alias that *seller* names for its own and its account. Returns them as they are then.
    """
    by_id = {one.purchase_id: one for one in wanted}
    found = locked_with_orders(conn, by_id)
    held = [row for row in found if row["status"] == Status.HELD and version(row) == versions[row["id"]]]
    rows = [_resolve(conn, row, by_id[row["id"]], settler, seller) for row in held]
    reopen_orders(conn, [row["id"] for row in rows], settler.now)
    return rows


def write_down(conn: Connection, row: Row, verdict: Verdict, settler: Settler, note: str | None = None) -> None:
    """Record that *row*, as it is now, was settled so."""
    values = {"purchase_id": row["id"], "revision": row["revision"], "decision": str(verdict), "at": settler.now}
    conn.execute(insert(RESOLUTION).values(**values, by=clip(settler.by, 100), note=clip(note)))


def _resolve(conn: Connection, row: Row, one: Resolution, settler: Settler, seller: Callable[[str, str], str]) -> Row:
    if one.verdict is Verdict.RETRY:
        row = _at_home(conn, row, seller(row["provider"], row["account"]))
    if one.verdict is Verdict.RETRY and _stands(row):
        to, changes = Status.PROCESSING, _from_the_start(settler.now)
    else:
        to, changes = _BY_PERSON[one.verdict], _changes(row, one, settler)
    after = move(conn, row, to, settler.now, **changes)
    if after is None:
        raise RuntimeError(f"purchase {row['id']} moved while it was locked")
    write_down(conn, after, one.verdict, settler, one.note)
    return after


def _at_home(conn: Connection, row: Row, alias: str) -> Row:
    """A purchase that stood under a former name of its account: nobody would buy it there."""
    if alias != row["provider"]:
        move_home(conn, [row], Home(provider=alias, account=row["account"]))
    return {**row, "provider": alias}


def _changes(row: Row, one: Resolution, settler: Settler) -> dict[str, Any]:
    if one.verdict is Verdict.BOUGHT:
        known = clip(one.provider_number_id, 200) or row["provider_number_id"]
        return {"provider_number_id": known, "error": None, "error_code": None}
    if one.verdict is Verdict.FAIL:
        said = f": {one.note}" if one.note else ""
        return {"error": clip(f"settled as not bought by {settler.by}{said}"), "error_code": RESOLVED}
    # The doubt stays: a refusal of the next call goes through all looks. The old order's id would lead them astray.
    ids = {"provider_number_id": None, "provider_order_id": None}
    return {**_from_the_start(settler.now), **ids, "attempts": 0, "first_attempt_at": None}


def _stands(row: Row) -> bool:
    """Whether its order waits for papers at the provider: a further call would be a second order."""
    return row["error_code"] == COMPLIANCE and row["provider_order_id"] is not None


def _from_the_start(now: datetime) -> dict[str, Any]:
    return {
        "due_at": now,
        "cancel_requested_at": None,
        "error": None,
        "error_code": None,
        "tried_seconds": 0.0,
        "looks": 0,
        "look_failures": 0,
    }
