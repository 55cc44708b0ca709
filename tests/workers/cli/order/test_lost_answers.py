"""Commits whose answer is lost: a command finds out what became of them, or says that it is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.accounts import identity
from tests.servers.proxy import PostgresProxy
from tests.workers.cli.running import Cli, csv_file, settle
from workers.cli.terminal.context import open_desk
from workers.database import commit_outcome
from workers.views.desk import Desk

MOST = 12
"""More commits than any of these commands makes."""


@pytest.fixture
def proxy(home: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresProxy]:
    """The way that the command line takes to the database."""
    proxy = PostgresProxy(postgres_url)
    monkeypatch.setenv("DATABASE_URL", proxy.url)
    yield proxy
    proxy.close()


@pytest.fixture
def desk(proxy: PostgresProxy, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The same database by the straight way."""
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with open_desk() as opened:
        # What the first command that buys writes down does not count among the commits of those that follow.
        identity.settle(opened.runtime)
        monkeypatch.setenv("DATABASE_URL", proxy.url)
        yield opened


def each_commit(proxy: PostgresProxy, run: Callable[[int], object], **how: bool) -> None:
    """Run a command again and again, each time with another of its commits cut, until there is none."""
    for at in range(1, MOST):
        proxy.cut(at, **how)
        run(at)
        if proxy.commits < at:
            assert at > 1
            return
    raise AssertionError("a command without end")


def rows_of(at: int) -> list[str]:
    return [f"+1415{5_000_000 + 1000 * at + n},timepay" for n in range(4)]


def started(desk: Desk) -> list[Any]:
    with desk.runtime.database.read() as conn:
        query = select(ORDER).where(ORDER.c.status.in_((OrderStatus.OPEN, OrderStatus.COMPLETED)))
        return list(conn.execute(query.order_by(ORDER.c.id)))


@pytest.mark.parametrize("delivers", [True, False])
def test_an_order_is_in_whatever_commit_lost_its_answer(
    proxy: PostgresProxy, desk: Desk, home: Path, delivers: bool
) -> None:
    def submit(at: int) -> None:
        done = Cli().json("order", "submit", str(csv_file(home, rows_of(at))), "--max", "2")
        assert (done["lines"], done["new"], done["found"]) == (4, 4, 0)
        assert [order.id for order in started(desk)][-1] == done["order_id"]
        assert len(started(desk)) == at

    each_commit(proxy, submit, delivers=delivers)


@pytest.mark.parametrize("delivers", [True, False])
def test_who_does_as_the_message_says_buys_no_more_than_asked(
    proxy: PostgresProxy, desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch, delivers: bool
) -> None:
    monkeypatch.setattr(commit_outcome, "PATIENCE", 0.5)

    def submit(at: int) -> None:
        file = str(csv_file(home, rows_of(at)))
        result = Cli()("order", "submit", file, "--max", "2")
        proxy.away = False
        if result.exit_code:
            assert result.exit_code == 3, result.output
            obey(desk, result.stderr, file)
        assert [order.max_purchases for order in started(desk)] == [2] * at

    each_commit(proxy, submit, delivers=delivers, leaves=True)


def obey(desk: Desk, message: str, file: str) -> None:
    if "nothing of it was bought, submit the file again" in message or "nothing was bought, submit" in message:
        Cli().ok("order", "submit", file, "--max", "2")
        return
    assert "is not known" in message
    order_id = message.partition("dialstock order show ")[2].partition("`")[0]
    if Cli().json("order", "show", order_id)["order"]["status"] == "loading":
        an_hour_passes(desk)
    if Cli().json("order", "show", order_id)["order"]["status"] == "abandoned":
        Cli().ok("order", "submit", file, "--max", "2")


def an_hour_passes(desk: Desk) -> None:
    with desk.runtime.database.write() as conn:
        late = desk.runtime.now() - timedelta(hours=1)
        conn.execute(update(ORDER).where(ORDER.c.status == OrderStatus.LOADING).values(updated_at=late))
    orders.complete_finished(desk.runtime)


@pytest.mark.parametrize("delivers", [True, False])
def test_a_number_is_accepted_once_and_as_new(proxy: PostgresProxy, desk: Desk, delivers: bool) -> None:
    def buy(at: int) -> None:
        done = Cli().json("buy", f"+1415555{at:04d}", "--provider", "timepay")
        assert (done["created"], done["purchase"]["status"]) == (True, "queued")

    each_commit(proxy, buy, delivers=delivers)


@pytest.mark.parametrize("delivers", [True, False])
def test_a_settlement_is_told_as_ours(proxy: PostgresProxy, desk: Desk, delivers: bool) -> None:
    def resolve(at: int) -> None:
        number = f"+1415555{at:04d}"
        with desk.runtime.database.read() as conn:
            assert conn.execute(select(PURCHASE.c.id).where(PURCHASE.c.number == number)).first() is None
        orders.accept_single(desk.runtime, request(number))
        held = settle(desk, number, Status.HELD)
        done = Cli().json("purchase", "resolve", held["id"], "--bought", "--by", "kim")
        assert (done["resolved"], done["moved"]) == (1, [])

    each_commit(proxy, resolve, delivers=delivers)


def request(number: str) -> Any:

    return BuyNumber(number=number, provider="timepay")


@pytest.mark.parametrize("delivers", [True, False])
def test_lines_bought_again_are_counted(proxy: PostgresProxy, desk: Desk, home: Path, delivers: bool) -> None:
    def retry(at: int) -> None:
        proxy.cut(MOST)
        order_id = Cli().submit(csv_file(home, rows_of(at)))
        settle(desk, rows_of(at)[0].partition(",")[0], Status.FAILED)
        proxy.cut(at, delivers=delivers)
        done = Cli().json("order", "retry", order_id)
        assert (done["again"], done["found"]) == (1, 0)

    each_commit(proxy, retry, delivers=delivers)


def test_what_cannot_be_found_out_is_told_as_not_known(
    proxy: PostgresProxy, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_outcome, "PATIENCE", 0.5)
    proxy.cut(1, leaves=True)
    told = Cli().refused("buy", "+14155550001", "--provider", "timepay", status=3)
    assert "whether it was written is not known" in told
    proxy.away = False
    proxy.cut(MOST)
    assert Cli().json("buy", "+14155550001", "--provider", "timepay")["created"] is False
