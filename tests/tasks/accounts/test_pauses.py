"""What stops an account stops it by whichever name: of the file, of another process's file, or a former one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import event, select, update

from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.purchases import EVENT, PROVIDER, PURCHASE
from tasks.accounts import identity
from tasks.accounts.stranded import homes_in
from tasks.ledger.queue import dispatch, pausing, standing
from tasks.lifecycle import accept, release_and_sweep
from tasks.policies.accounts import Account
from tasks.policies.pause import Cause, Pause
from tasks.providers.configured import parse_config
from tasks.reports import queries
from tasks.runtime import Runtime
from tasks.supply.budgets import closed_providers
from tests.tasks.support import ACCOUNT, World, number
from workers.views.providers.rows import pause_by_person

Make = Callable[..., World]
VOGENT = '[providers.{}]\nkind = "vogent"\nbase_url = "https://api.vogent.ai"\ntoken_env = "T"\n'


def with_file(world: World, *aliases: str, **named: str) -> Runtime:
    """A process whose file has *aliases*, and those that *named* gives an `account_id`."""
    text = "".join(map(VOGENT.format, aliases))
    text += "".join(f'{VOGENT.format(alias)}account_id = "{account}"\n' for alias, account in named.items())
    config = parse_config(text, "providers.toml")
    one = world.runtime.providers["acme"]
    bindings = {alias: replace(one, alias=alias, account=each.account) for alias, each in config.providers.items()}
    return replace(
        world.runtime, config=config, providers=bindings, kinds=dict.fromkeys(bindings, world.runtime.kinds["acme"])
    )


def started(world: World, *aliases: str, **named: str) -> Runtime:
    runtime = with_file(world, *aliases, **named)
    identity.settle(runtime)
    return runtime


def wait_under(world: World, runtime: Runtime, alias: str, *indexes: int) -> None:
    for one in indexes:
        accept.accept_one(runtime, BuyNumber(number=number(one), provider=alias))
    world.sent.clear()
    with world.write() as conn:
        back = {"status": Status.QUEUED, "revision": PURCHASE.c.revision + 1, "due_at": world.clock.moment}
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == Status.DISPATCHED).values(**back))


def released(runtime: Runtime, alias: str) -> int:
    return release_and_sweep.release_due(runtime, runtime.providers[alias])


def stop(world: World, alias: str, cause: Cause = Cause.PERSON) -> None:
    with world.write() as conn:
        pausing.pause(conn, alias, Pause(cause=cause, reason="fraud", cooldown=None), world.clock())


def cause_of(world: World, runtime: Runtime, alias: str) -> str | None:
    with world.runtime.database.read() as conn:
        found = queries.provider_states(conn, runtime.accounts.values()).get(alias)
    return None if found is None else found["cause"]


@pytest.mark.parametrize(("paused", "other"), [("v", "main"), ("main", "v")])
def test_while_a_rename_rolls_out_a_pause_stops_the_workers_of_both_files(
    world: World, paused: str, other: str
) -> None:
    files = {alias: started(world, **{alias: "acme"}) for alias in ("v", "main")}
    accept.accept_one(files[other], BuyNumber(number=number(1), provider=other))
    pause_by_person(files[paused], paused, "fraud")
    assert [row["status"] for row in world.rows(select(PURCHASE))] == [Status.QUEUED]
    assert [released(files[alias], alias) for alias in files] == [0, 0]
    assert [cause_of(world, files[alias], alias) for alias in files] == [Cause.PERSON] * 2
    accept.accept_one(files[other], BuyNumber(number=number(2), provider=other))
    assert {row["status"] for row in world.rows(select(PURCHASE))} == {Status.QUEUED}


def test_a_person_pauses_one_alias_of_an_account_and_the_other_goes_on(world: World) -> None:
    runtime = started(world, v="acme", w="acme")
    wait_under(world, runtime, "v", 1)
    accept.accept_one(runtime, BuyNumber(number=number(2), provider="w"))
    pause_by_person(runtime, "v", "fraud")
    assert [cause_of(world, runtime, alias) for alias in "vw"] == [Cause.PERSON, None]
    assert released(runtime, "v") == 0
    # what was released there is not taken back
    assert [row["status"] for row in world.rows(select(PURCHASE).order_by(PURCHASE.c.number))] == [
        Status.QUEUED,
        Status.DISPATCHED,
    ]


@pytest.mark.parametrize("machine", [Cause.ACCOUNT, Cause.FAILURES])
def test_what_the_machine_knows_of_a_former_name_stops_nothing(world: World, machine: Cause) -> None:
    started(world, v="acme")
    stop(world, "v", machine)
    runtime = started(world, main="acme")
    wait_under(world, runtime, "main", 1)
    assert released(runtime, "main") == 1


@pytest.mark.parametrize("before", [{"v": "acme"}, {}], ids=["account_id", "by alias"])
@pytest.mark.parametrize("waits", [True, False])
def test_the_pause_of_a_former_name_goes_for_the_new_one_until_a_person_resumes_it(
    world: World, before: dict[str, str], waits: bool
) -> None:
    old = started(world, *([] if before else ["v"]), **before)
    stop(world, "v")
    if waits:
        wait_under(world, old, "v", 1)
    after = {"main": "acme"} if before else {}
    new = with_file(world, *([] if before else ["main"]), **after)
    identity.move(new, "v", homes_in(new.config)["main"])
    identity.settle(new)
    wait_under(world, new, "main", 2)
    assert released(new, "main") == 0
    assert cause_of(world, new, "main") == Cause.PERSON
    with world.runtime.database.read() as conn:
        assert closed_providers(conn, new, ["main"]) == {"main": "is paused: fraud"}
    with world.write() as conn:
        account = new.accounts[new.providers["main"].account]
        ended = [pausing.resume(conn, "main", world.clock(), by_machine=False)]
        ended.append(pausing.resume_former(conn, account, world.clock()))
    assert any(ended)
    assert released(new, "main") > 0


@pytest.mark.parametrize("cause", [Cause.PERSON, Cause.BEHIND])
@pytest.mark.parametrize(
    ("old", "new", "heirs"),
    [
        ({"v": "a", "w": "b"}, {"v": "b", "w": "a"}, ["v", "w"]),
        ({"v": "a"}, {"v": "b", "w": "a"}, ["v", "w"]),
        ({"v": ""}, {"w": ""}, ["w"]),
        ({"v": ""}, {"v": "m", "w": "s"}, ["v", "w"]),
    ],
    ids=["swapped", "taken over", "renamed", "named"],
)
def test_who_is_or_may_be_a_paused_account_by_a_newer_file_stops_too(
    world: World, cause: Cause, old: dict[str, str], new: dict[str, str], heirs: list[str]
) -> None:
    def start(file: dict[str, str]) -> Runtime:
        unnamed = [alias for alias, account in file.items() if not account]
        return started(world, *unnamed, **{alias: account for alias, account in file.items() if account})

    start(old)
    stop(world, "v", cause)
    runtime = start(new)
    assert [alias for alias in runtime.providers if cause_of(world, runtime, alias) == cause] == heirs
    identity.settle(runtime)
    told = [row["data"]["provider"] for row in world.rows(select(EVENT)) if row["type"].endswith("paused")]
    assert sorted(told) == sorted({"v", *heirs})


def test_both_pauses_of_a_name_go_along(world: World) -> None:
    started(world, "v")
    stop(world, "v")
    stop(world, "v", Cause.BEHIND)
    started(world, "w")
    [row] = world.rows(select(PROVIDER).where(PROVIDER.c.provider == "w"))
    assert (row["cause"], row["person_reason"]) == (Cause.BEHIND, "fraud")


def test_a_database_behind_is_behind_for_every_alias_of_its_account(world: World) -> None:
    """Written for the one alias; the other came later."""
    started(world, v="acme")
    stop(world, "v", Cause.BEHIND)
    runtime = started(world, v="acme", w="acme", x="other")
    for alias, index in (("w", 1), ("x", 2)):
        wait_under(world, runtime, alias, index)
    assert (released(runtime, "w"), released(runtime, "x")) == (0, 1)
    assert [cause_of(world, runtime, alias) for alias in "vwx"] == [Cause.BEHIND, Cause.BEHIND, None]


@pytest.mark.parametrize("limit", [{"daily_limit": 3}, {"max_in_flight": 3}])
def test_what_is_under_way_by_a_former_name_counts(make: Make, limit: dict[str, int]) -> None:
    world = make(**limit)
    old = started(world, v="acme")
    for index in range(2):
        accept.accept_one(old, BuyNumber(number=number(index), provider="v"))
    new = started(world, main="acme")
    wait = [accept.accept_one(new, BuyNumber(number=number(10 + index), provider="main")) for index in range(4)]
    assert [row["status"] for row in wait] == [Status.DISPATCHED, *[Status.QUEUED] * 3]
    assert released(new, "main") == 0


def test_while_a_former_name_is_locked_nothing_of_its_account_is_released(postgres: World) -> None:
    old, new = started(postgres, v="acme"), started(postgres, main="acme")
    wait_under(postgres, new, "main", 1)
    with postgres.write() as conn:
        conn.execute(select(PROVIDER).where(PROVIDER.c.provider == "v").with_for_update())
        assert released(new, "main") == 0
    assert released(new, "main") == 1
    with postgres.write() as conn:
        account = next(iter(old.accounts.values()))
        assert dispatch.lock_provider(conn, "v", account, postgres.clock()) is not None
        with postgres.write() as other:
            assert dispatch.lock_provider(other, "main", new.accounts[account.name], postgres.clock()) is None


def test_an_account_is_locked_and_read_in_one_statement_each(world: World) -> None:
    started(world, v="acme")
    runtime = started(world, main="acme")
    account: Account = next(iter(runtime.accounts.values()))
    asked: list[str] = []
    engine = world.runtime.database.engine  # type: ignore[attr-defined]

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    with world.write() as conn:
        event.listen(engine, "before_cursor_execute", note)
        try:
            dispatch.lock_provider(conn, "main", account, world.clock())
            standing.read(conn, account)
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert len([one for one in asked if "provider_state" in one]) == len(asked) == 2


def test_accounts_that_are_read_together_stand_as_each_does_alone(world: World) -> None:
    started(world, former="acme", moved="acme")
    runtime = started(world, main="acme", second="acme", moved="other")
    stop(world, "former", Cause.PERSON)
    with world.write() as conn:
        # Another process's file has it as that account yet.
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "moved").values(account="vogent|acme"))
    accounts = [*runtime.accounts.values(), Account("unused", ("unused",))]
    with world.runtime.database.read() as conn:
        together = standing.read_all(conn, accounts)
        assert together == {one.name: standing.read(conn, one) for one in accounts}
    names = {name: [row["provider"] for row in rows] for name, rows in together.items()}
    assert names == {"vogent|acme": ["former", "main", "moved", "second"], "vogent|other": ["moved"], "unused": []}


def test_two_aliases_that_nothing_is_known_of_are_no_account(world: World) -> None:
    """Neither was ever started with, or both were forgotten."""
    world.accept()
    stop(world, "acme", Cause.BEHIND)
    with world.write() as conn:
        conn.execute(update(PROVIDER).values(account=""))
    runtime = replace(world.runtime, providers={"other": replace(world.binding, alias="other", account=ACCOUNT)})
    assert cause_of(world, runtime, "other") is None
