"""Who the account of an alias is: remembered, never changed behind the table's back, and bought for alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from schemas.outcomes import Look, LookKind
from schemas.status import Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.accounts import identity
from tasks.accounts.identity import AccountChanged
from tasks.accounts.stranded import File, homes_in, mend
from tasks.ledger.accounts import Home, Stranded
from tasks.lifecycle import purchase, reconcile, release_and_sweep
from tasks.providers.configured import parse_config
from tasks.runtime import Runtime
from tests.tasks.scripted_provider import ABSENT, UNKNOWN
from tests.tasks.support import ACCOUNT, NUMBER, World, number

OTHER = "another-account"
TRIED = "sandbox:vogent|@acme"
FILE = """
[providers.acme]
kind = "vogent"
base_url = "https://api.vogent.ai"
token_env = "T"
account_id = "acme-account"
"""


def as_account(world: World, account: str, *aliases: str) -> Runtime:
    """The runtime of a process whose file says that these aliases, acme alone by default, are *account*."""
    wanted = aliases or ("acme",)
    bindings = {alias: replace(world.runtime.providers["acme"], alias=alias, account=account) for alias in wanted}
    return replace(world.runtime, providers=bindings, kinds={})


def remembered(world: World) -> dict[str, str | None]:
    return {row["provider"]: row["account"] for row in world.rows(select(PROVIDER))}


def test_a_worker_buys_only_for_the_rows_own_account(world: World) -> None:
    row = world.accept()
    moved = as_account(world, OTHER)
    assert purchase.buy(moved, row["id"], row["revision"], "acme") is None
    assert world.provider.charged == []
    assert world.row(row["id"]) == row
    assert purchase.buy(world.runtime, row["id"], row["revision"], "acme") is Status.PURCHASED


def test_a_purchase_of_another_account_waits_without_being_released(world: World) -> None:
    row = world.queued()
    moved = as_account(world, OTHER)
    assert release_and_sweep.release_due(moved, moved.providers["acme"]) == 0
    assert world.row(row["id"]) == row
    assert world.release() == 1


def test_a_purchase_in_doubt_is_never_looked_for_at_another_account(world: World) -> None:
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    world.work()
    world.clock.advance(3600)
    world.provider.looks.extend([ABSENT] * 5)
    moved = as_account(world, OTHER)
    assert release_and_sweep.look_due(moved, moved.providers["acme"]) == 0
    before = world.row(row["id"])
    assert reconcile.look(moved, "acme", [(row["id"], before["revision"])]) == []
    assert world.row(row["id"])["looks"] == 0
    assert world.look() == 1


def test_an_alias_is_remembered_as_the_account_that_it_is(world: World) -> None:
    identity.settle(world.runtime)
    assert remembered(world) == {"acme": ACCOUNT, "twin": ACCOUNT}
    identity.settle(as_account(world, ACCOUNT))
    assert remembered(world) == {"acme": ACCOUNT, "twin": ACCOUNT}
    identity.settle(as_account(world, OTHER))
    assert remembered(world) == {"acme": OTHER, "twin": ""}


@pytest.mark.parametrize("bought", [True, False])
def test_an_alias_that_would_leave_purchases_behind_is_refused_with_the_mend(world: World, bought: bool) -> None:
    identity.settle(world.runtime)
    world.accept()
    if bought:
        world.work()
    with pytest.raises(AccountChanged) as caught:
        identity.settle(as_account(world, OTHER))
    assert f"[providers.acme] is the account {OTHER}, and 1 purchases under it are of {ACCOUNT}" in str(caught.value)
    assert "dialstock provider move acme acme" in str(caught.value)
    assert "dialstock provider leave acme" in str(caught.value)
    assert remembered(world)["acme"] == ACCOUNT


def test_rows_from_before_accounts_were_remembered_are_refused_too(world: World) -> None:
    world.accept()
    with pytest.raises(AccountChanged):
        identity.settle(as_account(world, OTHER))


def test_what_is_over_is_no_hindrance(world: World) -> None:
    row = world.accept()
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(status=Status.CANCELLED))
    identity.settle(as_account(world, OTHER))
    assert remembered(world)["acme"] == OTHER


def test_an_account_that_hung_on_its_url_is_taken_along(world: World) -> None:
    world.accept()
    world.work()
    config = parse_config(FILE, "providers.toml")
    former, present = config.providers["acme"].former_account, config.providers["acme"].account
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(account=former))
    runtime = replace(as_account(world, present), config=config)
    identity.settle(runtime)
    [row] = world.rows(select(PURCHASE))
    assert (row["account"], row["provider"]) == (present, "acme")
    assert remembered(world)["acme"] == present


def test_what_hung_on_its_url_and_is_alive_twice_is_told_and_may_be_left(world: World) -> None:
    config = parse_config(FILE, "providers.toml")
    former, present = config.providers["acme"].former_account, config.providers["acme"].account
    for account, index in ((former, 0), (present, 1)):
        row = world.queued(number(index))
        with world.write() as conn:
            values = {"account": account, "number": NUMBER, "status": Status.PURCHASED}
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**values))
    runtime = replace(as_account(world, present), config=config)
    for _ in range(2):
        with pytest.raises(AccountChanged, match="dialstock provider leave acme"):
            identity.settle(runtime)
    assert len(identity.move(runtime, "acme", homes_in(config)["acme"]).left) == 1
    identity.leave(runtime, "acme")
    identity.settle(runtime)
    assert {row["account"] for row in world.rows(select(PURCHASE))} == {former, present}


def test_a_renamed_alias_takes_its_purchases_along(world: World) -> None:
    world.accept(number(1))
    world.work()
    waiting = world.queued(number(0))
    renamed = as_account(world, ACCOUNT, "renamed")
    [found] = identity.stranded(renamed)
    assert (found.provider, found.account, found.count) == ("acme", ACCOUNT, 1)
    done = identity.move(renamed, "acme", Home(provider="renamed", account=ACCOUNT))
    assert (done.count, done.left) == (2, [])
    assert identity.stranded(renamed) == []
    assert release_and_sweep.release_due(renamed, renamed.providers["renamed"]) == 1
    assert world.row(waiting["id"])["provider"] == "renamed"


def test_an_account_named_anew_takes_its_purchases_and_findings_along(world: World) -> None:
    identity.settle(world.runtime)
    world.accept()
    world.work()
    finding = {"id": world.rows(select(PURCHASE))[0]["id"], "kind": "missing", "number": NUMBER, "provider": "acme"}
    with world.write() as conn:
        conn.execute(
            FINDING.insert().values(account=ACCOUNT, provider_number_ids=[], found_at=world.clock(), **finding)
        )
    named = as_account(world, OTHER)
    identity.move(named, "acme", Home(provider="acme", account=OTHER))
    identity.settle(named)
    assert world.rows(select(PURCHASE))[0]["account"] == OTHER
    [kept] = world.rows(select(FINDING))
    assert (kept["account"], kept["resolved_at"]) == (OTHER, world.clock())


def test_a_number_that_is_alive_there_already_stays_where_it_is(world: World) -> None:
    first = world.queued()
    elsewhere = as_account(world, OTHER, "renamed")
    [there] = [world.queued(number(7))]
    with world.write() as conn:
        conn.execute(
            update(PURCHASE)
            .where(PURCHASE.c.id == there["id"])
            .values(account=OTHER, provider="renamed", number=first["number"])
        )
    done = identity.move(elsewhere, "acme", Home(provider="renamed", account=OTHER))
    assert (done.count, [row["id"] for row in done.left]) == (0, [first["id"]])
    assert world.row(first["id"]) == first


def test_of_two_that_are_alive_with_one_number_one_moves(world: World) -> None:
    rows = [world.queued(number(0)), world.queued(number(1))]
    with world.write() as conn:
        conn.execute(
            update(PURCHASE).where(PURCHASE.c.id == rows[1]["id"]).values(account="third", number=rows[0]["number"])
        )
    home = Home(provider="acme", account=OTHER)
    done = [identity.move(as_account(world, OTHER), "acme", home, account) for account in (ACCOUNT, "third")]
    assert [(one.count, len(one.left)) for one in done] == [(1, 0), (0, 1)]


@pytest.mark.parametrize("target", ["acme", "renamed"])
@pytest.mark.parametrize("real", [True, False])
def test_what_was_tried_out_and_what_is_real_never_move_to_each_other(world: World, target: str, *, real: bool) -> None:
    here, there = (TRIED, OTHER) if real else (ACCOUNT, TRIED)
    rows = [world.queued(number(0)), world.queued(number(1)), world.queued(number(2))]
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(account=here))
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == rows[1]["id"]).values(account=f"{there}-formerly"))
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == rows[2]["id"]).values(status=Status.CANCELLED))
    done = identity.move(as_account(world, there, target), "acme", Home(provider=target, account=there))
    assert (done.count, done.left, done.apart) == (1, [], 1)
    found = {row["id"]: (row["provider"], row["account"]) for row in world.rows(select(PURCHASE))}
    assert found == {
        rows[0]["id"]: ("acme", here),
        rows[1]["id"]: (target, there),
        rows[2]["id"]: ("acme", here),
    }


@pytest.mark.parametrize(("here", "there"), [(TRIED, OTHER), (ACCOUNT, TRIED)])
def test_the_mend_for_a_trial_never_has_it_bought_for_real(world: World, here: str, there: str) -> None:
    world.accept()
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(account=here))
    with pytest.raises(AccountChanged) as caught:
        identity.settle(as_account(world, there))
    assert "another DIALSTOCK_HOME or DATABASE_URL" in str(caught.value)
    assert "provider move" not in str(caught.value)
    # What is real is not cancelled for a trial.
    assert ("provider leave acme" in str(caught.value)) == (here != ACCOUNT)


@pytest.mark.parametrize(
    ("account", "present", "words"),
    [
        (TRIED, "sandbox:plivo|MA1", "name it in the file again; where that account is not used any more: "),
        (TRIED, "plivo|MA1", "the sandbox and a real account share no purchases: "),
        (ACCOUNT, "plivo|MA1", "name it in the file again; "),
        (ACCOUNT, "sandbox:plivo|MA1", "the sandbox and a real account share no purchases, "),
    ],
)
def test_the_mend_for_an_alias_that_is_gone_tells_whether_it_may_come_back(
    account: str, present: str, words: str
) -> None:
    file = File(homes={"other": Home(provider="other", account=present)}, known={})
    assert mend(Stranded(provider="acme", account=account, count=1), file).startswith(words)


def test_leaving_an_account_cancels_what_waits_and_holds_what_may_be_bought(world: World) -> None:
    identity.settle(world.runtime)
    world.provider.script.append(UNKNOWN)
    doubtful = world.accept(number(0))
    world.accept(number(1))
    world.work()
    calling = world.claimed(number(3))
    waiting = world.queued(number(2))
    left = as_account(world, OTHER)
    done = identity.leave(left, "acme")
    assert (done.cancelled, done.held, done.under_way) == (1, 1, 1)
    statuses = {row["number"]: row["status"] for row in world.rows(select(PURCHASE))}
    assert statuses == {
        number(0): Status.HELD,
        number(1): Status.PURCHASED,
        number(2): Status.CANCELLED,
        number(3): Status.PURCHASING,
    }
    assert world.row(doubtful["id"])["error_code"] == "account_left"
    assert world.row(waiting["id"])["error_code"] == "cancelled"
    identity.settle(left)
    assert calling.row["account"] == ACCOUNT


def test_what_is_under_way_at_an_alias_that_is_gone_is_swept(world: World) -> None:
    calling = world.claimed(number(0))
    released = world.accept(number(1))
    gone = as_account(world, OTHER, "else")
    assert release_and_sweep.sweep_strangers(gone) == 0
    world.clock.advance(60)
    assert release_and_sweep.sweep_strangers(gone) == 2
    assert world.row(calling.row["id"])["status"] == Status.UNKNOWN
    assert world.row(released["id"])["status"] == Status.QUEUED
    assert {one.count for one in identity.stranded(gone)} == {2}


def test_what_is_moved_in_doubt_is_looked_for_at_its_new_home(world: World) -> None:
    world.provider.script.append(world.provider.charge_unseen)
    row = world.accept()
    world.work()
    renamed = as_account(world, ACCOUNT, "renamed")
    identity.move(renamed, "acme", Home(provider="renamed", account=ACCOUNT))
    world.clock.advance(60)
    world.provider.looks.append(Look(kind=LookKind.OWNED, provider_number_id="id-1"))
    assert release_and_sweep.look_due(renamed, renamed.providers["renamed"]) == 1
    reconcile.look(renamed, "renamed", [(row["id"], world.row(row["id"])["revision"])])
    assert world.row(row["id"])["status"] == Status.PURCHASED
    assert len(world.provider.charged) == 1
