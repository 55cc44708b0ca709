"""A refusal that may say that the number is ours, where no list tells."""

from __future__ import annotations

from dataclasses import replace

from schemas.status import Status
from tasks.providers.registry import kinds
from tests.scripted import ScriptedServer, Seen, reply
from tests.tasks.shops import bind
from tests.tasks.support import make_world
from workers.database.connections import SqlDatabase


def test_what_is_refused_at_a_vonage_account_whose_list_says_nothing_is_held(
    database: SqlDatabase, server: ScriptedServer
) -> None:
    world = make_world(database)
    world.runtime = replace(
        world.runtime, providers={"vonage": bind(server.url, "vonage")}, kinds={"vonage": kinds()["vonage"]}
    )
    object.__setattr__(world.runtime, "send", world.sent.extend)

    def answer(seen: Seen) -> bytes:
        if seen.method == "POST":
            return reply(420, {"error-code": "420", "error-code-label": "method failed"})
        return reply(200, {})

    server.otherwise = answer
    row = world.accept(provider="vonage")
    for _ in range(3000):
        world.timers()
        world.work()
        world.clock.advance(10)
        if world.row(row["id"])["status"] in (Status.HELD, Status.FAILED):
            break
    print([seen.method for seen in server.seen].count("POST"), world.row(row["id"]))
    assert world.row(row["id"])["status"] == Status.HELD
