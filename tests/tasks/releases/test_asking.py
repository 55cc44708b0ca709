"""Who may have a number given back, and what hinders it."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from schemas.requests import BuyNumber, RequestError
from schemas.retention import Retention
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import ATTEMPT, EVENT, PURCHASE, REJECTED
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks import orders
from tasks.ledger.rows import Row
from tasks.pools import leaving
from tasks.providers.registry import kinds
from tasks.releases import giving_back
from tasks.retention import clean_up
from tests.tasks.releasing import LOST, REFUSED, Returns
from tests.tasks.support import NUMBER, number


def code(returns: Returns, row: Row, **fields: object) -> str:
    with pytest.raises(RequestError) as failure:
        returns.ask(row, **fields)
    return failure.value.code


def send(returns: Returns, message_id: str = "m1", **fields: object) -> Row:
    wanted = {"number": NUMBER, "provider": "acme", **fields}
    return giving_back.release_number(returns.runtime, wanted, message_id)


def order(returns: Returns, *numbers: str) -> str:
    order_id = str(orders.begin(returns.runtime, name="file.csv")["id"])
    lines = [(line, BuyNumber(number=one, provider="acme")) for line, one in enumerate(numbers, 1)]
    orders.load(returns.runtime, order_id, lines)
    orders.finish(returns.runtime, order_id)
    for _ in range(5):
        returns.world.tick()
        orders.complete_finished(returns.runtime)
    return order_id


def place(returns: Returns, row: Row, status: Slot) -> None:
    values = {"pool": "p", "slot": 1, "number": row["number"], "provider": "acme", "purchase_id": row["id"]}
    moment = returns.world.clock.moment
    with returns.world.write() as conn:
        taker = "dialer" if status is Slot.TAKEN else None
        request = "r" if status is Slot.TAKEN else None
        also = {"status": status, "available_at": moment, "updated_at": moment, "taker": taker, "request_id": request}
        conn.execute(insert(POOL_NUMBER).values(**values, **also, tries=1))


def slot(returns: Returns) -> str:
    return str(returns.world.rows(select(POOL_NUMBER))[0]["status"])


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (Status.QUEUED, "not_bought"),
        (Status.PROCESSING, "not_bought"),
        (Status.UNKNOWN, "in_doubt"),
        (Status.HELD, "in_doubt"),
        (Status.PURCHASING, "in_doubt"),
        (Status.FAILED, "not_bought"),
        (Status.RELEASED, "not_bought"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_only_what_was_bought_is_given_back(returns: Returns, status: Status, wanted: str, force: bool) -> None:
    row = returns.bought()
    with returns.world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status))
    assert code(returns, row, force=force) == wanted
    assert returns.releases() == []


def test_not_while_a_call_to_buy_has_not_ended(returns: Returns) -> None:
    row = returns.bought()
    with returns.world.write() as conn:
        conn.execute(update(ATTEMPT).values(outcome=None))
    assert code(returns, row, force=True) == "in_doubt"


def test_not_without_the_providers_id(returns: Returns) -> None:
    row = returns.bought()
    with returns.world.write() as conn:
        conn.execute(update(PURCHASE).values(provider_number_id=None))
    assert code(returns, row, force=True) == "no_id"


def test_not_where_no_documents_say_how(returns: Returns) -> None:
    row = returns.bought()
    for alias in ("acme", "twin"):
        returns.runtime.kinds[alias] = kinds()["timepay"]  # type: ignore[index]
    with pytest.raises(RequestError, match="mark-released") as failure:
        returns.ask(row, force=True)
    assert failure.value.code == "no_release"


def test_not_at_an_account_that_the_alias_is_not(returns: Returns) -> None:
    row = returns.bought()
    with returns.world.write() as conn:
        conn.execute(update(PURCHASE).values(account="another"))
    assert code(returns, row, force=True) == "unknown_provider"


def test_not_what_another_order_points_to_unless_by_force(returns: Returns) -> None:
    first = order(returns, NUMBER)
    [row] = returns.world.rows(select(PURCHASE))
    second = order(returns, NUMBER)
    assert [code(returns, row), code(returns, row, order_id=first)] == ["other_order", "other_order"]
    assert code(returns, row, order_id=second) == "other_order"
    returns.ask(row, force=True)
    assert returns.settle(row)["status"] == Status.RELEASED
    counts = [e["data"]["counts"] for e in returns.world.rows(select(EVENT)) if e["type"] == "dialstock.order.updated"]
    orders.complete_finished(returns.runtime)
    told = [e for e in returns.world.rows(select(EVENT)) if e["type"] == "dialstock.order.updated"]
    assert counts == []
    assert [one["data"]["counts"] for one in told] == [{"released": 1}] * 2


def test_not_what_another_request_was_answered_with_unless_by_force(returns: Returns) -> None:
    row = returns.bought(idempotency_key="a")
    returns.world.accept(idempotency_key="b")
    assert code(returns, row) == "asked_for"
    returns.ask(row, force=True)
    assert returns.settle(row)["status"] == Status.RELEASED


def test_who_comes_to_point_to_it_all_the_same_keeps_it(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    with returns.world.write() as conn:  # as a program does that does not know the status
        conn.exec_driver_sql(
            "INSERT INTO purchase_key (idempotency_key, fingerprint, purchase_id, created_at) "
            f"VALUES ('late', 'f', '{row['id']}', '2026-01-01 00:00:00')"
        )
    after = returns.settle(row)
    assert (after["status"], returns.releases()[0]["error_code"]) == (Status.PURCHASED, "wanted_again")
    assert returns.provider.given == []


def test_who_comes_while_a_call_is_in_doubt_keeps_what_is_there_still(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(LOST)
    returns.ask(row)
    returns.step()
    with returns.world.write() as conn:
        conn.exec_driver_sql(
            "INSERT INTO purchase_key (idempotency_key, fingerprint, purchase_id, created_at) "
            f"VALUES ('late', 'f', '{row['id']}', '2026-01-01 00:00:00')"
        )
    assert returns.settle(row)["status"] == Status.PURCHASED
    assert len(returns.provider.given) == 1


def test_never_what_a_taker_has(returns: Returns) -> None:
    row = returns.bought()
    place(returns, row, Slot.TAKEN)
    assert code(returns, row, force=True) == "in_use"


def test_a_number_leaves_its_pool_and_comes_back_where_it_is_kept(returns: Returns) -> None:
    row = returns.bought()
    place(returns, row, Slot.AVAILABLE)
    returns.provider.answers.append(REFUSED)
    returns.ask(row)
    assert slot(returns) == Slot.GONE
    returns.settle(row)
    assert slot(returns) == Slot.AVAILABLE
    with returns.world.write() as conn:
        assert leaving.longest_available(conn, "p", 5) == [row["id"]]
    returns.ask(row)
    returns.settle(row)
    assert slot(returns) == Slot.GONE


def test_a_message_is_accepted_once_and_gives_back_nothing_that_was_bought_since(returns: Returns) -> None:
    row = returns.bought(idempotency_key="one")
    first = send(returns)
    assert send(returns)["id"] == first["id"]
    returns.settle(row)
    again = returns.bought(idempotency_key="two")
    assert send(returns)["status"] == "released"
    assert returns.world.row(again["id"])["status"] == Status.PURCHASED
    told = [
        e["data"]
        for e in returns.world.rows(select(EVENT).order_by(EVENT.c.seq))
        if "repeat" in e["data"] and "release_id" in e["data"]
    ]
    assert [(one["repeat"], one["release_status"], one["status"]) for one in told] == [
        (False, "open", "releasing"),
        (True, "open", "releasing"),
        (True, "released", "released"),
    ]
    assert send(returns, "m2")["purchase_id"] == again["id"]


def test_a_key_is_of_one_request(returns: Returns) -> None:
    returns.bought()
    returns.bought(number(7))
    send(returns, idempotency_key="k")
    with pytest.raises(RequestError) as failure:
        send(returns, number=number(7), idempotency_key="k")
    assert failure.value.code == "key_conflict"


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"number": number(9)}, "not_bought"),
        ({"provider": "nobody"}, "unknown_provider"),
        ({"number": "12"}, "invalid_request"),
        ({"force": True}, "invalid_request"),
        ({"metadata": {"a": float("nan")}}, "invalid_request"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(returns: Returns, fields: dict[str, object], wanted: str) -> None:
    returns.bought()
    with pytest.raises(RequestError) as failure:
        send(returns, **fields)
    assert failure.value.code == wanted
    assert returns.world.rows(select(REJECTED)) == []
    assert returns.statuses() == [Status.PURCHASED]


def test_what_a_person_gave_back_is_written_down(returns: Returns) -> None:
    row = returns.bought()
    place(returns, row, Slot.AVAILABLE)
    returns.provider.keeps_for = (86_400.0,)
    returns.ask(row)
    after = giving_back.mark_released(returns.runtime, row["id"], "ann", "at the portal")
    assert after is not None
    assert (after["status"], after["error_code"], slot(returns)) == (Status.RELEASED, "given_back", Slot.GONE)
    assert returns.releases()[0]["status"] == "released"
    assert giving_back.mark_released(returns.runtime, row["id"], "ann", None) is None
    assert returns.step() is False


def test_not_while_a_call_of_ours_is_under_way(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    said: list[object] = []
    mark = lambda: said.append(giving_back.mark_released(returns.runtime, row["id"], "ann", None))  # noqa: E731
    returns.world.points["release_claimed"] = mark
    returns.step()
    assert said == [None]
    assert returns.world.row(row["id"])["status"] == Status.RELEASED


def test_calls_go_after_their_time_and_releases_stay(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.settle(row)
    clean_up(returns.runtime, Retention(records=3600.0))
    assert len(returns.world.rows(select(RELEASE_ATTEMPT))) == 1
    old = "0190a0a0-0000-7000-8000-000000000001"  # made when the world's clock says
    with returns.world.write() as conn:
        conn.execute(update(RELEASE).values(id=old))
        conn.execute(update(RELEASE_ATTEMPT).values(release_id=old))
    returns.world.clock.advance(7200)
    clean_up(returns.runtime, Retention(records=3600.0))
    assert returns.world.rows(select(RELEASE_ATTEMPT)) == []
    assert len(returns.releases()) == 1
