"""Buying one number from the command line: accepted here, bought by the workers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from schemas.numbering.numbers import NumberError, read_number
from schemas.requests import BuyNumber, parse_buy
from schemas.status import SETTLED, Status
from tasks.ledger.rows import Row, find, new_id
from tasks.runtime import Runtime
from workers.cli.terminal.output import emit_json, say, show, show_fields
from workers.views.desk import Desk, worker_hint
from workers.views.errors import INTERRUPTED, SOME_FAILED, Failure
from workers.views.purchases import describe

_FIELDS = (
    *("id", "number", "provider", "status", "error", "error_code", "already_owned", "provider_number_id"),
    *("monthly_price", "setup_price", "currency"),
    *("attempts", "idempotency_key", "options", "metadata", "created_at", "finished_at"),
)
_POLL = 0.1
_HINT_AFTER = 3.0


def request_of(runtime: Runtime, number: str, country: str | None, fields: Mapping[str, Any]) -> BuyNumber:
    """The request as it would come in a message. Raises Failure or RequestError.

    One without a key gets its own, as a message has its id: it shares the purchase of another and its events like one.
    """
    try:
        request = parse_buy({**fields, "number": read_number(number, country)}, runtime.kinds)
    except NumberError as exc:
        raise Failure(f"{exc} (--country names the country)" if "name the country" in str(exc) else str(exc)) from exc
    return request if request.idempotency_key else request.model_copy(update={"idempotency_key": new_id()})


def wait_for(desk: Desk, row: Row) -> Row:
    """Wait until the purchase is settled; says what it waits for whenever that changes. Raises Failure on Ctrl-C."""
    began, said, hinted = time.monotonic(), "", False
    try:
        while row["status"] not in SETTLED:
            if row["status"] != said:
                said = row["status"]
                _say_step(desk.runtime, row)
            if not hinted and time.monotonic() - began > _HINT_AFTER:
                hinted = True
                _hint(desk)
            time.sleep(_POLL)
            with desk.runtime.database.read() as conn:
                row = find(conn, row["id"]) or row
    except KeyboardInterrupt:
        message = f"the purchase goes on without you: dialstock purchase show {row['id']}"
        raise Failure(message, INTERRUPTED) from None
    return row


def tell(desk: Desk, row: Row, *, key: str | None, created: bool, waited: bool, json: bool) -> int:
    """Print the purchase, and the *key* under which the request is told of it; returns the exit status."""
    with desk.runtime.database.read() as conn:
        step = describe(desk.runtime, conn, row)
    if json:
        emit_json({"created": created, "next": step, "idempotency_key": key, "purchase": row})
    else:
        if not created:
            show("This purchase was there before:")
        show_fields({name: row[name] for name in _FIELDS} | {"idempotency_key": key})
        show(step)
    if row["status"] not in SETTLED:
        _hint(desk)
        return SOME_FAILED if waited else 0
    return 0 if row["status"] == Status.PURCHASED else SOME_FAILED


def _say_step(runtime: Runtime, row: Row) -> None:
    with runtime.database.read() as conn:
        step = describe(runtime, conn, row)
    say(f"{row['status']}: {step}")


def _hint(desk: Desk) -> None:
    if hint := worker_hint(desk.settings):
        say(f"Note: {hint}", "yellow")
