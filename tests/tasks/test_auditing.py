"""The audit of each provider that can list, over a real socket; and the same as a scheduled task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import select, update

from schemas.config import SANDBOX_TOKEN, sandbox_config
from schemas.policy import Kind
from schemas.requests import BuyNumber
from schemas.settling import FindingKind
from schemas.status import Status
from schemas.tables import AUDIT_RUN, EVENT, FINDING, PURCHASE, RESOLUTION
from tasks import accepting, auditing, purchase
from tasks.auditing import NothingLeft, Report, Stopped
from tasks.ledger.rows import Row
from tasks.policies.pace import Lane, Later, Pace, Slot, looking_lane
from tasks.providers.base import ProviderError, Unsupported
from tasks.providers.registry import build
from tasks.providers.sandbox import SandboxServer
from tasks.runtime import Binding, Runtime
from tests.tasks.support import FAST, OpenPace, World, number

LISTS = ("fluents", "signalwire", "vogent", "bird")
PAGES = {"fluents": 100, "signalwire": 1000, "vogent": 100, "bird": 99}


@pytest.fixture(scope="module")
def _running() -> Iterator[SandboxServer]:
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def sandbox(_running: SandboxServer) -> SandboxServer:
    _running.control.reset()
    _running.control.provisioning(0)
    return _running


@dataclass
class Shop:
    """One provider of a world, whose adapter is the real one."""

    world: World
    sandbox: SandboxServer
    kind: str
    runtime: Runtime
    binding: Binding

    def buy(self, *numbers: str) -> list[Row]:
        """Buy through the whole of our code."""
        rows = []
        for one in numbers:
            row = accepting.accept_one(self.runtime, BuyNumber(number=one, provider=self.kind))
            while self.world.sent:
                purchase.buy(self.runtime, **self.world.sent.pop(0).kwargs)
            rows.append(self.world.row(row["id"]))
        return rows

    def audit(self, **options: Any) -> Report:
        return auditing.audit(self.runtime, self.binding, **options)

    def scheduled(self) -> int | None:
        return auditing.scheduled(self.runtime, self.kind)

    def own(self, *numbers: str) -> None:
        self.sandbox.control.own(self.kind, numbers)

    def forget(self) -> None:
        """The provider shows nothing of what was bought so far."""
        self.sandbox.control.reset()
        self.sandbox.control.provisioning(0)

    def put(self, row: Row, status: Status) -> None:
        with self.world.write() as conn:
            changes = {"status": status, "finished_at": None, "success": None, "due_at": None}
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**changes))

    def charges(self) -> int:
        return len(self.sandbox.control.charges(self.kind))

    def told(self) -> list[str]:
        return [
            row["type"].removeprefix("dialstock.audit.")
            for row in self.world.rows(select(EVENT).order_by(EVENT.c.seq))
            if row["type"].startswith("dialstock.audit.")
        ]


@pytest.fixture
def open_shop(world: World, sandbox: SandboxServer) -> Callable[..., Shop]:
    def open_one(kind: str, **policy: Any) -> Shop:
        config = sandbox_config(sandbox.url, {kind: {**FAST, "timeout": 20.0, **policy}}).providers[kind]
        binding = Binding(
            alias=kind,
            kind=Kind(kind),
            account=config.account,
            policy=config.policy,
            adapter=build(config, SANDBOX_TOKEN),
        )
        kinds = {kind: Kind(kind)}
        runtime = replace(world.runtime, providers={kind: binding}, kinds=kinds)
        return Shop(world, sandbox, kind, runtime, binding)

    return open_one


@pytest.fixture(params=LISTS)
def shop(request: pytest.FixtureRequest, open_shop: Callable[..., Shop]) -> Shop:
    return open_shop(request.param)


@pytest.fixture
def fluents(open_shop: Callable[..., Shop]) -> Shop:
    return open_shop("fluents")


def test_an_account_in_order_has_no_differences(shop: Shop) -> None:
    shop.buy(number(1), number(2))
    shop.world.clock.advance(600)
    calls = len(shop.sandbox.control.calls(shop.kind))
    report = shop.audit()
    assert (report.findings, report.owned) == ([], 2)
    assert len(shop.sandbox.control.calls(shop.kind)) == calls


def test_each_difference_is_found_and_settled(shop: Shop) -> None:
    _, doubtful, _ = shop.buy(number(1), number(2), number(3))
    shop.forget()
    shop.own(number(1), number(2), number(4))
    shop.put(doubtful, Status.HELD)
    shop.world.clock.advance(600)
    report = shop.audit()
    assert [finding.key for finding in report.findings] == [
        ("evidence", number(2)),
        ("missing", number(3)),
        ("orphan", number(4)),
    ]
    adopted = auditing.adopt(shop.runtime, shop.binding, report, "ann")
    released = auditing.mark_released(shop.runtime, shop.binding, report, "ann")
    assert [finding.number for finding in adopted.settled] == [number(4), number(2)]
    assert [finding.number for finding in released.settled] == [number(3)]
    assert adopted.left == released.left == []
    rows = {row["number"]: row for row in shop.world.rows(select(PURCHASE))}
    assert {one: row["status"] for one, row in rows.items()} == {
        number(1): Status.PURCHASED,
        number(2): Status.PURCHASED,
        number(3): Status.RELEASED,
        number(4): Status.PURCHASED,
    }
    known = {one.number: one.provider_number_id for one in shop.binding.adapter.owned()}
    assert rows[number(4)]["provider_number_id"] == known[number(4)]
    assert {row["by"] for row in shop.world.rows(select(RESOLUTION))} == {"ann"}
    assert shop.audit().findings == []
    assert shop.charges() == 0


def test_a_number_owned_twice_is_found(shop: Shop) -> None:
    [row] = shop.buy(number(1))
    shop.own(number(1))
    [finding] = shop.audit().findings
    assert (finding.kind, finding.purchase_id) == (FindingKind.CHARGED_TWICE, row["id"])
    assert len(finding.provider_number_ids) == 2


def test_what_is_bought_while_it_walks_is_no_difference(shop: Shop) -> None:
    shop.own(*(number(n) for n in range(PAGES[shop.kind] + 1)))
    late = iter(["+14155560001", "+14155560002"])

    def buy_meanwhile(_: int) -> None:
        if one := next(late, None):
            shop.buy(one)

    report = shop.audit(progress=buy_meanwhile)
    assert shop.charges() == 2
    assert {finding.number for finding in report.findings} == {number(n) for n in range(PAGES[shop.kind] + 1)}


class CountingPace(OpenPace):
    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[Lane] = []

    def reserve(self, lane: Lane, horizon: float = 2.0) -> Slot:
        self.lanes.append(lane)
        return Slot(0.25, 1)


def test_every_page_is_paced_and_progress_adds_up(shop: Shop) -> None:
    shop.own(*(number(n) for n in range(PAGES[shop.kind] + 1)))
    pace = CountingPace()
    shop.runtime = replace(shop.runtime, pace=pace)
    before = shop.world.clock.moment
    steps: list[int] = []
    report = shop.audit(progress=steps.append)
    assert steps == [0, PAGES[shop.kind], 1]
    assert report.owned == PAGES[shop.kind] + 1
    assert pace.lanes == [looking_lane(shop.binding.account, shop.binding.policy)] * 2
    assert (shop.world.clock.moment - before).total_seconds() == 0.5


@pytest.mark.parametrize("fault", ["error_before", "cut_before", "html", "throttle", "account"])
def test_a_walk_that_breaks_off_finds_nothing(shop: Shop, fault: str) -> None:
    shop.buy(number(1))
    shop.forget()
    shop.own(*(number(n) for n in range(2, PAGES[shop.kind] + 3)))
    shop.world.clock.advance(600)
    pages = iter([None, lambda: shop.sandbox.control.plan(shop.kind, fault, on="read")])

    def spoil_the_second(_: int) -> None:
        if spoil := next(pages, None):
            spoil()

    with pytest.raises(ProviderError):
        shop.audit(progress=spoil_the_second)


def test_a_provider_without_a_list_cannot_be_audited(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop("timepay")
    with pytest.raises(Unsupported, match="no list of owned numbers"):
        shop.audit()
    assert shop.scheduled() is None
    assert shop.world.rows(select(AUDIT_RUN)) == []


def test_what_one_walk_hides_a_second_one_shows(fluents: Shop) -> None:
    """A number that is given back while the list is walked moves the others up: one falls between two pages."""
    numbers = [number(n) for n in range(101)]
    fluents.own(*numbers)
    auditing.adopt(fluents.runtime, fluents.binding, fluents.audit(), "ann")
    fluents.world.clock.advance(1000)
    pages: list[int] = []

    def give_one_back(step: int) -> None:
        pages.append(step)
        if len(pages) == 2:
            fluents.forget()
            fluents.own(*numbers[1:])

    assert fluents.audit(progress=give_one_back).findings == []
    # the first walk: a full page, and an empty one in which the last number is not any more
    assert pages == [0, 100, 0, 0, 100]
    assert [finding.key for finding in fluents.audit().findings] == [("missing", numbers[0])]


def test_a_number_that_a_look_still_shows_is_not_marked(shop: Shop) -> None:
    _, second = shop.buy(number(1), number(2))
    shop.world.clock.advance(600)
    shop.forget()
    shop.own(number(1))
    report = shop.audit()
    assert [finding.number for finding in report.of(FindingKind.MISSING)] == [number(2)]
    shop.own(number(2))
    done = auditing.mark_released(shop.runtime, shop.binding, report, "ann")
    # only a list can be asked at Vogent, and two walks did not show it
    marked = shop.binding.adapter.lookup == "by_list"
    assert [finding.number for finding in (done.settled if marked else done.left)] == [number(2)]
    assert shop.world.row(second["id"])["status"] == (Status.RELEASED if marked else Status.PURCHASED)


@pytest.mark.parametrize("fault", ["error_before", "account"])
def test_a_last_look_that_fails_marks_nothing(fluents: Shop, fault: str) -> None:
    fluents.buy(number(1))
    fluents.world.clock.advance(600)
    fluents.forget()
    report = fluents.audit()
    fluents.sandbox.control.plan("fluents", fault, on="read")
    done = auditing.mark_released(fluents.runtime, fluents.binding, report, "ann")
    assert (len(done.settled), len(done.left)) == (0, 1)


def test_a_list_that_shows_none_of_ours_is_taken_for_a_wrong_token(fluents: Shop) -> None:
    fluents.buy(number(1), number(2))
    fluents.world.clock.advance(600)
    fluents.forget()
    report = fluents.audit()
    with pytest.raises(NothingLeft):
        auditing.mark_released(fluents.runtime, fluents.binding, report, "ann")
    assert {row["status"] for row in fluents.world.rows(select(PURCHASE))} == {Status.PURCHASED}
    done = auditing.mark_released(fluents.runtime, fluents.binding, report, "ann", all_gone=True)
    assert len(done.settled) == 2


def test_a_number_that_bird_still_sets_up_is_neither_adopted_nor_bought_again(open_shop: Callable[..., Shop]) -> None:
    bird = open_shop("bird")
    bird.sandbox.control.provisioning(60)
    doubtful, orphan = bird.buy(number(1), number(2))
    assert orphan["status"] == Status.PROCESSING
    bird.put(doubtful, Status.QUEUED)
    bird.put(orphan, Status.FAILED)
    bird.world.clock.advance(600)
    with bird.world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == orphan["id"]).values(finished_at=orphan["created_at"]))
    done = auditing.adopt(bird.runtime, bird.binding, bird.audit(), "ann")
    assert [finding.number for finding in done.left] == [number(2)]
    assert bird.world.row(doubtful["id"])["status"] == Status.PROCESSING


def test_the_scheduled_audit_settles_evidence_and_tells_of_the_rest_once(shop: Shop) -> None:
    _, doubtful, lost = shop.buy(number(1), number(2), number(3))
    shop.forget()
    shop.own(number(1), number(2), number(4))
    shop.put(doubtful, Status.UNKNOWN)
    shop.world.clock.advance(600)
    began = shop.world.clock.moment
    assert shop.scheduled() == 3
    assert sorted(shop.told()) == ["evidence", "missing", "orphan"]
    settled = shop.world.row(doubtful["id"])
    assert settled["status"] == Status.PURCHASED
    assert shop.world.row(lost["id"])["status"] == Status.PURCHASED
    [resolution] = shop.world.rows(select(RESOLUTION))
    assert (resolution["purchase_id"], resolution["decision"], resolution["by"]) == (settled["id"], "evidence", "audit")
    [run] = shop.world.rows(select(AUDIT_RUN))
    assert (run["began_at"], run["owned"], run["error"]) == (began, 3, None)
    assert shop.scheduled() is None
    shop.world.clock.advance(24 * 3600)
    assert shop.scheduled() == 0
    assert len(shop.told()) == 3


def test_what_is_gone_at_the_next_audit_is_resolved(fluents: Shop) -> None:
    fluents.buy(number(1))
    fluents.own(number(2))
    fluents.world.clock.advance(600)
    assert fluents.scheduled() == 1
    auditing.adopt(fluents.runtime, fluents.binding, fluents.audit(), "ann")
    fluents.world.clock.advance(24 * 3600)
    assert fluents.scheduled() == 0
    [finding] = fluents.world.rows(select(FINDING))
    assert finding["resolved_at"] == fluents.world.clock.moment


def test_a_policy_that_says_never_is_obeyed(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop("vogent", audit_every=0)
    shop.own(number(1))
    assert shop.scheduled() is None
    assert auditing.scheduled(shop.runtime, "nobody") is None
    assert shop.told() == []


def test_a_scheduled_audit_that_fails_says_why_and_comes_back(fluents: Shop, caplog: pytest.LogCaptureFixture) -> None:
    fluents.buy(number(1))
    fluents.forget()
    fluents.world.clock.advance(600)
    fluents.sandbox.control.plan("fluents", "error_before", on="read")
    assert fluents.scheduled() is None
    [run] = fluents.world.rows(select(AUDIT_RUN))
    assert "HTTP 500" in run["error"]
    assert "could not be done" in caplog.text
    assert fluents.told() == []
    assert fluents.scheduled() is None
    fluents.world.clock.advance(3600)
    assert fluents.scheduled() == 1


def test_a_worker_that_shuts_down_leaves_the_audit_to_another(fluents: Shop) -> None:
    fluents.own(*(number(n) for n in range(250)))
    pages = iter([False, False, True])
    assert auditing.scheduled(fluents.runtime, "fluents", lambda: next(pages)) is None
    assert fluents.told() == []
    assert fluents.scheduled() == 250


def test_told_to_stop_it_stops_before_the_next_page(fluents: Shop) -> None:
    fluents.own(*(number(n) for n in range(250)))
    steps: list[int] = []
    pages = iter([False, True])
    with pytest.raises(Stopped):
        fluents.audit(progress=steps.append, stopping=lambda: next(pages))
    assert steps == [0, 100]


def test_pages_wait_for_the_lookup_limit_on_a_real_pace(open_shop: Callable[..., Shop], redis: Redis) -> None:
    shop = open_shop("fluents", lookup_rate_limits=["20/second"], rate_guard=0.0)
    shop.own(*(number(n) for n in range(550)))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    shop.runtime = replace(shop.runtime, pace=Pace(redis), sleep=sleep)
    began = time.monotonic()
    assert shop.audit().owned == 550
    # six pages; a limiter that Redis does not know starts empty, two seconds away
    assert time.monotonic() - began >= 5 / 20
    assert sum(slept) >= 5 / 20


def test_without_redis_there_is_no_audit(fluents: Shop) -> None:
    class Away(Pace):
        def __init__(self) -> None:
            pass

        def reserve(self, lane: Lane, horizon: float = 2.0) -> Later:
            raise RedisError("away")

    fluents.runtime = replace(fluents.runtime, pace=Away())
    with pytest.raises(RedisError):
        fluents.audit()
    assert fluents.scheduled() is None
    [run] = fluents.world.rows(select(AUDIT_RUN))
    assert run["error"] == "away"


def test_evidence_meets_a_call_in_flight_and_changes_nothing(fluents: Shop) -> None:
    claim = fluents.world.claimed()
    with fluents.world.write() as conn:
        conn.execute(update(PURCHASE).values(account=fluents.binding.account, provider="fluents"))
    fluents.own(claim.row["number"])
    assert fluents.scheduled() == 0
    assert fluents.world.row(claim.row["id"])["status"] == Status.PURCHASING
