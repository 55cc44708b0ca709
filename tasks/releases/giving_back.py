"""Numbers are asked to be given back, by a message or a person; workers do it, one call after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, select

from schemas.config.kinds import Kind
from schemas.events import EventType
from schemas.releasing import ReleaseNumber
from schemas.requests import RequestError, key_of_message, refusal, unknown_provider
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import LINE
from tasks.ledger.releases import asking, by_person
from tasks.ledger.releases.asking import Asked, Asking
from tasks.ledger.resolve import Settler, write_down
from tasks.ledger.rows import Row, emit, find, own_data, purchase_event
from tasks.orders import complete_finished
from tasks.policies.delivered_again import MAY_BE_LATE, UNCLEAR
from tasks.pools import leaving
from tasks.runtime import Runtime
from tasks.telemetry.traceparent import present

BY_MESSAGE = "message"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A number that is not given back, and why."""

    purchase_id: str
    number: str
    error: str
    error_code: str


def parse_release(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> ReleaseNumber:
    """Validate one request; *kinds* maps the known aliases. Raises RequestError."""
    try:
        request = ReleaseNumber.model_validate(dict(fields))
    except ValidationError as exc:
        raise refusal(exc, ReleaseNumber) from exc
    if request.provider not in kinds:
        raise unknown_provider("provider", request.provider, kinds)
    return request


def release_number(runtime: Runtime, fields: Mapping[str, Any], message_id: object, *, again: bool = False) -> Row:
    """Accept one release; without a key of its own the message's id is its key. Raises RequestError.

    A key that came before gets its release, whatever became of it: delivered again, it gives back no number that was
    bought since. Nor does one that came *again* and left no key, where the number was given back within `MAY_BE_LATE`.
    """
    request = parse_release(fields, runtime.kinds)
    key = request.idempotency_key or key_of_message(message_id)
    wanted = Asking(by=BY_MESSAGE, key=key, fingerprint=request.fingerprint, metadata=request.metadata)
    account = runtime.providers[request.provider].account

    def accept(conn: Connection) -> Row:
        asked = asking.by_key(conn, key, request.fingerprint)
        if asked is None:
            standing = asking.alive_with(conn, request.number, account)
            if not standing:
                raise RequestError(f"number: {request.number} is not among what was bought there", "not_bought")
            if again:
                _refuse_late(conn, standing[0], runtime.now())
            asked = ask_within(conn, runtime, standing[0], wanted)
        _tell_accepted(conn, asked, key, request.metadata, runtime.now())
        return asked.release

    return runtime.database.run(accept)


def _refuse_late(conn: Connection, row: Row, now: datetime) -> None:
    """Raise RequestError (unclear) where a purchase stands for a number that was given back a short time ago."""
    if row["status"] == Status.PURCHASED and asking.released_since(conn, row, now - MAY_BE_LATE):
        error = f"number: {row['number']} was given back and bought again, perhaps after this was sent"
        raise RequestError(f"{error}: send a new request to give it back", UNCLEAR)


def ask(runtime: Runtime, purchase_id: str, wanted: Asking) -> Asked:
    """Have a purchase's number given back, because a person says so. Raises RequestError."""

    def accept(conn: Connection) -> Asked:
        row = find(conn, purchase_id)
        if row is None:
            raise RequestError(f"there is no purchase {purchase_id}", "not_bought")
        return ask_within(conn, runtime, row, wanted)

    return runtime.database.run(accept)


def ask_within(conn: Connection, runtime: Runtime, row: Row, wanted: Asking) -> Asked:
    """As `ask`, in a transaction of its caller's. The place is locked before the purchase, and left with it."""
    _require_known(runtime, row)
    leaving.lock(conn, row["id"])
    leaving.refuse_taken(conn, row["id"])
    now = runtime.now()
    asked = asking.ask(conn, row["id"], replace(wanted, earliest=_earliest(runtime, row)), now)
    if not asked.repeat:
        leaving.leave(conn, row["id"], now)
    return asked


def refused(runtime: Runtime, conn: Connection, row: Row, wanted: Asking) -> Refused | None:
    """Why a purchase's number could not be given back now, asked without a lock; None where it could."""
    try:
        _require_known(runtime, row)
        leaving.refuse_taken(conn, row["id"])
        asking.refuse(conn, row, wanted)
    except RequestError as exc:
        return Refused(purchase_id=row["id"], number=row["number"], error=str(exc), error_code=exc.code)
    return None


def mark_released(runtime: Runtime, purchase_id: str, by: str, note: str | None) -> Row | None:
    """Write down that a person gave a number back at the provider. Returns the purchase after.

    None where it is not bought, or where a call of ours has not ended.
    """

    def mark(conn: Connection) -> Row | None:
        now = runtime.now()
        leaving.lock(conn, purchase_id)
        after = by_person.mark_released(conn, purchase_id, now, f"given back at the provider, says {by}")
        if after is not None:
            leaving.leave(conn, purchase_id, now)
            write_down(conn, after, Verdict.RELEASED, Settler(by=by, now=now), note)
        return after

    after = runtime.database.run(mark)
    complete_finished(runtime)
    return after


def call_off(runtime: Runtime, purchase_id: str, by: str) -> None:
    """Keep a number that waits to be given back, in its pool too, because a person says so.

    Raises RequestError: not_releasing, and in_doubt where a call may have been executed.
    """

    def keep(conn: Connection) -> None:
        now = runtime.now()
        leaving.lock(conn, purchase_id)
        by_person.call_off(conn, purchase_id, by, now)
        leaving.come_back(conn, purchase_id, now)

    runtime.database.run(keep)


def mark_kept(runtime: Runtime, purchase_id: str, by: str, note: str | None) -> Row | None:
    """Write down that a person saw a number to be ours still that was to be given back. Returns the purchase after.

    So too of one that stands as bought, and is out of its pool because it may have been gone. None where it is neither,
    or where a call of ours has not ended.
    """

    def mark(conn: Connection) -> Row | None:
        now = runtime.now()
        leaving.lock(conn, purchase_id)
        after = by_person.mark_kept(conn, purchase_id, now, f"kept, says {by}")
        if not by_person.is_called_for(conn, purchase_id, now) and leaving.come_back(conn, purchase_id, now):
            after = after or find(conn, purchase_id)
        if after is not None:
            write_down(conn, after, Verdict.BOUGHT, Settler(by=by, now=now), note)
        return after

    return runtime.database.run(mark)


def purchases_of(conn: Connection, order_id: str) -> list[str]:
    """The purchases on an order's lines, in their order."""
    query = select(LINE.c.purchase_id).where(LINE.c.order_id == order_id).order_by(LINE.c.line)
    return list(dict.fromkeys(conn.execute(query).scalars()))


def _require_known(runtime: Runtime, row: Row) -> None:
    """Raise RequestError where no worker could make the call: of an account that is not ours, or without documents."""
    binding = runtime.providers.get(row["provider"])
    if binding is None or binding.account != row["account"]:
        alias, former = runtime.seller(row["provider"], row["account"]), row["provider"]
        why = f"is of {former!r} for {row['account']}, which is not configured"
        if alias != former:
            why = f"stands under {former!r}, and its account is {alias!r}: dialstock provider move {former} {alias}"
        raise RequestError(f"number: {row['number']} {why}", "unknown_provider")
    kind = runtime.kinds[row["provider"]]
    if not kind.releases:
        asking.refuse_unbought(row)
        then = f"then dialstock purchase mark-released {row['id']}"
        raise RequestError(
            f"number: {row['number']} cannot be given back from here: {kind.portal}; {then}", "no_release"
        )


def _earliest(runtime: Runtime, row: Row) -> datetime | None:
    """When the provider lets a number go that a call of ours bought; of others it is asked."""
    keeps = runtime.kinds[row["provider"]].keeps_for
    bought = row["finished_at"] if row["attempts"] and not row["already_owned"] else None
    return bought + timedelta(seconds=keeps[0]) if keeps and bought else None


def _tell_accepted(conn: Connection, asked: Asked, key: str, metadata: Mapping[str, Any], now: datetime) -> None:
    own = own_data(key, dict(metadata), None, present())
    row = {**asked.purchase, "error": asked.release["error"], "error_code": asked.release["error_code"]}
    told = {"release_id": asked.release["id"], "release_status": asked.release["status"]}
    emit(conn, [purchase_event(EventType.ACCEPTED, row, now, repeat=asked.repeat, **own, **told)])
