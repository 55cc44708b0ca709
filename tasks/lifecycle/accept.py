"""Accept requests: validate, write the rows, commit; what has room is sent to the workers at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from schemas.events import EventType
from schemas.money import price_of
from schemas.outcomes import clip
from schemas.plain import shown, storable, written
from schemas.requests import BuyNumber, Key, RequestError, key_of_message, parse_buy
from schemas.status import Status
from schemas.tables.purchases import REJECTED
from tasks.ledger.queue import dispatch
from tasks.ledger.requests.accept import Accepted, Entry, accept, tell_accepted
from tasks.ledger.rows import Row, emit, insert_once, move, new_id, other_event
from tasks.lifecycle.release_and_sweep import LOOKAHEAD, purchase_message
from tasks.pools.reserved import refuse_reserved
from tasks.runtime import Binding, Message, Runtime
from tasks.server_errors import explained
from tasks.telemetry.log_fields import about
from tasks.transactions import with_retry

log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
"""Characters of a rejected message that are kept."""

_MESSAGES = UUID("5f1d5a0c-6c0e-4a55-9d43-0f8b3a1c7e21")
_TOLD = ("idempotency_key", "number", "provider", "pool")
_KEY: TypeAdapter[str] = TypeAdapter(Key)


def buy_number(runtime: Runtime, fields: Mapping[str, Any], message_id: object) -> Row:
    """Accept one purchase; without a key of its own the message's id is its key.

    Returns the purchase's row, which may have been there before. Raises RequestError.
    """
    request = parse_buy(fields, runtime.kinds)
    if request.idempotency_key is None:
        request = request.model_copy(update={"idempotency_key": key_of_message(message_id)})
    return accept_one(runtime, request)


def accept_one(runtime: Runtime, request: BuyNumber) -> Row:
    """Accept one validated request. Raises RequestError (key_conflict, in_pool)."""
    binding = runtime.providers[request.provider]
    row, released = with_retry(lambda: _accept(runtime, binding, request))
    runtime.reached("accepted")
    if released:
        _send(runtime, purchase_message(binding, row), row)
    return row


def _send(runtime: Runtime, message: Message, row: Row) -> None:
    """Send the hint; where the broker is away the accepted row is due again by itself."""
    try:
        runtime.send([message])
    except Exception as exc:  # noqa: BLE001 - what is accepted stays so, whatever becomes of its hint
        words = "purchase %s of %s waits: the broker %s"
        log.warning(words, row["id"], row["number"], explained(exc), extra=about(row))


def _accept(runtime: Runtime, binding: Binding, request: BuyNumber) -> tuple[Row, bool]:
    now = runtime.now()
    with runtime.database.write() as conn:
        accepted = accept(conn, [Entry(request=request, account=binding.account)], now)[0]
        refuse_reserved(conn, [accepted])
        row = _release_at_once(conn, binding, accepted, runtime) if accepted.created else None
        answer = accepted if row is None else replace(accepted, row=row)
        tell_accepted(conn, answer, request, now)
    return answer.row, row is not None


def _release_at_once(conn: Connection, binding: Binding, accepted: Accepted, runtime: Runtime) -> Row | None:
    """The row as dispatched, where its provider has room now and nobody waits before it."""
    now = runtime.now()
    if dispatch.due_singles(conn, binding.alias, binding.account, now, but=accepted.row["id"]):
        return None
    account = runtime.accounts[binding.account]
    locked = dispatch.lock_provider(conn, binding.alias, account, now)
    if locked is None or locked.paused:
        return None
    soon = binding.buying.calls_within(LOOKAHEAD)
    room = dispatch.room(conn, binding.policy, locked, account, now=now, soon=soon)
    if room.free < 1 or (room.day is not None and not room.day.covers(price_of(accepted.row))):
        return None
    until = now + timedelta(seconds=binding.policy.take_within)
    return move(conn, accepted.row, Status.DISPATCHED, now, due_at=until)


def reject(
    runtime: Runtime, task: object, message_id: object, body: Any, exc: Exception, *, once: bool = False
) -> None:
    """Keep a message that cannot be accepted, whole, and say so on the results channel.

    With *once* the same message is kept and told of once, however often it comes. Whatever it holds can be kept: only
    the database raises.
    """
    now = runtime.now()
    row = {"id": new_id(), "received_at": now, **_kept(task, message_id, body, exc)}
    if once:
        row["id"] = str(uuid5(_MESSAGES, repr([row[name] for name in ("task", "message_id", "body", "error_code")])))
    data = _told(row, body if isinstance(body, Mapping) else {})
    with runtime.database.write() as conn:
        if not insert_once(conn, REJECTED, row):
            return
        emit(conn, [other_event(EventType.REJECTED, now, data, provider=None, subject=clip(data.get("number"), 100))])
    about = f" about {clip(data['number'], 100)}" if data.get("number") else ""
    log.warning("rejected a message%s (%s): %s", about, row["error_code"], row["error"])


def _kept(task: object, message_id: object, body: Any, exc: Exception) -> Row:
    return {
        "task": shown(task, 200),
        "message_id": shown(message_id, 200),
        "body": written(body)[:MAX_BODY],
        "error": clip(storable(str(exc)), 2000),
        "error_code": exc.code if isinstance(exc, RequestError) else "invalid_request",
    }


def _told(row: Row, known: Mapping[str, Any]) -> Row:
    return {
        "request_id": _own_id(known) or row["id"],
        "rejected_id": row["id"],
        **{name: row[name] for name in ("message_id", "task", "error", "error_code")},
        **{name: shown(known[name], 200) for name in _TOLD if name in known},
    }


def _own_id(fields: Mapping[str, Any]) -> str | None:
    """The caller's `request_id`, where it is one."""
    try:
        return _KEY.validate_python(fields.get("request_id"))
    except ValidationError:
        return None
