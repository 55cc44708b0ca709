"""Each provider's real adapter over a socket, whose looks answer what says nothing: no second purchase, no release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import phonenumbers
import pytest
from redis import Redis

from schemas.config.provider import SANDBOX_TOKEN
from schemas.settling import FindingKind
from schemas.status import Status
from tasks.audit import compare
from tasks.ledger.rows import Row
from tasks.policies.pace import Pace
from tasks.providers.adapter import ProviderError
from tasks.providers.registry import kinds
from tasks.runtime import Binding
from tests.contract.documented import ENTRIES, FILTER, LOOKS, NUMBER_KEY, Said, gets, page, record
from tests.scripted import ScriptedServer, Seen, reply
from tests.tasks.providers.adapters import ID, adapter, config, success
from tests.tasks.support import FAST, NUMBER, OpenPace, World, number
from tests.waiting import eventually

GERMAN = "+4930901820"
LONGER = f"{GERMAN}7"
"""Another number, which the filter by the first lets through."""

BEFORE = ("/numbers-stock-items", "/available_phone_numbers", "/number_orders")
"""What is asked before a number is bought, or before the list of numbers is."""

HOSTILE = ("gateway", "no route", "empty", "text", "national", "elsewhere", "null", "missing", "errors", "cut short")


def said(what: str, kind: str, wanted: str = NUMBER) -> Said:
    """A hostile answer to a look for *wanted*, which is ours."""
    key = NUMBER_KEY.get(kind, "number")
    ours = record(kind, wanted)
    entries = {
        "national": {**ours, key: wanted[2:]},
        "elsewhere": {**{name: value for name, value in ours.items() if name != key}, "e164": wanted},
        "null": {**ours, key: None},
        "missing": {name: value for name, value in ours.items() if name != key},
    }
    if what in entries:
        return Said(200, {**page(kind), ENTRIES[kind]: [entries[what]]})
    return {
        "gateway": Said(404, {"message": "Not Found"}),
        "no route": Said(404, {"message": "no Route matched with those values"}),
        "empty": Said(404, {}),
        "text": Said(404, "User not found"),
        "errors": Said(200, {**page(kind), "errors": [{"code": "internal", "detail": "the list could not be read"}]}),
        "cut short": Said(200, reply(200, page(kind))[-20:]),
    }[what]


class Shop(ScriptedServer):
    """A provider of one kind that charges every POST, answers it with `sale`, and looks with `look`, or as
    its documents say with what is `owned`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.sale = Said(502, {"message": "Bad Gateway"})
        self.look = Said(500, None)
        self.owned: tuple[str, ...] | None = None
        self.otherwise = self._answer

    @property
    def charges(self) -> int:
        return sum(seen.method == "POST" for seen in self.seen)

    @property
    def looks(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == "GET" and not seen.path.endswith(BEFORE)]

    def _answer(self, seen: Seen) -> bytes:
        if seen.path.endswith("numbers-stock-items"):
            wanted = seen.query["prefix"][0]
            return reply(200, {"results": [{"id": f"item-{wanted}", "numberString": wanted}]})
        if seen.method == "GET" and seen.path.startswith("/v2/") and seen.path.endswith(BEFORE):
            return reply(200, self._before(seen))
        # By number or by id there is nothing where the list decides.
        by_itself = seen.path == "/v1/numbers" or seen.path.endswith(f"/{ID}")
        if seen.method == "GET" and by_itself and (self.look.status == 200 or self.owned is not None):
            return gets(self.kind)[0].raw
        return (self.sale if seen.method == "POST" else self._listed(seen)).raw

    def _listed(self, seen: Seen) -> Said:
        if self.owned is None:
            return self.look
        asked = seen.query.get(FILTER.get(self.kind, "pattern"), [""])[0].strip(" +")
        # Nothing was bought under our name of a call.
        return Said(
            200, page(self.kind, *(one for one in self.owned if asked in one and "FriendlyName" not in seen.query))
        )

    def _before(self, seen: Seen) -> Any:
        """What Telnyx offers, which is what was searched for, or its orders by our name of a call: none."""
        digits = seen.query.get("filter[phone_number][starts_with]")
        if digits is None:
            return page("telnyx")
        code = phonenumbers.country_code_for_region(seen.query["filter[country_code]"][0])
        return {"data": [{"phone_number": f"+{code}{digits[0]}"}]}

    def bind(self, **policy: Any) -> Binding:
        rules = {**FAST, "timeout": 20.0, **policy}
        found = config(self.kind, self.url, policy=rules)
        built = adapter(self.kind, self.url, SANDBOX_TOKEN, policy=rules)
        return Binding(alias="acme", kind=self.kind, account="acme-account", policy=found.policy, adapter=built)


@pytest.fixture(params=LOOKS)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(request.param) as running:
        yield running


@pytest.fixture
def world(world: World, shop: Shop) -> World:
    """The world with that shop as its one provider."""
    world.runtime = replace(world.runtime, providers={"acme": shop.bind()}, kinds={"acme": kinds()[shop.kind]})
    return world


def bought(world: World, shop: Shop, *numbers: str) -> list[Row]:
    """Numbers that were bought, and that the audit expects in the list."""
    rows = []
    for one in numbers:
        status, body = success(shop.kind, one)
        shop.sale = Said(status, body)
        rows.append(world.accept(one))
        world.work()
        if shop.kind == "vonage":  # its yes names no number: a look has to show it
            before = shop.look, shop.owned
            shop.look, shop.owned = Said(200, page(shop.kind, one)), None
            world.settle(rows[-1]["id"])
            shop.look, shop.owned = before
        assert world.row(rows[-1]["id"])["status"] == Status.PURCHASED
    world.clock.advance(600)
    return rows


ONE_DATABASE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@ONE_DATABASE
@pytest.mark.parametrize("what", HOSTILE)
def test_charged_and_answered_502_it_is_never_bought_again(world: World, shop: Shop, what: str) -> None:
    shop.look = said(what, shop.kind)
    row = world.settle(world.accept()["id"])
    assert (row["status"], row["error_code"]) == (Status.HELD, "look_failed")
    assert len(shop.looks) >= 8
    assert shop.charges == 1


@ONE_DATABASE
@pytest.mark.parametrize("what", ["national", "elsewhere", "null", "missing"])
def test_a_sale_whose_record_cannot_be_read_is_never_bought_again(world: World, shop: Shop, what: str) -> None:
    shop.look = said(what, shop.kind)
    status, body = success(shop.kind, NUMBER)
    [entry] = shop.look.body[ENTRIES[shop.kind]]
    wrapped = {"bird": {"results": [entry]}, "telnyx": {"data": {"id": ID, "phone_numbers": [entry]}}}
    shop.sale = Said(status, wrapped.get(shop.kind, entry))
    row = world.settle(world.accept()["id"])
    assert row["status"] == Status.HELD
    assert shop.charges == 1
    assert body != shop.sale.body


def test_a_whole_list_without_the_number_lets_it_be_bought_again(world: World, shop: Shop) -> None:
    shop.owned = (LONGER,)
    row = world.accept(GERMAN)
    world.settle(row["id"])
    assert shop.charges == world.binding.policy.max_attempts


@pytest.mark.parametrize("shop", FILTER, indirect=True)
def test_a_whole_list_of_another_number_lets_none_be_bought_again(world: World, shop: Shop) -> None:
    shop.look = Said(200, page(shop.kind, number(7)))
    row = world.settle(world.accept()["id"])
    assert (row["status"], row["error_code"], shop.charges) == (Status.HELD, "look_failed", 1)


@ONE_DATABASE
@pytest.mark.parametrize("what", HOSTILE)
def test_an_audit_calls_nothing_missing_that_it_could_not_read(world: World, shop: Shop, what: str) -> None:
    [row] = bought(world, shop, NUMBER)
    shop.look = said(what, shop.kind)
    with pytest.raises(ProviderError):
        compare.audit(world.runtime, world.binding)
    assert world.row(row["id"])["status"] == Status.PURCHASED


@ONE_DATABASE
@pytest.mark.parametrize("what", HOSTILE)
def test_a_last_look_that_cannot_be_read_frees_no_number(world: World, shop: Shop, what: str) -> None:
    [row] = bought(world, shop, NUMBER)
    shop.look = Said(200, page(shop.kind))
    report = compare.audit(world.runtime, world.binding)
    assert [one.number for one in report.of(FindingKind.MISSING)] == [NUMBER]
    shop.look = said(what, shop.kind)
    done = compare.mark_released(world.runtime, world.binding, report, "ann", all_gone=True)
    assert ([one.number for one in done.left], done.settled) == ([NUMBER], [])
    assert world.row(row["id"])["status"] == Status.PURCHASED
    shop.look = Said(200, page(shop.kind))
    assert len(compare.mark_released(world.runtime, world.binding, report, "ann", all_gone=True).settled) == 1


def test_what_an_audit_frees_it_asked_for_in_as_few_walks_as_can_be(world: World, shop: Shop) -> None:
    bought(world, shop, *(number(n) for n in range(4)))
    shop.owned = (number(0),)
    report = compare.audit(world.runtime, world.binding)
    before, steps = len(shop.looks), list[int]()
    done = compare.mark_released(world.runtime, world.binding, report, "ann", progress=steps.append)
    assert len(done.settled) == sum(steps) == 3
    asked = {"fluents": 3 + 1, "signalwire": 3, "vogent": 1, "bird": 3 * 2, "twilio": 3, "telnyx": 3, "plivo": 3}
    asked["vonage"] = 3 + 1
    assert len(shop.looks) - before == asked[shop.kind]


class CountingPace(OpenPace):
    """Lets all through, and counts the slots of each lane."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: list[str] = []

    def reserve(self, lane: Any, horizon: float = 2.0, *, notice: float = 0.0) -> Any:
        self.slots.append(lane.key.rpartition(":")[2])
        return super().reserve(lane, horizon, notice=notice)

    def refund(self, lane: Any, slot: Any) -> bool:
        self.slots.remove(lane.key.rpartition(":")[2])
        return super().refund(lane, slot)


def test_every_request_of_ours_has_a_slot(world: World, shop: Shop) -> None:
    """Preparing, buying, a refusal's one look, the looks of a doubt, an audit, and the last look before a release."""
    pace = CountingPace()
    world.runtime = replace(world.runtime, pace=pace)
    shop.owned = (number(7),)
    world.settle(world.accept(number(1))["id"])
    shop.sale = Said(422, {"message": "not for sale"})
    world.accept(number(2))
    world.work()
    rows = bought(world, shop, number(3))
    report = compare.audit(world.runtime, world.binding)
    compare.mark_released(world.runtime, world.binding, report, "ann", all_gone=True)
    assert world.row(rows[0]["id"])["status"] == Status.RELEASED
    assert pace.slots.count("look") == sum(seen.method == "GET" for seen in shop.seen) > 10
    assert pace.slots.count("buy") >= shop.charges


@pytest.mark.parametrize("shop", ["vogent"], indirect=True)
def test_a_look_that_walks_keeps_to_the_limit(world: World, shop: Shop, redis: Redis) -> None:
    """Twenty-three pages, twice, at twenty a second, on the real pace; meanwhile nobody else looks."""
    at: list[float] = []

    def answer(seen: Seen) -> bytes:
        at.append(time.monotonic())
        index = int(seen.query.get("cursor", ["after--1"])[0].removeprefix("after-")) + 1
        return reply(200, page("vogent", number(index), index=index, last=index == 22))

    row = world.accept("+14155560000")
    world.work()
    world.clock.advance(60)
    world.look()
    binding = shop.bind(lookup_rate_limits=["20/second"], rate_guard=0.0)
    pace, shop.otherwise = Pace(redis), answer
    world.runtime = replace(world.runtime, providers={"acme": binding}, pace=pace, sleep=time.sleep)
    eventually(lambda: pace.next_in(binding.looking) <= 0, what="a limiter that fills")
    world.work()
    assert (world.row(row["id"])["status"], world.row(row["id"])["looks"]) == (Status.UNKNOWN, 1)
    assert len(at) == 46
    assert at[-1] - at[0] >= 0.95 * 45 / 20
