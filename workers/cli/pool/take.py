"""Taking numbers from a pool, and giving them back, by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from schemas.numbering.numbers import NumberError, read_number
from tasks.ledger.rows import Row, new_id
from tasks.pools.requests import take_and_return
from tasks.pools.requests.reading import former_pools, read_return, read_take
from tasks.runtime import Runtime
from tasks.transactions import Unanswered
from workers.cli.terminal.output import emit_json, say, show_line
from workers.views.errors import SOME_FAILED, WRONG_USE, Failure
from workers.views.pools import known_pool
from workers.views.words import count

_CONFLICT = "key_conflict"


def take_numbers(runtime: Runtime, fields: Mapping[str, Any], *, json: bool) -> int:
    """Take and print them; returns the exit status. Raises RequestError."""
    request = read_take(runtime, fields)
    answer = _answered(lambda known: take_and_return.take(runtime, request, known))
    if json:
        emit_json(answer)
    if not answer["success"]:
        say(f"dialstock: {answer['error']}", "red")
        return WRONG_USE if answer["error_code"] == _CONFLICT else SOME_FAILED
    if not json:
        for one in answer["numbers"]:
            show_line(one["number"])
        again = " before, by the same request" if answer["repeat"] else ""
        say(f"{count(len(answer['numbers']), 'number')} of {answer['pool']} taken for {answer['taker']}{again}.")
    return 0


def return_numbers(runtime: Runtime, name: str, numbers: Sequence[str], taker: str | None, *, json: bool) -> int:
    """Return those that can be; returns the exit status. Raises Failure or RequestError before the first is."""
    country = _country(runtime, name)
    wanted = [{"pool": name, "number": _read(number, country), "taker": taker} for number in numbers]
    requests = [read_return(runtime, fields) for fields in wanted]
    answers = [
        _answered(lambda known, request=request: take_and_return.give_back(runtime, request, known))  # type: ignore[misc]
        for request in requests
    ]
    done = [answer for answer in answers if answer["success"]]
    refused = [
        {"number": request.number, "error": answer["error"], "error_code": answer["error_code"]}
        for request, answer in zip(requests, answers, strict=True)
        if not answer["success"]
    ]
    _tell_returned(name, done, refused, json=json)
    return SOME_FAILED if refused else 0


def _tell_returned(name: str, done: Sequence[Row], refused: Sequence[Row], *, json: bool) -> None:
    if json:
        emit_json({"pool": name, "returned": [one for answer in done for one in answer["numbers"]], "refused": refused})
    else:
        _tell(name, done)
    for one in refused:
        say(f"dialstock: {one['error']}", "red")


def _answered(ask: Callable[[str], Row]) -> Row:
    """The answer to a request: one that was lost on its way is asked for again, by the id that the request has.

    Raises Unanswered where the database does not come back.
    """
    known = new_id()
    try:
        return ask(known)
    except DBAPIError as exc:
        if not exc.connection_invalidated:
            raise
    try:
        return ask(known)
    except SQLAlchemyError as exc:
        raise Unanswered("the answer to a commit was lost") from exc


def _tell(name: str, done: Sequence[Row]) -> None:
    for answer in done:
        for one in answer["numbers"]:
            show_line(f"{one['number']:<16}  taken by {answer['taker'] or 'nobody named'}")
    say(f"{count(len(done), 'number')} returned to {name}.")


def _country(runtime: Runtime, name: str) -> str | None:
    """That of national numbers; None for a pool that is not configured any more. Raises Failure."""
    return None if name in former_pools(runtime) else known_pool(runtime.config, name).country


def _read(number: str, country: str | None) -> str:
    try:
        return read_number(number, country)
    except NumberError as exc:
        raise Failure(str(exc)) from exc
