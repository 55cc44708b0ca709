"""Accept requests: validate, write the rows, commit; what has room is sent to the workers at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from kombu.exceptions import OperationalError
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, insert

from schemas.events import EventType
from schemas.outcomes import clip
from schemas.requests import BuyNumber, Key, RequestError, parse_buy
from schemas.status import Status
from schemas.tables import REJECTED
from tasks.dispatching import LOOKAHEAD, purchase_message
from tasks.ledger import dispatch
from tasks.ledger.accept import Accepted, Entry, accept, tell_accepted, with_retry
from tasks.ledger.rows import Row, emit, move, new_id, other_event
from tasks.pools.reserved import refuse_reserved
from tasks.runtime import Binding, Message, Runtime

log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
"""Characters of a rejected message that are kept."""

_TOLD = ("idempotency_key", "number", "provider", "pool")
_KEY: TypeAdapter[str] = TypeAdapter(Key)


def buy_number(runtime: Runtime, fields: Mapping[str, Any], message_id: str) -> Row:
    """Accept one purchase; without a key of its own the message's id is its key.

    Returns the purchase's row, which may have been there before. Raises RequestError.
    """
    request = parse_buy(fields, runtime.kinds)
    if request.idempotency_key is None:
        request = request.model_copy(update={"idempotency_key": message_id})
    return accept_one(runtime, request)


def accept_one(runtime: Runtime, request: BuyNumber) -> Row:
    """Accept one validated request. Raises RequestError (key_conflict, in_pool)."""
    binding = runtime.providers[request.provider]
    row, released = with_retry(lambda: _accept(runtime, binding, request))
    runtime.reached("accepted")
    if released:
        _send(runtime, purchase_message(binding, row))
    return row


def _send(runtime: Runtime, message: Message) -> None:
    """Send the hint; where the broker is away the accepted row is due again by itself."""
    try:
        runtime.send([message])
    except OperationalError as exc:
        log.warning("purchase %s waits, the broker is away: %s", message.kwargs["purchase_id"], type(exc).__name__)


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
    state = dispatch.lock_provider(conn, binding.alias, account, now)
    if state is None or state["paused_at"] is not None:
        return None
    soon = binding.buying.calls_within(LOOKAHEAD)
    if dispatch.room(conn, binding.policy, state, account, now=now, soon=soon).free < 1:
        return None
    until = now + timedelta(seconds=binding.policy.take_within)
    return move(conn, accepted.row, Status.DISPATCHED, now, due_at=until)


def reject(runtime: Runtime, task: str | None, message_id: str | None, body: Any, exc: Exception) -> None:
    """Keep a message that cannot be accepted, whole, and say so on the results channel."""
    code = exc.code if isinstance(exc, RequestError) else "invalid_request"
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=repr)
    now = runtime.now()
    rejected_id = new_id()
    known = body if isinstance(body, Mapping) else {}
    data = {
        "request_id": _own_id(known) or rejected_id,
        "rejected_id": rejected_id,
        "message_id": message_id,
        "task": task,
        "error": clip(str(exc), 2000),
        "error_code": code,
        **{name: clip(str(known[name]), 200) for name in _TOLD if name in known},
    }
    with runtime.database.write() as conn:
        conn.execute(
            insert(REJECTED).values(
                id=rejected_id,
                received_at=now,
                task=clip(task, 200),
                message_id=clip(message_id, 200),
                body=text[:MAX_BODY].replace("\0", "\N{REPLACEMENT CHARACTER}"),
                error=clip(str(exc), 2000),
                error_code=code,
            )
        )
        emit(conn, [other_event(EventType.REJECTED, now, data, provider=None, subject=clip(data.get("number"), 100))])
    log.warning("rejected a message (%s): %s", code, exc)


def _own_id(fields: Mapping[str, Any]) -> str | None:
    """The caller's `request_id`, where it is one."""
    try:
        return _KEY.validate_python(fields.get("request_id"))
    except ValidationError:
        return None
