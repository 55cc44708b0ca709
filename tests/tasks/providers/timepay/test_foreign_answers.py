"""TimePay cannot be asked, so what is taken for a no is final: only its own documented words are one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.status import Status
from tasks.providers.registry import kinds
from tests.scripted import ScriptedServer, reply
from tests.tasks.shops import bind
from tests.tasks.support import NUMBER, make_world
from workers.database.connections import SqlDatabase

ITEM = {"number": NUMBER[1:], "success": True, "error": None}
ALREADY = {"success": True, "data": [{**ITEM, "success": False, "error": "Number is already purchased"}]}
HTML = b"<html><body><h1>Forbidden</h1></body></html>"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"success": False, "data": [ITEM]}),
        (422, {"success": True, "data": [ITEM]}),
        *((status, HTML) for status in (400, 402, 403, 404, 409, 422)),
    ],
)
def test_what_may_have_been_bought_at_timepay_is_never_failed(
    database: SqlDatabase, server: ScriptedServer, status: int, body: Any
) -> None:
    world = make_world(database)
    world.runtime = replace(
        world.runtime, providers={"timepay": bind(server.url, "timepay")}, kinds={"timepay": kinds()["timepay"]}
    )
    object.__setattr__(world.runtime, "send", world.sent.extend)
    server.queue(reply(status, body))  # a gateway's, or none that the page has: the call was executed behind it
    server.otherwise = lambda _: reply(200, ALREADY)
    row = world.accept(provider="timepay")
    for _ in range(300):
        world.timers()
        world.work()
        world.clock.advance(1)
    assert len(server.seen) == 1
    assert world.row(row["id"])["status"] == Status.HELD
